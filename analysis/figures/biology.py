"""The simulations in print: of the macro model its states, layouts, decay and rates; bifurcation, release and waves."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.curves import Array, colour, distinct, per_synapse, thin, through_means
from analysis.figures.style import (
    COLUMN,
    MARKERS,
    PAGE,
    SMALL,
    STYLES,
    legend,
    legend_above,
    new,
    only,
    plain,
    shade,
    tidy,
)  # fmt: skip
from astro_sim.common.errors import InputError
from bridge.laws import PAPER_EXPONENT, Laws

MOST_LINES = 16  # synapses drawn one by one; beyond that mean and range
STATES = {
    "x": ("Neurons", "$x$ (a.u.)"),
    "s": ("Synaptic facilitation", "$s$ (a.u.)"),
    "p_s": ("Process calcium, STP", "$p^s$ (a.u.)"),
    "p_l": ("Process calcium, LTP", "$p^l$ (a.u.)"),
}


@plain
def macro_dynamics(dataset: xr.Dataset) -> Figure:
    """Draw x, s, p^s and p^l over repeated cycles, a line a neuron or synapse; p^l at the ends of cycles marked.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of ``ltp``, macro model, with its traces: x_pre, x_post (time, neuron), s, p_s, p_l (time, post, pre), in
        arbitrary units, time in s.

    Raises
    ------
    InputError
        Another dataset, or one without traces.
    """
    only(dataset, "ltp", "macro")
    if missing := [name for name in ("x_pre", "x_post", "s", "p_s", "p_l") if name not in dataset]:
        raise InputError(f"figure: the dataset lacks the traces {', '.join(missing)}; simulate it with them stored")
    time = dataset["time"].values
    figure = new(PAGE, 5.2)
    panels = dict(zip(STATES, figure.subplots(4, 1, sharex=True), strict=True))
    for name, axes in panels.items():
        title, unit = STATES[name]
        axes.set(title=title, ylabel=unit)
        shade(axes, dataset)
        if name == "x":
            for index, side in enumerate(("pre", "post")):
                curves = dataset[f"x_{side}"].transpose("time", side).values
                for k, curve in enumerate(curves.T):
                    label = f"{side}synaptic" if k == 0 else None
                    axes.plot(*thin(time, curve), STYLES[index], color=colour(index), linewidth=1, label=label)
        else:
            _synapses(axes, time, per_synapse(dataset[name]))
    ends = dataset["p_l_cycle"].mean(("post", "pre")).values
    at = float(time[0]) + float(dataset["tau_cycle"]) * np.arange(len(ends))
    panels["p_l"].plot(at, ends, "D", color="black", markersize=4, label="mean at the ends of cycles")
    panels["p_l"].set_xlabel("time (s)")
    for name in ("x", "s", "p_l"):
        legend_above(panels[name], 3)
    tidy(panels.values())
    return figure


def _synapses(axes: Axes, time: Array, curves: Array) -> None:
    if curves.shape[1] > MOST_LINES:
        axes.fill_between(time, curves.min(axis=1), curves.max(axis=1), color=colour(2), alpha=0.3, linewidth=0,
                          label=f"range over {curves.shape[1]} synapses")  # fmt: skip
        axes.plot(*thin(time, curves.mean(axis=1)), color=colour(2), label="mean")
        return
    for k, curve in enumerate(curves.T):
        style = STYLES[k // 6 % len(STYLES)]
        label = f"{curves.shape[1]} synapses" if k == 0 else None
        axes.plot(*thin(time, curve), style, color=colour(k), linewidth=1, label=label)


@plain
def layouts(dataset: xr.Dataset) -> Figure:
    """Draw p^s of every synapse over one cycle, a panel a layout of the processes, with a common axis.

    Equal distances between processes give equal p^s: their lines coincide.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of ``stp``, macro model: p_s (layout, time, post, pre) in a.u.
    """
    only(dataset, "stp", "macro")
    names = [str(name) for name in dataset["layout"].values]
    figure = new(PAGE, 2.3)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for index, (name, axes) in enumerate(zip(names, panels, strict=True)):
        one = dataset.sel(layout=name)
        curves = per_synapse(one["p_s"])
        shade(axes, one)
        if curves.shape[1] > MOST_LINES:
            low, high = curves.min(axis=1), curves.max(axis=1)
            axes.fill_between(one["time"].values, low, high, color=colour(index), alpha=0.3, linewidth=0)
        else:
            for curve in distinct(curves).T:
                axes.plot(*thin(one["time"].values, curve), color=colour(index), linewidth=1, alpha=0.7)
        axes.plot(*thin(one["time"].values, curves.mean(axis=1)), color="black", linewidth=1.5, linestyle="--",
                  label=f"mean of {curves.shape[1]} synapses")  # fmt: skip
        axes.set(title=name.replace("_", " "), xlabel="time (s)")
    panels[0].set_ylabel("$p^s$ (a.u.)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", frameon=False, fontsize=SMALL)
    tidy(panels)
    return figure


@plain
def spatial_decay(dataset: xr.Dataset, laws: Laws | None = None) -> Figure:
    """Draw the peak of p^s of every process against its distance from the one active, logarithmic, with the fit.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of ``spatial``, macro model: p_s_peak (post, pre) in a.u., distance (post, pre) in spacings.
    laws : Laws, optional
        Their ``spatial_decay`` (1/spacing) is drawn through the means of the points.
    """
    only(dataset, "spatial", "macro")
    distance, peak = dataset["distance"].values.ravel(), dataset["p_s_peak"].values.ravel()
    away = (distance > 0) & (peak > 0)
    figure = new(COLUMN, 2.6)
    axes = figure.subplots()
    axes.semilogy(distance[away], peak[away], "o", color=colour(0), markersize=4, label="process")
    if (distance == 0).any():
        axes.semilogy(distance[distance == 0], peak[distance == 0], "D", color=colour(1), label="active process")
    decay = None if laws is None else laws.spatial_decay
    if decay is not None and away.any():
        at = np.linspace(0.0, distance.max(), 50)
        level = through_means(distance[away], peak[away], -decay, at)
        axes.semilogy(at, level, "--", color=colour(2), label=f"exp(−{decay:.3g} · distance)")
    axes.set(xlabel="distance (spacings)", ylabel="peak $p^s$ (a.u.)", title="Decay in space")
    legend(axes)
    tidy([axes])
    return figure


@plain
def calcium_rate(dataset: xr.Dataset, laws: Laws | None = None) -> Figure:
    """Draw calcium against stimulation rate, both logarithmic, with the fitted power and the papers' exponent.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of ``frequency``, macro model: calcium (rate, post, pre) in a.u., rate in Hz.
    laws : Laws, optional
        Their ``presynaptic_exponent``.
    """
    only(dataset, "frequency", "macro")
    rate, calcium = dataset["rate"].values, per_synapse(dataset["calcium"])
    mean = calcium.mean(axis=1)
    figure = new(COLUMN, 2.6)
    axes = figure.subplots()
    axes.fill_between(rate, calcium.min(axis=1), calcium.max(axis=1), color=colour(0), alpha=0.2, linewidth=0)
    axes.loglog(rate, mean, "o-", color=colour(0), markersize=4, label="mean over synapses")
    if (mean > 0).all():
        alpha = None if laws is None else laws.presynaptic_exponent
        for name, exponent, index in (("fit", alpha, 1), ("papers", PAPER_EXPONENT, 2)):
            if exponent is not None:
                level = through_means(np.log(rate), mean, exponent, np.log(rate))
                text = f"{name}: rate^{exponent:.3g}"
                axes.loglog(rate, level, STYLES[index], color=colour(index), label=text)
    axes.set_xticks(ticks := [tick for tick in (1, 2, 5, 10, 20, 50, 100) if rate.min() <= tick <= rate.max()])
    axes.set_xticklabels(map(str, ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # decades alone may be one label
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="stimulation rate (Hz)", ylabel="calcium proxy (a.u.)", title="Calcium against rate")
    legend(axes)
    tidy([axes])
    return figure


@plain
def bifurcation(dataset: xr.Dataset) -> Figure:
    """Draw lowest and highest calcium against IP3, led up and down, and the period of the oscillation.

    Where the two directions differ, two states are stable.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of ``calcium`` with the preset ``scan``: calcium_low, calcium_high, period (direction, level), level in uM.

    Raises
    ------
    InputError
        Another dataset, or one of another stimulus.
    """
    only(dataset, "calcium", "biophysical")
    if "calcium_low" not in dataset or "direction" not in dataset["calcium_low"].dims:
        raise InputError("figure: expected a scan; make one with: rmaat simulate calcium --set preset=scan")
    level, directions = dataset["level"].values, list(map(str, dataset["direction"].values))
    figure = new(COLUMN, 3.6)
    calcium, period = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for index, direction in enumerate(directions):
        marker = "^v"[index % 2]
        style = {"color": colour(index), "markersize": 3, "linestyle": "none", "markerfacecolor": "none"}
        for k, name in enumerate(("calcium_low", "calcium_high")):
            values = _first(dataset[name].sel(direction=direction))
            calcium.plot(level, values, marker, label=f"led {direction}" if k == 0 else None, **style)
        period.plot(level, _first(dataset["period"].sel(direction=direction)), marker, **style)
    calcium.set(title="Lowest and highest calcium", ylabel="calcium (µM)")
    period.set(title="Period", xlabel="IP₃ (µM)", ylabel="period (s)")
    legend(calcium)
    tidy([calcium, period])
    return figure


@plain
def gliotransmission(dataset: xr.Dataset) -> Figure:
    """Draw release a spike and bound receptors against presynaptic rate, a colour a modulation.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of ``gliotransmission``: r_S_mean (share), Gamma_S_mean (share), release_rate (Hz) over modulation and rate
        (Hz); of several U_0* and alpha the middle ones are drawn, of several trains mean and range.
    """
    only(dataset, "gliotransmission", "biophysical")
    point = dataset.isel({name: [dataset.sizes[name] // 2] for name in ("U_0_star", "alpha") if name in dataset.dims})
    titles = {
        "r_S_mean": ("Release a spike", "share of transmitter (1)"),
        "release_rate": ("Release a second", "release rate (1/s)"),
        "Gamma_S_mean": ("Bound receptors", "mean $\\Gamma_S$ (1)"),
    }
    names = [name for name in titles if name in point]
    figure = new(PAGE, 2.6)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    rate = point["rate"].values
    for axes, name in zip(panels, names, strict=True):
        for index, modulation in enumerate(point["modulation"].values):
            one = point[name].sel(modulation=modulation).transpose("rate", ...)
            values = one.values.reshape(len(rate), -1)  # (rate, everything else)
            axes.fill_between(rate, values.min(axis=1), values.max(axis=1), color=colour(index), alpha=0.2, linewidth=0)
            axes.semilogx(rate, values.mean(axis=1), STYLES[index % len(STYLES)], marker=MARKERS[index % len(MARKERS)],
                          markersize=3, color=colour(index), label=str(modulation))  # fmt: skip
        axes.set(title=titles[name][0], ylabel=titles[name][1], xlabel="presynaptic rate (Hz)")
        axes.set_ylim(bottom=0)
    legend(panels[0])
    tidy(panels)
    return figure


@plain
def waves(dataset: xr.Dataset) -> Figure:
    """Draw a calcium wave: calcium over time and cells with the onsets, and onset against distance with its speed.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of ``waves``: C (cell, time) in uM, onset (cell) in s, hops (cell) in gap junctions, speed in cells a second.
        Cells are sorted by their distance from the driven one.
    """
    only(dataset, "waves", "biophysical")
    hops, onset = dataset["hops"].values.astype(float), dataset["onset"].values
    order = np.argsort(hops, kind="stable")
    figure = new(PAGE, 2.8)
    field, front = figure.subplots(1, 2, width_ratios=(1.4, 1))
    calcium = dataset["C"].transpose("cell", "time").values[order]
    mesh = field.pcolormesh(dataset["time"].values, np.arange(len(order)), calcium, shading="nearest", cmap="viridis",
                            rasterized=True)  # fmt: skip
    bar = figure.colorbar(mesh, ax=field)
    bar.set_label("calcium (µM)", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    reached = np.isfinite(onset[order])
    field.plot(onset[order][reached], np.flatnonzero(reached), "o", color="white", markeredgecolor="black",
               markersize=3, label="onset")  # fmt: skip
    field.set(title="Calcium", xlabel="time (s)", ylabel="cell, by distance")
    far = np.isfinite(onset) & np.isfinite(hops) & (hops > 0)
    front.plot(hops[far], onset[far], "o", color=colour(0), markersize=4, label="reached cell")
    speed = float(dataset["speed"])
    if far.any() and np.isfinite(speed) and speed:
        at = np.array([hops[far].min(), hops[far].max()])
        front.plot(at, np.median(onset[far] - hops[far] / speed) + at / speed, "--", color=colour(1),
                   label=f"{speed:.3g} cells a second")  # fmt: skip
    front.set(title="Front", xlabel="gap junctions from the driven cell", ylabel="onset (s)")
    legend(front)
    tidy([field, front])
    return figure


def _first(values: xr.DataArray) -> Array:
    """One value along ``level``: the first of every other dimension."""
    return values.isel({name: 0 for name in values.dims if name != "level"}).values
