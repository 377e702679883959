"""The retention law: over its data, as factors of segments, and how the families compare."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from analysis.collect import Inputs
from analysis.curves import (
    GREY,
    MOST_POINTS,
    TOTALS,
    colour,
    drawn_spread,
    hidden_spread,
    law_level,
    retention_curves,
    thin,
)
from analysis.report.parts import Heading, Part, Plot, Table, Text, number, quantity, rows_of, share, typeset
from analysis.report.plots import band, below, line, marked, new, points
from bridge import describe
from bridge.laws import WEIGHTS, Laws


def over_data(inputs: Inputs) -> list[Part]:
    """Every law over the curve that it was fitted to."""
    plots = [_over_data(file.laws, f"{file.path}") for file in inputs.laws]
    return [Heading("The law over its data"), *plots] if plots else []


def _over_data(laws: Laws, path: str) -> Plot:
    law, perturbation = laws.document.retention, laws.document.perturbation
    largest = max(map(abs, law.residuals))
    left = "data minus law" if law.noise == "levels" else "each sample minus what the law makes of the one before"
    caption = (
        f"{path}: {describe.plain(law.family)} law over pˡ at the ends of {laws.fitted_cycles} cycles, averaged over "
        f"{describe.averaged(laws)}; below, {left} (largest {quantity(largest, law.unit, 2)}, "
        f"{share(largest, law.amplitude.value)} of saturation). Dashed: extrapolated beyond the simulated cycles."
    )
    if (hidden := hidden_spread(laws)) is not None:
        caption += f" No bars: the standard error of the mean is at most {quantity(hidden, law.unit, 2)}."
    elif law.spread is not None and law.noise == "levels":
        caption += " Bars: standard error of the mean."
    elif law.spread is not None:
        caption += " No bars: the standard errors known are those of the increments, through which noise enters."
    if perturbation is not None:
        curve = "is the law before that" if perturbation.kind in WEIGHTS else "need not meet the data"
        caption += f" These laws are perturbed on purpose ({perturbation.kind}): the line {curve}."
    elif describe.unfitted(laws) is not None:
        caption += " The parameters were trained, not fitted, so the line need not meet the data."
    return Plot(law_fit(laws), caption, 520)


def law_fit(laws: Laws) -> go.Figure:
    """The fitted law over its data, dashed on to twice the simulated cycles, and the residuals below.

    Samples carry their standard error where it is known. Where noise enters through the dynamics, residuals are those
    of the steps from one sample to the next.
    """
    law, n, perturbation = laws.document.retention, laws.fitted_cycles, laws.document.perturbation
    figure = new(f"p<sup>l</sup> ({law.unit})", f"residual ({law.unit})", heights=[0.7, 0.3])
    cycles, inside, beyond = np.arange(1.0, n + 1), np.linspace(0, n, 200), np.linspace(n, 2 * n, 100)
    name = "law" if perturbation is None else f"law ({'before ' if perturbation.kind in WEIGHTS else ''}perturbation)"
    figure.add_trace(line(inside, law_level(laws, inside), name, 1), 1, 1)
    figure.add_trace(line(beyond, law_level(laws, beyond), f"{name}, extrapolated", 1, line={"dash": "dash"}), 1, 1)
    saturation, dots = [law.start + law.amplitude.value] * 2, {"dash": "dot", "width": 1}
    figure.add_trace(line([0, 2 * n], saturation, "fitted saturation", 2, line=dots), 1, 1)
    samples = points(np.append(0, cycles), np.append(law.start, law.samples), "simulated, cycle ends", 0)
    if (spread := drawn_spread(laws)) is not None:
        # The trace may be thinned, and cycle 0 is where the simulation starts: known.
        errors = np.append(0.0, spread)[np.asarray(samples.x, dtype=int)]
        samples.update(error_y={"type": "data", "array": errors.astype("f4"), "thickness": 1.5, "width": 3})
    figure.add_trace(samples, 1, 1)
    # Stems as one trace: from zero to the residual, then a gap. Three points a stem.
    at, residuals = thin(cycles, law.residuals, MOST_POINTS // 3)
    y = np.stack([np.zeros_like(at), residuals, np.full_like(at, np.nan)], axis=1).ravel()
    stems: dict[str, Any] = {"mode": "lines", "line": {"color": colour(0), "width": 2}, "hoverinfo": "skip"}
    figure.add_trace(go.Scatter(x=np.repeat(at, 3).astype("f4"), y=y.astype("f4"), showlegend=False, **stems), 2, 1)
    kind = "data minus law" if law.noise == "levels" else "data minus the step that the law predicts"
    figure.add_trace(points(cycles, law.residuals, kind, 0).update(showlegend=False), 2, 1)
    figure.add_hline(0, line={"color": GREY, "width": 1}, row=2, col=1)  # type: ignore[arg-type]
    figure.update_yaxes(exponentformat="e", row=2, col=1)
    return below(figure, "cycle", 2)


def retention(inputs: Inputs) -> list[Part]:
    """RetentionFactor(t, T), the online factor, and how the families compare, of every law."""
    parts: list[Part] = []
    for file in inputs.laws:
        parts += [Heading(f"{file.path}")] if len(inputs.laws) > 1 else []
        parts += _retention(file.laws, f"{file.path}")
    return parts


def _retention(laws: Laws, path: str) -> list[Part]:
    banded = any(curve.edges is not None for curve in retention_curves(laws))
    marks = [describe.perturbed(laws), describe.unidentified(laws)]
    if beyond := describe.extrapolated(laws, TOTALS):
        marks.append(
            f"Only {laws.fitted_cycles} cycles were simulated: T = {', '.join(map(str, beyond))} is extrapolation "
            f"(dashed). {describe.BAND if banded else 'No band says how far off it may be.'}"
        )
    online, total = laws.online(TOTALS[-1]), TOTALS[-1]
    candidates = typeset(describe.candidates_caption(laws.document.retention))
    evidence = typeset(describe.evidence_caption(laws))
    return [
        *(Text(typeset(mark), note=True) for mark in marks if mark),
        Plot(
            factors(laws),
            f"{path}: share of the total rise that cycle t of T adds; sums to 1 over t. Segment t's memory is "
            f'multiplied by it under the rule "scale".{" Band: 95 % of resampled laws." if banded else ""}',
            380,
        ),
        Table(
            "RetentionFactor(t, T) of the first, the middle and the last segment",
            *rows_of(describe.factors(laws, TOTALS)),
            ["basis"],
        ),
        Plot(
            _online(laws, online),
            "RetentionFactor(t, t): the weight of segment t when T is not known in advance, used by the rule "
            f'"consolidate": {number(online[0])} at t = 1, {number(online[-1], 3)} at t = {total}. '
            + ("Of reversed laws it needs T all the same." if laws.needs_total else "It needs the past only."),
            300,
        ),
        Table(candidates, *rows_of(describe.candidates(laws)), ["parameters", "converged"], sortable=True),
        Table("How the law follows its curve", *rows_of(describe.quality(laws)), ["unit"]),
        Text(typeset(describe.evidence_clause(laws))),
        Table(evidence, *rows_of(describe.evidence_table(laws))),
    ]


def factors(laws: Laws) -> go.Figure:
    """RetentionFactor(t, T) against t for every T; dashed where T lies beyond the simulated cycles."""
    figure = new("RetentionFactor(t, T)")
    for index, curve in enumerate(retention_curves(laws)):
        if curve.edges is not None:
            figure.add_trace(band(curve.t, *curve.edges, "95 % of resampled laws", index, showlegend=False))
        name = f"T = {curve.total}" + (" (extrapolated)" if curve.extrapolates else "")
        style = {"dash": "dash" if curve.extrapolates else "solid"}
        figure.add_trace(line(curve.t, curve.factor, name, index, line=style, **marked(index)))
    figure.update_yaxes(rangemode="tozero")
    return below(figure, "segment t")


def _online(laws: Laws, factor: np.ndarray) -> go.Figure:
    """delta_t / p_t, the weight of a new segment when T is not known; dashed beyond the simulated cycles."""
    figure, t = new("RetentionFactor(t, t)"), np.arange(1, len(factor) + 1)
    n = laws.fitted_cycles if laws.parametric else len(factor)  # perturbed weights extrapolate nothing
    known = "within the simulated cycles" if laws.parametric else "perturbed weights"
    figure.add_trace(line(t[:n], factor[:n], known, 0, mode="lines+markers"))
    if len(factor) > n:
        more = {"line": {"dash": "dash"}, "mode": "lines+markers", "marker": {"symbol": "circle-open"}}
        figure.add_trace(line(t[n - 1 :], factor[n - 1 :], "extrapolated", 0, **more))
    figure.update_yaxes(rangemode="tozero")
    return below(figure, "segment t")
