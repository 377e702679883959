"""The report's figures (plotly), each built from datasets, laws or metrics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from analysis.curves import (
    GREY,
    MOST_POINTS,
    TOTALS,
    colour,
    distinct,
    drawn_spread,
    law_level,
    law_path,
    per_synapse,
    retention_curves,
    series,
    stimulus_on,
    thin,
    through_means,
)
from bridge.laws import PAPER_EXPONENT, WEIGHTS, Laws
from rmaat.records import RunRecord

MOST_LINES = 16  # distinct synapses drawn one by one; beyond that their range
MOST_SHADES = 64  # stimulus periods shaded; beyond that they would merge into one grey

AXIS = {
    "gridcolor": "rgba(128,128,128,0.25)",
    "linecolor": GREY,
    "tickcolor": GREY,
    "showline": True,
    "zeroline": False,
    "ticks": "outside",
    "automargin": True,
    "title": {"standoff": 6},
}
DECADES: dict[str, Any] = {
    "dtick": "D2",
    "minorloglabels": "complete",
    "exponentformat": "none",
}  # of a logarithmic axis: 1, 2, 5, written out
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": GREY},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": AXIS,
        "yaxis": AXIS,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "dragmode": False,  # on a touch screen a drag is how the reader scrolls past the figure
        "hovermode": "closest",
    }
)


def new(rows: int = 1, heights: Sequence[float] | None = None) -> go.Figure:
    """An empty figure of ``rows`` panels above one another, with a common x axis."""
    figure = make_subplots(rows, 1, shared_xaxes=True, vertical_spacing=0.06, row_heights=heights)
    return figure.update_layout(template=TEMPLATE)


def line(x: ArrayLike, y: ArrayLike, name: str, index: int = 0, most: int = MOST_POINTS, **more: Any) -> go.Scatter:
    """A line trace: thinned, in float32."""
    xs, ys = thin(x, y, most)
    more.setdefault("mode", "lines")
    style = {"color": colour(index), "width": 2, **more.pop("line", {})}
    return go.Scatter(x=xs.astype("f4"), y=ys.astype("f4"), name=name, line=style, **more)


def band(x: ArrayLike, low: ArrayLike, high: ArrayLike, name: str, index: int, **more: Any) -> go.Scatter:
    """The area between two curves as one closed trace, so that each edge can be thinned by itself."""
    (x_low, y_low), (x_high, y_high) = thin(x, low, MOST_POINTS // 2), thin(x, high, MOST_POINTS // 2)
    return go.Scatter(
        x=np.concatenate([x_low, x_high[::-1]]).astype("f4"),
        y=np.concatenate([y_low, y_high[::-1]]).astype("f4"),
        name=name,
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=_faded(colour(index), 0.3),
        hoverinfo="skip",
        **more,
    )


def stp_layout(dataset: xr.Dataset, layout: str, top: float, index: int) -> go.Figure:
    """p^s of every synapse in one layout over one cycle; ``top`` is the common height of the y axis."""
    one = dataset.sel(layout=layout)
    time, p_s = one["time"].values, per_synapse(one["p_s"])
    figure = new()
    lines = distinct(p_s)
    if lines.shape[1] <= MOST_LINES:
        for curve in lines.T:
            figure.add_trace(line(time, curve, "one synapse", index, line={"width": 1}, opacity=0.6))
    else:
        figure.add_trace(band(time, p_s.min(axis=1), p_s.max(axis=1), "range over synapses", index))
    figure.add_trace(line(time, p_s.mean(axis=1), "mean over synapses", index, line={"width": 3}))
    _shade(figure, dataset)
    figure.update_yaxes(title_text="p<sup>s</sup> (a.u.)", range=[min(0.0, 1.05 * float(p_s.min())), 1.05 * top])
    return figure.update_xaxes(title_text="time (s)").update_layout(showlegend=False)


def spatial(dataset: xr.Dataset, laws: Laws | None) -> go.Figure:
    """Peak p^s against distance from the active process, with the fitted decay if there is one."""
    distance, peak = dataset["distance"].values.ravel(), dataset["p_s_peak"].values.ravel()
    away = (distance > 0) & (peak > 0)
    figure = new()
    figure.add_trace(points(distance[away], peak[away], "process", 0))
    figure.add_trace(points(distance[distance == 0], peak[distance == 0], "active process, left out of the fit", 1))
    decay = None if laws is None else laws.spatial_decay
    if decay is not None and away.any():
        at = np.linspace(0.0, distance.max(), 50)
        level = through_means(distance[away], peak[away], -decay, at)
        figure.add_trace(line(at, level, f"fit: exp(−{decay:.3g} · distance)", 2))
    figure.update_yaxes(title_text="peak p<sup>s</sup> (a.u.)", type="log", **DECADES)
    return figure.update_xaxes(title_text="distance (spacings)")


def frequency(dataset: xr.Dataset, laws: Laws | None) -> go.Figure:
    """Calcium against stimulation rate, both logarithmic, with the fitted power and the papers' exponent."""
    rate, calcium = dataset["rate"].values, per_synapse(dataset["calcium"])
    mean = calcium.mean(axis=1)
    figure = new()
    figure.add_trace(band(rate, calcium.min(axis=1), calcium.max(axis=1), "range over synapses", 0))
    figure.add_trace(points(rate, mean, "mean over synapses", 0))
    if (mean > 0).all():
        alpha = None if laws is None else laws.presynaptic_exponent
        for name, exponent, index, dash in (("fit", alpha, 1, "solid"), ("papers", PAPER_EXPONENT, 2, "dot")):
            if exponent is not None:
                at = np.geomspace(rate.min(), rate.max(), 50)
                level = through_means(np.log(rate), mean, exponent, np.log(at))
                figure.add_trace(line(at, level, f"{name}: rate^{exponent:.3g}", index, line={"dash": dash}))
    figure.update_yaxes(title_text="calcium proxy (a.u.)", type="log", **DECADES)
    ticks = [1, 2, 5, 10, 20, 50, 100]
    return figure.update_xaxes(title_text="stimulation rate (Hz)", type="log", tickvals=ticks, ticktext=ticks)


def ltp_traces(dataset: xr.Dataset) -> go.Figure:
    """x, s, p^s and p^l over all cycles: mean and range over neurons or synapses; ends of cycles marked."""
    time = dataset["time"].values
    panels = [
        (title, names)
        for title, names in (
            ("x (a.u.)", ("x_pre", "x_post")),
            ("s (a.u.)", ("s",)),
            ("p<sup>s</sup> (a.u.)", ("p_s",)),
            ("p<sup>l</sup> (a.u.)", ("p_l",)),
        )
        if all(name in dataset for name in names)
    ]
    labels = {"x_pre": "x presynaptic", "x_post": "x postsynaptic", "s": "s", "p_s": "pˢ", "p_l": "pˡ"}
    figure = new(len(panels))
    index = 0
    for row, (title, names) in enumerate(panels, start=1):
        for name in names:
            values = dataset[name].values.reshape(len(time), -1)
            edges = values.min(axis=1), values.max(axis=1)
            figure.add_trace(band(time, *edges, labels[name] + " range", index, showlegend=False), row, 1)
            figure.add_trace(line(time, values.mean(axis=1), labels[name], index, line={"width": 1.5}), row, 1)
            index += 1
        figure.update_yaxes(title_text=title, row=row, col=1)
    ends = dataset["p_l_cycle"].mean(("post", "pre")).values
    at = dataset["cycle"].values * float(dataset["tau_cycle"])
    figure.add_trace(points(at, ends, "end of a cycle", 1, "diamond"), len(panels), 1)
    _shade(figure, dataset)
    return figure.update_xaxes(title_text="time (s)", row=len(panels), col=1)


def law_fit(laws: Laws) -> go.Figure:
    """The fitted law over its data, dashed on to twice the simulated cycles, and the residuals below.

    Samples carry their standard error where it is known. Where noise enters through the dynamics, residuals are those
    of the steps from one sample to the next.
    """
    law, n = laws.document.retention, laws.fitted_cycles
    cycles = np.arange(1, n + 1, dtype=float)
    figure = new(2, [0.7, 0.3])
    inside, beyond = np.linspace(0, n, 200), np.linspace(n, 2 * n, 100)
    perturbation = laws.document.perturbation
    name = "law" if perturbation is None else f"law ({'before ' if perturbation.kind in WEIGHTS else ''}perturbation)"
    figure.add_trace(line(inside, law_level(laws, inside), name, 1), 1, 1)
    figure.add_trace(line(beyond, law_level(laws, beyond), f"{name}, extrapolated", 1, line={"dash": "dash"}), 1, 1)
    saturation = law.start + law.amplitude.value
    figure.add_trace(line([0, 2 * n], [saturation] * 2, "fitted saturation", 2, line={"dash": "dot", "width": 1}), 1, 1)
    samples = points(np.append(0, cycles), np.append(law.start, law.samples), "simulated, cycle ends", 0)
    if (spread := drawn_spread(laws)) is not None:
        # The trace may be thinned, and cycle 0 is where the simulation starts: known.
        errors = np.append(0.0, spread)[np.asarray(samples.x, dtype=int)]
        samples.update(error_y={"type": "data", "array": errors.astype("f4"), "thickness": 1.5, "width": 3})
    figure.add_trace(samples, 1, 1)
    # Stems as one trace: from zero to the residual, then a gap. Three points a stem.
    at, residuals = thin(cycles, law.residuals, MOST_POINTS // 3)
    y = np.stack([np.zeros_like(at), residuals, np.full_like(at, np.nan)], axis=1).ravel()
    stems = {
        "mode": "lines",
        "line": {"color": colour(0), "width": 2},
        "showlegend": False,
        "hoverinfo": "skip",
    }
    figure.add_trace(go.Scatter(x=np.repeat(at, 3).astype("f4"), y=y.astype("f4"), **stems), 2, 1)
    kind = "data minus law" if law.noise == "levels" else "data minus the step that the law predicts"
    dots = points(cycles, law.residuals, kind, 0)
    figure.add_trace(dots.update(showlegend=False), 2, 1)
    figure.add_hline(0, line={"color": GREY, "width": 1}, row=2, col=1)  # type: ignore[arg-type]
    figure.update_yaxes(title_text=f"p<sup>l</sup> ({law.unit})", row=1, col=1)
    figure.update_yaxes(title_text=f"residual ({law.unit})", exponentformat="e", row=2, col=1)
    return figure.update_xaxes(title_text="cycle", row=2, col=1)


def retention(laws: Laws, totals: Sequence[int] = TOTALS) -> go.Figure:
    """RetentionFactor(t, T) against t for every T; dashed where T lies beyond the simulated cycles."""
    figure = new()
    for index, curve in enumerate(retention_curves(laws, totals)):
        if curve.edges is not None:
            name = "95 % of resampled laws"
            figure.add_trace(band(curve.t, *curve.edges, name, index, showlegend=False))
        name = f"T = {curve.total}" + (" (extrapolated)" if curve.extrapolates else "")
        style = {"dash": "dash" if curve.extrapolates else "solid"}
        mark = {"size": 6, "symbol": SYMBOLS[index % len(SYMBOLS)]}
        figure.add_trace(line(curve.t, curve.factor, name, index, line=style, mode="lines+markers", marker=mark))
    figure.update_yaxes(title_text="RetentionFactor(t, T)", rangemode="tozero")
    return figure.update_xaxes(title_text="segment t")


def online(laws: Laws, total: int = TOTALS[-1]) -> go.Figure:
    """delta_t / p_t, the weight of a new segment when T is not known; dashed beyond the simulated cycles."""
    t, factor = np.arange(1, total + 1), laws.online(total)
    n = laws.fitted_cycles if laws.parametric else total  # perturbed weights extrapolate nothing
    figure = new()
    known = "within the simulated cycles" if laws.parametric else "perturbed weights"
    figure.add_trace(line(t[:n], factor[:n], known, 0, mode="lines+markers"))
    if total > n:
        more = {"line": {"dash": "dash"}, "mode": "lines+markers", "marker": {"symbol": "circle-open"}}
        figure.add_trace(line(t[n - 1 :], factor[n - 1 :], "extrapolated", 0, **more))
    figure.update_yaxes(title_text="RetentionFactor(t, t)", rangemode="tozero")
    return figure.update_xaxes(title_text="segment t")


def training(runs: Sequence[tuple[str, RunRecord]], tokens: bool = False) -> go.Figure:
    """Loss and accuracy over steps, a colour a run, training thin and validation with markers.

    ``tokens``: they are those of next tokens, as language models have them.
    """
    figure = new(2)
    for index, (label, run) in enumerate(runs):
        for row, name in enumerate(("loss", "accuracy"), start=1):
            for split in ("train", "valid"):
                steps, values = series(run.metrics, split, name)
                if not len(steps):
                    continue
                last = split == "valid"
                style = {"width": 2.5 if last else 1}
                more = {"mode": "lines+markers" if last and len(steps) <= 200 else "lines", "line": style}
                shown = {
                    "showlegend": row == 1,
                    "opacity": 1.0 if last else 0.7,
                    "legendgroup": f"{label} {split}",
                }
                more["marker"] = {"symbol": SYMBOLS[index % len(SYMBOLS)]}
                figure.add_trace(line(steps, values, f"{label}, {split}", index, **more, **shown), row, 1)
        if run.evaluation is not None and isinstance(run.evaluation.get("majority"), float) and run.metrics:
            ends = [0, max(row["step"] for row in run.metrics if isinstance(row.get("step"), int))]
            label_ = f"{label}, {'most frequent token' if tokens else 'majority class'}"
            level = [run.evaluation["majority"]] * 2
            figure.add_trace(line(ends, level, label_, index, line={"dash": "dot", "width": 1.5}), 2, 1)
    figure.update_yaxes(title_text="loss (nats a token)" if tokens else "loss (nats)", row=1, col=1)
    name = "accuracy of next tokens" if tokens else "accuracy"
    figure.update_yaxes(title_text=name, tickformat=".0%", rangemode="tozero", row=2, col=1)
    return figure.update_xaxes(title_text="step", row=2, col=1)


def explored_curve(
    cycles: ArrayLike, samples: Sequence[float], law: Sequence[float], simulated: int, unit: str, top: float
) -> go.Figure:
    """LTP curve and law of one point of a sweep; traces: samples, the law, the law beyond the simulated cycles."""
    at, level = np.asarray(cycles), np.asarray(law)
    figure = new()
    figure.add_trace(points(np.arange(len(samples)), samples, "simulated", 0))
    figure.add_trace(line(at[at <= simulated], level[at <= simulated], "law", 1))
    figure.add_trace(line(at[at >= simulated], level[at >= simulated], "extrapolated", 1, line={"dash": "dash"}))
    figure.update_yaxes(title_text=f"p<sup>l</sup> ({unit})", range=[0, top])
    return figure.update_xaxes(title_text="cycle")


def explored_factors(totals: Sequence[int], factors: Sequence[Sequence[float]], top: float) -> go.Figure:
    """RetentionFactor(t, T) of one point of a sweep, a trace a T."""
    figure = new()
    for index, (total, factor) in enumerate(zip(totals, factors, strict=True)):
        mark = {"size": 6, "symbol": SYMBOLS[index % len(SYMBOLS)]}
        at = np.arange(1, len(factor) + 1)
        figure.add_trace(line(at, factor, f"T = {total}", index, mode="lines+markers", marker=mark))
    figure.update_yaxes(title_text="RetentionFactor(t, T)", range=[0, top])
    return figure.update_xaxes(title_text="segment t", range=[0, max(totals) + 1])


def law_moved(before: Laws, after: Laws, total: int) -> go.Figure:
    """RetentionFactor(t, T) before training and after it, with the band of the simulated law."""
    figure = new()
    (curve,) = retention_curves(before, [total])
    if curve.edges is not None:
        figure.add_trace(band(curve.t, *curve.edges, "95 % of resampled laws", 0))
    for index, (name, factor) in enumerate((("before training", curve.factor), ("after", after.retention(total)))):
        mark = {"size": 6, "symbol": SYMBOLS[index]}
        figure.add_trace(line(curve.t, factor, name, index, mode="lines+markers", marker=mark))
    figure.update_yaxes(title_text=f"RetentionFactor(t, {total})", rangemode="tozero")
    return figure.update_xaxes(title_text="segment t")


def law_paths(run: RunRecord, before: Laws) -> go.Figure:
    """Parameters of a law that training moves, over steps and over their simulated values: their units differ."""
    figure = new()
    for index, (name, value) in enumerate(before.parameters.items()):
        steps, values = law_path(run.metrics, name)
        figure.add_trace(line(np.append(0, steps), np.append(1.0, values / value), name, index))
    figure.update_yaxes(title_text="value over the simulated one (1)")
    return figure.update_xaxes(title_text="step").update_layout(showlegend=True)


def points(x: ArrayLike, y: ArrayLike, name: str, index: int, symbol: str = "circle") -> go.Scatter:
    return line(x, y, name, index, mode="markers", marker={"size": 7, "symbol": symbol, "color": colour(index)})


def _shade(figure: go.Figure, dataset: xr.Dataset) -> None:
    """Grey background while input is on, in every panel."""
    one = dataset.isel(layout=0) if "layout" in dataset.dims else dataset
    periods = stimulus_on(one)
    if len(periods) <= MOST_SHADES:
        for start, end in periods:
            figure.add_vrect(start, end, fillcolor="rgba(128,128,128,0.15)", line_width=0, layer="below")


def _faded(hex_: str, alpha: float) -> str:
    red, green, blue = (int(hex_[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"
