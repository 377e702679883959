"""Astrocytes among neurons: self-repair after synapses fail, a network's firing, and recall from associative memory."""

import numpy as np
import plotly.graph_objects as go
import xarray as xr

from analysis.curves import GREY, MOST_POINTS, Array, colour
from analysis.report.experiments import Theme
from analysis.report.parts import Part, Plot, Table, number
from analysis.report.plots import (
    MOST_CELLS,
    MOST_CURVES,
    below,
    evenly,
    flat,
    heat,
    holds,
    line,
    mean,
    new,
    spread,
    titled,
    upright,
)
from analysis.report.tables import cell, coordinate, measured, shown
from astro_sim.dataset import settings_of
from bridge.laws import Laws

GROUPS = 80  # of neurons in a raster of rates: enough in each for a rate to show
MOST_WINDOWS = 40  # of the external current that are marked
MOST_PANELS = 4  # numbers of patterns whose energy is drawn


def self_repair(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Rates, release probability, endocannabinoid and astrocyte over time; healthy against failed."""
    neurons, settings, time = coordinate(data, "neuron"), settings_of(data), data["time"].values
    titles = ["spike rate (Hz)", "PR", "DSE (%)", "e-SP (%)", titled(data, "C", "C"), titled(data, "Glu", "Glu")]
    figure, thin = new(*titles, heights=[0.22, 0.22, 0.14, 0.14, 0.14, 0.14]), {"width": 1.5}
    for index, name in enumerate(neurons):
        label, one = f"neuron {name}", data.isel(neuron=index)
        spread(figure, 1, data["bin"].values, flat(one["spike_rate"], "bin"), label, index, line=thin)
        failed = settings.get("failed", 0)  # synapses of the last neuron, the first ones of it
        failed = failed if isinstance(failed, int) and index == len(neurons) - 1 else 0
        kinds = (("synapses that stay", "solid", slice(failed, None)), ("synapses that fail", "dash", slice(0, failed)))
        for which, dash, chosen in kinds:
            if (PR := one["PR"].isel(synapse=chosen)).size:
                more = {"showlegend": dash == "dash", "legendgroup": label, "line": {"dash": dash, **thin}}
                spread(figure, 2, time, flat(PR, "time"), f"{label}, {which}", index, **more)
        spread(figure, 3, time, flat(one["DSE"], "time"), label, index, showlegend=False, line=thin)
    for row, name in ((4, "eSP"), (5, "C"), (6, "Glu")):
        spread(figure, row, time, flat(data[name], "time"), name, len(neurons), showlegend=False, line=thin)
    marked, failed_at = "", settings.get("failure_time")
    if isinstance(failed_at, int | float):
        upright(figure, float(failed_at))
        marked = f"; dotted: synapses of the last neuron fail, {shown(failed_at)} s"
    rates = mean(flat(data["spike_rate_period"], "period", "neuron"))
    told = "; ".join(
        f"neuron {name} {shown(rates[0, k], 3)} Hz before and {shown(rates[-1, k], 3)} Hz after"
        for k, name in enumerate(neurons)
    )
    if holds(data, "recovery", "unit", "neuron"):
        told += f"; recovery of the last {shown(mean(flat(data['recovery'], 'neuron'))[-1], 3)}"
    period = {"spike_rate_period": "rate", "cv_isi": "variation of intervals", "spikes": "spikes"}
    return [
        Plot(
            below(figure, "time (s)", len(titles)),
            "Rate of postsynaptic spikes, release probability PR (mean over synapses; dashed: those that fail), "
            "suppression DSE and potentiation e-SP in percent, calcium and glutamate of the astrocyte"
            f"{marked}. Bands: range over synapses and repetitions. {told[:1].upper()}{told[1:]}.",
            860,
        ),
        *measured(
            data,
            period | {"releases": "releases"},
            {"neuron": "neuron", "period": "period"},
            "Rate and intervals in the measuring windows, spikes and releases a synapse in the whole period",
        ),
        *measured(
            data,
            {"recovery": "recovery", "PR_gain": "PR gain"},
            {"neuron": "neuron"},
            "After over before the failure: spike rate (recovery), PR of the synapses that stay (gain)",
        ),
        *measured(
            data,
            {"eSP_period": "e-SP", "gliotransmitter_releases": "releases"},
            {"period": "period"},
            "The astrocyte; e-SP in percent, releases in the whole period",
        ),
    ]


def network(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Raster and rates, the astrocytes, and the statistics of every window."""
    spikes = holds(data, "spike_time", "event") and holds(data, "spike_neuron", "event")
    parts: list[Part] = [*([_raster(data)] if spikes else []), _rates(data), _astrocytes(data)]
    columns = {"factor": "factor on the current", "firing_rate": "rate", "synchrony": "synchrony χ"}
    columns |= {"releases_window": "releases", "Gamma_S_window": "mean Γ_S"}
    along = {"population": "population", "window": "window from"}
    parts += measured(data, columns, along, "Firing by population and window")
    if "local_variation_neurons" in data:
        columns = {"local_variation": "CV2 of intervals", "local_variation_neurons": "neurons with 5 intervals"}
        caption = "Local variation of the inter-spike intervals in the whole run (1: Poisson, 0: regular)"
        parts += measured(data, columns, {"population": "population"}, caption)
    rows = [["releases of gliotransmitter", shown(float(data["release_count"]))]]
    if holds(data, "spike_time", "event"):
        rows.append(["spikes", f"{data.sizes['event']:,}"])
    if holds(data, "spike_neuron", "event"):
        rows.append(["neurons that fired", f"{len(np.unique(data['spike_neuron'].values)):,}"])
    rows.append(["mean Γ_S at the end", shown(float(data["Gamma_S_mean"].values[-1]))])
    rows.append([titled(data, "C", "mean C of the traced astrocytes"), cell(data["C"].values)])
    if "synapses_covered" in data:
        rows.append(["excitatory synapses under an astrocyte", cell(data["synapses_covered"].values)])
    return [*parts, Table("The whole run; mean (lowest to highest).", ["quantity", "value"], rows)]


def _raster(data: xr.Dataset) -> Plot:
    """A dot a spike; where these are too many, the rate of groups of neurons in short bins, which leaves none out."""
    time, neuron = data["spike_time"].values, data["spike_neuron"].values.astype(int)
    first = settings_of(data).get("excitatory")  # so many come first, where the dataset has both kinds and says so
    first = first if isinstance(first, int) and data.sizes["population"] > 1 else None
    figure, how = new("neuron"), "a dot a spike"
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
        kinds = {"excitatory": neuron < first, "inhibitory": neuron >= first} if first else {"neurons": neuron >= 0}
        for index, (name, chosen) in enumerate(kinds.items()):
            if chosen.any():
                style = {"mode": "markers", "marker": {"size": 3, "color": colour(index)}, "name": name}
                figure.add_trace(go.Scatter(x=time[chosen].astype("f4"), y=neuron[chosen].astype("f4"), **style))
    _windows(figure, data)
    figure.update_yaxes(showgrid=False).update_xaxes(showgrid=False)
    told = f"{len(time):,} spikes of {len(np.unique(neuron)):,} neurons, excitatory neurons first"
    return Plot(below(figure, "time (s)"), f"{told}, {how}; dotted: windows of the external current.", 380)


def _rates(data: xr.Dataset) -> Plot:
    starts, names = data["window"].values, coordinate(data, "population")
    length = settings_of(data).get("window")
    if not isinstance(length, int | float):
        length = np.diff(starts).mean() if len(starts) > 1 else 1.0
    panels = ["firing_rate", *(["synchrony"] if holds(data, "synchrony", "population", "window") else [])]
    figure, told = new(*[titled(data, "firing_rate", "rate"), "synchrony χ"][: len(panels)]), []
    for row, panel in enumerate(panels, start=1):
        values = data[panel].transpose("population", "window").values
        for index, (label, one) in enumerate(zip(names, values, strict=True)):
            at, level = np.append(starts, starts[-1] + float(length)), np.append(one, one[-1])
            style = {"color": colour(index), "shape": "hv", "width": 2}
            more = {"legendgroup": label, "showlegend": row == 1, "mode": "lines", "line": style}
            figure.add_trace(go.Scatter(x=at.astype("f4"), y=level.astype("f4"), name=label, **more), row, 1)
            told += [f"{label} {shown(one.min(), 3)} to {shown(one.max(), 3)} Hz"] if row == 1 else []
        highest = values[np.isfinite(values)].max(initial=0.0)
        figure.update_yaxes(range=[0, 1.25 * float(highest) or 1.0], row=row, col=1)  # room for the factors
    _windows(figure, data)
    return Plot(
        below(figure, "time (s)", len(panels)),
        f"Spikes a neuron and second in each window ({'; '.join(told)}), and synchrony χ of their counts (1 together, "
        "1/√n for n independent neurons); dotted: windows, with the factor on the external current.",
        160 + 110 * len(panels),
    )


def _windows(figure: go.Figure, data: xr.Dataset) -> None:
    """Where a window of another external current begins."""
    factors = data["factor"].values if holds(data, "factor", "window") else None
    for index, at in enumerate(data["window"].values if data.sizes["window"] <= MOST_WINDOWS else ()):
        upright(figure, float(at), "" if factors is None else f" ×{shown(factors[index], 3)}")


def _astrocytes(data: xr.Dataset) -> Plot:
    time, calcium, bound = data["time"].values, data["C"].transpose("cell", "time").values, data["Gamma_S_mean"].values
    figure = new("traced astrocyte", "mean Γ_S", heights=[0.65, 0.35])
    bar = {"len": 0.65, "y": 1.0, "yanchor": "top"}
    figure.add_trace(heat(time, np.arange(len(calcium)), calcium, titled(data, "C", "C"), place=bar), 1, 1)
    figure.add_trace(line(time, bound, "mean Γ_S", 1, showlegend=False), 2, 1)
    figure.update_yaxes(showgrid=False, row=1, col=1)
    figure.update_yaxes(range=[0, max(1.1 * float(bound.max()), 0.01)], row=2, col=1)
    return Plot(
        below(figure, "time (s)", 2),
        f"Calcium of {len(calcium)} astrocytes, up to {shown(calcium.max())}, and, below, bound presynaptic receptors "
        f"Γ_S, mean over the excitatory synapses, {shown(float(bound[-1]))} at the end; "
        f"{shown(float(data['release_count']))} releases of gliotransmitter.",
        400,
    )


def associative(data: xr.Dataset, laws: Laws | None) -> list[Part]:
    """Overlap against corruption for every number of patterns, and the energy as the neurons settle."""
    counts, corruption, cue = coordinate(data, "patterns"), data["corruption"].values, data["overlap_cue"].values
    stored = [f"{count} pattern{'' if count == '1' else 's'}" for count in counts]
    overlap, order = flat(data["overlap"], "patterns", "corruption"), np.argsort(corruption)
    figure = new("overlap")
    for index, name in enumerate(stored):
        spread(figure, 1, corruption[order], overlap[index][order], name, index, dots=True)
    style = {"dash": "dot", "color": GREY}
    figure.add_trace(line(corruption[order], cue[order], "the cue itself", 0, line=style))
    figure.update_yaxes(range=[min(-0.05, 1.05 * float(overlap.min())), 1.08])
    worst = zip(stored, mean(overlap)[:, order[-1]], strict=True)
    rows = [[count, *(cell(one) for one in row)] for count, row in zip(counts, overlap, strict=True)]
    flipped = [f"{100 * share:.4g} % flipped" for share in corruption]
    return [
        Plot(
            below(figure, "share of signs flipped", tickformat=".0%"),
            "Mean product of the signs recalled and those stored (1 is perfect recall) against corruption, a colour a "
            "number of stored patterns; points: mean over cues, band: their range; dotted: overlap of the cue. At the "
            f"largest share, {number(float(corruption.max()))}: "
            f"{'; '.join(f'{name} {shown(value, 3)}' for name, value in worst)}.",
        ),
        _energy(data, stored, flipped),
        Table(
            "Overlap after recall, mean (lowest to highest) over cues.",
            ["stored patterns", *flipped],
            [*rows, ["the cue itself", *(shown(value) for value in cue)]],
        ),
    ]


def _energy(data: xr.Dataset, stored: list[str], flipped: list[str]) -> Plot:
    energy: Array = flat(data["energy"], "patterns", "corruption", "time")
    drawn = evenly(len(stored), MOST_PANELS)
    figure = new(*(stored[at] for at in drawn))
    for row, at in enumerate(drawn, start=1):
        for index, k in enumerate(evenly(energy.shape[1], MOST_CURVES)):
            spread(figure, row, data["time"].values, energy[at, k], flipped[k], index, showlegend=row == 1)
    rise, scale = float(np.diff(energy, axis=2).max(initial=0.0)), float(np.ptp(energy)) or 1.0
    falls = f"its largest rise between samples is {number(rise, 3)} a.u."
    return Plot(
        below(figure, "time (s)", len(drawn)),
        "Energy (a.u.) of neurons, synapses and processes while they settle, a panel a number of stored patterns, a "
        "colour a corruption; line: mean over cues, band: their range; "
        + (falls if rise > 1e-9 * scale else "it never rises between samples."),
        100 + 120 * len(drawn),
    )


THEMES = (
    Theme("an", "biophysical", "networks", 31, "Self-repair", self_repair),
    Theme("network", "biophysical", "networks", 32, "Neurons and astrocytes", network),
    Theme("associative", "macro", "networks", 33, "Associative memory", associative),
)
