"""The memory at work: what reaches the output, what the memory holds, what is left of the first segment."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from analysis.collect import Inputs
from analysis.curves import GREY, colour
from analysis.report.parts import Bullets, Part, Plot, Table, Text, number
from analysis.report.plots import DECADES, SYMBOLS, below, new
from rmaat.records import Kept, RunRecord

INSPECT = "rmaat inspect"
NARROW = 2.0  # decades of a logarithmic axis that is marked at 1, 2 and 5, and not left to decades
WRITTEN_OUT = 1e-4  # labels of smaller numbers have an exponent
MOST_TICKS = 8  # segments marked one by one, so that their numbers stay upright on a narrow page


@dataclass(frozen=True)
class Look:
    """What `rmaat inspect` left in one run folder.

    Attributes
    ----------
    index : int
        Place of the run among all that were given, which decides its colour.
    label, model, rule : str
        Name of the run, its model, and its memory rule ("–" of a model without memory).
    pooled : bool
        The head reads the mean over the tokens of all segments, so what it says need not pass through the memory.
    examples : str
        What was looked at.
    influence : list of float
        Of segment 1, 2, ... on the output.
    norms : list of float
        Of the memory after segment 1, 2, ...; empty for a model without memory.
    kept : list of Kept
        By T; empty where there is nothing beyond T = 1, which is 1 by definition.
    began, times : list of float, list of list of float
        Time constants of the heads in tokens: where they began, and where training has left them, layer by layer;
        empty where nothing fades.
    ladder : dict of str to float
        Those of the laws, in tokens.
    """

    index: int
    label: str
    model: str
    rule: str
    pooled: bool
    examples: str
    influence: list[float]
    norms: list[float]
    kept: list[Kept]
    began: list[float]
    times: list[list[float]]
    ladder: dict[str, float]


def look(index: int, label: str, run: RunRecord) -> Look | None:
    """The look into one run; None where nobody has looked."""
    seen, built = run.diagnostics, run.run.config
    if seen is None:
        return None
    memory, kept = seen.memory_norm is not None, seen.first or []
    return Look(
        index=index,
        label=label,
        model=run.run.model,
        rule=str(built.memory_rule or "none") if memory else "–",
        pooled=memory and built.readout == "mean" and built.head != "language",
        examples=f"{seen.examples} examples of the {seen.split} split",
        influence=seen.influence,
        norms=seen.memory_norm or [],
        kept=kept if any(row.T > 1 for row in kept) else [],
        began=list(built.time_constants or ()),
        times=seen.time_constants or [],
        ladder=run.laws.short_term_tokens(built.segment_length) if run.laws is not None else {},
    )


def memory(inputs: Inputs) -> list[Part]:
    """What `rmaat inspect` found in every finished run."""
    named = inputs.named_runs
    looks = [one for index, (label, run) in enumerate(named) if (one := look(index, label, run)) is not None]
    parts: list[Part] = [
        Text(f"{label}: not looked into (diagnostics.json is missing); make it with: {INSPECT} {run.path}", note=True)
        for label, run in named
        if run.finished and run.diagnostics is None
    ]
    if not looks:
        none = Text("None of the runs is finished, so there is no memory to look into yet.", note=True)
        return parts or ([none] if named else [])
    parts += [Bullets([sentence(one) for one in looks]), _influence(looks)]
    if having := [one for one in looks if one.norms]:
        parts.append(_norms(having))
    if reaching := [one for one in looks if one.kept]:
        parts += [_kept(reaching), _table(reaching)]
    if fading := [one for one in looks if one.times]:
        parts.append(_times(fading))
    return parts


def _times(looks: list[Look]) -> Plot:
    """Where the time constant of each head began and where it is, on the ladder of the biology."""
    figure, lines = new("layer"), {(name, time) for one in looks for name, time in one.ladder.items()}
    for one in looks:
        for layer, times in enumerate(one.times, start=1):
            place = f"{one.label}, layer {layer}"
            for times_of, name, alone in ((one.began, "at the start", True), (times, "after training", False)):
                trace = _trace(times_of, np.zeros(len(times_of)), f"{one.label}, {name}", one.index, alone)
                trace.update(y=[place] * len(times_of), mode="markers", showlegend=layer == 1)
                figure.add_trace(trace)
    mark = {"color": GREY, "width": 1, "dash": "dot"}
    for name, time in sorted(lines, key=lambda line: line[1]):
        figure.add_vline(time, line=mark, annotation={"text": name, "textangle": -90})
    starts = ((one.began, times) for one in looks for times in one.times)
    moved = max(abs(math.log(now / then)) for began, times in starts for then, now in zip(began, times, strict=True))
    furthest = f"The furthest was moved by a factor of {number(math.exp(moved), 3)}." if moved > 1e-9 else "None moved."
    return Plot(
        below(figure, "time constant (tokens)", type="log"),
        "Time constants of the heads: where the laws put them (open), and where training has left them (filled). "
        f"Dotted: what the simulations gave, a segment standing for a cycle. {furthest}",
        120 + 60 * sum(len(one.times) for one in looks),
    )


def sentence(look: Look) -> str:
    """What is left of the first segment in the memory, and how much it moves the output."""
    if not look.norms:
        memory = f"the model {look.model} has no memory"
    elif not look.kept:
        memory = f"what the memory rule {look.rule} keeps of segment 1 was not measured, for want of two whole segments"
    else:
        last = max(look.kept, key=lambda row: row.T)
        memory = (
            f"with the memory rule {look.rule} the memory depends on segment 1 {number(last.measured, 2)} times as "
            f"strongly after {last.T} segments as after one (by the rule alone {number(last.direct, 2)})"
        )
    first, last, segments = look.influence[0], look.influence[-1], len(look.influence)
    if segments == 1:
        output = "the examples looked at have one segment"
    elif last == 0.0:
        output = f"the last of {segments} segments does not move the output, segment 1 by {number(first, 2)}"
    else:
        times = number(first / last, 2)
        output = f"the output moves with segment 1 {times} times as much as with the last of {segments}"
    past = " It reads the mean over all segments, so this shows no use of memory: there is a way past it."
    return f"Run {look.label}: {memory}; {output}.{past if look.pooled and segments > 1 else ''}"


def _influence(looks: list[Look]) -> Plot:
    figure = new("derivative of the output (1)")
    for one in looks:
        figure.add_trace(_trace(range(1, len(one.influence) + 1), _positive(one.influence), one.label, one.index))
    figure.update_yaxes(**_decades(figure))
    ends = (f"{one.label} {number(one.influence[0], 2)} in segment 1, {number(one.influence[-1], 2)} in segment "
            f"{len(one.influence)}" for one in looks)  # fmt: skip
    return Plot(
        _by_segment(figure, max(len(one.influence) for one in looks)),
        "Norm of the derivative of the output (logits; of a language model those of the last token) in the embedded "
        "tokens of each segment, root mean square over the examples that have it. It is a slope: what a small change "
        "would do, not what leaving a segment out would. The last segment of an example may hold few tokens. Scales of "
        f"embeddings and outputs differ between runs, so compare shapes, not heights: {'; '.join(ends)}. "
        f"{_looked_at(looks)}" + _left_out((one.label, "segment", enumerate(one.influence, start=1)) for one in looks),
    )


def _norms(looks: list[Look]) -> Plot:
    figure = new("norm of the memory (1)")
    for one in looks:
        figure.add_trace(_trace(range(1, len(one.norms) + 1), one.norms, one.label, one.index))
    figure.update_yaxes(rangemode="tozero")
    ends = (f"{one.label} from {number(one.norms[0], 3)} to {number(one.norms[-1], 3)}" for one in looks)
    return Plot(
        _by_segment(figure, max(len(one.norms) for one in looks)),
        "Norm of the memory rows after each segment, root mean square over rows and over the examples that have it: "
        f"{'; '.join(ends)}. {_looked_at(looks)}",
        300,
    )


def _kept(looks: list[Look]) -> Plot:
    figure, zeros = new("kept of segment 1 (1)"), []
    for one in looks:
        totals, name = [row.T for row in one.kept], f"{one.label} ({one.rule})"
        measured, direct = [row.measured for row in one.kept], [row.direct for row in one.kept]
        figure.add_trace(_trace(totals, _positive(measured), f"{name}, measured", one.index))
        figure.add_trace(_trace(totals, _positive(direct), f"{name}, by the rule alone", one.index, alone=True))
        zeros.append((f"{one.label}, measured", "T =", list(zip(totals, measured, strict=True))))
        zeros.append((f"{one.label}, by the rule alone", "T =", list(zip(totals, direct, strict=True))))
    figure.update_yaxes(**_decades(figure))
    marks = sorted({row.T for one in looks for row in one.kept})
    return Plot(
        below(figure, "segments T", type="log", tickvals=marks, ticktext=[str(mark) for mark in marks]),
        "What the memory after T segments knows of segment 1, relative to T = 1. Measured (solid): norm of the "
        "derivative of the memory after T segments in the embedded tokens of segment 1, over that at T = 1, each T a "
        "sequence of its own; it takes every way through the model. By the rule alone (dashed): the product of the "
        'factors under "scale", RetentionFactor(1, T) under "consolidate", 1 under "none". A run may keep more than '
        f"its rule, by writing what it read, or less, by overwriting it.{_left_out(zeros)}",
        400,
    )


def _table(looks: list[Look]) -> Table:
    return Table(
        "What the memory after T segments knows of segment 1, relative to T = 1",
        ["run", "memory rule", "T", "measured", "by the rule alone", "measured over rule"],
        [
            [
                *(one.label, one.rule, str(row.T), number(row.measured, 3), number(row.direct, 3)),
                number(row.measured / row.direct, 3) if row.direct else "–",
            ]
            for one in looks
            for row in one.kept
        ],
        ["memory rule"],
        sortable=True,
    )


def _looked_at(looks: list[Look]) -> str:
    """On what: once if it is the same for all."""
    if len({one.examples for one in looks}) == 1:
        return f"Looked at: {looks[0].examples}."
    return f"Looked at: {'; '.join(f'{one.label}, {one.examples}' for one in looks)}."


def _left_out(series: Iterable[tuple[str, str, Iterable[tuple[int, float]]]]) -> str:
    """Which points a logarithmic axis has no place for, by name and what they are numbered by; empty for none."""
    zeros = {f"{name} at {by}": [str(at) for at, value in points if not value > 0.0] for name, by, points in series}
    told = "; ".join(f"{where} {', '.join(at)}" for where, at in zeros.items() if at)
    return f" Left out, being 0, which a logarithmic axis cannot show: {told}." if told else ""


def _trace(x: ArrayLike, y: ArrayLike, name: str, index: int, alone: bool = False) -> go.Scatter:
    """In double precision, unlike other lines: what is kept can be smaller than single precision holds."""
    symbol = SYMBOLS[index % len(SYMBOLS)] + ("-open" if alone else "")
    return go.Scatter(
        x=np.asarray(x, dtype="f8"),
        y=np.asarray(y, dtype="f8"),
        name=name,
        mode="lines+markers",
        line={"color": colour(index), "width": 1.5 if alone else 2, "dash": "dash" if alone else "solid"},
        marker={"size": 7, "symbol": symbol, "color": colour(index)},
    )


def _decades(figure: go.Figure) -> dict[str, Any]:
    """A logarithmic axis for what is drawn. Labels stand written out: a bare 2 would not say of which decade."""
    traces: Any = figure.data
    drawn = np.concatenate([np.asarray(trace.y, dtype="f8") for trace in traces])
    drawn = drawn[drawn > 0.0]
    if not len(drawn) or np.log10(drawn.max() / drawn.min()) >= NARROW:
        return {"type": "log", "exponentformat": "power"}
    return DECADES if drawn.min() > WRITTEN_OUT else {**DECADES, "exponentformat": "e"}


def _positive(values: Sequence[float]) -> np.ndarray:
    """Gaps where a logarithmic axis has no place."""
    numbers = np.asarray(values, dtype="f8")
    return np.where(numbers > 0.0, numbers, np.nan)


def _by_segment(figure: go.Figure, most: int) -> go.Figure:
    # Left alone, the axis of a few segments gets ticks between them.
    below(figure, "segment t", dtick=1 if most <= MOST_TICKS else None, tick0=1)
    return figure.update_layout(showlegend=True)
