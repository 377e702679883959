"""Long-term plasticity: repeated cycles of both models, spike pairs, and curves of several datasets side by side."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from analysis.collect import Dataset
from analysis.curves import GREY, Array
from analysis.report.experiments import Theme
from analysis.report.parts import Heading, Part, Plot, Table, Text, number, percent
from analysis.report.plots import (
    band,
    below,
    flat,
    holds,
    line,
    marked,
    mean,
    new,
    points,
    shade,
    spread,
    titled,
)
from analysis.report.tables import inventory, measured, shown
from bridge.laws import Laws

# Share of the largest increment that the last one has: below it a curve is told to saturate, to slow down.
SATURATED, SLOWING = 0.1, 0.9


def cycles(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """x, s, p^s and p^l of the macro model over all cycles: mean and range over neurons or synapses, ends marked."""
    panels = {
        "x (a.u.)": {"x_pre": "x presynaptic", "x_post": "x postsynaptic"},
        "s (a.u.)": {"s": "s"},
        "p<sup>s</sup> (a.u.)": {"p_s": "pˢ"},
        "p<sup>l</sup> (a.u.)": {"p_l": "pˡ"},
    }
    panels = {title: names for title, names in panels.items() if all(name in data for name in names)}
    figure, index, time = new(*panels), 0, data["time"].values
    for row, names in enumerate(panels.values(), start=1):
        for name, label in names.items():
            values = data[name].values.reshape(len(time), -1)
            ends = values.min(axis=1), values.max(axis=1)
            figure.add_trace(band(time, *ends, f"{label} range", index, showlegend=False), row, 1)
            figure.add_trace(line(time, values.mean(axis=1), label, index, line={"width": 1.5}), row, 1)
            index += 1
    curve, at = _curve(data), data["cycle"].values * float(data["tau_cycle"])
    figure.add_trace(points(at, curve, "end of a cycle", 1, "diamond"), len(panels), 1)
    shade(figure, data)
    return [
        Plot(
            below(figure, "time (s)", len(panels)),
            f"Activity x, facilitation s, fast and slow calcium over {len(curve) - 1} cycles: mean (line) and range "
            "over neurons or synapses (band); diamonds: pˡ at the ends of the cycles, which the law is fitted to, mean "
            f"from {number(curve[0])} to {number(curve[-1])} a.u.; grey while input is on.",
            640,
        )
    ]


def cycles_sentence(data: xr.Dataset) -> str:
    """From where to where the curve goes, and whether it saturates."""
    curve = _curve(data)
    added = np.diff(curve)
    told = f"Over {len(added)} cycles slow calcium pˡ goes from {number(curve[0], 2)} to {number(curve[-1], 3)} a.u."
    if not added.max() > 0:
        return told
    last = added[-1] / added.max()
    verdict = "" if last > SLOWING else ": it saturates" if last < SATURATED else ": it slows down"
    return f"{told}; the last adds {percent(last, 0)} of what the largest adds{verdict}."


def tripartite(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Cycles of stimulation or STDP pairs of the biophysical model, whichever the dataset holds."""
    if "p_l_cycle" in data and "cycle" in data.dims:
        return _potentiation(data)
    return _stdp(data) if holds(data, "weight_change", "offset", "repetition") else [inventory(data)]


def tripartite_sentence(data: xr.Dataset) -> str | None:
    """From where to where the share of potentiated synapses goes."""
    if "p_l_cycle" not in data:
        return None
    curve = _curve(data)
    return (
        f"Over {len(curve) - 1} cycles of the biophysical model the potentiated share goes from {number(curve[0], 2)} "
        f"to {number(curve[-1], 3)}."
    )


def _potentiation(data: xr.Dataset) -> list[Part]:
    efficacy, cycle = flat(data["p_l_cycle"], "cycle"), data["cycle"].values
    n, curve, (low, high) = len(cycle) - 1, mean(efficacy), _percentiles(efficacy)
    releases = holds(data, "r_S_cycle", "completed")
    titles = [titled(data, "p_l_cycle", "p<sup>l</sup> = ρ"), *(["release a spike"] if releases else [])]
    figure = new(*titles, heights=[0.7, 0.3] if releases else None)
    spread(figure, 1, cycle, efficacy, "mean over synapses and repetitions", 0, dots=True, limits=(low, high))
    if releases:
        marks = {"mode": "lines+markers", "marker": {"size": 6}, "showlegend": False}
        figure.add_trace(line(data["completed"].values, data["r_S_cycle"].values, "release a spike", 1, **marks), 2, 1)
    seconds = f" of {shown(float(data['tau_cycle']))} s" if holds(data, "tau_cycle") else ""
    parts: list[Part] = [
        Plot(
            below(figure, "cycle", len(titles)),
            f"Efficacy ρ (the slow variable, pˡ; no unit) at the ends of {n} cycles{seconds}, mean and 5 to 95 % of "
            f"{efficacy.shape[1]} synapses (all repetitions): the mean goes from {shown(curve[0])} to "
            f"{shown(curve[-1])}, the synapses end at {shown(low[-1], 3)} to {shown(high[-1], 3)}"
            + ("; below, share of the transmitter that a spike of the cycle releases." if releases else "."),
            460 if releases else 340,
        )
    ]
    traces = {"p_l": "p<sup>l</sup> = ρ", "C": "C", "Gamma_S": "Γ_S"}
    if traces := {name: words for name, words in traces.items() if name in data and "time" in data[name].dims}:
        parts.append(_over_time(data, traces))
    rise = np.append(np.nan, np.diff(curve))
    shares = rise / (curve[-1] - curve[0]) if curve[-1] != curve[0] else np.full(n + 1, np.nan)
    added = {"rise": rise, "share": shares, "low": low, "high": high}
    if releases and data.sizes["completed"] == n:
        added["release"] = np.append(np.nan, data["r_S_cycle"].values)
    columns = {"p_l_cycle": "pˡ", "low": "5 %", "high": "95 %", "w_cycle": "weight", "rise": "δ", "share": "δ / Σδ"}
    table = data.assign({name: ("cycle", values) for name, values in added.items()})
    caption = "pˡ, weight, increments δ of the mean pˡ and their share of the rise"
    parts += measured(table, columns | {"release": "release a spike"}, {"cycle": "cycle"}, caption)
    if holds(data, "glio_count", "repetition", "synapse"):
        counts = data["glio_count"].values
        ends = f"{shown(counts.min())} to {shown(counts.max())}"
        parts.append(Text(f"{shown(counts.mean())} releases of gliotransmitter a synapse ({ends}) in {n} cycles."))
    return parts


def _over_time(data: xr.Dataset, traces: dict[str, str]) -> Plot:
    figure, told = new(*(titled(data, name, words) for name, words in traces.items())), []
    for row, (name, words) in enumerate(traces.items(), start=1):
        values = flat(data[name], "time")
        more = {"limits": _percentiles(values), "showlegend": False, "line": {"width": 1.5}}
        spread(figure, row, data["time"].values, values, words, row - 1, **more)
        told.append(f"{name} {shown(mean(values)[-1], 3)}")
    return Plot(
        below(figure, "time (s)", len(traces)),
        "Efficacy, calcium C and bound presynaptic receptors Γ_S over all of the protocol, mean and 5 to 95 % of the "
        f"synapses; means at the end: {', '.join(told)}.",
        120 + 120 * len(traces),
    )


def _stdp(data: xr.Dataset) -> list[Part]:
    offset, change = 1e3 * data["offset"].values, flat(data["weight_change"], "offset")
    order, middle, figure = np.argsort(offset), mean(change), new("weight change")
    spread(figure, 1, offset[order], change[order], "mean over repetitions", 0, dots=True)
    figure.add_hline(1, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.add_vline(0, line={"color": GREY, "width": 1, "dash": "dot"})
    ends = middle.argmin(), middle.argmax()
    lowest, highest = (f"{shown(middle[at], 3)} at {number(offset[at])} ms" for at in ends)
    plot = Plot(
        below(figure, "post minus pre (ms)").update_layout(showlegend=False),
        "Synaptic weight after the spike pairs over that before, against postsynaptic minus presynaptic spike time: "
        f"from {lowest} to {highest}; above 1 (dotted) is potentiation. Points: mean over repetitions, band: their "
        "range.",
    )
    if holds(data, "Gamma_S", "time", "offset", "repetition"):
        data = data.assign(bound=data["Gamma_S"].isel(time=-1))
    columns = {"weight_change": "weight change", "p_l_end": "pˡ at the end", "bound": "Γ_S at the end"}
    columns |= {"glio_count": "glio. releases"}
    return [plot, *measured(data, columns, {"offset": "post minus pre"}, "Weight change, efficacy and releases")]


def side_by_side(datasets: Sequence[Dataset]) -> list[Part]:
    """Normalised curves of all datasets with cycles and their increments; nothing for fewer than two."""
    with_cycles = [one for one in datasets if "p_l_cycle" in one.data and one.data.sizes["cycle"] > 1]
    if len(with_cycles) < 2:
        return []
    fewest = min(one.data.sizes["cycle"] for one in with_cycles) - 1
    figure, at = new("share of the rise", "δ<sub>t</sub> / Σδ"), np.arange(fewest + 1)
    rows, told, level = [], [], []
    for index, one in enumerate(with_cycles):
        curve = _curve(one.data)[: fewest + 1]
        rise = curve[-1] - curve[0]
        if abs(rise) <= 1e-12 * np.abs(one.data["p_l_cycle"].values).max():  # rounding in the mean is no rise
            level.append(str(one.path))
            continue
        share = (curve - curve[0]) / rise
        steps, label = np.diff(share), f"{one.model}, {one.path.name}"
        more = {"legendgroup": label, **marked(index)}
        figure.add_trace(line(at, share, label, index, **more), 1, 1)
        figure.add_trace(line(at[1:], steps, label, index, showlegend=False, **more), 2, 1)
        told.append(f"{label} {percent(float(steps[0]))}")
        tau = float(one.data["tau_cycle"]) if holds(one.data, "tau_cycle") else np.nan
        ends = shown(tau), shown(curve[0]), shown(curve[-1]), shown(steps[0], 3), shown(steps[-1], 3)
        rows.append([str(one.path), one.model, *ends, str(int(np.argmax(share >= 0.5))), str(int(steps.argmax()) + 1)])
    parts: list[Part] = [Heading("Curves side by side")]
    if level:
        parts.append(Text(f"{', '.join(level)}: pˡ ends where it began, so it has no normalised curve.", note=True))
    if not rows:
        return parts
    columns = ["path", "model", "cycle (s)", "pˡ₀", "pˡ_T", "δ₁ / Σδ", "δ_T / Σδ"]
    return [
        *parts,
        Plot(
            below(figure, "cycle t", 2),
            f"Long-term curves of {len(rows)} datasets, (pˡ_t − pˡ₀) / (pˡ_T − pˡ₀), mean over synapses and "
            f"repetitions, at the ends of the first T = {fewest} cycles, the most that every dataset has; below, the "
            "increments, which are the retention factors of the curve itself. Share of the rise in the first cycle: "
            f"{'; '.join(told)}. Cycles differ in length.",
            500,
        ),
        Table(
            f"The curves over T = {fewest} cycles; pˡ in the unit of each model.",
            [*columns, "cycle of half the rise", "largest δ in cycle"],
            rows,
            ["model"],
        ),
    ]


def _curve(data: xr.Dataset) -> Array:
    """p^l at the ends of cycles, mean over everything else."""
    return mean(flat(data["p_l_cycle"], "cycle"))


def _percentiles(values: Array) -> tuple[Array, Array]:
    """5 and 95 % along the last axis; NaN where something is."""
    low, high = np.quantile(values, [0.05, 0.95], axis=-1)
    return low, high


THEMES = (
    Theme("ltp", "macro", "ltp", 11, "Repeated cycles", cycles, cycles_sentence, missed=True),
    Theme("ltp", "biophysical", "ltp", 12, "Tripartite synapses", tripartite, tripartite_sentence),
)
