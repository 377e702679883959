"""Calcium in space: waves through gap junctions, and the response of processes around a driven one."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from analysis.collect import Dataset, Inputs
from analysis.curves import still_spreading, through_means
from analysis.parts import Plot, Table, interval, number
from analysis.plots import line, new
from analysis.views.shapes import below, dots, evenly, heat, holds, mean, panels, titled, unit
from analysis.views.tables import EVENTS, event_words, measured, shown
from astro_sim.dataset import settings_of


def waves(each: Dataset, inputs: Inputs) -> list[Any]:
    """Calcium over cells and time with the onsets, the front, and events by distance in the graph."""
    data = each.data
    parts: list[Any] = [_field(each)]
    if holds(data, "hops", "cell") and holds(data, "onset", "cell"):
        parts += _front(each)
    rows = [
        ["cells", str(data.sizes["cell"])],
        ["recruited, the driven one counted", shown(float(data["recruited"].sum()))],
        ["reach: recruited, the driven one not counted", shown(float(data["reach"]))],
    ]
    for name, words in (("speed", "front speed (cells a second)"), ("speed_um", "front speed (µm/s)")):
        if holds(data, name):
            rows.append([words, shown(float(data[name]))])
    parts.append(Table(f"{each.path}: the wave; a dash where too few cells were reached.", ["quantity", "value"], rows))
    reached = data.isel(cell=np.flatnonzero(data["recruited"].values > 0))
    names = [name for name in ("onset", *EVENTS) if holds(reached, name, "cell")]
    if names and holds(reached, "hops", "cell"):
        by_hops = reached[names].groupby(reached["hops"]).mean()
        caption = f"{each.path}: calcium events by gap junctions from the driven cell, mean over the cells reached"
        caption += event_words(data)
        for name in by_hops.data_vars:
            by_hops[name].attrs.update(data[name].attrs)
        parts += measured(by_hops, list(map(str, by_hops.data_vars)), ["hops"], caption, {"hops": "gap junctions away"})
    return parts


def _field(each: Dataset) -> Plot:
    data = each.data
    time, calcium = data["time"].values, data["C"].transpose("cell", "time").values
    cells = calcium.shape[0]
    # On a ring the index is the place; elsewhere neighbours have far indices, so the distance in the graph sorts.
    settings = settings_of(data)
    ring = settings.get("graph", "ring") == "ring" and settings.get("edges") is None
    order = np.arange(cells)
    if not ring and holds(data, "hops", "cell"):
        order = np.argsort(data["hops"].values, kind="stable")
    figure = new()
    figure.add_trace(heat(time, np.arange(cells), calcium[order], titled(data, "C", "C")))
    told = "no onset is stored"
    if holds(data, "onset", "cell"):
        onset = data["onset"].values[order]
        reached = np.isfinite(onset)
        some = np.flatnonzero(reached)[evenly(int(reached.sum()), 400)]
        style = {"mode": "markers", "marker": {"size": 5, "color": "#ffffff", "line": {"color": "#000000", "width": 1}}}
        figure.add_trace(go.Scatter(x=onset[some].astype("f4"), y=some.astype("f4"), name="onset", **style))
        told = f"the front reaches {int(reached.sum())} of {cells} cells"
        if reached.any():
            told += f", the last at {shown(onset[reached].max())} s"
        if holds(data, "speed") and (end := still_spreading(data)) is not None:
            told += (
                f"; the run ends at {shown(end)} s with the wave still spreading, so this is no measure of its reach"
            )
    figure.update_yaxes(title_text="cell" if ring else "cell, by distance in the graph", showgrid=False)
    figure.update_xaxes(title_text="time (s)", showgrid=False)
    sorted_ = "" if ring else " Cells are sorted by gap junctions from the driven one."
    return Plot(
        figure,
        f"Heat map of calcium over time and cells: {told}.",
        f"{each.path}: cytosolic calcium of every cell over time; white: onset, the first upward crossing of the "
        f"threshold; {told}.{sorted_}",
        420,
    )


def _front(each: Dataset) -> list[Any]:
    """Onset against distance, with the line of the stored speed."""
    data = each.data
    onset, hops = data["onset"].values, data["hops"].values
    far = np.isfinite(onset) & np.isfinite(hops) & (hops > 0)
    if not far.any():
        return []
    figure = new()
    figure.add_trace(dots(hops[~far], onset[~far], "driven cell", 1, "diamond"))
    some = np.flatnonzero(far)[evenly(int(far.sum()), 2000)]
    figure.add_trace(dots(hops[some], onset[some], "reached cell", 0))
    speed = float(data["speed"]) if holds(data, "speed") else np.nan
    if np.isfinite(speed) and speed:
        at = np.array([hops[far].min(), hops[far].max()])
        level = np.median(onset[far] - hops[far] / speed) + at / speed
        figure.add_trace(line(at, level, f"{shown(speed, 3)} cells a second", 2, line={"dash": "dash"}))
    figure.update_yaxes(title_text=titled(data, "onset", "onset"))
    told = f"{shown(speed, 3)} cells a second" if np.isfinite(speed) else "too few cells for a speed"
    micro = float(data["speed_um"]) if holds(data, "speed_um") else np.nan
    if np.isfinite(micro):
        told += f", {shown(micro, 3)} {unit(data, 'speed_um')}"
    return [
        Plot(
            figure.update_xaxes(title_text="gap junctions from the driven cell"),
            f"Onset of calcium against the number of gap junctions from the driven cell: {told}.",
            f"{each.path}: when calcium first crosses the threshold against gap junctions from the driven cell; "
            f"dashed: the front's speed, {told}.",
            300,
        )
    ]


def spatial(each: Dataset, inputs: Inputs) -> list[Any]:
    """Largest IP3 and calcium above rest against distance from the driven process."""
    data = each.data
    laws = inputs.laws_from(each)
    decay = None if laws is None else laws.document.spatial_decay
    distance = data["distance"].values.ravel()
    figure = panels([titled(data, "p_s_peak", "peak IP₃"), titled(data, "C_peak", "peak C")])
    told = []
    for row, (name, words) in enumerate((("p_s_peak", "IP₃"), ("C_peak", "calcium")), start=1):
        peak = data[name].transpose(*data["distance"].dims).values.ravel()
        away = (distance > 0) & (peak > 0)
        figure.add_trace(dots(distance[away], peak[away], "process", 0).update(showlegend=row == 1), row, 1)
        here = (distance == 0) & (peak > 0)
        figure.add_trace(
            dots(distance[here], peak[here], "driven process", 1, "diamond").update(showlegend=row == 1), row, 1
        )
        near, apart = _at(peak, distance == 0), _at(peak, distance == distance.max())
        told.append(f"{words} {shown(near, 3)} where driven, {shown(apart, 3)} farthest away")
        silent = int(((distance > 0) & (peak <= 0)).sum())
        if silent:
            told[-1] += f" ({silent} processes not above rest are left out)"
        if row == 1 and decay is not None and away.any():
            at = np.linspace(0.0, distance.max(), 50)
            level = through_means(distance[away], peak[away], -decay.value, at)
            figure.add_trace(line(at, level, f"fit: exp(−{decay.value:.3g} · distance)", 2), row, 1)
        figure.update_yaxes(type="log", dtick=1, exponentformat="power", row=row, col=1)
    fitted = f" Line: fitted decay {interval(decay)}." if decay is not None else ""
    parts: list[Any] = [
        Plot(
            below(figure, "distance (spacings)", 2),
            "Largest IP3 and calcium above rest of every process against its distance from the driven one: "
            f"{'; '.join(told)} ({unit(data, 'p_s_peak')}).",
            f"{each.path}: largest IP₃ (what reads as pˢ) and calcium above rest against distance from the driven "
            f"process, logarithmic: {'; '.join(told)} ({unit(data, 'p_s_peak')}).{fitted}",
            480,
        )
    ]
    rows = []
    rounded = np.round(distance, 6)
    for at in np.unique(rounded):
        near = rounded == at
        peaks = [data[name].transpose(*data["distance"].dims).values.ravel()[near] for name in ("p_s_peak", "C_peak")]
        rows.append([number(float(at)), str(int(near.sum())), *(shown(mean(peak)) for peak in peaks)])
    kept = [rows[k] for k in evenly(len(rows), 40)]
    columns = [
        "distance (spacings)",
        "processes",
        titled(data, "p_s_peak", "peak IP₃"),
        titled(data, "C_peak", "peak C"),
    ]
    more = f"; {len(kept)} of {len(rows)} distances" if len(kept) < len(rows) else ""
    return [*parts, Table(f"{each.path}: mean response above rest by distance{more}.", columns, kept)]


def _at(values: np.ndarray, where: np.ndarray) -> float:
    return float(mean(values[where])) if where.any() else float("nan")
