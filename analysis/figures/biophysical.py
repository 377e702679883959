"""The biophysical model in print: bifurcation of calcium, release under gliotransmission, waves."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.curves import colour
from analysis.figures.style import COLUMN, MARKERS, PAGE, SMALL, STYLES, legend, new, only, plain, tidy
from astro_sim.common.errors import InputError


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
    level, directions = dataset["level"].values, [str(each) for each in dataset["direction"].values]
    figure = new(COLUMN, 3.6)
    calcium, period = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for index, direction in enumerate(directions):
        marker = "^v"[index % 2]
        style = {"color": colour(index), "markersize": 3, "linestyle": "none", "markerfacecolor": "none"}
        for k, name in enumerate(("calcium_low", "calcium_high")):
            values = _flat(dataset[name].sel(direction=direction), "level")
            calcium.plot(level, values, marker, label=f"led {direction}" if k == 0 else None, **style)
        period.plot(level, _flat(dataset["period"].sel(direction=direction), "level"), marker, **style)
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
            values = _rows(point[name].sel(modulation=modulation), "rate")  # (rate, everything else)
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


def _flat(values: xr.DataArray, dim: str) -> NDArray[np.float64]:
    """One value along ``dim``: the first of every other dimension."""
    return values.isel({name: 0 for name in values.dims if name != dim}).values


def _rows(values: xr.DataArray, dim: str) -> NDArray[np.float64]:
    """(``dim``, all others together)."""
    return values.transpose(dim, ...).values.reshape(values.sizes[dim], -1)
