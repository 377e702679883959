"""The law at every point of a sweep: how retention follows from the biology, point by point."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from astro_sim.dataset import check, grid_of, stands_for
from bridge import families
from bridge.curves import REPEATED, Curve, read_curve
from bridge.fitting import CurveFit, fit_curve

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SweptLaw:
    """The law of one point of a sweep.

    Attributes
    ----------
    point : dict of str to value
        Settings of the point, without those that repeat it (seed, layout).
    curve : Curve or None
        None where the point failed, or has no curve that rises.
    fit : CurveFit or None
    failure : str
        Why there is none; empty otherwise.

    Its representation is a line: the point, and the parameters or the failure.
    """

    point: dict[str, Any]
    curve: Curve | None
    fit: CurveFit | None
    failure: str

    def __repr__(self) -> str:
        point = ", ".join(f"{name}={value!r}" for name, value in self.point.items())
        if self.fit is None:
            return f"SweptLaw({point}: no law, {self.failure})"
        values = ", ".join(f"{name} {value:.5g}" for name, value in self.fit.values.items())
        return f"SweptLaw({point}: {self.fit.family.name}, {values}{'' if self.fit.converged else ', not converged'})"

    def level(self, cycles: Array) -> Array:
        """The fitted p^l at ``cycles``, in the unit of the curve."""
        curve, fit = self._sound()
        return curve.levels[0] + fit.amplitude.value * fit.family.level(cycles, fit.values)

    def retention(self, total: int) -> Array:
        """RetentionFactor(t, T) for t = 1 .. ``total``."""
        _, fit = self._sound()
        return fit.family.retention(total, fit.values)

    def _sound(self) -> tuple[Curve, CurveFit]:
        if self.curve is None or self.fit is None:
            raise InputError(f"no law at {self.point}: {self.failure}")
        return self.curve, self.fit


def fit_sweep(dataset: xr.Dataset, family: str = "exponential") -> list[SweptLaw]:
    """Fit one family to the LTP curve of every point of a sweep.

    A plain least-squares fit a point, without choice of a family or of where noise enters. Intervals are those that
    every fit keeps, symmetric in the logarithm, and NaN where the residuals are no noise. For a single point
    `bridge.fit_laws` says more.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of ``astro_sim.sweep("ltp", ...)``. Points that differ in ``seed`` or ``layout`` alone are repetitions: their
        curves are averaged.
    family : str
        A parametric family.

    Returns
    -------
    list of SweptLaw
        In the order of the grid, the last setting fastest.

    Raises
    ------
    InputError
        No sweep, not of ltp, an unknown family, or the spline.

    Examples
    --------
    >>> runs = astro_sim.sweep("ltp", {"tau_p_l": [30, 60]}, cycles=12, burn_in=3)
    >>> bridge.fit_sweep(runs)
    [SweptLaw(tau_p_l=30.0: exponential, tau 3), SweptLaw(tau_p_l=60.0: exponential, tau 6)]
    """
    grid = grid_of(check(dataset))
    if not grid or stands_for(dataset) != "ltp":
        raise InputError("expected a sweep of ltp; rmaat simulate ltp --sweep NAME=VALUES makes one")
    if family == "spline":
        raise InputError("family: expected a parametric one, got 'spline'")
    chosen = families.get(family)
    found = []
    for point, run in _points(dataset, grid):
        try:
            curve = read_curve(run)
            found.append(SweptLaw(point, curve, fit_curve(curve.rise, chosen), ""))
        except InputError as error:
            found.append(SweptLaw(point, None, None, _failure(run) or str(error)))
    return found


def _points(dataset: xr.Dataset, grid: dict[str, list[Any]]) -> Iterator[tuple[dict[str, Any], xr.Dataset]]:
    """Every point, with what repeats it still as a sweep, as `read_curve` takes it."""
    asked = [dim for dim in grid if dim not in REPEATED]
    again = {dim: values for dim, values in grid.items() if dim in REPEATED}
    one = dataset[[name for name in ("p_l_cycle", "tau_cycle", "failure") if name in dataset]]
    for place in product(*(range(len(grid[dim])) for dim in asked)):
        run = one.isel(dict(zip(asked, place, strict=True)))
        run = run.dropna("cycle", how="all", subset=["p_l_cycle"])  # points of fewer cycles are filled up
        run.attrs = {name: value for name, value in dataset.attrs.items() if name != "sweep"}
        if again:
            run.attrs["sweep"] = json.dumps(again)
        yield {dim.removeprefix("swept_"): grid[dim][at] for dim, at in zip(asked, place, strict=True)}, run


def _failure(run: xr.Dataset) -> str:
    """The message of a point all of whose repetitions failed."""
    messages = [str(each) for each in np.ravel(run["failure"].values)]
    return messages[0] if all(messages) else ""
