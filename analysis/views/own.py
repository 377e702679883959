"""Experiments of the reader's own, and whatever else has no view: every variable along what was measured or swept."""

from typing import Any

import numpy as np
import xarray as xr

from analysis.parts import Plot, Plots, Text, number
from analysis.views.shapes import below, edges, flat, mean, panels, spread, titled, unit

FEWEST, MOST = 3, 12  # values along an axis from which there is a course to draw; figures


def courses(data: xr.Dataset, where: str) -> list[Any]:
    """A figure a variable: its mean over everything else, and the range, against its longest axis with a unit.

    Parameters
    ----------
    data : xarray.Dataset
        Of one run, or of a sweep, whose points count as repetitions.
    where : str
        What to call it in captions.

    Returns
    -------
    list of parts
        Empty if nothing runs along such an axis; says what is left out where there is too much.
    """
    names = [str(name) for name in data.data_vars if not str(name).startswith(("held_", "point_"))]
    axes = {name: axis for name in names if (axis := _axis(data, name)) is not None}
    drawn = [_course(data, name, axis, where) for name, axis in list(axes.items())[:MOST]]
    found: list[Any] = [Plots(drawn)] if drawn else []
    if len(axes) > MOST:
        found.append(Text(f"Not drawn, beyond {MOST}: {', '.join(list(axes)[MOST:])}.", note=True))
    return found


def _axis(data: xr.Dataset, name: str) -> str | None:
    """The dimension to draw a variable against: the longest whose coordinate is a measure rather than a number."""
    if data[name].dtype.kind not in "fiu" or not np.isfinite(data[name].values).any():
        return None
    found = [
        str(dim)
        for dim in data[name].dims
        if dim in data.coords
        and data[dim].dtype.kind in "fiu"
        and (unit(data, str(dim)) or dim == "cycle")
        and len(np.unique(data[dim].values)) >= FEWEST
    ]
    return max(found, key=lambda dim: data.sizes[dim], default=None)


def _course(data: xr.Dataset, name: str, axis: str, where: str) -> Plot:
    values = flat(data[name], axis)
    order = np.argsort(data[axis].values, kind="stable")
    figure = panels([titled(data, name, name)])
    spread(figure, 1, data[axis].values[order], values[order], name, 0, dots=len(values) <= 40)
    below(figure, titled(data, axis, axis.replace("_", " ")), 1)
    meaning = str(data[name].attrs.get("long_name", name))
    others = [f"{dim} {size}" for dim, size in data[name].sizes.items() if dim != axis and size > 1]
    over = f"; mean (line) and range (band) over {', '.join(others)}" if others else ""
    low, high = (number(float(edge)) for edge in edges(mean(values)))
    return Plot(
        figure.update_layout(showlegend=False),
        f"{meaning} against {axis.replace('_', ' ')}: its mean lies from {low} to {high}.",
        f"{where}: {name}, {meaning}{over}.",
        260,
    )
