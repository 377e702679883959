"""Short-term plasticity: one cycle by layout (macro), and what gliotransmission does to release (biophysical)."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from analysis.curves import GREY, Array, distinct, per_synapse
from analysis.report.experiments import Theme
from analysis.report.parts import Part, Plot, Plots, Table, Text, number, percent
from analysis.report.plots import (
    RATES,
    band,
    below,
    flat,
    heat,
    holds,
    line,
    mean,
    new,
    shade,
    spread,
    ticks,
    titled,
    unit,
    upright,
)
from analysis.report.tables import EVENTS, coordinate, measured, shown
from bridge.laws import Laws

MOST_LINES = 16  # distinct synapses drawn one by one; beyond that their range
STATES = {"C": "C", "Gamma_S": "Γ_S", "u_S": "u_S", "x_S": "x_S", "G_A": "G_A"}
RATIO = ticks(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


def layouts(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Fast calcium over one cycle, a figure a layout."""
    drawn, rows, top = [], [], float(data["p_s"].max())
    for index, (name, (peak, time, end)) in enumerate(_peaks(data).items()):
        width = float(np.ptp(peak) / peak.mean()) if peak.mean() else 0.0
        ends = [number(value) for value in (peak.mean(), peak.min(), peak.max())]
        rows.append([name, *ends, f"{100 * width:.2g} %", number(time, 3), number(end)])
        caption = f"{name}: pˢ of the {len(peak)} synapses (thin or band) and their mean (thick)."
        drawn.append(Plot(_one_layout(data, name, top, index), caption, 260))
    return [
        Text(
            "Fast calcium pˢ rises and decays with the stimulus (grey while input is on). The input is the same in "
            "every layout; equal distances between processes give equal pˢ, others do not."
        ),
        Plots(drawn),
        Table(
            "pˢ at the peak of its mean over synapses, and at the end of the cycle (a.u.)",
            ["layout", "mean", "lowest", "highest", "spread / mean", "time (s)", "mean at the end"],
            rows,
        ),
    ]


def layouts_sentence(data: xr.Dataset) -> str:
    """How high fast calcium rises, whether it comes back, and how far the layout sets synapses apart."""
    peaks = _peaks(data)
    name, (peak, _, end) = next(iter(peaks.items()))
    back = "is back at" if end < 0.5 * peak.mean() else "is at"
    told = (
        f"Within one cycle fast calcium pˢ rises to {number(peak.mean(), 2)} a.u. and {back} {number(end, 2)} by its "
        f"end (layout {name})"
    )
    if len(peaks) > 1:
        apart = {layout: float(np.ptp(p) / p.mean()) if p.mean() else 0.0 for layout, (p, _, _) in peaks.items()}
        even, uneven = min(apart, key=apart.__getitem__), max(apart, key=apart.__getitem__)
        told += (
            f"; its peak differs between synapses by {percent(apart[even], 0)} in the layout {even} and by "
            f"{percent(apart[uneven], 0)} in {uneven}: the place of a process matters"
        )
    return f"{told}."


def _peaks(data: xr.Dataset) -> dict[str, tuple[Array, float, float]]:
    """By layout: p^s of every synapse where their mean is highest, when that is (s), and their mean at the end."""
    peaks = {}
    for name in map(str, data["layout"].values):
        p_s = per_synapse(data["p_s"].sel(layout=name))
        at = int(p_s.mean(axis=1).argmax())
        peaks[name] = p_s[at], float(data["time"][at]), float(p_s[-1].mean())
    return peaks


def _one_layout(data: xr.Dataset, layout: str, top: float, index: int) -> go.Figure:
    """p^s of every synapse in one layout; ``top`` is the common height of the y axis."""
    time, p_s = data["time"].values, per_synapse(data["p_s"].sel(layout=layout))
    figure, lines = new("p<sup>s</sup> (a.u.)"), distinct(p_s)
    if lines.shape[1] <= MOST_LINES:
        for curve in lines.T:
            figure.add_trace(line(time, curve, "one synapse", index, line={"width": 1}, opacity=0.6))
    else:
        figure.add_trace(band(time, p_s.min(axis=1), p_s.max(axis=1), "range over synapses", index))
    figure.add_trace(line(time, p_s.mean(axis=1), "mean over synapses", index, line={"width": 3}))
    shade(figure, data)
    figure.update_yaxes(range=[min(0.0, 1.05 * float(p_s.min())), 1.05 * top])
    return below(figure, "time (s)").update_layout(showlegend=False)


def trains(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Paired-pulse ratio against interval, or release at every spike of a train; the states before."""
    times = data["spike_time"].transpose("train", "spike").values
    modulations = coordinate(data, "modulation")
    paired = data.sizes["spike"] == 2 and data.sizes["train"] > 1
    parts: list[Part] = [_pairs(data, times, modulations) if paired else _spikes(data, times[0], modulations)]
    if names := [name for name in STATES if holds(data, name, "time", "modulation", "train")]:
        parts.append(_states(data, names, modulations))
    table = data.assign(first=data["r_S"].isel(spike=0), last=data["r_S"].isel(spike=-1))
    table = table.assign_coords(train=times[:, -1] - times[:, 0])
    table["train"].attrs["units"] = str(data["spike_time"].attrs.get("units", "s"))
    columns = {
        "first": "release, first spike",
        "last": "release, last spike",
        "paired_pulse_ratio": "paired-pulse ratio",
        "Gamma_S_test": "Γ_S",
        "glio_count": "glio. releases",
    }
    caption = "Share of the transmitter released, ratio of the second release to the first, bound receptors Γ_S"
    along = {"modulation": "modulation", "train": "first to last spike"}
    return parts + measured(table, columns, along, caption)


def _pairs(data: xr.Dataset, times: Array, modulations: list[str]) -> Plot:
    apart, ratio = times[:, 1] - times[:, 0], data["paired_pulse_ratio"].transpose("modulation", "train").values
    order, figure, told = np.argsort(apart), new("paired-pulse ratio"), []
    for index, (name, row) in enumerate(zip(modulations, ratio[:, order], strict=True)):
        marks = {"mode": "lines+markers", "marker": {"size": 7}}
        figure.add_trace(line(apart[order], row, name, index, **marks))
        told.append(f"{name} from {shown(row[0], 3)} to {shown(row[-1], 3)}")
    figure.add_hline(1, line={"color": GREY, "width": 1, "dash": "dot"})
    return Plot(
        below(figure, "interval (s)", **RATIO),
        "Paired-pulse ratio (release of the second test spike over that of the first) against the interval, a colour a "
        f"modulation by gliotransmission: {'; '.join(told)}. Above 1 (dotted) is facilitation, below it depression.",
    )


def _spikes(data: xr.Dataset, times: Array, modulations: list[str]) -> Plot:
    released = data["r_S"].transpose("modulation", "train", "spike").values[:, 0]
    figure, told = new("release a spike"), []
    for index, (name, row) in enumerate(zip(modulations, released, strict=True)):
        marks = {"mode": "lines+markers", "marker": {"size": 6}, "line": {"width": 1}}
        figure.add_trace(line(times - times[0], row, name, index, **marks))
        told.append(f"{name} {shown(row[0], 3)}, at the last {shown(row[-1], 3)}")
    figure.update_yaxes(rangemode="tozero")
    return Plot(
        below(figure, "time after the first test spike (s)"),
        f"Share of the available transmitter that each of {len(times)} test spikes releases, a colour a modulation by "
        f"gliotransmission; at the first spike {'; '.join(told)}.",
    )


def _states(data: xr.Dataset, names: list[str], modulations: list[str]) -> Plot:
    figure = new(*(titled(data, name, STATES[name]) for name in names))
    for row, name in enumerate(names, start=1):
        # The trains are alike until the first test spike, so the last of them stands for all.
        values = data[name].isel(train=-1).transpose("time", "modulation").values
        for index, label in enumerate(modulations):
            more = {"legendgroup": label, "showlegend": row == 1, "line": {"width": 1.5}}
            figure.add_trace(line(data["time"].values, values[:, index], label, index, **more), row, 1)
    first = float(data["spike_time"].values.min())
    upright(figure, first)
    bound = mean(flat(data["Gamma_S_test"], "modulation"))
    told = "; ".join(f"{name} {shown(value, 3)}" for name, value in zip(modulations, bound, strict=True))
    return Plot(
        below(figure, "time (s)", len(names)),
        "Calcium C, fraction Γ_S of bound presynaptic receptors, release probability u_S, transmitter x_S and "
        f"gliotransmitter G_A, as far as stored; dotted: first test spike, {number(first)} s, at which Γ_S is {told}.",
        130 + 110 * len(names),
    )


def gliotransmission(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Curves against rate at one U_0* and alpha; maps over the two where there are more."""
    # Where there are many, the curves of one point in the middle.
    point = data.isel({name: [data.sizes[name] // 2] for name in ("U_0_star", "alpha")})
    where = f"U₀* = {coordinate(point, 'U_0_star')[0]}, α = {coordinate(point, 'alpha')[0]}"
    rate = {
        "r_S_mean": "release a spike",
        "release_rate": "release rate",
        "glio_rate": "glio. rate",
        "Gamma_S_mean": "mean Γ_S",
    }
    columns = rate | {"C_mean": "mean C", "event_rate": "event rate"} | EVENTS
    caption = f"Release, gliotransmitter releases, bound receptors and calcium in the measuring window, {where}"
    along = {"modulation": "modulation", "rate": "rate"}
    maps = _maps(data) if data.sizes["U_0_star"] * data.sizes["alpha"] > 1 else []
    return [*maps, _against_rate(point, rate, where), *measured(point, columns, along, caption)]


def gliotransmission_sentence(data: xr.Dataset) -> str | None:
    """What each modulation changes of the release a spike, mean over rates."""
    if "none" not in data["modulation"].values or "r_S_mean" not in data:
        return None
    released = {str(name): float(data["r_S_mean"].sel(modulation=name).mean()) for name in data["modulation"].values}
    none = released.pop("none")
    changes = ", ".join(
        f"{name} {100 * (value / none - 1):+.0f} %".replace("-", "−") for name, value in released.items() if none
    )
    return f"Gliotransmission changes what a spike releases, mean over rates: {changes}." if changes else None


def _against_rate(point: xr.Dataset, titles: dict[str, str], where: str) -> Plot:
    names = [name for name in titles if name in point and {"modulation", "rate"} <= set(point[name].dims)]
    figure, modulations = new(*(titled(point, name, titles[name]) for name in names)), coordinate(point, "modulation")
    for row, name in enumerate(names, start=1):
        values = flat(point[name], "modulation", "rate")
        for index, label in enumerate(modulations):
            spread(figure, row, point["rate"].values, values[index], label, index, dots=True, showlegend=row == 1)
        figure.update_yaxes(rangemode="tozero", row=row, col=1)
    rates = mean(flat(point["release_rate"], "modulation", "rate"))
    told = "; ".join(f"{label} up to {shown(np.nanmax(rates[k]), 3)}" for k, label in enumerate(modulations))
    return Plot(
        below(figure, "presynaptic rate (Hz)", len(names), **RATES),
        "Share of the transmitter that a spike releases, release a second, releases of gliotransmitter a second and "
        f"bound presynaptic receptors Γ_S against presynaptic rate at {where}, a colour a modulation; points: mean "
        f"over spike trains, band: their range. Release rate ({unit(point, 'release_rate')}): {told}.",
        120 + 130 * len(names),
    )


def _maps(data: xr.Dataset) -> list[Part]:
    """Facilitation or depression of every modulation, and what gliotransmission changes, over alpha and U_0*."""
    name = "r_S_mean" if "r_S_mean" in data else "release_rate"
    released = mean(flat(data[name], "modulation", "U_0_star", "alpha", "rate"))
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing released: no ratio
        logs = np.log2(released / (1.0 if name == "r_S_mean" else data["rate"].values))
    logs[~np.isfinite(logs)] = np.nan
    rate, modulations = data["rate"].values, coordinate(data, "modulation")
    low, middle = int(np.argmin(rate)), int(np.argsort(rate)[len(rate) // 2])
    between = f"{number(rate[middle])} over {number(rate[low])} Hz"
    words = f"release a spike at {between}, log₂; above 0 facilitation, below depression."
    noise = {"none": " Differences along α are those of the spike trains."}
    drawn = [
        _map(data, plasticity, f"{label}: {words}{noise.get(label, '')}")
        for label, plasticity in zip(modulations, logs[..., middle] - logs[..., low], strict=True)
    ]
    alphas, stars, tables = coordinate(data, "alpha"), coordinate(data, "U_0_star"), []
    for label in modulations:
        if "none" in modulations and label != "none":
            effect = mean(logs[modulations.index(label)] - logs[modulations.index("none")])
            caption = f"{label} over none: release a spike, log₂, mean over rates; dashed: α = U₀*."
            drawn.append(_map(data, effect, caption, diagonal=True))
            rows = [[star, *(shown(value, 3) for value in row)] for star, row in zip(stars, effect, strict=True)]
            caption = (
                f"Release a spike, {label} over none, log₂, mean over rates: gliotransmission raises release where it "
                "is above 0, and lowers it below."
            )
            tables.append(Table(caption, ["U₀*", *(f"α = {alpha}" for alpha in alphas)], rows))
    told = "What a spike releases, over the resting release probability U₀* and the effect α."
    return [Text(told), Plots(drawn), *tables]


def _map(data: xr.Dataset, z: Array, caption: str, diagonal: bool = False) -> Plot:
    stars, alphas = data["U_0_star"].values, data["alpha"].values
    figure = new("U₀*")
    figure.add_trace(heat(alphas, stars, z, "log₂", middle=0.0))
    ends = [max(stars.min(), alphas.min()), min(stars.max(), alphas.max())]
    if diagonal and ends[0] < ends[1]:
        figure.add_trace(line(ends, ends, "α = U₀*", 3, line={"dash": "dash"}, showlegend=False))
    finite = z[np.isfinite(z)]
    told = f"from {number(finite.min(), 3)} to {number(finite.max(), 3)}" if finite.size else "nothing measured"
    return Plot(below(figure, "α"), f"{caption} Values {told}.", 300)


THEMES = (
    Theme("stp", "macro", "stp", 1, "One stimulation cycle, by layout", layouts, layouts_sentence, missed=True),
    Theme("stp", "biophysical", "stp", 2, "Test spikes after gliotransmission", trains),
    Theme("gliotransmission", "biophysical", "stp", 3, "Release and gliotransmission", gliotransmission,
          gliotransmission_sentence),
)  # fmt: skip
