"""Astrocytes among neurons: self-repair after synapses fail, and a network's firing."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from analysis.collect import Dataset, Inputs
from analysis.curves import MOST_POINTS, colour
from analysis.parts import Plot, Table
from analysis.plots import line, new
from analysis.views.shapes import MOST_CELLS, below, flat, heat, holds, mean, panels, spread, titled, upright
from analysis.views.tables import cell, coordinate, measured, shown
from astro_sim.dataset import settings_of

GROUPS = 80  # of neurons in a raster of rates: enough in each for a rate to show


def self_repair(each: Dataset, inputs: Inputs) -> list[Any]:
    """Rates, release probability, endocannabinoid and astrocyte over time; healthy against failed."""
    data = each.data
    neurons = coordinate(data, "neuron")
    failed_at = settings_of(data).get("failure_time")
    rows = ["spike rate (Hz)", "PR", "DSE (%)", "e-SP (%)", titled(data, "C", "C"), titled(data, "Glu", "Glu")]
    figure = panels(rows, [0.22, 0.22, 0.14, 0.14, 0.14, 0.14])
    for index, name in enumerate(neurons):
        label = f"neuron {name}"
        rate = flat(data["spike_rate"].isel(neuron=index), "bin")
        spread(figure, 1, data["bin"].values, rate, label, index, line={"width": 1.5})
        for which, dash, PR in _synapses(data, index):
            style = {"dash": dash, "width": 1.5}
            more = {"showlegend": dash == "dash", "legendgroup": label}
            spread(figure, 2, data["time"].values, PR, f"{label}, {which}", index, line=style, **more)
        DSE = flat(data["DSE"].isel(neuron=index), "time")
        spread(figure, 3, data["time"].values, DSE, label, index, showlegend=False, line={"width": 1.5})
    for row, name in ((4, "eSP"), (5, "C"), (6, "Glu")):
        more = {"showlegend": False, "line": {"width": 1.5}}
        spread(figure, row, data["time"].values, flat(data[name], "time"), name, len(neurons), **more)
    marked = ""
    if isinstance(failed_at, int | float):
        upright(figure, float(failed_at))
        marked = f"; dotted: synapses of the last neuron fail, {shown(failed_at)} s"
    told = _told(data, neurons)
    parts: list[Any] = [
        Plot(
            below(figure, "time (s)", len(rows)),
            f"Self-repair: spike rate, release probability, DSE, e-SP, calcium and glutamate over time; {told}.",
            f"{each.path}: rate of postsynaptic spikes, release probability PR (mean over synapses; dashed: those "
            "that fail), suppression DSE and potentiation e-SP in percent, calcium and glutamate of the "
            f"astrocyte{marked}. Bands: range over synapses and repetitions.",
            860,
        )
    ]
    names = ["spike_rate_period", "cv_isi", "spikes", "releases"]
    caption = (
        f"{each.path}: rate and intervals in the measuring windows, spikes and releases a synapse in the whole period"
    )
    parts += measured(data, names, ["neuron", "period"], caption)
    names = ["recovery", "PR_gain"]
    caption = f"{each.path}: after over before the failure: spike rate (recovery), PR of the synapses that stay (gain)"
    parts += measured(data, names, ["neuron"], caption)
    names = ["eSP_period", "gliotransmitter_releases"]
    caption = f"{each.path}: the astrocyte; e-SP in percent, releases in the whole period"
    return parts + measured(data, names, ["period"], caption, {"eSP_period": "e-SP", names[1]: "releases"})


def _synapses(data: xr.Dataset, neuron: int) -> list[tuple[str, str, np.ndarray]]:
    """PR (time, all of a kind) of the synapses that stay, and of those that fail, which the last neuron has."""
    PR = data["PR"].isel(neuron=neuron)
    failed = settings_of(data).get("failed", 0)
    failed = failed if isinstance(failed, int) and neuron == data.sizes["neuron"] - 1 else 0
    kinds = [("synapses that stay", "solid", slice(failed, None)), ("synapses that fail", "dash", slice(0, failed))]
    return [
        (words, dash, flat(PR.isel(synapse=chosen), "time"))
        for words, dash, chosen in kinds
        if PR.isel(synapse=chosen).size
    ]


def _told(data: xr.Dataset, neurons: list[str]) -> str:
    rates = mean(flat(data["spike_rate_period"], "period", "neuron"))
    told = "; ".join(
        f"neuron {name} {shown(rates[0, k], 3)} Hz before and {shown(rates[-1, k], 3)} Hz after"
        for k, name in enumerate(neurons)
    )
    if holds(data, "recovery", "unit", "neuron"):
        told += f"; recovery of the last {shown(mean(flat(data['recovery'], 'neuron'))[-1], 3)}"
    return told


def network(each: Dataset, inputs: Inputs) -> list[Any]:
    """Raster and rates, the astrocytes, and the statistics of every window."""
    data = each.data
    parts: list[Any] = []
    if holds(data, "spike_time", "event") and holds(data, "spike_neuron", "event"):
        parts.append(_raster(each))
    parts.append(_rates(each))
    parts.append(_astrocytes(each))
    heads = {"window": "window from", "factor": "factor on the current"}
    names = ["factor", "firing_rate", "synchrony", "releases_window", "Gamma_S_window"]
    parts += measured(data, names, ["population", "window"], f"{each.path}: firing by population and window", heads)
    if "local_variation_neurons" in data:
        heads |= {"local_variation": "CV2 of intervals", "local_variation_neurons": "neurons with 5 intervals"}
        caption = f"{each.path}: local variation of the inter-spike intervals in the whole run (1: Poisson, 0: regular)"
        parts += measured(data, ["local_variation", "local_variation_neurons"], ["population"], caption, heads)
    rows = [["releases of gliotransmitter", shown(float(data["release_count"]))]]
    for name, words in (("spike_time", "spikes"), ("spike_neuron", "neurons that fired")):
        if holds(data, name, "event"):
            found = data.sizes["event"] if name == "spike_time" else len(np.unique(data[name].values))
            rows.append([words, f"{found:,}"])
    rows.append(["mean Γ_S at the end", shown(float(data["Gamma_S_mean"].values[-1]))])
    rows.append([titled(data, "C", "mean C of the traced astrocytes"), cell(data["C"].values)])
    if "synapses_covered" in data:
        rows.append(["excitatory synapses under an astrocyte", cell(data["synapses_covered"].values)])
    parts.append(Table(f"{each.path}: the whole run; mean (lowest to highest).", ["quantity", "value"], rows))
    return parts


def _raster(each: Dataset) -> Plot:
    """A dot a spike; where these are too many, the rate of groups of neurons in short bins, which leaves none out."""
    data = each.data
    time, neuron = data["spike_time"].values, data["spike_neuron"].values.astype(int)
    first, figure = _excitatory(data), new()
    told = f"{len(time):,} spikes of {len(np.unique(neuron)):,} neurons"
    if len(time) > MOST_POINTS:
        count, end = int(neuron.max()) + 1, float(max(data["time"].values[-1], time.max()))
        groups, bins = min(count, GROUPS), MOST_CELLS[1]
        rows = np.linspace(0, count, groups + 1).round()
        counts, _, columns = np.histogram2d(neuron, time, (rows, np.linspace(0, end, bins + 1)))
        rates = counts / np.diff(rows)[:, None] / (end / bins)
        figure.add_trace(heat(0.5 * (columns[1:] + columns[:-1]), 0.5 * (rows[1:] + rows[:-1] - 1), rates, "rate (Hz)"))
        how = f"rate of {groups} groups of neurons in {bins} bins of {shown(1e3 * end / bins, 3)} ms"
        if first:
            figure.add_hline(first - 0.5, line={"color": "#ffffff", "width": 1})
            how += "; white: where inhibitory neurons begin"
    else:
        kinds = (
            [("excitatory", neuron < first), ("inhibitory", neuron >= first)] if first else [("neurons", neuron >= 0)]
        )
        for index, (name, chosen) in enumerate(kinds):
            if chosen.any():
                style = {"mode": "markers", "marker": {"size": 3, "color": colour(index)}, "name": name}
                figure.add_trace(go.Scatter(x=time[chosen].astype("f4"), y=neuron[chosen].astype("f4"), **style))
        how = "a dot a spike"
    _windows(figure, data)
    figure.update_yaxes(title_text="neuron", showgrid=False).update_xaxes(title_text="time (s)", showgrid=False)
    return Plot(
        figure,
        f"Raster of the network: {told}, excitatory neurons first.",
        f"{each.path}: {told}, {how}; dotted: windows of the external current.",
        380,
    )


def _excitatory(data: xr.Dataset) -> int | None:
    """How many excitatory neurons come first, where the dataset has both kinds and says so."""
    count = settings_of(data).get("excitatory")
    return count if isinstance(count, int) and data.sizes["population"] > 1 else None


def _rates(each: Dataset) -> Plot:
    data = each.data
    rates = data["firing_rate"].transpose("population", "window").values
    starts, names = data["window"].values, coordinate(data, "population")
    length = settings_of(data).get("window")
    length = (
        float(length) if isinstance(length, int | float) else float(np.diff(starts).mean() if len(starts) > 1 else 1.0)
    )
    shown_ = {"synchrony": "synchrony χ"}
    more = [name for name in shown_ if holds(data, name, "population", "window")]
    figure = panels([titled(data, "firing_rate", "rate"), *(shown_[name] for name in more)])
    for row, name in enumerate(("firing_rate", *more), start=1):
        values = data[name].transpose("population", "window").values
        for index, label in enumerate(names):
            at, level = np.append(starts, starts[-1] + length), np.append(values[index], values[index][-1])
            style = {"shape": "hv", "width": 2}
            extra = {"legendgroup": label, "showlegend": row == 1}
            trace = go.Scatter(x=at.astype("f4"), y=level.astype("f4"), name=label, mode="lines",
                               line={"color": colour(index), **style}, **extra)  # fmt: skip
            figure.add_trace(trace, row, 1)
        highest = values[np.isfinite(values)].max(initial=0.0)
        figure.update_yaxes(range=[0, 1.25 * float(highest) or 1.0], row=row, col=1)  # room for the factors
    _windows(figure, data)
    told = "; ".join(
        f"{label} {shown(row.min(), 3)} to {shown(row.max(), 3)} Hz" for label, row in zip(names, rates, strict=True)
    )
    return Plot(
        below(figure, "time (s)", 1 + len(more)),
        f"Firing rate of each population in every window: {told}.",
        f"{each.path}: spikes a neuron and second in each window, and synchrony χ of their counts (1 together, "
        "1/√n for n independent neurons); dotted: windows, with the factor on the external current.",
        160 + 110 * (1 + len(more)),
    )


def _windows(figure: go.Figure, data: xr.Dataset) -> None:
    """Where a window of another external current begins."""
    starts = data["window"].values
    if len(starts) > 40:
        return
    factors = data["factor"].values if holds(data, "factor", "window") else None
    for index, at in enumerate(starts):
        text = "" if factors is None else f" ×{shown(factors[index], 3)}"
        upright(figure, float(at), text)


def _astrocytes(each: Dataset) -> Plot:
    data = each.data
    time, calcium = data["time"].values, data["C"].transpose("cell", "time").values
    figure = panels(["traced astrocyte", "mean Γ_S"], [0.65, 0.35])
    bar = {"title": {"text": titled(data, "C", "C"), "side": "right"}, "thickness": 14, "outlinewidth": 0, "len": 0.65,
           "y": 1.0, "yanchor": "top"}  # fmt: skip
    rows = np.arange(len(calcium))
    figure.add_trace(heat(time, rows, calcium, "").update(colorbar=bar), 1, 1)
    figure.add_trace(line(time, data["Gamma_S_mean"].values, "mean Γ_S", 1, showlegend=False), 2, 1)
    figure.update_yaxes(showgrid=False, row=1, col=1)
    figure.update_yaxes(range=[0, max(1.1 * float(data["Gamma_S_mean"].max()), 0.01)], row=2, col=1)
    count = float(data["release_count"])
    return Plot(
        below(figure, "time (s)", 2),
        f"Calcium of {len(calcium)} astrocytes over time, up to {shown(calcium.max())}, and bound presynaptic "
        f"receptors, {shown(float(data['Gamma_S_mean'].values[-1]))} at the end; {shown(count)} releases.",
        f"{each.path}: calcium of {len(calcium)} astrocytes and, below, bound presynaptic receptors Γ_S, mean over the "
        f"excitatory synapses; {shown(count)} releases of gliotransmitter.",
        400,
    )
