"""The other way round: from a law to the biology whose law is nearest to it.

The distance between two laws is the total variation between their RetentionFactor(., T), averaged over several T: the
share of weight that lies on other segments. A simulated curve p_0, p_1, ... gives RetentionFactor(t, T) outright, as
(p_t - p_{t-1}) / (p_T - p_0), so no family stands between the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import optimize

from astro_sim.common.errors import InputError, require_whole
from astro_sim.common.progress import Progress
from astro_sim.dataset import settings_of
from bridge.exploration import runs
from bridge.families.base import total_variation
from bridge.laws import Laws

Array = NDArray[np.float64]

TOTALS = (4, 8, 16)
MEMBERS = 6  # of the population a parameter (chosen)
CLOSE = 1e-4  # a distance that no model shows; the search ends there (chosen)
NO_LAW = 1.0  # distance of a simulation without a law: the largest that there is


@dataclass(frozen=True)
class Match:
    """Parameters whose law is nearest to the target.

    Attributes
    ----------
    parameters : dict of str to float
        In the units of the settings.
    distance : float
        What is left, mean over T.
    distances : dict of int to float
        At every T.
    before : float
        Distance of the simulation that was not varied.
    at_end : tuple of str
        Parameters that ended at an end of their range (within 1 % of its logarithmic width): a wider one may bring
        more.
    runs, failed : int
        Simulations, and those among them without a law.
    dataset : xarray.Dataset
        The simulation at ``parameters``; `bridge.fit_laws` takes it.
    """

    parameters: dict[str, float]
    distance: float
    distances: dict[int, float]
    before: float
    at_end: tuple[str, ...]
    runs: int
    failed: int
    dataset: xr.Dataset

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Head and rows: the parameters."""
        rows = [(name, f"{v:.5g}", "at an end" if name in self.at_end else "") for name, v in self.parameters.items()]
        return ("parameter", "value", ""), rows

    def lines(self, aim: Laws) -> list[str]:
        """How near the law came to the one that was asked for, and in which model."""
        apart = ", ".join(f"T = {total} {distance:.2g}" for total, distance in self.distances.items())
        searched = runs.named(str(self.dataset.attrs["model"]), settings_of(self.dataset))
        own = {runs.named(one.model, one.settings) for one in aim.document.sources if one.experiment == "ltp"}
        other = "" if searched in own else f"; the law itself is of: {' and '.join(sorted(own))}"
        return [
            f"distance left {self.distance:.2g} ({apart}), before {self.before:.2g}; {self.runs} simulations",
            f"searched: {searched}{other}",
        ]


def match(
    target_law: Laws,
    model: str = "macro",
    bounds: runs.Ranges | None = None,
    totals: Sequence[int] = TOTALS,
    generations: int = 15,
    seed: int = 0,
    workers: int | None = None,
    **settings: Any,
) -> Match:
    """Find simulation parameters whose law is nearest to a given one, for example one learned by training.

    Parameters
    ----------
    target_law : Laws
    model : {"macro", "biophysical"}
        The macro model with bounded LTP.
    bounds : mapping of str to (float, float), optional
        Parameters to move and their positive ends, in the units of the settings; by default `runs.EXPLORED`.
    totals : sequence of int
        T at which laws are compared; the largest must not exceed the simulated cycles.
    generations : int
        Of differential evolution, each of 6 simulations a parameter. The ends of the search are the bounds.
    seed : int
        Of the search and of every simulation.
    workers : int, optional
        Processes of a model on Brian2; by default one a core.
    **settings
        Of the experiment, the same for all runs.

    Returns
    -------
    Match

    Raises
    ------
    InputError
        Unknown names, bounds that are none, the linear macro model, T beyond the cycles, or no simulation with a law.
    """
    wanted = sorted({int(total) for total in totals})
    if not wanted or wanted[0] < 2 or any(isinstance(total, bool) for total in totals):
        raise InputError(f"totals: expected numbers of segments from 2, got {[*totals]}")
    generations = require_whole("generations", generations, 0)
    shared, reference = runs.start(model, settings, seed, workers)
    cycles = reference["p_l_cycle"].sizes["cycle"] - 1
    if wanted[-1] > cycles:
        raise InputError(f"totals: expected at most the {cycles} simulated cycles, got {wanted[-1]}")
    asked = runs.complete(model, reference, bounds)
    aims = {total: target_law.retention(total) for total in wanted}
    low, high = np.log([*asked.values()]).T
    done = {"runs": 0, "failed": 0}

    def distances(columns: Array) -> Array:
        """Of a population, (parameters, members)."""
        sets = runs.points(asked, columns.T)
        found = [_apart(each, aims) for each in runs.run(model, shared, sets, seed, workers)]
        done["runs"] += len(found)
        progress.advance(note=f"{len(found)} simulations each")
        done["failed"] += sum(each is None for each in found)
        return np.array([NO_LAW if each is None else float(np.mean([*each.values()])) for each in found])

    with Progress("matching", generations + 1) as progress:
        found: Any = optimize.differential_evolution(
            distances,
            [*zip(low, high, strict=True)],
            strategy="best1bin",
            maxiter=generations,
            popsize=MEMBERS,
            tol=0.0,
            callback=lambda intermediate_result: bool(intermediate_result.fun < CLOSE),
            rng=np.random.default_rng(seed),
            polish=False,
            vectorized=True,
            updating="deferred",
        )
    (parameters,) = runs.points(asked, found.x[None])
    (best,) = runs.run(model, shared, [parameters], seed, workers)
    apart = _apart(best, aims)
    if apart is None or isinstance(best, str):
        raise InputError(f"match: none of {done['runs']} simulations gave a law")
    start = _apart(reference, aims)
    near = np.minimum(found.x - low, high - found.x) < 0.01 * (high - low)
    return Match(
        parameters=parameters,
        distance=float(np.mean([*apart.values()])),
        distances=apart,
        before=NO_LAW if start is None else float(np.mean([*start.values()])),
        at_end=tuple(name for name, ends in zip(asked, near, strict=True) if ends),
        runs=done["runs"],
        failed=done["failed"],
        dataset=best,
    )


def _apart(dataset: xr.Dataset | str, aims: Mapping[int, Array]) -> dict[int, float] | None:
    """Distance to the aims at every T; None of a simulation without a law."""
    curve = runs.curve_of(dataset)
    if isinstance(curve, str):
        return None
    increments = np.diff(curve.levels)
    rises = {total: float(curve.rise[total - 1]) for total in aims}
    if min(rises.values()) <= 0:
        return None
    return {total: total_variation(increments[:total] / rises[total], aim) for total, aim in aims.items()}
