"""Calcium of one astrocyte: traces under a stimulus or the bifurcation of a scan, and calcium against rate."""

import numpy as np
import xarray as xr

from analysis.curves import Array, colour, per_synapse, through_means
from analysis.report.experiments import Theme
from analysis.report.parts import Part, Plot, Table, interval, number
from analysis.report.plots import (
    DECADES,
    MOST_CURVES,
    RATES,
    band,
    below,
    evenly,
    flat,
    holds,
    line,
    mean,
    new,
    points,
    spread,
    ticks,
    titled,
    unit,
    upright,
)
from analysis.report.tables import EVENTS, MOST_ROWS, coordinate, event_words, inventory, measured, shown
from astro_sim.dataset import settings_of
from bridge.laws import PAPER_EXPONENT, Laws

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
CALCIUM = {"calcium_mean": "mean C", "calcium_peak": "highest C"}


def calcium(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """The traces of some levels and the events of all, or the scan."""
    words, of = LEVELS.get(str(settings_of(data).get("stimulus")), "level"), unit(data, "level")
    if holds(data, "calcium_low", "direction", "level") and holds(data, "calcium_high", "direction", "level"):
        return _scan(data, words, of)
    parts: list[Part] = [_traces(data, words, of)] if holds(data, "C", "time", "level") else []
    caption = f"Calcium and its events at every level of the stimulus{event_words(data)}"
    parts += measured(data, CALCIUM | EVENTS, {"level": words}, caption)
    return parts or [inventory(data)]


def calcium_sentence(data: xr.Dataset) -> str | None:
    """Where calcium oscillates, or how high it gets."""
    if "calcium_low" in data and "oscillates" in data:
        ranges = [
            f"{number(float(data['oscillation_from'].sel(direction=way)), 3)} to "
            f"{number(float(data['oscillation_to'].sel(direction=way)), 3)} µM led {way}"
            for way in map(str, data["direction"].values)
            if bool((data["oscillates"].sel(direction=way) > 0).any())
        ]
        if not ranges:
            return "Calcium does not oscillate."
        return f"Calcium oscillates between IP₃ of {', and of '.join(ranges)}."
    if "calcium_peak" in data:
        top = data["calcium_peak"].values
        over = "under one stimulus" if top.size == 1 else f"over {top.size} stimuli"
        return f"Calcium of one astrocyte peaks at {number(float(np.nanmax(top)), 3)} µM {over}."
    return None


def _traces(data: xr.Dataset, words: str, of: str) -> Plot:
    names = [name for name in STATES if holds(data, name, "time", "level")]
    chosen, levels = evenly(data.sizes["level"], MOST_CURVES), coordinate(data, "level")
    figure = new(*(titled(data, name, STATES[name]) for name in names))
    for row, name in enumerate(names, start=1):
        values = flat(data[name], "time", "level")[..., 0]
        for index, at in enumerate(chosen):
            more = {"legendgroup": levels[at], "showlegend": row == 1, "line": {"width": 1.5}}
            label = f"{levels[at]} {of}".strip()
            figure.add_trace(line(data["time"].values, values[:, at], label, index, **more), row, 1)
    onset = settings_of(data).get("onset")
    if isinstance(onset, int | float) and settings_of(data).get("stimulus") != "clamp":
        upright(figure, float(onset))
    peak = f"{shown(flat(data['C'], 'time', 'level').max())} {unit(data, 'C')}"
    some = f" {len(chosen)} of {len(levels)} levels are drawn." if len(chosen) < len(levels) else ""
    return Plot(
        below(figure, "time (s)", len(names)),
        f"Cytosolic calcium C, which peaks at {peak}, and the states behind it, a colour a level of the stimulus "
        f"({words}, {of or '1'}); dotted: its onset.{some}",
        150 + 130 * len(names),
    )


def _scan(data: xr.Dataset, words: str, of: str) -> list[Part]:
    """Lowest and highest calcium against the level, up and down, and the period of the oscillation."""
    level, directions = data["level"].values, coordinate(data, "direction")
    periods = holds(data, "period", "direction", "level") and bool(np.isfinite(data["period"].values).any())
    low, high = (flat(data[name], "direction", "level")[..., 0] for name in ("calcium_low", "calcium_high"))
    titles = [titled(data, "calcium_high", "calcium"), *([titled(data, "period", "period")] if periods else [])]
    figure = new(*titles, heights=[0.65, 0.35] if periods else None)
    for index, direction in enumerate(directions):
        symbol = "triangle-up" if index == 0 else "triangle-down-open"
        for k, curve in enumerate((low, high)):
            marks = points(level, curve[index], f"{direction}: lowest and highest", index, symbol)
            figure.add_trace(marks.update(legendgroup=direction, showlegend=k == 0), 1, 1)
        if periods:
            period = data["period"].transpose("direction", "level").values[index]
            marks = points(level, period, direction, index, symbol)
            figure.add_trace(marks.update(legendgroup=direction, showlegend=False), 2, 1)
    told = "limits not stored"
    limits = [data[name].values for name in ("oscillation_from", "oscillation_to") if holds(data, name, "direction")]
    for index, at in ((index, at) for ends in limits for index, at in enumerate(ends) if np.isfinite(at)):
        style = {"color": colour(index), "width": 1, "dash": "dash"}
        figure.add_vline(float(at), line=style, row="all", col=1)  # type: ignore[arg-type]
    if len(limits) == 2:
        told = "; ".join(
            f"{direction}, {shown(start)} to {shown(end)} {of}" if np.isfinite(start) else f"{direction}, none"
            for direction, start, end in zip(directions, *limits, strict=True)
        )
    plot = Plot(
        below(figure, f"{words} ({of})", len(titles)),
        "Bifurcation diagram: lowest and highest calcium in the second half of each level, led up (filled) and down "
        "(open); the two part where calcium oscillates (dashed: from and to). "
        f"{'Below, the period. ' if periods else ''}Sustained oscillation: {told}.",
        480 if periods else 340,
    )
    columns = {"oscillation_from": "from", "oscillation_to": "to", "amplitude": "swing", "period": "period"}
    swinging = data
    if holds(data, "oscillates", "direction", "level"):
        both = [name for name in ("amplitude", "period") if holds(data, name, "direction", "level")]
        swinging = data.assign({name: data[name].where(data["oscillates"] > 0) for name in both})
    caption = "Where calcium oscillates, and how far and how fast over the levels at which it does"
    return [
        plot,
        *measured(swinging, columns, {"direction": "direction"}, caption),
        _by_level(data, directions, f"{words} ({of})"),
    ]


def _by_level(data: xr.Dataset, directions: list[str], head: str) -> Table:
    """A row a level; lowest and highest calcium and the period in each direction."""
    columns: dict[str, Array] = {}
    for at, direction in enumerate(directions):
        for name, what in (("calcium_low", "lowest"), ("calcium_high", "highest"), ("period", "period")):
            if holds(data, name, "direction", "level"):
                columns[titled(data, name, f"{direction}: {what}")] = data[name].isel(direction=at).values
    levels = coordinate(data, "level")
    chosen = evenly(len(levels), MOST_ROWS)
    rows = [[levels[k], *(shown(column[k]) for column in columns.values())] for k in chosen]
    some = f"; {len(chosen)} of {len(levels)} levels" if len(chosen) < len(levels) else ""
    caption = f"Calcium and period at every level, a dash where no oscillation is sustained{some}."
    return Table(caption, [head, *columns], rows)


def against_stimulation(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Calcium of the macro model against stimulation rate, with the fitted power and the papers' exponent."""
    rate, synapses = data["rate"].values, per_synapse(data["calcium"])
    middle, fitted = synapses.mean(axis=1), None if laws is None else laws.document.presynaptic_exponent
    figure = new("calcium proxy (a.u.)")
    figure.add_trace(band(rate, synapses.min(axis=1), synapses.max(axis=1), "range over synapses", 0))
    figure.add_trace(points(rate, middle, "mean over synapses", 0))
    alpha = None if fitted is None else fitted.value
    for name, exponent, index, dash in (("fit", alpha, 1, "solid"), ("papers", PAPER_EXPONENT, 2, "dot")):
        if exponent is not None and (middle > 0).all():
            at = np.geomspace(rate.min(), rate.max(), 50)
            level = through_means(np.log(rate), middle, exponent, np.log(at))
            figure.add_trace(line(at, level, f"{name}: rate^{exponent:.3g}", index, line={"dash": dash}))
    figure.update_yaxes(**DECADES)
    told, origin = "no fit to it among the given laws", "Make one with rmaat fit"
    if fitted is not None:
        told, origin = f"fitted exponent {interval(fitted)}", fitted.origin[:1].upper() + fitted.origin[1:]
    return [
        Plot(
            below(figure, "stimulation rate (Hz)", **ticks(1, 2, 5, 10, 20, 50, 100)),
            f"Calcium proxy against stimulation rate, both axes logarithmic: {told}; dotted, the papers' "
            f"{PAPER_EXPONENT:g}, for its slope alone. {origin}.",
        )
    ]


def against_spikes(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Mean and peak calcium of the biophysical model and the rate of events against presynaptic rate."""
    rate, fitted = data["rate"].values, None if laws is None else laws.document.presynaptic_exponent
    events = holds(data, "event_rate", "rate", "repetition")
    titles = [titled(data, "calcium", "calcium"), *([titled(data, "event_rate", "event rate")] if events else [])]
    figure, told = new(*titles), []
    for index, (name, words) in enumerate((("calcium", "mean"), ("calcium_peak", "peak"))):
        values = flat(data[name], "rate")
        spread(figure, 1, rate, values, words, index, dots=True)
        told.append(f"the {words} goes from {number(mean(values)[0])} to {number(mean(values)[-1])}")
    middle, fit_words = mean(flat(data["calcium"], "rate")), ""
    if fitted is not None:
        fit_words = f" Dashed: fitted exponent {interval(fitted)}."
        if (middle > 0).all():
            at = np.geomspace(rate.min(), rate.max(), 50)
            level = through_means(np.log(rate), middle, fitted.value, np.log(at))
            name = f"fit to the mean: rate^{fitted.value:.3g}"
            figure.add_trace(line(at, level, name, 2, line={"dash": "dash"}), 1, 1)
    if events:
        spread(figure, 2, rate, flat(data["event_rate"], "rate"), "events", 3, dots=True, showlegend=False)
    plot = Plot(
        below(figure, "presynaptic rate (Hz)", len(titles), **RATES),
        "Mean and peak of cytosolic calcium in the measuring "
        f"window{', below calcium events a second' if events else ''}; points: mean over spike trains, band: their "
        f"range; {', '.join(told)} {unit(data, 'calcium')}.{fit_words}",
        460 if events else 320,
    )
    columns = {"calcium": "mean C", "calcium_peak": "highest C", **EVENTS}
    caption = f"Calcium and its events against presynaptic rate{event_words(data)}"
    return [plot, *measured(data, columns, {"rate": "rate"}, caption)]


THEMES = (
    Theme("frequency", "macro", "stp", 6, "Calcium against stimulation rate", against_stimulation, missed=True),
    Theme("frequency", "biophysical", "stp", 7, "Calcium against presynaptic rate", against_spikes),
    Theme("calcium", "biophysical", "astrocytes", 21, "Calcium of one astrocyte", calcium, calcium_sentence),
)
