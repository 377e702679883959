"""The numbers behind the pictures, for the report's figures and those for print alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bridge.laws import Laws

Array = NDArray[np.float64]

MOST_POINTS = 2000  # of one trace; more than a screen has columns
TOTALS = (4, 8, 16, 32)  # T; the paper uses 16 segments and fewer
# Bars and bands narrower than this share of what is drawn hide behind its marks and lines.
VISIBLE = 0.01
STEPS_TO_WAIT = 1.25  # intervals from cell to cell, after which a front without a new one has stopped (chosen)

# Okabe and Ito (2008): told apart with any colour vision. Not black and yellow, lost on dark and on light.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#808080"


def colour(index: int) -> str:
    """Colour of the ``index``-th line; starts over after the sixth."""
    return PALETTE[index % len(PALETTE)]


def thin(x: ArrayLike, y: ArrayLike, most: int = MOST_POINTS) -> tuple[Array, Array]:
    """At most ``most`` points of a curve.

    The ends stay, and of every stretch its lowest and highest point: a stride would alias a square wave and
    lose peaks.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(x) <= most:
        return x, y
    keep = {0, len(x) - 1}
    for stretch in np.array_split(np.arange(len(x)), most // 2 - 1):
        keep.update((int(stretch[np.argmin(y[stretch])]), int(stretch[np.argmax(y[stretch])])))
    order = np.array(sorted(keep))
    return x[order], y[order]


def per_synapse(variable: xr.DataArray) -> Array:
    """(time, post, pre) -> (time, synapses)."""
    return variable.transpose(..., "post", "pre").values.reshape(variable.sizes[variable.dims[0]], -1)


def distinct(curves: Array, tolerance: float = 1e-6) -> Array:
    """Columns of (time, curves) that differ by more than ``tolerance`` of the largest value."""
    kept: list[int] = []
    for index in range(curves.shape[1]):
        apart = np.abs(curves[:, kept] - curves[:, [index]]).max(axis=0)
        if (apart > tolerance * np.abs(curves).max()).all():
            kept.append(index)
    return curves[:, kept]


def stimulus_on(dataset: xr.Dataset) -> list[tuple[float, float]]:
    """Periods (start, end) in seconds during which any neuron gets input; none if inputs are not stored."""
    names = [name for name in ("input_pre", "input_post") if name in dataset]
    if not names:
        return []
    on = np.zeros(dataset.sizes["time"], dtype=bool)
    for name in names:
        on |= (np.abs(dataset[name].transpose("time", ...).values) > 0).any(axis=1)
    time = dataset["time"].values
    # Inputs are those in force just after a sample, so a change at a sample begins or ends a period there.
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int)))
    ends = np.append(time, time[-1])
    return [(float(ends[a]), float(ends[b])) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def still_spreading(dataset: xr.Dataset) -> float | None:
    """End of a run (s) that cut a wave off: its front had time for one more cell at most. None where it had stopped.

    What such a run reached is no measure of how far the wave goes.
    """
    onset, speed = dataset["onset"].values, float(dataset["speed"]) if "speed" in dataset else np.nan
    reached = np.isfinite(onset)
    if reached.all() or not reached.any() or not np.isfinite(speed):
        return None
    end = float(dataset["time"].values[-1])
    return end if end - onset[reached].max() <= STEPS_TO_WAIT / speed else None


def through_means(x: ArrayLike, y: ArrayLike, slope: float, at: ArrayLike) -> Array:
    """exp of the line of a given slope through the means of ``x`` and log ``y``.

    A fitted line passes through them: that gives the intercept, which laws leave out.
    """
    return np.exp(np.log(y).mean() + slope * (np.asarray(at) - np.asarray(x, dtype=float).mean()))


def law_level(laws: Laws, cycles: ArrayLike) -> Array:
    """The fitted curve p^l at ``cycles`` (not only whole ones), a.u."""
    law = laws.document.retention
    return law.start + law.amplitude.value * laws.family.level(cycles, laws.parameters)


@dataclass(frozen=True)
class Retention:
    """RetentionFactor(t, T) at t = 1 .. T.

    Attributes
    ----------
    total : int
        T.
    t, factor : array, (T,)
    low, high : array, (T,), or None
        Where 95 % of the resampled laws lie, segment by segment; None where the law has no draws.
    extrapolates : bool
        T lies beyond the simulated cycles, so the whole curve does: p_T normalises it. Not where perturbed weights
        stand in place of the curve.
    """

    total: int
    t: Array
    factor: Array
    low: Array | None
    high: Array | None
    extrapolates: bool

    @property
    def width(self) -> float:
        """Of the band, at its widest, over the largest factor; 0 where there is none."""
        if self.low is None or self.high is None:
            return 0.0
        return float((self.high - self.low).max() / self.factor.max())

    @property
    def edges(self) -> tuple[Array, Array] | None:
        """Low and high where a band can be seen between them, else None."""
        return (
            (self.low, self.high) if self.low is not None and self.high is not None and self.width > VISIBLE else None
        )


def retention_curves(laws: Laws, totals: Sequence[int] = TOTALS) -> list[Retention]:
    """RetentionFactor with its band, for every T in ``totals``."""
    curves = []
    for total in totals:
        low, high = laws.band(total) or (None, None)
        curves.append(
            Retention(
                total=total,
                t=np.arange(1, total + 1, dtype=float),
                factor=laws.retention(total),
                low=low,
                high=high,
                extrapolates=laws.parametric and laws.extrapolates(total),
            )
        )
    return curves


def drawn_spread(laws: Laws) -> Array | None:
    """Standard errors of the samples; None where there are none, or none that could be seen."""
    law = laws.document.retention
    if law.spread is None or law.noise != "levels" or hidden_spread(laws) is not None:
        return None
    return np.array(law.spread)


def hidden_spread(laws: Laws) -> float | None:
    """Largest standard error of the samples where all are too small to be seen; None where they are not."""
    law = laws.document.retention
    if law.spread is None or law.noise != "levels":
        return None
    largest, rise = max(law.spread), float(np.abs(np.subtract(law.samples, law.start)).max())
    return largest if largest < VISIBLE * rise else None


def law_path(metrics: Sequence[dict], name: str) -> tuple[Array, Array]:
    """Steps and values of one parameter of a law that training moved; rows without it are left out."""
    rows = [{**row, **row["laws"]} for row in metrics if isinstance(row.get("laws"), dict)]
    return series(rows, "train", name)


def series(metrics: Sequence[dict], split: str, name: str) -> tuple[Array, Array]:
    """Steps and values of one metric of one split; rows without it are left out."""
    rows = [
        (row["step"], row[name])
        for row in metrics
        if row.get("split") == split and isinstance(row.get(name), int | float) and isinstance(row.get("step"), int)
    ]
    steps, values = zip(*rows, strict=True) if rows else ((), ())
    return np.array(steps, dtype=float), np.array(values, dtype=float)
