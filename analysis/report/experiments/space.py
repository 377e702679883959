"""Calcium in space: its decay around one active process (both models), and waves through gap junctions."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from analysis.curves import Array, still_spreading, through_means
from analysis.report.experiments import Theme
from analysis.report.parts import Part, Plot, Table, interval, number
from analysis.report.plots import DECADES, below, evenly, heat, holds, line, mean, new, points, titled, unit
from analysis.report.tables import EVENTS, event_words, measured, shown
from astro_sim.dataset import settings_of
from bridge.laws import Laws


def decay(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Peak fast calcium of the macro model against distance from the active process."""
    distance, peak = data["distance"].values.ravel(), data["p_s_peak"].values.ravel()
    away = (distance > 0) & (peak > 0)
    figure = new("peak p<sup>s</sup> (a.u.)")
    figure.add_trace(points(distance[away], peak[away], "process", 0))
    figure.add_trace(points(distance[distance == 0], peak[distance == 0], "active process, left out of the fit", 1))
    _fit(figure, laws, distance, peak, away)
    figure.update_yaxes(**DECADES)
    fitted = None if laws is None else laws.document.spatial_decay
    told = "no fit to it among the given laws. Make one with rmaat fit."
    if fitted is not None:
        told = f"fitted decay {interval(fitted)}. {fitted.origin[:1].upper()}{fitted.origin[1:]}."
    caption = f"Peak fast calcium against distance from the one active process, logarithmic: {told}"
    return [Plot(below(figure, "distance (spacings)"), caption)]


def response(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Largest IP3 and calcium above rest of the biophysical model against distance from the driven process."""
    distance = data["distance"].values.ravel()
    peaks = {name: data[name].transpose(*data["distance"].dims).values.ravel() for name in ("p_s_peak", "C_peak")}
    heads = [titled(data, "p_s_peak", "peak IP₃"), titled(data, "C_peak", "peak C")]
    figure, told = new(*heads), []
    for row, (words, peak) in enumerate(zip(("IP₃", "calcium"), peaks.values(), strict=True), start=1):
        away, here = (distance > 0) & (peak > 0), (distance == 0) & (peak > 0)
        for where, name, index, symbol in ((away, "process", 0, "circle"), (here, "driven process", 1, "diamond")):
            marks = points(distance[where], peak[where], name, index, symbol)
            figure.add_trace(marks.update(showlegend=row == 1), row, 1)
        near, far = (_mean_where(peak, where) for where in (distance == 0, distance == distance.max()))
        silent = int(((distance > 0) & (peak <= 0)).sum())
        left_out = f" ({silent} processes not above rest are left out)" if silent else ""
        told.append(f"{words} {shown(near, 3)} where driven, {shown(far, 3)} farthest away{left_out}")
        if row == 1:
            _fit(figure, laws, distance, peak, away)
        figure.update_yaxes(type="log", dtick=1, exponentformat="power", row=row, col=1)
    fitted = None if laws is None else laws.document.spatial_decay
    caption = (
        "Largest IP₃ (what reads as pˢ) and calcium above rest against distance from the driven process, logarithmic: "
        f"{'; '.join(told)} ({unit(data, 'p_s_peak')})."
    )
    caption += "" if fitted is None else f" Line: fitted decay {interval(fitted)}."
    rounded, rows = np.round(distance, 6), []
    for at in np.unique(rounded):
        means = (shown(_mean_where(peak, rounded == at)) for peak in peaks.values())
        rows.append([number(float(at)), str(int((rounded == at).sum())), *means])
    kept = [rows[k] for k in evenly(len(rows), 40)]
    some = f"; {len(kept)} of {len(rows)} distances" if len(kept) < len(rows) else ""
    columns = ["distance (spacings)", "processes", *heads]
    return [
        Plot(below(figure, "distance (spacings)", 2), caption, 480),
        Table(f"Mean response above rest by distance{some}.", columns, kept),
    ]


def _fit(figure: go.Figure, laws: Laws | None, distance: Array, peak: Array, away: np.ndarray) -> None:
    """The fitted exponential in the first panel, where there is one."""
    if laws is not None and laws.spatial_decay is not None and away.any():
        at = np.linspace(0.0, distance.max(), 50)
        level = through_means(distance[away], peak[away], -laws.spatial_decay, at)
        figure.add_trace(line(at, level, f"fit: exp(−{laws.spatial_decay:.3g} · distance)", 2), 1, 1)


def _mean_where(values: Array, where: np.ndarray) -> float:
    return float(mean(values[where])) if where.any() else float("nan")


def waves(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Calcium over cells and time with the onsets, the front, and events by distance in the graph."""
    parts: list[Part] = [_field(data)]
    if holds(data, "hops", "cell") and holds(data, "onset", "cell"):
        parts += _front(data)
    rows = [
        ["cells", str(data.sizes["cell"])],
        ["recruited, the driven one counted", shown(float(data["recruited"].sum()))],
        ["reach: recruited, the driven one not counted", shown(float(data["reach"]))],
    ]
    for name, words in (("speed", "front speed (cells a second)"), ("speed_um", "front speed (µm/s)")):
        if holds(data, name):
            rows.append([words, shown(float(data[name]))])
    parts.append(Table("The wave; a dash where too few cells were reached.", ["quantity", "value"], rows))
    reached = data.isel(cell=np.flatnonzero(data["recruited"].values > 0))
    columns = {name: head for name, head in {"onset": "onset", **EVENTS}.items() if holds(reached, name, "cell")}
    if columns and holds(reached, "hops", "cell"):
        by_hops = reached[list(columns)].groupby(reached["hops"]).mean()
        for name in columns:
            by_hops[name].attrs.update(data[name].attrs)
        caption = "Calcium events by gap junctions from the driven cell, mean over the cells reached"
        parts += measured(by_hops, columns, {"hops": "gap junctions away"}, caption + event_words(data))
    return parts


def waves_sentence(data: xr.Dataset) -> str:
    """How many cells the wave reaches, how fast, and whether the run cut it off."""
    told = f"A calcium wave reaches {int(data['recruited'].sum())} of {data.sizes['cell']} astrocytes"
    if (end := still_spreading(data)) is not None:
        told += f" in the {number(end)} s of the run, still spreading at its end,"
    speed = float(data["speed"])
    return told + (f" at {number(speed, 3)} cells a second." if np.isfinite(speed) else ".")


def _field(data: xr.Dataset) -> Plot:
    calcium, settings = data["C"].transpose("cell", "time").values, settings_of(data)
    # On a ring the index is the place; elsewhere neighbours have far indices, so the distance in the graph sorts.
    ring = settings.get("graph", "ring") == "ring" and settings.get("edges") is None
    order = np.arange(len(calcium))
    if not ring and holds(data, "hops", "cell"):
        order = np.argsort(data["hops"].values, kind="stable")
    figure = new("cell" if ring else "cell, by distance in the graph")
    figure.add_trace(heat(data["time"].values, np.arange(len(calcium)), calcium[order], titled(data, "C", "C")))
    told = "no onset is stored"
    if holds(data, "onset", "cell"):
        onset = data["onset"].values[order]
        reached = np.isfinite(onset)
        some = np.flatnonzero(reached)[evenly(int(reached.sum()), 400)]
        style = {"mode": "markers", "marker": {"size": 5, "color": "#ffffff", "line": {"color": "#000000", "width": 1}}}
        figure.add_trace(go.Scatter(x=onset[some].astype("f4"), y=some.astype("f4"), name="onset", **style))
        told = f"the front reaches {int(reached.sum())} of {len(calcium)} cells"
        told += f", the last at {shown(onset[reached].max())} s" if reached.any() else ""
        if holds(data, "speed") and (end := still_spreading(data)) is not None:
            told += f"; the run ends at {shown(end)} s, the wave still spreading, so this is no measure of its reach"
    figure.update_yaxes(showgrid=False).update_xaxes(showgrid=False)
    return Plot(
        below(figure, "time (s)"),
        "Cytosolic calcium of every cell over time; white: onset, the first upward crossing of the threshold; "
        f"{told}.{'' if ring else ' Cells are sorted by gap junctions from the driven one.'}",
        420,
    )


def _front(data: xr.Dataset) -> list[Plot]:
    """Onset against distance, with the line of the stored speed."""
    onset, hops = data["onset"].values, data["hops"].values
    far = np.isfinite(onset) & np.isfinite(hops) & (hops > 0)
    if not far.any():
        return []
    figure = new(titled(data, "onset", "onset"))
    figure.add_trace(points(hops[~far], onset[~far], "driven cell", 1, "diamond"))
    some = np.flatnonzero(far)[evenly(int(far.sum()), 2000)]
    figure.add_trace(points(hops[some], onset[some], "reached cell", 0))
    speed, micro = (float(data[name]) if holds(data, name) else np.nan for name in ("speed", "speed_um"))
    told = "too few cells for a speed"
    if np.isfinite(speed):
        told = f"{shown(speed, 3)} cells a second"
        if speed:
            at = np.array([hops[far].min(), hops[far].max()])
            level = np.median(onset[far] - hops[far] / speed) + at / speed
            figure.add_trace(line(at, level, told, 2, line={"dash": "dash"}))
    told += f", {shown(micro, 3)} {unit(data, 'speed_um')}" if np.isfinite(micro) else ""
    caption = (
        "When calcium first crosses the threshold against gap junctions from the driven cell; dashed: the front's "
        f"speed, {told}."
    )
    return [Plot(below(figure, "gap junctions from the driven cell"), caption, 300)]


THEMES = (
    Theme("spatial", "macro", "stp", 4, "Decay in space", decay, missed=True),
    Theme("spatial", "biophysical", "stp", 5, "Decay in space, biophysical model", response),
    Theme("waves", "biophysical", "astrocytes", 22, "Calcium waves", waves, waves_sentence),
)
