"""The report's figures of the memory at work."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from analysis.curves import colour
from analysis.memory_words import Look
from analysis.plots import DECADES, SYMBOLS, new

NARROW = 2.0  # decades of a logarithmic axis that is marked at 1, 2 and 5, and not left to decades
WRITTEN_OUT = 1e-4  # labels of smaller numbers have an exponent
MOST_TICKS = 8  # segments marked one by one, so that their numbers stay upright on a narrow page


def influence(looks: Sequence[Look]) -> go.Figure:
    """How much the output moves with each segment, a colour a run; zeros are left out."""
    figure = new()
    for each in looks:
        figure.add_trace(_trace(_numbers(each.influence), _positive(each.influence), each.label, each.index))
    figure.update_yaxes(title_text="derivative of the output (1)", **_decades(figure))
    return _segments(figure, max(len(each.influence) for each in looks))


def norms(looks: Sequence[Look]) -> go.Figure:
    """Norm of the memory rows after each segment, a colour a run."""
    figure = new()
    for each in looks:
        figure.add_trace(_trace(_numbers(each.norms), each.norms, each.label, each.index))
    figure.update_yaxes(title_text="norm of the memory (1)", rangemode="tozero")
    return _segments(figure, max(len(each.norms) for each in looks))


def kept(looks: Sequence[Look]) -> go.Figure:
    """What the memory after T segments knows of the first: measured solid, by the rule alone dashed; zeros left out."""
    figure = new()
    for each in looks:
        totals, name = [row["T"] for row in each.kept], f"{each.label} ({each.rule})"
        measured, direct = (_positive([row[key] for row in each.kept]) for key in ("measured", "direct"))
        figure.add_trace(_trace(totals, measured, f"{name}, measured", each.index))
        figure.add_trace(_trace(totals, direct, f"{name}, by the rule alone", each.index, alone=True))
    figure.update_yaxes(title_text="kept of segment 1 (1)", **_decades(figure))
    ticks = sorted({row["T"] for each in looks for row in each.kept})
    figure.update_xaxes(title_text="segments T", type="log", tickvals=ticks, ticktext=[str(tick) for tick in ticks])
    return figure


def _trace(x: ArrayLike, y: ArrayLike, name: str, index: int, alone: bool = False) -> go.Scatter:
    """In double precision, unlike other lines: what is kept can be smaller than single precision holds."""
    symbol = SYMBOLS[index % len(SYMBOLS)] + ("-open" if alone else "")
    return go.Scatter(
        x=np.asarray(x, dtype="f8"),
        y=np.asarray(y, dtype="f8"),
        name=name,
        mode="lines+markers",
        line={"color": colour(index), "width": 1.5 if alone else 2, "dash": "dash" if alone else "solid"},
        marker={"size": 7, "symbol": symbol, "color": colour(index)},
    )


def _decades(figure: go.Figure) -> dict[str, Any]:
    """A logarithmic axis for what is drawn. Labels stand written out: a bare 2 would not say of which decade."""
    traces: Any = figure.data
    drawn = np.concatenate([np.asarray(trace.y, dtype="f8") for trace in traces])
    drawn = drawn[drawn > 0.0]
    if not len(drawn) or np.log10(drawn.max() / drawn.min()) >= NARROW:
        return {"type": "log", "exponentformat": "power"}
    return (
        {"type": "log", **DECADES} if drawn.min() > WRITTEN_OUT else {"type": "log", **DECADES, "exponentformat": "e"}
    )


def _positive(values: Sequence[float]) -> np.ndarray:
    """Gaps where a logarithmic axis has no place."""
    found = np.asarray(values, dtype="f8")
    return np.where(found > 0.0, found, np.nan)


def _numbers(values: Sequence[float]) -> np.ndarray:
    return np.arange(1, len(values) + 1)


def _segments(figure: go.Figure, most: int) -> go.Figure:
    # Left alone, the axis of a few segments gets ticks between them.
    figure.update_xaxes(title_text="segment t", dtick=1 if most <= MOST_TICKS else None, tick0=1)
    return figure.update_layout(showlegend=True)
