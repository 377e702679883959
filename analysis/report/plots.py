"""The look of the report's figures (plotly), and what several of them draw: means with ranges, heat maps, marks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from analysis.curves import GREY, MOST_POINTS, Array, colour, stimulus_on, thin

MOST_CELLS = (200, 400)  # of a heat map, down and across
MOST_CURVES = 6  # as many as there are colours
MOST_SHADES = 64  # stimulus periods shaded; beyond that they would merge into one grey

AXIS = {
    "gridcolor": "rgba(128,128,128,0.25)",
    "linecolor": GREY,
    "tickcolor": GREY,
    "showline": True,
    "zeroline": False,
    "ticks": "outside",
    "automargin": True,
    "title": {"standoff": 6},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": GREY},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": AXIS,
        "yaxis": AXIS,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "dragmode": False,  # on a touch screen a drag is how the reader scrolls past the figure
        "hovermode": "closest",
    }
)
# Of a logarithmic axis: 1, 2, 5, written out.
DECADES: dict[str, Any] = {"type": "log", "dtick": "D2", "minorloglabels": "complete", "exponentformat": "none"}
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")


def ticks(*values: float) -> dict[str, Any]:
    """A logarithmic axis with these ticks, written out."""
    return {"type": "log", "tickvals": values, "ticktext": [f"{value:g}" for value in values]}


RATES = ticks(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def new(*titles: str, heights: Sequence[float] | None = None) -> go.Figure:
    """An empty figure: a panel a title of its y axis, above one another with a common x axis."""
    figure = make_subplots(max(1, len(titles)), 1, shared_xaxes=True, vertical_spacing=0.06, row_heights=heights)
    for row, title in enumerate(titles, start=1):
        figure.update_yaxes(title_text=title, row=row, col=1)
    return figure.update_layout(template=TEMPLATE)


def below(figure: go.Figure, title: str, row: int = 1, **more: Any) -> go.Figure:
    """The x axis: its title under the last of ``row`` panels, the rest for all of them."""
    return figure.update_xaxes(**more).update_xaxes(title_text=title, row=row, col=1)


def line(x: ArrayLike, y: ArrayLike, name: str, index: int = 0, **more: Any) -> go.Scatter:
    """A line trace: thinned, in float32."""
    xs, ys = thin(x, y)
    style = {"color": colour(index), "width": 2, **more.pop("line", {})}
    return go.Scatter(x=xs.astype("f4"), y=ys.astype("f4"), name=name, line=style, **{"mode": "lines", **more})


def marked(index: int, size: int = 6) -> dict[str, Any]:
    """A line with a mark at each x, a shape and colour a line."""
    return {"mode": "lines+markers", "marker": {"size": size, "symbol": SYMBOLS[index % len(SYMBOLS)]}}


def points(x: ArrayLike, y: ArrayLike, name: str, index: int, symbol: str = "circle") -> go.Scatter:
    """Points at which something was measured; the rest is left out."""
    x, y = np.asarray(x, dtype=float).ravel(), np.asarray(y, dtype=float).ravel()
    known = np.isfinite(x) & np.isfinite(y)
    marker = {"size": 7, "symbol": symbol, "color": colour(index)}
    return line(x[known], y[known], name, index, mode="markers", marker=marker)


def band(x: ArrayLike, low: ArrayLike, high: ArrayLike, name: str, index: int, **more: Any) -> go.Scatter:
    """The area between two curves as one closed trace, so that each edge can be thinned by itself."""
    (x_low, y_low), (x_high, y_high) = thin(x, low, MOST_POINTS // 2), thin(x, high, MOST_POINTS // 2)
    red, green, blue = (int(colour(index)[at : at + 2], 16) for at in (1, 3, 5))
    return go.Scatter(
        x=np.concatenate([x_low, x_high[::-1]]).astype("f4"),
        y=np.concatenate([y_low, y_high[::-1]]).astype("f4"),
        name=name,
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.3)",
        hoverinfo="skip",
        **more,
    )


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
    marks = marked(index) if dots else {}
    figure.add_trace(line(x, middle[known], name, index, **{"legendgroup": name, **marks, **more}), row, 1)


def upright(figure: go.Figure, at: float, text: str = "", row: Any = "all") -> None:
    """A grey dotted vertical line, with a word at its top."""
    figure.add_vline(at, line={"color": GREY, "width": 1.5, "dash": "dot"}, row=row, col=1)  # type: ignore[arg-type]
    if text:
        figure.add_annotation(x=at, y=1, yref="y domain", text=text, showarrow=False, xanchor="left", yanchor="top")


def shade(figure: go.Figure, data: xr.Dataset) -> None:
    """Grey background while input is on, in every panel."""
    periods = stimulus_on(data.isel(layout=0) if "layout" in data.dims else data)
    for start, end in periods if len(periods) <= MOST_SHADES else ():
        figure.add_vrect(start, end, fillcolor="rgba(128,128,128,0.15)", line_width=0, layer="below")


def heat(
    x: ArrayLike, y: ArrayLike, z: Array, title: str, middle: float | None = None, place: dict[str, Any] | None = None
) -> go.Heatmap:
    """A heat map of z (y, x); with ``middle`` blue below it and orange above; ``place`` is that of its bar."""
    x, y, z = coarse(x, y, z)
    scale: dict[str, Any] = {"colorscale": "Viridis"}
    if middle is not None:
        finite = z[np.isfinite(z)]
        reach = (float(np.abs(finite - middle).max()) if finite.size else 1.0) or 1.0
        # Blue and orange differ for every eye, which red and green do not.
        colours = [[0.0, "#0072B2"], [0.5, "#F2F2F2"], [1.0, "#D55E00"]]
        scale = {"colorscale": colours, "zmin": middle - reach, "zmax": middle + reach}
    bar = {"title": {"text": title, "side": "right"}, "thickness": 14, "outlinewidth": 0, **(place or {})}
    return go.Heatmap(x=x.astype("f4"), y=y.astype("f4"), z=z.astype("f4"), colorbar=bar, **scale)


def coarse(x: ArrayLike, y: ArrayLike, z: Array) -> tuple[Array, Array, Array]:
    """At most `MOST_CELLS` rows and columns: the largest value of each block, so that short events stay in sight."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    for axis, limit in enumerate(MOST_CELLS):
        if z.shape[axis] > limit:
            starts = np.linspace(0, z.shape[axis], limit, endpoint=False).astype(int)
            z = np.fmax.reduceat(z, starts, axis=axis)
            x, y = (x, y[starts]) if axis == 0 else (x[starts], y)
    return x, y, z


def holds(data: xr.Dataset, name: str, *dims: str) -> bool:
    """Whether ``data`` has a variable of numbers over these dimensions, in any order: not everything is promised."""
    return (
        name in data and set(data[name].dims) == set(dims) and data[name].dtype.kind in "fiub" and data[name].size > 0
    )


def unit(data: xr.Dataset, name: str) -> str:
    """Unit of a variable as it is read; empty for a pure number."""
    units = str(data[name].attrs.get("units", "1")) if name in data.variables else "1"
    return "" if units == "1" else units.replace("uM", "µM").replace("um", "µm")


def titled(data: xr.Dataset, name: str, words: str) -> str:
    """``words`` and the unit of a variable, for an axis or a column."""
    return f"{words} ({units})" if (units := unit(data, name)) else words


def flat(variable: xr.DataArray, *dims: str) -> Array:
    """Values with ``dims`` first and everything else in one axis behind them."""
    values = variable.transpose(*dims, ...).values.astype(float)
    return values.reshape(*values.shape[: len(dims)], -1)


def mean(values: ArrayLike) -> Array:
    """Mean along the last axis of what was measured; NaN where nothing was."""
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    measured = finite.sum(axis=-1)
    return np.where(measured > 0, np.where(finite, values, 0.0).sum(axis=-1) / np.maximum(measured, 1), np.nan)


def edges(values: ArrayLike) -> tuple[Array, Array]:
    """Lowest and highest along the last axis of what was measured; NaN where nothing was."""
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min(axis=-1, initial=np.inf)
    high = np.where(finite, values, -np.inf).max(axis=-1, initial=-np.inf)
    return np.where(finite.any(axis=-1), low, np.nan), np.where(finite.any(axis=-1), high, np.nan)


def evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of ``count`` indices, the ends among them."""
    if count <= most:
        return list(range(count))
    return np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()
