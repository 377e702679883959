"""What all figures for print share: colours, axes, and how they are written."""

import io
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import matplotlib
import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.curves import stimulus_on
from astro_sim.common.errors import InputError
from astro_sim.common.files import require_suffix, write_bytes

# No date in the file: the same data give the same file.
METADATA: dict[str, dict[str, str | None]] = {
    ".png": {},
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
MARKERS = "osD^vP"
STYLES = ("-", "--", "-.", ":")  # curves can coincide
DARK, SOFT = "#404040", "#808080"
DPI = 150  # of a PNG
COLUMN, PAGE = 3.5, 7.2  # inches: one and two columns of a journal
SMALL = 8  # points


Drawing = TypeVar("Drawing", bound=Callable[..., Any])


def plain(draw: Drawing) -> Drawing:
    """Draw in matplotlib's own style, whatever the user's matplotlibrc or program has set (LaTeX for letters, say)."""

    @wraps(draw)
    def drawn(*arguments: Any, **named: Any) -> Any:
        with matplotlib.style.context("default"):
            return draw(*arguments, **named)

    return cast(Drawing, drawn)


@plain
def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, whole or not at all; `InputError` on another suffix."""
    require_suffix(path, *METADATA)
    # The salt names the parts of an SVG; without one they are random. Letters stay letters in a PDF.
    style: dict[Any, Any] = {"svg.hashsalt": "rmaat", "pdf.fonttype": 42}
    suffix, content = Path(path).suffix.lower(), io.BytesIO()
    with matplotlib.rc_context(style):  # in memory: a full disk in the middle of a PDF would end in another error
        figure.savefig(content, format=suffix[1:], dpi=DPI, metadata=METADATA[suffix])
    write_bytes(path, content.getvalue())


def new(width: float = PAGE, height: float = 2.6) -> Figure:
    """An empty figure, sizes in inches, whose parts make room for each other."""
    return Figure(figsize=(width, height), layout="constrained")


def tidy(panels: Iterable[Axes], letters: bool = True) -> None:
    """Small letters, no box, titles to the left with a letter a panel."""
    panels = list(panels)
    for letter, axes in zip("abcdefghijklmnop", panels, strict=False):
        title = f"{letter}  {axes.get_title()}" if letters and len(panels) > 1 else axes.get_title()
        axes.set_title("")
        axes.set_title(title.strip(), loc="left", fontsize=SMALL + 1, fontweight="bold")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(which="both", labelsize=SMALL)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set_fontsize(SMALL)
            axis.get_offset_text().set_fontsize(SMALL)


def legend(axes: Axes, columns: int = 1, **more: Any) -> None:
    """A legend without a frame; none where nothing has a name."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=SMALL, ncols=columns, **more)


def legend_above(axes: Axes, columns: int) -> None:
    """A legend in the line of the title, to the right, where it hides no curve."""
    legend(axes, columns, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)


def shade(axes: Axes, dataset: xr.Dataset) -> None:
    """Grey background while input is on."""
    for start, end in stimulus_on(dataset):
        axes.axvspan(start, end, color=SOFT, alpha=0.12, linewidth=0)


def nothing(axes: Axes, why: str) -> None:
    """Say in a panel why it is empty."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center", color=SOFT, fontsize=SMALL)
    axes.set(xticks=[], yticks=[])


def dots(axes: Axes, at: float, values: Sequence[float], colour: str, marker: str = "o", label: str = "") -> None:
    """Every value as a small dot and their mean as a large mark, at one place."""
    axes.plot([at] * len(values), values, "o", color=colour, alpha=0.5, markersize=3)
    axes.plot([at], [float(np.mean(values))], marker, color=colour, markersize=7, markerfacecolor="none",
              markeredgewidth=1.5, linestyle="none", label=label or None)  # fmt: skip


def only(dataset: xr.Dataset, experiment: str, model: str) -> xr.Dataset:
    """The dataset, or `InputError` where it is of another experiment or model."""
    found = str(dataset.attrs.get("experiment")), str(dataset.attrs.get("model"))
    if found != (experiment, model):
        raise InputError(f"figure: expected a dataset of {experiment}, {model} model; got {found[0]}, {found[1]} model")
    return dataset
