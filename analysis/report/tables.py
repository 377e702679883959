"""Tables of what a dataset measured, a row a condition, as a theme declares it, and of what any dataset holds."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from analysis.report.parts import Table, number
from analysis.report.plots import edges, evenly, mean, titled
from astro_sim.dataset import settings_of

MOST_ROWS = 48
# Of calcium events, whatever the experiment: variable -> head of its column
EVENTS = {
    "event_count": "events",
    "event_rate": "event rate",
    "event_latency": "first event after",
    "event_peak": "mean event peak",
    "event_amplitude": "mean event height",
    "event_duration": "mean event duration",
    "event_interval": "mean interval",
    "event_variation": "CV of intervals",
    "event_above": "share of time above threshold",
}
THRESHOLDS = ("C_event", "threshold", "C_Theta")  # the setting of it, by experiment


def event_words(data: xr.Dataset) -> str:
    """What the columns of calcium events are, for the end of a caption; empty where there are none."""
    names = {name for name in EVENTS if name in data}
    if not names:
        return ""
    level = next((value for name in THRESHOLDS if (value := settings_of(data).get(name)) is not None), None)
    at = "the threshold" if level is None else f"the threshold of {number(float(level))} µM"
    words = [f"an event begins where C crosses {at} upwards and ends where it falls below it"]
    if {"event_peak", "event_amplitude", "event_duration"} & names:
        words.append("peak, height above the lowest C since the event before and duration are means over whole events")
    if "event_variation" in names:
        words.append("CV: standard deviation over mean")
    if "event_latency" in names:
        words.append("first event after: from the onset of the stimulus")
    return f" ({'; '.join(words)})"


def shown(value: Any, digits: int = 4) -> str:
    """A number, or a dash for none."""
    return number(float(value), digits) if np.isfinite(value) else "–"


def cell(values: Any) -> str:
    """Mean of what was measured; with its lowest and highest where these differ."""
    middle, (low, high) = shown(mean(np.ravel(values))), edges(np.ravel(values))
    ends = shown(low, 3), shown(high, 3)
    return f"{middle} ({ends[0]} to {ends[1]})" if high > low and ends[0] != ends[1] else middle


def coordinate(data: xr.Dataset, dim: str) -> list[str]:
    """The values along a dimension as words; the index where it has none."""
    if dim not in data.coords:
        return [str(index) for index in range(data.sizes[dim])]
    values = data[dim].values
    return [number(float(value)) for value in values] if values.dtype.kind in "fiu" else list(map(str, values))


def measured(data: xr.Dataset, columns: Mapping[str, str], along: Mapping[str, str], caption: str) -> list[Table]:
    """A table of variables with a row for every combination of ``along``; over the other dimensions, their mean.

    Parameters
    ----------
    columns : mapping
        Variable -> head of its column. Those that the dataset lacks, or that do not vary along any of ``along``, are
        left out.
    along : mapping
        Dimension -> head of its column, slowest first.

    Returns
    -------
    list of Table
        Empty if nothing is left to show.
    """
    kept = [
        (data[name], head)
        for name, head in columns.items()
        if name in data and data[name].dtype.kind in "fiub" and set(along) & set(data[name].dims)
    ]
    if not kept or any(dim not in data.dims for dim in along):
        return []
    combinations = list(product(*(range(data.sizes[dim]) for dim in along)))
    chosen = evenly(len(combinations), MOST_ROWS)
    words = [coordinate(data, dim) for dim in along]
    rows = []
    for at in (combinations[k] for k in chosen):
        index = dict(zip(along, at, strict=True))
        cells = [cell(one.isel({dim: i for dim, i in index.items() if dim in one.dims}).values) for one, _ in kept]
        rows.append([*(words[k][i] for k, i in enumerate(at)), *cells])
    over = dict.fromkeys(str(dim) for one, _ in kept for dim in one.dims if dim not in along and one.sizes[dim] > 1)
    if over:
        caption += f"; mean (lowest to highest) over every {' and '.join(over)}"
    if len(chosen) < len(combinations):
        caption += f"; {len(chosen)} of {len(combinations)} rows, evenly chosen"
    heads = {dim: titled(data, dim, head) for dim, head in along.items()}
    text = [heads[dim] for dim in along if dim in data.coords and data[dim].dtype.kind not in "fiu"]
    names = [*heads.values(), *(titled(data, str(one.name), head) for one, head in kept)]
    return [Table(f"{caption}.", names, rows, text, sortable=len(rows) > 2)]


def inventory(data: xr.Dataset) -> Table:
    """Everything that a dataset holds: dimensions, unit, range and meaning."""
    rows = []
    for name in map(str, data.variables):
        one = data[name]
        dims = " × ".join(f"{dim} {size}" for dim, size in one.sizes.items()) or "–"
        numbers = ["–"] * 3
        if one.dtype.kind in "fiub" and one.size:
            low, high = edges(one.values.ravel())
            numbers = [shown(low), shown(mean(one.values.ravel())), shown(high)]
        rows.append([name, dims, str(one.attrs.get("units", "–")), *numbers, str(one.attrs.get("long_name", "–"))])
    columns = ["variable", "dimensions", "unit", "lowest", "mean", "highest", "meaning"]
    return Table("Dimensions, unit and range of every variable.", columns, rows, ["dimensions", "unit", "meaning"])
