"""Trained models in print: the four panels of the whole line, what each segment does to the output, tasks."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from analysis.curves import TOTALS, colour, per_synapse, series
from analysis.figures.laws import draw_law, draw_retention
from analysis.figures.style import MARKERS, PAGE, SMALL, SOFT, STYLES, legend, new, nothing, plain, shade, tidy
from astro_sim.common.errors import InputError
from bridge.laws import Laws
from rmaat.records import RunRecord

COLUMNS = 8  # pictures of Pathfinder a row
ANSWERS = {1: "one contour", 0: "two contours"}


@plain
def overview(datasets: Sequence[xr.Dataset], laws: Laws, record: RunRecord | None = None) -> Figure:
    """Draw the whole line in four panels: one cycle, the LTP curve with its law, retention, training.

    Parameters
    ----------
    datasets : sequence of xarray.Dataset
        Of the macro model: the first ``stp`` dataset gives p^s by layout; without one, an ``ltp`` dataset gives its
        first cycle. Others are passed over.
    laws : Laws
    record : RunRecord, optional
        Its accuracy over steps.
    """
    figure = new(9.0, 6.5)
    (cycle, law), (factor, accuracy) = figure.subplots(2, 2)
    _one_cycle(cycle, datasets)
    draw_law(law, laws)
    draw_retention(factor, laws, TOTALS)
    _training(accuracy, record)
    tidy([cycle, law, factor, accuracy])
    return figure


@plain
def influence(records: Sequence[RunRecord]) -> Figure:
    """Draw how far the output moves with each segment, and what is left of the first in the memory after T.

    Parameters
    ----------
    records : sequence of RunRecord
        Runs that ``rmaat inspect`` looked into; others are passed over. Derivatives are root mean squares over
        examples; their scales differ between runs, so compare shapes.

    Raises
    ------
    InputError
        None that was looked into.
    """
    looks = [(record, record.diagnostics) for record in records if record.diagnostics is not None]
    if not looks:
        raise InputError("figure: no run was looked into; expected diagnostics.json, rmaat inspect RUN makes it")
    figure = new(PAGE, 2.8)
    output, first = figure.subplots(1, 2)
    for index, (record, seen) in enumerate(looks):
        look = {"color": colour(index), "marker": MARKERS[index % len(MARKERS)], "markersize": 4}
        values = np.array(seen.influence)
        at = np.flatnonzero(values > 0)  # a logarithmic axis has no place for 0
        output.semilogy(at + 1, values[at], "-", label=record.path.name, **look)
        rows = [row for row in seen.first or [] if row.measured > 0]
        if len(rows) > 1:
            first.loglog([row.T for row in rows], [row.measured for row in rows], "-",
                         label=f"{record.path.name}, measured", **look)  # fmt: skip
            direct = [row for row in rows if row.direct > 0]
            first.loglog([row.T for row in direct], [row.direct for row in direct], "--", color=colour(index),
                         label="by the rule alone")  # fmt: skip
    output.set(title="Influence on the output", xlabel="segment", ylabel="derivative of the output (1)")
    first.set(title="What is left of segment 1", xlabel="segments T", ylabel="share in the memory (1)")
    output.xaxis.set_major_locator(MaxNLocator(integer=True))
    if first.lines:
        totals = sorted({row.T for _, seen in looks for row in seen.first or []})
        first.set_xticks(totals, [str(total) for total in totals])
        first.xaxis.set_minor_locator(NullLocator())
    else:
        nothing(first, "one segment, or no memory")
    legend(output)
    legend(first)
    tidy([output, first])
    return figure


@plain
def pathfinder(pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> Figure:
    """Draw pictures of Pathfinder: the first positives in the upper row, the first negatives in the lower one.

    Parameters
    ----------
    pictures : array, (pictures, size, size)
    labels : array, (pictures,)

    Raises
    ------
    InputError
        Fewer than 8 pictures of a label.
    """
    figure = new(COLUMNS, 2.1)
    for row, (label, answer) in zip(figure.subplots(2, COLUMNS), ANSWERS.items(), strict=True):
        shown = pictures[labels == label][:COLUMNS]
        if len(shown) < COLUMNS:
            raise InputError(f"pictures: expected {COLUMNS} of label {label}, got {len(shown)}")
        for axes, picture in zip(row, shown, strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(answer, fontsize=SMALL)
    return figure


def _one_cycle(axes: Axes, datasets: Sequence[xr.Dataset]) -> None:
    macro = [dataset for dataset in datasets if dataset.attrs["model"] == "macro"]
    by_name = {str(dataset.attrs["experiment"]): dataset for dataset in reversed(macro)}
    axes.set(xlabel="time (s)", ylabel="a.u.")
    if "stp" in by_name:
        axes.set(title="STP in one cycle, by layout", ylabel=r"$p^s$ (a.u.)")
        data = by_name["stp"]
        time = data["time"].values
        for index, layout in enumerate(data["layout"].values):
            p_s = per_synapse(data["p_s"].sel(layout=layout))
            axes.fill_between(time, p_s.min(axis=1), p_s.max(axis=1), color=colour(index), alpha=0.2, linewidth=0)
            style = STYLES[index % len(STYLES)]
            axes.plot(time, p_s.mean(axis=1), style, color=colour(index), label=str(layout))
        shade(axes, data.isel(layout=0))
    elif "ltp" in by_name and all(name in by_name["ltp"] for name in ("s", "p_s")):
        axes.set(title="First cycle")
        data = by_name["ltp"]
        data = data.sel(time=data["time"] <= float(data["tau_cycle"]))
        names = {"s": "$s$", "p_s": "$p^s$", "p_l": "$p^l$"}
        for index, (name, label) in enumerate(names.items()):
            axes.plot(data["time"], per_synapse(data[name]).mean(axis=1), color=colour(index), label=label)
        shade(axes, data)
    else:
        axes.set(title="One cycle")
        return nothing(axes, "no stp or ltp dataset given")
    legend(axes)


def _training(axes: Axes, record: RunRecord | None) -> None:
    axes.set(title="Training", xlabel="step", ylabel="accuracy")
    drawn = False
    for index, split in enumerate(("train", "valid") if record else ()):
        steps, values = series(record.metrics if record else [], split, "accuracy")
        if len(steps):
            width, alpha = (2.0, 1.0) if split == "valid" else (0.7, 0.5)
            axes.plot(steps, values, color=colour(index), label=split, linewidth=width, alpha=alpha)
            drawn = True
    if not drawn:
        return nothing(axes, "no run given" if record is None else "no logged steps yet")
    if record is not None and record.evaluation is not None:
        most = "majority class" if record.evaluation.bits_per_token is None else "most frequent token"
        axes.axhline(record.evaluation.majority, color=SOFT, linestyle=":", label=f"{most} (test)")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    legend(axes)
