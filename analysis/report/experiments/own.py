"""Experiments of the reader's own, and whatever else has no theme: every variable along what was measured or swept."""

import numpy as np
import xarray as xr

from analysis.report.parts import Part, Plot, Plots, Text, number
from analysis.report.plots import below, edges, flat, mean, new, spread, titled, unit

FEWEST, MOST = 3, 12  # values along an axis from which there is a course to draw; figures


def courses(data: xr.Dataset) -> list[Part]:
    """A figure a variable: its mean over everything else, and the range, against its longest axis with a unit.

    Parameters
    ----------
    data : xarray.Dataset
        Of one run, or of a sweep, whose points count as repetitions.

    Returns
    -------
    list of parts
        Empty if nothing runs along such an axis; says what is left out where there is too much.
    """
    names = [str(name) for name in data.data_vars if not str(name).startswith(("held_", "point_"))]
    axes = {name: axis for name in names if (axis := _axis(data, name)) is not None}
    made: list[Part] = []
    if axes:
        made.append(Plots([_course(data, name, axis) for name, axis in list(axes.items())[:MOST]]))
    if len(axes) > MOST:
        made.append(Text(f"Not drawn, beyond {MOST}: {', '.join(list(axes)[MOST:])}.", note=True))
    return made


def _axis(data: xr.Dataset, name: str) -> str | None:
    """The dimension to draw a variable against: the longest whose coordinate is a measure rather than a number."""
    if data[name].dtype.kind not in "fiu" or not np.isfinite(data[name].values).any():
        return None
    measures = [
        str(dim)
        for dim in data[name].dims
        if dim in data.coords
        and data[dim].dtype.kind in "fiu"
        and (unit(data, str(dim)) or dim == "cycle")
        and len(np.unique(data[dim].values)) >= FEWEST
    ]
    return max(measures, key=lambda dim: data.sizes[dim], default=None)


def _course(data: xr.Dataset, name: str, axis: str) -> Plot:
    values, words = flat(data[name], axis), axis.replace("_", " ")
    order = np.argsort(data[axis].values, kind="stable")
    figure = new(titled(data, name, name)).update_layout(showlegend=False)
    spread(figure, 1, data[axis].values[order], values[order], name, 0, dots=len(values) <= 40)
    others = [f"{dim} {size}" for dim, size in data[name].sizes.items() if dim != axis and size > 1]
    over = f" (line) and range (band) over {', '.join(others)}" if others else ""
    low, high = (number(float(edge)) for edge in edges(mean(values)))
    caption = f"{name}, {data[name].attrs.get('long_name', name)}, against {words}: mean{over} from {low} to {high}."
    return Plot(below(figure, titled(data, axis, words)), caption, 260)
