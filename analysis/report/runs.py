"""Trained models: what each came to, in a sentence, its curves, and where training moved its law."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from analysis.collect import Inputs
from analysis.curves import law_path, retention_curves, series
from analysis.report.parts import Part, Plot, Table, Text, number, percent, rows_of, typeset
from analysis.report.plots import SYMBOLS, band, below, line, marked, new
from analysis.report.results import sampling
from bridge import describe
from bridge.laws import Laws
from rmaat.records import RunRecord

MOVED_TOTALS = (4, 8, 16)  # T at which a trained law is held against the simulated one
MEMORYLESS = 0.03  # above a table that knows the first symbol: below that an accuracy shows no use of memory
MOST_MARKED = 200  # validations that are marked one by one
TRAIN = "rmaat train listops --laws laws.json --out RUN"


def run_sentence(label: str, run: RunRecord) -> str:
    """What was trained, how it did against what needs no learning, on how many segments, and with which laws."""
    asked, built, result = run.run, run.run.config, run.evaluation
    about = [f"memory rule {built.memory_rule}"] if built.memory_rule else []
    about.append(f"backward {built.backward}")
    if isinstance(built.presynaptic_exponent, float):
        about.append(f"presynaptic exponent {number(built.presynaptic_exponent)}")
    about += [f"{asked.parameters:,} parameters", f"seed {asked.settings.seed}"]
    head = f"Run {label}: {asked.model} on {asked.task} ({', '.join(about)})"
    if result is None:
        state = "has not been evaluated" if run.finished else "is not finished (no model.safetensors)"
        return f"{head} {state}.{_laws_used(run)}"
    after = f"the {result.split} split after {result.step:,} steps"
    if result.bits_per_token is not None:
        told = (
            f"{number(result.bits_per_token)} bits a token on {after}; {percent(result.accuracy)} of tokens right, "
            f"always the most frequent one {percent(result.majority)}"
        )
    else:
        low, high = sampling(result.accuracy, result.examples)
        apart = 100 * (result.accuracy - result.majority)
        told = (
            f"{percent(result.accuracy)} of {result.examples:,} examples (95 % interval {percent(low)} to "
            f"{percent(high)}) on {after}, {abs(apart):.1f} points {'above' if apart >= 0 else 'below'} the majority "
            f"class at {percent(result.majority)}"
        )
        told += ", within sampling error" if low <= result.majority <= high else ""
        if result.first_symbol is not None:
            told += f"; a table that knows the first symbol alone reaches {percent(result.first_symbol)}"
            shows = result.accuracy > result.first_symbol + MEMORYLESS
            told += "" if shows else ", so this accuracy shows no use of memory"
    told += f". Its longest example has {asked.data.longest:,} tokens, T = {asked.data.segments} segments of "
    told += str(built.segment_length)
    if run.laws is not None and not run.laws.parametric:
        told += ", whose weights do not rest on simulated cycles"
    elif run.laws is not None:
        beyond = run.laws.extrapolates(asked.data.segments)
        told += f"; beyond the {run.laws.fitted_cycles} simulated cycles, so its law is extrapolated" if beyond else (
            f", within the {run.laws.fitted_cycles} simulated cycles"
        )  # fmt: skip
    return f"{head}: {told}.{_laws_used(run)}"


def _laws_used(run: RunRecord) -> str:
    """Whether the run's laws were perturbed on purpose, and where training moved them; empty if neither."""
    before, told = run.laws, ""
    if before is not None and before.document.perturbation is not None:
        told = f" Its laws were perturbed on purpose: {describe.kind(before.document.perturbation)}."
    if before is not None and run.trained_laws is not None:
        told += f" {describe.moved(before, run.trained_laws)}"
    return typeset(told)


def training(inputs: Inputs) -> list[Part]:
    """Loss and accuracy over steps, for all runs in one figure a task, and where training moved a law."""
    parts: list[Part] = []
    for label, run in inputs.named_runs:
        if not run.finished:
            go_on = f"rmaat train {run.run.task} --laws laws.json --out {run.path} --resume"
            parts.append(
                Text(f"{label}: not finished (model.safetensors is missing); continue with: {go_on}", note=True)
            )
        if not run.metrics:
            parts.append(Text(f"{label}: no logged steps yet (metrics.jsonl is missing or empty)", note=True))
    for task in dict.fromkeys(run.run.task for run in inputs.runs):
        logged = [(label, run) for label, run in inputs.named_runs if run.run.task == task and run.metrics]
        if logged:
            parts.append(_curves(task, logged))
    return [*parts, *(part for label, run in inputs.named_runs for part in _moved(label, run))]


def _curves(task: str, runs: Sequence[tuple[str, RunRecord]]) -> Plot:
    """Loss and accuracy over steps, a colour a run, training thin and validation with markers."""
    tokens = any(run.run.config.head == "language" for _, run in runs)
    loss, accuracy = ("loss (nats a token)", "accuracy of next tokens") if tokens else ("loss (nats)", "accuracy")
    figure = new(loss, accuracy)
    ends = []
    for index, (label, run) in enumerate(runs):
        for row, name in enumerate(("loss", "accuracy"), start=1):
            for split, width, opacity in (("train", 1, 0.7), ("valid", 2.5, 1.0)):
                steps, values = series(run.metrics, split, name)
                if not len(steps):
                    continue
                style: dict[str, Any] = {"line": {"width": width}, "opacity": opacity, "showlegend": row == 1}
                style |= {"legendgroup": f"{label} {split}", "marker": {"symbol": SYMBOLS[index % len(SYMBOLS)]}}
                style["mode"] = "lines+markers" if split == "valid" and len(steps) <= MOST_MARKED else "lines"
                figure.add_trace(line(steps, values, f"{label}, {split}", index, **style), row, 1)
                ends += [f"{label} ends at {split} loss {number(values[-1], 3)}"] if name == "loss" else []
        if run.evaluation is not None:
            steps, style = [0, max(row["step"] for row in run.metrics)], {"dash": "dot", "width": 1.5}
            name = f"{label}, {'most frequent token' if tokens else 'majority class'}"
            figure.add_trace(line(steps, [run.evaluation.majority] * 2, name, index, line=style), 2, 1)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", row=2, col=1)
    nats = " Loss and accuracy are those of next tokens; a loss in nats over ln 2 = 0.693 is one in bits a token."
    return Plot(
        below(figure, "step", 2),
        f"{task}: training (thin) and validation (thick); dotted: share of the most frequent "
        f"{'token' if tokens else 'class'} in the test split. {'; '.join(ends)}.{nats if tokens else ''}",
        560,
    )


def _moved(label: str, run: RunRecord) -> list[Part]:
    """Where training moved the run's law; empty where it did not."""
    before, after, parts = run.laws, run.trained_laws, list[Part]()
    if before is None:
        return parts
    parameters, total = before.document.retention.parameters, describe.REFERENCE_TOTAL
    if after is not None:
        parts += [
            Table(
                f"{label}: Where training moved the law ({describe.plain(before.document.retention.family)})",
                *rows_of(describe.moved_parameters(before, after)),
                ["unit"],
            ),
            Table(
                f"{label}: how far RetentionFactor(., T) moved (total variation, 0 to 1)",
                *rows_of(describe.moved_factors(before, after, MOVED_TOTALS)),
            ),
            Plot(
                _before_and_after(before, after, total),
                f"{label}: RetentionFactor(t, {total}) of the simulated law and of the one that training reached; "
                f"first segment {number(before.retention(total)[0], 3)}, then {number(after.retention(total)[0], 3)}. "
                "Band, where there is one: 95 % of the resampled simulated laws.",
            ),
        ]
    paths = {name: law_path(run.metrics, name) for name in parameters}
    if all(len(values) for _, values in paths.values()):
        figure = new("value over the simulated one (1)")  # the units of parameters differ
        for index, (name, (steps, values)) in enumerate(paths.items()):
            over = np.append(1.0, values / parameters[name].value)
            figure.add_trace(line(np.append(0, steps), over, name, index))
        ends = "; ".join(f"{name} at {number(values[-1])}" for name, (_, values) in paths.items())
        caption = (
            f"{label}: parameters of the retention law as training moves them, each over its simulated value; {ends} "
            "in the last logged step."
        )
        parts.append(Plot(below(figure, "step").update_layout(showlegend=True), caption, 300))
    return parts


def _before_and_after(before: Laws, after: Laws, total: int) -> go.Figure:
    """RetentionFactor(t, T) before training and after it, with the band of the simulated law."""
    figure, (curve,) = new(f"RetentionFactor(t, {total})"), retention_curves(before, [total])
    if curve.edges is not None:
        figure.add_trace(band(curve.t, *curve.edges, "95 % of resampled laws", 0))
    for index, (name, factor) in enumerate((("before training", curve.factor), ("after", after.retention(total)))):
        figure.add_trace(line(curve.t, factor, name, index, **marked(index)))
    figure.update_yaxes(rangemode="tozero")
    return below(figure, "segment t")
