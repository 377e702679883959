"""What the figures of several experiments share: means with ranges, heat maps, marks, and how values are picked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import ArrayLike

from analysis.curves import GREY, Array
from analysis.plots import SYMBOLS, band, line, new, points

MOST_CELLS = (200, 400)  # of a heat map, down and across
MOST_CURVES = 6  # as many as there are colours
RATES: dict[str, Any] = {
    "type": "log",
    "tickvals": [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500],
    "ticktext": ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50", "100", "200", "500"],
}  # a logarithmic axis of rates


def holds(data: xr.Dataset, name: str, *dims: str) -> bool:
    """Whether ``data`` has a variable of numbers over these dimensions, in any order: not everything is promised."""
    return (
        name in data and set(data[name].dims) == set(dims) and data[name].dtype.kind in "fiub" and data[name].size > 0
    )


def unit(data: xr.Dataset, name: str) -> str:
    """Unit of a variable as it is read; empty for a pure number."""
    found = str(data[name].attrs.get("units", "1")) if name in data.variables else "1"
    return "" if found == "1" else found.replace("uM", "µM").replace("um", "µm")


def titled(data: xr.Dataset, name: str, words: str) -> str:
    """``words`` and the unit of a variable, for an axis or a column."""
    found = unit(data, name)
    return f"{words} ({found})" if found else words


def flat(variable: xr.DataArray, *dims: str) -> Array:
    """Values with ``dims`` first and everything else in one axis behind them."""
    values = variable.transpose(*dims, ...).values.astype(float)
    return values.reshape(*values.shape[: len(dims)], -1)


def mean(values: ArrayLike) -> Array:
    """Mean along the last axis of what was measured; NaN where nothing was."""
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    count = finite.sum(axis=-1)
    return np.where(count > 0, np.where(finite, values, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan)


def edges(values: ArrayLike) -> tuple[Array, Array]:
    """Lowest and highest along the last axis of what was measured; NaN where nothing was."""
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min(axis=-1, initial=np.inf)
    high = np.where(finite, values, -np.inf).max(axis=-1, initial=-np.inf)
    return np.where(finite.any(axis=-1), low, np.nan), np.where(finite.any(axis=-1), high, np.nan)


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of ``count`` indices, the ends among them."""
    return (
        list(range(count)) if count <= most else np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()
    )


def panels(titles: Sequence[str], heights: Sequence[float] | None = None) -> go.Figure:
    """Panels above one another with a common x axis, a title on each y axis."""
    figure = new(len(titles), heights)
    for row, title in enumerate(titles, start=1):
        figure.update_yaxes(title_text=title, row=row, col=1)
    return figure


def below(figure: go.Figure, title: str, row: int, **more: Any) -> go.Figure:
    """The x axis: its title under the last of ``row`` panels, the rest for all of them."""
    return figure.update_xaxes(**more).update_xaxes(title_text=title, row=row, col=1)


def spread(
    figure: go.Figure, row: int, x: ArrayLike, values: Array, name: str, index: int, dots: bool = False, **more: Any
) -> None:
    """Mean over the last axis as a line, lowest to highest as a band; with ``dots`` each x is marked.

    ``values`` is (x, repetitions); ``limits``, low and high, replaces the edges of the band.
    """
    middle, (low, high) = mean(values), more.pop("limits", None) or edges(values)
    known = np.isfinite(middle)
    if not known.any():
        return
    x = np.asarray(x, dtype=float)[known]
    if (high[known] > low[known]).any():
        figure.add_trace(band(x, low[known], high[known], f"{name}, range", index, showlegend=False), row, 1)
    marks = {"mode": "lines+markers", "marker": {"size": 6, "symbol": SYMBOLS[index % len(SYMBOLS)]}} if dots else {}
    figure.add_trace(line(x, middle[known], name, index, **{"legendgroup": name, **marks, **more}), row, 1)


def upright(figure: go.Figure, at: float, text: str = "", dash: str = "dot", row: Any = "all") -> None:
    """A grey vertical line, with a word at its top."""
    figure.add_vline(at, line={"color": GREY, "width": 1.5, "dash": dash}, row=row, col=1)  # type: ignore[arg-type]
    if text:
        figure.add_annotation(x=at, y=1, yref="y domain", text=text, showarrow=False, xanchor="left", yanchor="top")


def coarse(x: ArrayLike, y: ArrayLike, z: Array, most: tuple[int, int] = MOST_CELLS) -> tuple[Array, Array, Array]:
    """At most ``most`` rows and columns: the largest value of each block, so that short events stay in sight."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    for axis, limit in enumerate(most):
        if z.shape[axis] > limit:
            starts = np.linspace(0, z.shape[axis], limit, endpoint=False).astype(int)
            z = np.fmax.reduceat(z, starts, axis=axis)
            x, y = (x, y[starts]) if axis == 0 else (x[starts], y)
    return x, y, z


def heat(x: ArrayLike, y: ArrayLike, z: Array, title: str, middle: float | None = None, **more: Any) -> go.Heatmap:
    """A heat map of z (y, x); with ``middle`` blue below it and red above it, else dark to light."""
    x, y, z = coarse(x, y, z)
    scale: dict[str, Any] = {"colorscale": "Viridis"}
    if middle is not None:
        finite = z[np.isfinite(z)]
        reach = float(np.abs(finite - middle).max()) if finite.size else 1.0
        # Blue and orange differ for every eye, which red and green do not.
        colours = [[0.0, "#0072B2"], [0.5, "#F2F2F2"], [1.0, "#D55E00"]]
        scale = {"colorscale": colours, "zmin": middle - (reach or 1.0), "zmax": middle + (reach or 1.0)}
    bar = {"title": {"text": title, "side": "right"}, "thickness": 14, "outlinewidth": 0}
    return go.Heatmap(x=x.astype("f4"), y=y.astype("f4"), z=z.astype("f4"), colorbar=bar, **{**scale, **more})


def dots(x: ArrayLike, y: ArrayLike, name: str, index: int, symbol: str = "circle") -> go.Scatter:
    """Points at which something was measured; the rest is left out."""
    x, y = np.asarray(x, dtype=float).ravel(), np.asarray(y, dtype=float).ravel()
    known = np.isfinite(x) & np.isfinite(y)
    return points(x[known], y[known], name, index, symbol)
