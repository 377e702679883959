"""What gliotransmission does to release: in trains of test spikes, and against rate, U_0* and alpha."""

from typing import Any

import numpy as np
import xarray as xr

from analysis.collect import Dataset, Inputs
from analysis.curves import GREY
from analysis.parts import Plot, Plots, Table, Text, number
from analysis.plots import line, new
from analysis.views.shapes import (
    RATES,
    below,
    flat,
    heat,
    holds,
    mean,
    panels,
    spread,
    titled,
    unit,
    upright,
)
from analysis.views.tables import EVENTS, coordinate, measured, shown

TRACES = {"C": "C", "Gamma_S": "Γ_S", "u_S": "u_S", "x_S": "x_S", "G_A": "G_A"}


def trains(each: Dataset, inputs: Inputs) -> list[Any]:
    """Paired-pulse ratio against interval, or release at every spike of a train; the states before."""
    data = each.data
    paired = data.sizes["spike"] == 2 and data.sizes["train"] > 1
    parts: list[Any] = [_pairs(each) if paired else _spikes(each)]
    if names := [name for name in TRACES if holds(data, name, "time", "modulation", "train")]:
        parts.append(_states(each, names))
    table = data.assign(first=data["r_S"].isel(spike=0), last=data["r_S"].isel(spike=-1))
    times = data["spike_time"].transpose("train", "spike").values
    table = table.assign_coords(train=times[:, -1] - times[:, 0])
    table["train"].attrs["units"] = str(data["spike_time"].attrs.get("units", "s"))
    names = ["first", "last", "paired_pulse_ratio", "Gamma_S_test", "glio_count"]
    heads = {"first": "release, first spike", "last": "release, last spike", "train": "first to last spike"}
    caption = (
        f"{each.path}: share of the transmitter released, ratio of the second release to the first, bound receptors Γ_S"
    )
    return parts + measured(table, names, ["modulation", "train"], caption, heads)


def _pairs(each: Dataset) -> Plot:
    data = each.data
    times = data["spike_time"].transpose("train", "spike").values
    apart = times[:, 1] - times[:, 0]
    ratio, order = data["paired_pulse_ratio"].transpose("modulation", "train").values, np.argsort(apart)
    figure = new()
    modulations = coordinate(data, "modulation")
    for index, name in enumerate(modulations):
        marks = {"mode": "lines+markers", "marker": {"size": 7}}
        figure.add_trace(line(apart[order], ratio[index][order], name, index, **marks))
    figure.add_hline(1, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_yaxes(title_text="paired-pulse ratio")
    ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
    figure.update_xaxes(title_text="interval (s)", type="log", tickvals=ticks, ticktext=[f"{each:g}" for each in ticks])
    told = "; ".join(
        f"{name} from {shown(ratio[k][order[0]], 3)} to {shown(ratio[k][order[-1]], 3)}"
        for k, name in enumerate(modulations)
    )
    return Plot(
        figure,
        f"Paired-pulse ratio against the interval of the pair, by gliotransmission: {told}.",
        f"{each.path}: release of the second test spike over that of the first, a colour a modulation by "
        "gliotransmission; above 1 (dotted) is facilitation, below it depression.",
    )


def _spikes(each: Dataset) -> Plot:
    data = each.data
    times = data["spike_time"].transpose("train", "spike").values[0]
    released = data["r_S"].transpose("modulation", "train", "spike").values[:, 0]
    figure = new()
    modulations = coordinate(data, "modulation")
    for index, name in enumerate(modulations):
        marks = {"mode": "lines+markers", "marker": {"size": 6}, "line": {"width": 1}}
        figure.add_trace(line(times - times[0], released[index], name, index, **marks))
    figure.update_yaxes(title_text="release a spike", rangemode="tozero")
    told = "; ".join(
        f"{name} {shown(row[0], 3)}, at the last {shown(row[-1], 3)}"
        for name, row in zip(modulations, released, strict=True)
    )
    return Plot(
        figure.update_xaxes(title_text="time after the first test spike (s)"),
        f"Share of the transmitter that each of {len(times)} test spikes releases; at the first spike {told}.",
        f"{each.path}: share of the available transmitter that each test spike releases, a colour a modulation by "
        "gliotransmission.",
    )


def _states(each: Dataset, names: list[str]) -> Plot:
    data = each.data
    figure = panels([titled(data, name, TRACES[name]) for name in names])
    modulations = coordinate(data, "modulation")
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
        "Calcium, bound receptors and synaptic states before and during the test spikes; Γ_S at the first of them: "
        f"{told}.",
        f"{each.path}: calcium C, fraction Γ_S of bound presynaptic receptors, release probability u_S, transmitter "
        f"x_S and gliotransmitter G_A, as far as stored; dotted: first test spike, {number(first)} s.",
        130 + 110 * len(names),
    )


def gliotransmission(each: Dataset, inputs: Inputs) -> list[Any]:
    """Curves against rate at one U_0* and alpha; maps over the two where there are more."""
    data = each.data
    several = data.sizes["U_0_star"] * data.sizes["alpha"] > 1
    parts = _maps(each) if several else []
    # Where there are many, the curves of one point in the middle
    at = (
        {"U_0_star": data.sizes["U_0_star"] // 2, "alpha": data.sizes["alpha"] // 2}
        if several
        else {"U_0_star": 0, "alpha": 0}
    )
    point = data.isel({name: [index] for name, index in at.items()})
    where = ", ".join(
        f"{words} = {coordinate(point, name)[0]}" for name, words in (("U_0_star", "U₀*"), ("alpha", "α"))
    )
    parts.append(_against_rate(each, point, where))
    names = ["r_S_mean", "release_rate", "glio_rate", "Gamma_S_mean", "C_mean", "event_rate"]
    names += [name for name in EVENTS if name not in names]
    caption = (
        f"{each.path}: release, gliotransmitter releases, bound receptors and calcium in the measuring window, {where}"
    )
    return parts + measured(point, names, ["modulation", "rate"], caption)


def _against_rate(each: Dataset, point: xr.Dataset, where: str) -> Plot:
    titles = {
        "r_S_mean": "release a spike",
        "release_rate": "release rate",
        "glio_rate": "glio. rate",
        "Gamma_S_mean": "mean Γ_S",
    }
    names = [name for name in titles if name in point and {"modulation", "rate"} <= set(point[name].dims)]
    figure = panels([titled(point, name, titles[name]) for name in names])
    modulations = coordinate(point, "modulation")
    for row, name in enumerate(names, start=1):
        values = flat(point[name], "modulation", "rate")
        for index, label in enumerate(modulations):
            spread(figure, row, point["rate"].values, values[index], label, index, dots=True, showlegend=row == 1)
        figure.update_yaxes(rangemode="tozero", row=row, col=1)
    rates = mean(flat(point["release_rate"], "modulation", "rate"))
    told = "; ".join(f"{label} up to {shown(np.nanmax(rates[k]), 3)}" for k, label in enumerate(modulations))
    return Plot(
        below(figure, "presynaptic rate (Hz)", len(names), **RATES),
        f"Release against presynaptic rate by gliotransmission, {where}; release rate "
        f"({unit(point, 'release_rate')}): {told}.",
        f"{each.path}: share of the transmitter that a spike releases, release a second, releases of gliotransmitter "
        f"a second and bound presynaptic receptors Γ_S against presynaptic rate at {where}, a colour a modulation; "
        "points: mean over spike trains, band: their range.",
        120 + 130 * len(names),
    )


def _maps(each: Dataset) -> list[Any]:
    """Facilitation or depression of every modulation, and what gliotransmission changes, over alpha and U_0*."""
    data = each.data
    name = "r_S_mean" if "r_S_mean" in data else "release_rate"
    released = flat(data[name], "modulation", "U_0_star", "alpha", "rate")
    released = mean(released)  # (modulation, U_0_star, alpha, rate)
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing released: no ratio
        logs = np.log2(released / (1.0 if name == "r_S_mean" else data["rate"].values))
    logs[~np.isfinite(logs)] = np.nan
    rate, modulations = data["rate"].values, coordinate(data, "modulation")
    low, middle = int(np.argmin(rate)), int(np.argsort(rate)[len(rate) // 2])
    plasticity = logs[..., middle] - logs[..., low]
    between = f"{number(rate[middle])} over {number(rate[low])} Hz"
    words = f"release a spike at {between}, log₂; above 0 facilitation, below depression."
    drawn = [_map(data, plasticity[k], f"{label}: {words}{_noise(label)}") for k, label in enumerate(modulations)]
    effects = {label: mean(logs[k] - logs[modulations.index("none")])
               for k, label in enumerate(modulations) if "none" in modulations and label != "none"}  # fmt: skip
    drawn += [
        _map(data, effect, f"{label} over none: release a spike, log₂, mean over rates; dashed: α = U₀*.", True)
        for label, effect in effects.items()
    ]
    told = f"{each.path}: what a spike releases, over the resting release probability U₀* and the effect α."
    parts: list[Any] = [Text(told), Plots(drawn)]
    alphas, stars = coordinate(data, "alpha"), coordinate(data, "U_0_star")
    for label, effect in effects.items():
        rows = [[star, *(shown(value, 3) for value in row)] for star, row in zip(stars, effect, strict=True)]
        caption = (
            f"{each.path}: release a spike, {label} over none, log₂, mean over rates: gliotransmission raises release "
            "where "
            "it is above 0, and lowers it below."
        )
        parts.append(Table(caption, ["U₀*", *(f"α = {alpha}" for alpha in alphas)], rows))
    return parts


def _noise(label: str) -> str:
    return " Differences along α are those of the spike trains." if label == "none" else ""


def _map(data: xr.Dataset, z: np.ndarray, caption: str, diagonal: bool = False) -> Plot:
    stars, alphas = data["U_0_star"].values, data["alpha"].values
    figure = new()
    figure.add_trace(heat(alphas, stars, z, "log₂", middle=0.0))
    if diagonal:
        ends = [max(stars.min(), alphas.min()), min(stars.max(), alphas.max())]
        if ends[0] < ends[1]:
            figure.add_trace(line(ends, ends, "α = U₀*", 3, line={"dash": "dash"}, showlegend=False))
    figure.update_yaxes(title_text="U₀*")
    finite = z[np.isfinite(z)]
    told = f"from {number(finite.min(), 3)} to {number(finite.max(), 3)}" if finite.size else "nothing measured"
    return Plot(figure.update_xaxes(title_text="α"), f"Map over α and U₀*; {caption} Values {told}.", caption, 300)
