"""Calcium of one astrocyte: traces under a stimulus, or the bifurcation diagram of a scan; calcium against rate."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from analysis.collect import Dataset, Inputs
from analysis.curves import colour, through_means
from analysis.parts import Plot, Table, interval, number
from analysis.plots import line
from analysis.views.shapes import (
    MOST_CURVES,
    RATES,
    below,
    dots,
    evenly,
    flat,
    holds,
    mean,
    panels,
    spread,
    titled,
    unit,
    upright,
)
from analysis.views.tables import EVENTS, MOST_ROWS, coordinate, event_words, inventory, measured, shown
from astro_sim.dataset import settings_of

# stimulus -> what its levels are, for people; the dataset has their unit
LEVELS = {
    "spikes": "rate of spikes",
    "clamp": "IP₃",
    "puff": "agonist",
    "uncaging": "IP₃ set free",
    "drive": "I_bias",
    "inflow": "IP₃ inflow",
    "scan": "IP₃",
}
STATES = {"C": "C", "I": "IP₃", "h": "h", "Gamma_A": "Γ_A"}


def calcium(each: Dataset, inputs: Inputs) -> list[Any]:
    """The traces of some levels and the events of all, or the scan."""
    data = each.data
    if holds(data, "calcium_low", "direction", "level") and holds(data, "calcium_high", "direction", "level"):
        return _scan(each)
    parts: list[Any] = [_traces(each)] if holds(data, "C", "time", "level") else []
    words, _ = level_words(data)
    parts += measured(
        data,
        ["calcium_mean", "calcium_peak", *EVENTS],
        ["level"],
        f"{each.path}: calcium and its events at every level of the stimulus{event_words(data)}",
        {"level": words},
    )
    return parts or [inventory(data, f"{each.path}: what the dataset holds.")]


def level_words(data: xr.Dataset) -> tuple[str, str]:
    """What the levels of the stimulus are, and their unit."""
    return LEVELS.get(str(settings_of(data).get("stimulus")), "level"), unit(data, "level")


def _traces(each: Dataset) -> Plot:
    data = each.data
    names = [name for name in STATES if holds(data, name, "time", "level")]
    chosen, levels = evenly(data.sizes["level"], MOST_CURVES), coordinate(data, "level")
    words, of = level_words(data)
    figure = panels([titled(data, name, STATES[name]) for name in names])
    for row, name in enumerate(names, start=1):
        values = flat(data[name], "time", "level")[..., 0]
        for index, at in enumerate(chosen):
            more = {"legendgroup": levels[at], "showlegend": row == 1, "line": {"width": 1.5}}
            figure.add_trace(
                line(data["time"].values, values[:, at], f"{levels[at]} {of}".strip(), index, **more), row, 1
            )
    onset = settings_of(data).get("onset")
    if isinstance(onset, int | float) and settings_of(data).get("stimulus") != "clamp":
        upright(figure, float(onset))
    peak = flat(data["C"], "time", "level").max()
    some = f" {len(chosen)} of {len(levels)} levels are drawn." if len(chosen) < len(levels) else ""
    return Plot(
        below(figure, "time (s)", len(names)),
        f"Calcium and the other states of the astrocyte over time at {len(chosen)} levels of the stimulus; calcium "
        f"peaks at {shown(peak)} {unit(data, 'C')}.",
        f"{each.path}: cytosolic calcium C and the states behind it, a colour a level of the stimulus ({words}, "
        f"{of or '1'}); dotted: its onset.{some}",
        150 + 130 * len(names),
    )


def _scan(each: Dataset) -> list[Any]:
    """Lowest and highest calcium against the level, up and down, and the period of the oscillation."""
    data = each.data
    level, directions = data["level"].values, coordinate(data, "direction")
    words, of = level_words(data)
    periods = holds(data, "period", "direction", "level") and bool(np.isfinite(data["period"].values).any())
    low, high = (flat(data[name], "direction", "level")[..., 0] for name in ("calcium_low", "calcium_high"))
    titles = [titled(data, "calcium_high", "calcium")] + ([titled(data, "period", "period")] if periods else [])
    figure = panels(titles, [0.65, 0.35] if periods else None)
    for index, direction in enumerate(directions):
        symbol = "triangle-up" if index == 0 else "triangle-down-open"
        for k, curve in enumerate((low, high)):
            marks = dots(level, curve[index], f"{direction}: lowest and highest", index, symbol)
            figure.add_trace(marks.update(legendgroup=direction, showlegend=k == 0), 1, 1)
        if periods:
            marks = dots(level, data["period"].transpose("direction", "level").values[index], direction, index, symbol)
            figure.add_trace(marks.update(legendgroup=direction, showlegend=False), 2, 1)
    _oscillation(figure, data)
    parts: list[Any] = [
        Plot(
            below(figure, f"{words} ({of})", len(titles)),
            f"Bifurcation diagram: lowest and highest calcium against {words}, led up and led down; "
            f"{_span(data, directions, of)}.",
            f"{each.path}: lowest and highest calcium in the second half of each level, led up (filled) and down "
            "(open); the two part where calcium oscillates (dashed: from and to). "
            f"{'Below, the period. ' if periods else ''}Sustained oscillation: {_span(data, directions, of)}.",
            480 if periods else 340,
        )
    ]
    if holds(data, "oscillates", "direction", "level"):
        data = data.assign({name: data[name].where(data["oscillates"] > 0) for name in ("amplitude", "period")
                            if holds(data, name, "direction", "level")})  # fmt: skip
    heads = {"oscillation_from": "from", "oscillation_to": "to", "amplitude": "swing", "period": "period"}
    caption = f"{each.path}: where calcium oscillates, and how far and how fast over the levels at which it does"
    parts += measured(data, list(heads), ["direction"], caption, heads)
    return [*parts, _by_level(each)]


def _by_level(each: Dataset) -> Table:
    """A row a level; lowest and highest calcium and the period in each direction."""
    data, (words, of) = each.data, level_words(each.data)
    columns, cells = [f"{words} ({of})"], []
    for at, direction in enumerate(coordinate(data, "direction")):
        for name, head in (("calcium_low", "lowest"), ("calcium_high", "highest"), ("period", "period")):
            if holds(data, name, "direction", "level"):
                columns.append(titled(data, name, f"{direction}: {head}"))
                cells.append(data[name].isel(direction=at).values)
    levels = coordinate(data, "level")
    chosen = evenly(len(levels), MOST_ROWS)
    rows = [[levels[k], *(shown(column[k]) for column in cells)] for k in chosen]
    some = f"; {len(chosen)} of {len(levels)} levels" if len(chosen) < len(levels) else ""
    return Table(
        f"{each.path}: calcium and period at every level, a dash where no oscillation is sustained{some}.",
        columns,
        rows,
    )


def _oscillation(figure: go.Figure, data: xr.Dataset) -> None:
    for name in ("oscillation_from", "oscillation_to"):
        if holds(data, name, "direction"):
            for index, at in enumerate(data[name].values):
                if np.isfinite(at):
                    style = {"color": colour(index), "width": 1, "dash": "dash"}
                    figure.add_vline(float(at), line=style, row="all", col=1)  # type: ignore[arg-type]


def _span(data: xr.Dataset, directions: list[str], of: str) -> str:
    if not all(holds(data, name, "direction") for name in ("oscillation_from", "oscillation_to")):
        return "limits not stored"
    pairs = zip(directions, data["oscillation_from"].values, data["oscillation_to"].values, strict=True)
    return "; ".join(
        f"{direction}, {shown(low)} to {shown(high)} {of}" if np.isfinite(low) else f"{direction}, none"
        for direction, low, high in pairs
    )


def frequency(each: Dataset, inputs: Inputs) -> list[Any]:
    """Mean and peak calcium and the rate of events against presynaptic rate."""
    data = each.data
    rate = data["rate"].values
    laws = inputs.laws_from(each)
    alpha = None if laws is None else laws.document.presynaptic_exponent
    events = holds(data, "event_rate", "rate", "repetition")
    titles = [titled(data, "calcium", "calcium")] + ([titled(data, "event_rate", "event rate")] if events else [])
    figure = panels(titles)
    calcium_, peak = flat(data["calcium"], "rate"), flat(data["calcium_peak"], "rate")
    spread(figure, 1, rate, calcium_, "mean", 0, dots=True)
    spread(figure, 1, rate, peak, "peak", 1, dots=True)
    if alpha is not None and (mean(calcium_) > 0).all():
        at = np.geomspace(rate.min(), rate.max(), 50)
        level = through_means(np.log(rate), mean(calcium_), alpha.value, np.log(at))
        figure.add_trace(line(at, level, f"fit to the mean: rate^{alpha.value:.3g}", 2, line={"dash": "dash"}), 1, 1)
    if events:
        spread(figure, 2, rate, flat(data["event_rate"], "rate"), "events", 3, dots=True, showlegend=False)
    fitted = f" Dashed: fitted exponent {interval(alpha)}." if alpha is not None else ""
    parts: list[Any] = [
        Plot(
            below(figure, "presynaptic rate (Hz)", len(titles), **RATES),
            f"Calcium against presynaptic rate: the mean goes from {number(mean(calcium_)[0])} to "
            f"{number(mean(calcium_)[-1])} {unit(data, 'calcium')}, the peak from {number(mean(peak)[0])} to "
            f"{number(mean(peak)[-1])}.",
            f"{each.path}: mean and peak of cytosolic calcium in the measuring window"
            f"{', below calcium events a second' if events else ''}; points: mean over spike trains, band: their range."
            f"{fitted}",
            460 if events else 320,
        )
    ]
    names = ["calcium", "calcium_peak", *EVENTS]
    return parts + measured(
        data, names, ["rate"], f"{each.path}: calcium and its events against presynaptic rate{event_words(data)}"
    )
