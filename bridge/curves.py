"""The curve in an ltp dataset: its mean, what was averaged, and how much that scatters."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from astro_sim.dataset import grid_of, require_single

Array = NDArray[np.float64]

FEWEST_CYCLES = 5  # amplitude, time constant and variance leave AICc finite from 5 samples on
REPEATED = ("seed", "layout")  # settings whose sweep repeats an experiment rather than asking another question
OUTER = ("seed", "layout", "repetition")  # independent of one another, which synapses of one network may not be
FEWEST_UNITS = 5  # replicates from which a spread over them is an estimate (chosen)
LARGEST = 1e100  # of a curve, and its inverse the smallest: squares of squares are still numbers
PRIOR = 4.0  # cycles' worth of trust that all cycles scatter alike, against the spread found at each (chosen)


@dataclass(frozen=True)
class Curve:
    """An LTP curve.

    Attributes
    ----------
    replicates : array, (outer units, inner units, cycles + 1)
        p^l at the ends of cycles 0 .. n: outer units are repetitions (seeds, layouts), inner ones synapses.
    averaged : dict of str to int
        Dimensions that were averaged over, and their sizes.
    tau_cycle : float
        s.
    unit : str
        Of p^l.
    """

    replicates: Array
    averaged: dict[str, int]
    tau_cycle: float
    unit: str

    @property
    def levels(self) -> Array:
        """Mean over all replicates, (cycles + 1,)."""
        return self.replicates.mean((0, 1))

    @property
    def rise(self) -> Array:
        """p_t - p_0 at cycles 1 .. n."""
        levels = self.levels
        return levels[1:] - levels[0]

    @property
    def count(self) -> int:
        """Number of replicates."""
        return self.replicates.shape[0] * self.replicates.shape[1]

    @property
    def persistence(self) -> float | None:
        """Share of a replicate's deviation from the mean that is left a cycle later; None where nothing repeats.

        0 where every sample errs on its own; what the law itself keeps, exp(-1/tau) say, where the dynamics err.
        """
        if self.spread() is None:
            return None
        flat = self.replicates.reshape(self.count, -1)
        away = (flat - flat.mean(0))[:, 1:]
        return float((away[:, 1:] * away[:, :-1]).sum() / (away[:, :-1] ** 2).sum())

    def spread(self, increments: bool = False) -> Array | None:
        """Standard error of the mean at cycles 1 .. n, or of its increments.

        Returns
        -------
        array, (cycles,), or None
            None where fewer than five replicates differ: nothing to weigh by.
        """
        flat = self.replicates.reshape(self.count, -1)
        risen = np.diff(flat, axis=1) if increments else flat[:, 1:] - flat[:, :1]
        if self.count < FEWEST_UNITS:
            return None
        variance = risen.var(0, ddof=1)
        if not variance.mean() > (1e-9 * np.abs(risen).max()) ** 2:
            return None
        # A variance from a few replicates is itself uncertain: it is drawn towards the mean over the cycles.
        trust = self.count - 1
        variance = (trust * variance + PRIOR * variance.mean()) / (trust + PRIOR)
        return np.sqrt(variance / self.count)


def read_curve(dataset: xr.Dataset) -> Curve:
    """Read the curve off a checked ltp dataset: a run, or a sweep over ``seed`` or ``layout``.

    Raises
    ------
    InputError
        No cycles, too few of them, a sweep over something else, or a curve that falls or stays flat beyond its noise.
    """
    if "p_l_cycle" not in dataset:
        raise InputError("p_l_cycle: missing; expected an ltp dataset of cycles, not of STDP pairs")
    grid = grid_of(dataset)
    if grid and not set(grid) <= set(REPEATED):
        require_single(dataset)
    variable = dataset["p_l_cycle"]
    outer = [str(dim) for dim in variable.dims if dim in OUTER]
    inner = [str(dim) for dim in variable.dims if dim not in (*OUTER, "cycle")]
    values = variable.transpose(*outer, *inner, "cycle").values
    sizes = [variable.sizes[dim] for dim in outer], [variable.sizes[dim] for dim in inner]
    replicates = values.reshape(int(np.prod(sizes[0])), int(np.prod(sizes[1])), -1)
    averaged = {dim: variable.sizes[dim] for dim in (*outer, *inner)}
    if grid:  # points that failed hold NaN
        sound = np.isfinite(replicates).all((1, 2))
        if not sound.all():
            replicates = replicates[sound]
            averaged = {" x ".join(outer): int(sound.sum()), **{dim: variable.sizes[dim] for dim in inner}}
    tau_cycle = np.unique(dataset["tau_cycle"].values[np.isfinite(dataset["tau_cycle"].values)])
    if len(tau_cycle) != 1 or not tau_cycle[0] > 0:
        raise InputError(f"tau_cycle: expected a length above 0 s, got {', '.join(f'{each:g}' for each in tau_cycle)}")
    if variable.attrs.get("units") not in ("1", "a.u."):
        raise InputError(f"p_l_cycle: expected the unit 1 or a.u., got {variable.attrs.get('units')!r}")
    largest = float(np.abs(replicates).max(initial=0.0))
    if not largest <= LARGEST or 0 < largest < 1 / LARGEST:
        raise InputError(
            f"p_l_cycle: expected values up to {LARGEST:g}, the largest above {1 / LARGEST:g}, got {largest:g}; give "
            "the curve in another unit"
        )
    curve = Curve(
        replicates=replicates,
        averaged=averaged,
        tau_cycle=float(tau_cycle[0]),
        unit=str(variable.attrs["units"]),
    )
    _require_rise(curve)
    return curve


def _require_rise(curve: Curve) -> None:
    rise = curve.rise
    if len(rise) < FEWEST_CYCLES:
        raise InputError(f"p_l_cycle: expected at least {FEWEST_CYCLES} cycles to fit a law to, got {len(rise)}")
    spread = curve.spread()
    noise = 2.0 * spread[-1] if spread is not None else 0.0
    late = float(rise[-max(1, len(rise) // 4) :].mean())  # late increments may be negative within the noise
    if not (late > noise and np.abs(rise).max() < 2 * late):
        raise InputError("p_l_cycle: expected a curve that rises from cycle 0 to the last; this one is flat or falls")
    if np.ptp(rise) <= 1e-9 * late:
        raise InputError("p_l_cycle: expected a rise over several cycles; this curve is flat after the first")
