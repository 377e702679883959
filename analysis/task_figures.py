"""Figures for print of what the tasks ask."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.figures import save
from astro_sim.common.errors import InputError

COLUMNS = 8
ANSWERS = {1: "one contour", 0: "two contours"}


def pathfinder_examples(pictures: NDArray[np.uint8], labels: NDArray[np.int64], *, path: str | Path) -> None:
    """Draw pictures of Pathfinder: the first positives in the upper row, the first negatives in the lower one.

    Parameters
    ----------
    pictures : array, (pictures, size, size)
    labels : array, (pictures,)
    path : path
        As of `analysis.figures.save`.

    Raises
    ------
    InputError
        Fewer than 8 pictures of a label.

    Examples
    --------
    docs/images/pathfinder.png shows the first pictures of series 0::

        drawn = [rmaat.tasks.snakes.draw(0, index) for index in range(40)]
        pictures, labels = np.array([each.pixels for each in drawn]), np.array([each.label for each in drawn])
        pathfinder_examples(pictures, labels, path="docs/images/pathfinder.png")
    """
    figure = Figure(figsize=(COLUMNS, 2.1), layout="constrained")
    for row, (label, answer) in zip(figure.subplots(2, COLUMNS), ANSWERS.items(), strict=True):
        shown = pictures[labels == label][:COLUMNS]
        if len(shown) < COLUMNS:
            raise InputError(f"pictures: expected {COLUMNS} of label {label}, got {len(shown)}")
        for axes, picture in zip(row, shown, strict=True):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        row[0].set_ylabel(answer, fontsize=8)
    save(figure, path)
