"""Long-term plasticity of tripartite synapses: cycles, spike pairs, and curves of several datasets side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from analysis.collect import Dataset, Inputs
from analysis.curves import GREY, Array
from analysis.parts import Plot, Table, Text, number, percent
from analysis.plots import SYMBOLS, line, new
from analysis.views.shapes import below, flat, holds, mean, panels, spread, titled
from analysis.views.tables import inventory, measured, shown


def tripartite(each: Dataset, inputs: Inputs) -> list[Any]:
    """Cycles of stimulation or STDP pairs, whichever the dataset holds."""
    if "p_l_cycle" in each.data and "cycle" in each.data.dims:
        return _cycles(each)
    if holds(each.data, "weight_change", "offset", "repetition"):
        return _stdp(each)
    return [inventory(each.data, f"{each.path}: what the dataset holds.")]


def percentiles(values: Array) -> tuple[Array, Array]:
    """5 and 95 % along the last axis; NaN where something is."""
    low, high = np.quantile(values, [0.05, 0.95], axis=-1)
    return low, high


def _cycles(each: Dataset) -> list[Any]:
    data = each.data
    efficacy, cycle = flat(data["p_l_cycle"], "cycle"), data["cycle"].values
    n, synapses = len(cycle) - 1, efficacy.shape[1]
    releases = holds(data, "r_S_cycle", "completed")
    titles = [titled(data, "p_l_cycle", "p<sup>l</sup> = ρ")] + (["release a spike"] if releases else [])
    figure = panels(titles, [0.7, 0.3] if releases else None)
    spread(figure, 1, cycle, efficacy, "mean over synapses and repetitions", 0, dots=True, limits=percentiles(efficacy))
    if releases:
        marks = {"mode": "lines+markers", "marker": {"size": 6}, "showlegend": False}
        figure.add_trace(line(data["completed"].values, data["r_S_cycle"].values, "release a spike", 1, **marks), 2, 1)
    ends, (low, high) = mean(efficacy), percentiles(efficacy)
    seconds = f" of {shown(float(data['tau_cycle']))} s" if holds(data, "tau_cycle") else ""
    parts: list[Any] = [
        Plot(
            below(figure, "cycle", len(titles)),
            f"Efficacy at the ends of {n} cycles: the mean goes from {shown(ends[0])} to {shown(ends[-1])}; 5 to 95 % "
            f"of the synapses end at {shown(low[-1], 3)} to {shown(high[-1], 3)}.",
            f"{each.path}: efficacy ρ (the slow variable, pˡ; no unit) at the ends of the cycles{seconds}, mean and 5 "
            f"to 95 % of {synapses} synapses (all repetitions)"
            + ("; below, share of the transmitter that a spike of the cycle releases." if releases else "."),
            460 if releases else 340,
        )
    ]
    if names := [name for name in ("p_l", "C", "Gamma_S") if "time" in data.dims and _over_time(data, name)]:
        parts.append(_over_cycles(each, names))
    shares = np.append(np.nan, np.diff(ends) / (ends[-1] - ends[0])) if ends[-1] != ends[0] else np.full(n + 1, np.nan)
    table = data.assign(
        rise=("cycle", np.append(np.nan, np.diff(ends))),
        share=("cycle", shares),
        low=("cycle", low),
        high=("cycle", high),
    )
    if releases and data.sizes["completed"] == n:
        table = table.assign(release=("cycle", np.append(np.nan, data["r_S_cycle"].values)))
    heads = {"p_l_cycle": "pˡ", "w_cycle": "weight", "low": "5 %", "high": "95 %", "rise": "δ", "share": "δ / Σδ"}
    heads["release"] = "release a spike"
    caption = f"{each.path}: pˡ, weight, increments δ of the mean pˡ and their share of the rise"
    parts += measured(
        table, ["p_l_cycle", "low", "high", "w_cycle", "rise", "share", "release"], ["cycle"], caption, heads
    )
    if holds(data, "glio_count", "repetition", "synapse"):
        counts = data["glio_count"].values
        parts.append(
            Text(
                f"{each.path}: {shown(counts.mean())} releases of gliotransmitter a synapse ({shown(counts.min())} to "
                f"{shown(counts.max())}) in {n} cycles."
            )
        )
    return parts


def _over_time(data: xr.Dataset, name: str) -> bool:
    return name in data and "time" in data[name].dims and data[name].size > 0


def _over_cycles(each: Dataset, names: Sequence[str]) -> Plot:
    data = each.data
    words = {"p_l": "p<sup>l</sup> = ρ", "C": "C", "Gamma_S": "Γ_S"}
    figure = panels([titled(data, name, words[name]) for name in names])
    told = []
    for row, name in enumerate(names, start=1):
        values = flat(data[name], "time")
        more = {"limits": percentiles(values), "showlegend": False, "line": {"width": 1.5}}
        spread(figure, row, data["time"].values, values, words[name], row - 1, **more)
        told.append(f"{name} {shown(mean(values)[-1], 3)}")
    return Plot(
        below(figure, "time (s)", len(names)),
        f"Efficacy, calcium and bound presynaptic receptors over time; means at the end: {', '.join(told)}.",
        f"{each.path}: efficacy, calcium C and bound presynaptic receptors Γ_S over all of the protocol, mean and 5 "
        "to 95 % of the synapses.",
        120 + 120 * len(names),
    )


def _stdp(each: Dataset) -> list[Any]:
    data = each.data
    offset, change = 1e3 * data["offset"].values, flat(data["weight_change"], "offset")
    order = np.argsort(offset)
    figure = new()
    spread(figure, 1, offset[order], change[order], "mean over repetitions", 0, dots=True)
    figure.add_hline(1, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.add_vline(0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_yaxes(title_text="weight change").update_xaxes(title_text="post minus pre (ms)")
    middle = mean(change)
    parts: list[Any] = [
        Plot(
            figure.update_layout(showlegend=False),
            f"Synaptic weight at the end over that at the start against the offset of the spike pairs: from "
            f"{shown(middle.min(), 3)} at {number(offset[middle.argmin()])} ms to {shown(middle.max(), 3)} at "
            f"{number(offset[middle.argmax()])} ms.",
            f"{each.path}: synaptic weight after the spike pairs over that before, against postsynaptic minus "
            "presynaptic spike time; above 1 (dotted) is potentiation. Points: mean over repetitions, band: their "
            "range.",
        )
    ]
    final = (
        data.assign(bound=data["Gamma_S"].isel(time=-1))
        if holds(data, "Gamma_S", "time", "offset", "repetition")
        else data
    )
    names, heads = (
        ["weight_change", "p_l_end", "bound", "glio_count"],
        {"bound": "Γ_S at the end", "offset": "post minus pre"},
    )
    return parts + measured(final, names, ["offset"], f"{each.path}: weight change, efficacy and releases", heads)


def side_by_side(found: Sequence[Dataset]) -> list[Any]:
    """Normalised curves of all datasets with cycles and their increments; nothing for fewer than two."""
    curves = [(each, _curve(each.data)) for each in found if "p_l_cycle" in each.data and each.data.sizes["cycle"] > 1]
    if len(curves) < 2:
        return []
    fewest = min(len(curve) for _, curve in curves) - 1
    figure = panels(["share of the rise", "δ<sub>t</sub> / Σδ"])
    rows, told, flat_ones = [], [], []
    cycles = np.arange(fewest + 1)
    for index, (each, curve) in enumerate(curves):
        curve = curve[: fewest + 1]
        rise = curve[-1] - curve[0]
        if abs(rise) <= 1e-12 * np.abs(each.data["p_l_cycle"].values).max():  # rounding in the mean is no rise
            flat_ones.append(str(each.path))
            continue
        share = (curve - curve[0]) / rise
        steps = np.diff(share)
        label = f"{each.model}, {each.path.name}"
        marks = {"mode": "lines+markers", "marker": {"size": 6, "symbol": SYMBOLS[index % len(SYMBOLS)]}}
        figure.add_trace(line(cycles, share, label, index, legendgroup=label, **marks), 1, 1)
        figure.add_trace(line(cycles[1:], steps, label, index, legendgroup=label, showlegend=False, **marks), 2, 1)
        told.append(f"{label} {percent(float(steps[0]))}")
        tau = float(each.data["tau_cycle"]) if holds(each.data, "tau_cycle") else np.nan
        half = int(np.argmax(share >= 0.5))
        rows.append(
            [
                *(str(each.path), each.model, shown(tau), shown(curve[0]), shown(curve[-1])),
                *(shown(steps[0], 3), shown(steps[-1], 3), str(half), str(int(steps.argmax()) + 1)),
            ]
        )
    parts: list[Any] = (
        [Text(f"{', '.join(flat_ones)}: pˡ ends where it began, so it has no normalised curve.", note=True)]
        if flat_ones
        else []
    )
    if not rows:
        return parts
    columns = [
        "path",
        "model",
        "cycle (s)",
        "pˡ₀",
        "pˡ_T",
        "δ₁ / Σδ",
        "δ_T / Σδ",
        "cycle of half the rise",
        "largest δ in cycle",
    ]
    return [
        *parts,
        Plot(
            below(figure, "cycle t", 2),
            f"Normalised long-term curves of {len(rows)} datasets over {fewest} cycles and their increments; share of "
            f"the rise in the first cycle: {'; '.join(told)}.",
            f"Mean over synapses and repetitions, (pˡ_t − pˡ₀) / (pˡ_T − pˡ₀) at the ends of the first T = {fewest} "
            "cycles, the most that every dataset has; below, its increments, which are the retention factors of the "
            "curve itself. Cycles differ in length.",
            500,
        ),
        Table(f"The curves over T = {fewest} cycles; pˡ in the unit of each model.", columns, rows, ["model"]),
    ]


def _curve(data: xr.Dataset) -> Array:
    return mean(flat(data["p_l_cycle"], "cycle"))
