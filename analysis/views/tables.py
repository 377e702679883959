"""Tables of what a dataset measured, a row a condition, and of what any dataset holds."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from analysis.parts import Table, number
from analysis.views.shapes import edges, evenly, mean, titled
from astro_sim.dataset import settings_of

MOST_ROWS = 48
EVENTS = (
    "event_count",
    "event_rate",
    "event_latency",
    "event_peak",
    "event_amplitude",
    "event_duration",
    "event_interval",
    "event_variation",
    "event_above",
)
THRESHOLDS = ("C_event", "threshold", "C_Theta")  # the setting of it, by experiment
# variable -> head of its column; what is not here goes by its own name
HEADS = {
    "event_count": "events",
    "event_rate": "event rate",
    "event_latency": "first event after",
    "event_peak": "mean event peak",
    "event_amplitude": "mean event height",
    "event_duration": "mean event duration",
    "event_interval": "mean interval",
    "event_variation": "CV of intervals",
    "event_above": "share of time above threshold",
    "calcium_mean": "mean C",
    "calcium_peak": "highest C",
    "calcium": "mean C",
    "C_mean": "mean C",
    "C_peak": "peak C",
    "p_s_peak": "peak IP₃",
    "r_S_mean": "release a spike",
    "release_rate": "release rate",
    "glio_rate": "glio. rate",
    "glio_count": "glio. releases",
    "Gamma_S_mean": "mean Γ_S",
    "Gamma_S_test": "Γ_S",
    "paired_pulse_ratio": "paired-pulse ratio",
    "p_l_cycle": "pˡ",
    "p_l_end": "pˡ at the end",
    "w_cycle": "weight",
    "r_S_cycle": "release a spike",
    "weight_change": "weight change",
    "spike_rate_period": "rate",
    "spikes": "spikes",
    "cv_isi": "variation of intervals",
    "recovery": "recovery",
    "PR_gain": "PR gain",
    "firing_rate": "rate",
    "local_variation": "CV2 of intervals",
    "releases_window": "releases",
    "Gamma_S_window": "mean Γ_S",
    "synchrony": "synchrony χ",
}


def event_words(data: xr.Dataset) -> str:
    """What the columns of calcium events are, for the end of a caption; empty where there are none."""
    names = [name for name in EVENTS if name in data]
    if not names:
        return ""
    level = next((value for name in THRESHOLDS if (value := settings_of(data).get(name)) is not None), None)
    at = "the threshold" if level is None else f"the threshold of {number(float(level))} µM"
    told = [f" (an event begins where C crosses {at} upwards and ends where it falls below it"]
    if {"event_peak", "event_amplitude", "event_duration"} & set(names):
        told.append("peak, height above the lowest C since the event before and duration are means over whole events")
    if "event_variation" in names:
        told.append("CV: standard deviation over mean")
    if "event_latency" in names:
        told.append("first event after: from the onset of the stimulus")
    return "; ".join(told) + ")"


def shown(value: Any, digits: int = 4) -> str:
    """A number, or a dash for none."""
    return number(float(value), digits) if np.isfinite(value) else "–"


def cell(values: Any) -> str:
    """Mean of what was measured; with its lowest and highest where these differ."""
    middle, (low, high) = mean(np.ravel(values)), edges(np.ravel(values))
    text = shown(middle)
    return (
        text if not high > low or shown(low, 3) == shown(high, 3) else f"{text} ({shown(low, 3)} to {shown(high, 3)})"
    )


def coordinate(data: xr.Dataset, dim: str) -> list[str]:
    """The values along a dimension as words; the index where it has none."""
    if dim not in data.coords:
        return [str(index) for index in range(data.sizes[dim])]
    values = data[dim].values
    return [number(float(each)) for each in values] if values.dtype.kind in "fiu" else [str(each) for each in values]


def measured(
    data: xr.Dataset, names: Sequence[str], along: Sequence[str], caption: str, heads: dict[str, str] | None = None
) -> list[Table]:
    """A table of variables with a row for every combination of ``along``; over the other dimensions, their mean.

    Parameters
    ----------
    names : sequence of str
        Those that the dataset lacks, or that do not vary along any of ``along``, are left out.
    along : sequence of str
        Dimensions, slowest first.
    heads : dict, optional
        Heads of columns, of variables and dimensions, in place of those of `HEADS`.

    Returns
    -------
    list of Table
        Empty if nothing is left to show.
    """
    heads = {**HEADS, **(heads or {})}
    kept = [
        data[name]
        for name in names
        if name in data and data[name].dtype.kind in "fiub" and set(along) & set(data[name].dims)
    ]
    if not kept or any(dim not in data.dims for dim in along):
        return []
    combinations = list(product(*(range(data.sizes[dim]) for dim in along)))
    chosen = evenly(len(combinations), MOST_ROWS)
    words = [coordinate(data, dim) for dim in along]
    rows = []
    for at in chosen:
        index = dict(zip(along, combinations[at], strict=True))
        cells = [cell(one.isel({dim: i for dim, i in index.items() if dim in one.dims}).values) for one in kept]
        rows.append([words[k][i] for k, i in enumerate(combinations[at])] + cells)
    over = list(dict.fromkeys(str(dim) for one in kept for dim in one.dims if dim not in along and one.sizes[dim] > 1))
    if over:
        caption += f"; mean (lowest to highest) over every {' and '.join(over)}"
    if len(chosen) < len(combinations):
        caption += f"; {len(chosen)} of {len(combinations)} rows, evenly chosen"
    columns = [titled(data, dim, heads.get(dim, dim.replace("_", " "))) for dim in along]
    columns += [titled(data, str(one.name), heads.get(str(one.name), str(one.name))) for one in kept]
    text = [columns[k] for k, dim in enumerate(along) if dim in data.coords and data[dim].dtype.kind not in "fiu"]
    return [Table(caption + ".", columns, rows, text, sortable=len(rows) > 2)]


def inventory(data: xr.Dataset, caption: str) -> Table:
    """Everything that a dataset holds: dimensions, unit, range and meaning."""
    rows = []
    for name in data.variables:
        one = data[name]
        dims = " × ".join(f"{dim} {size}" for dim, size in one.sizes.items()) or "–"
        if one.dtype.kind in "fiub" and one.size:
            low, high = edges(one.values.ravel())
            numbers = [shown(low), shown(mean(one.values.ravel())), shown(high)]
        else:
            numbers = ["–"] * 3
        rows.append([str(name), dims, str(one.attrs.get("units", "–")), *numbers, str(one.attrs.get("long_name", "–"))])
    columns = ["variable", "dimensions", "unit", "lowest", "mean", "highest", "meaning"]
    return Table(caption, columns, rows, ["dimensions", "unit", "meaning"])
