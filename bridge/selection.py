"""Which family: every one is fitted, AICc chooses, other evidence stands beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError, did_you_mean
from bridge import families
from bridge.curves import Curve
from bridge.families import Family
from bridge.fitting import NOISES, CurveFit, Noise, fit_curve, held_out_error

Array = NDArray[np.float64]

PERSISTENT = 0.5  # a cycle's share of a deviation, above which noise enters through the dynamics (chosen)


@dataclass(frozen=True)
class Attempt:
    """A family's attempt at a curve, with its error on held-out later cycles (over the largest sample)."""

    fit: CurveFit
    held_out: float


@dataclass(frozen=True)
class Comparison:
    """Attempts, best first, all with noise in the same place, and how that place is known."""

    attempts: list[Attempt]
    noise_origin: str


def compare(curve: Curve, family: str | None = None, noise: Noise | None = None) -> Comparison:
    """Fit families to a curve, best first.

    Parameters
    ----------
    curve : Curve
    family : str, optional
        Put this one first, whatever the evidence; the spline takes part only if it is named here.
    noise : {"levels", "dynamics"}, optional
        Where noise enters; by default as the replicates show it, or without replicates the lowest AICc of any family.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        No such family, or no such place for noise.
    """
    if noise is not None and noise not in NOISES:
        raise InputError(f"unknown noise {noise!r}; {did_you_mean(noise, NOISES)}")
    tried: Sequence[Family] = [*families.FAMILIES.values()]
    if family == "spline":
        tried = [*tried, families.spline(families.knots_for(len(curve.rise)))]
    elif family is not None:
        families.get(family)
    ranked: dict[Noise, list[CurveFit]] = {
        each: ranking(curve.rise, tried, each, curve.spread(each == "dynamics"))
        for each in (NOISES if noise is None else (noise,))
    }
    noise, origin = (noise, "stated") if noise is not None else _place_noise(curve, ranked)
    best = ranked[noise]
    ordered = sorted(best, key=lambda fit: fit.family.name != family) if family else best
    spread = curve.spread(noise == "dynamics")
    return Comparison([Attempt(fit, held_out_error(curve.rise, fit.family, noise, spread)) for fit in ordered], origin)


def ranking(rise: Array, tried: Sequence[Family], noise: Noise, spread: Array | None = None) -> list[CurveFit]:
    """Fits of families with noise in one place: in the order of AICc, those that did not converge last."""
    fits = [fit_curve(rise, family, noise, spread) for family in tried]
    return sorted(fits, key=lambda fit: (not fit.converged, fit.aicc))


def likelier(ranked: Mapping[Noise, Sequence[CurveFit]]) -> Noise:
    """Where noise enters by the lowest AICc of any family, from the ranking with noise in either place."""
    return min(NOISES, key=lambda kind: (not ranked[kind][0].converged, ranked[kind][0].aicc))


def _place_noise(curve: Curve, ranked: dict[Noise, list[CurveFit]]) -> tuple[Noise, str]:
    """Where noise enters, and how that is known."""
    quiet = ranked["levels"][0]
    if quiet.converged and not quiet.noisy:
        return "levels", "no noise to place"
    if (persistence := curve.persistence) is not None:
        kind: Noise = "dynamics" if persistence > PERSISTENT else "levels"
        return kind, f"deviations of {curve.count} replicates from their mean persist by {persistence:.2f} a cycle"
    return likelier(ranked), "lowest AICc; below 24 cycles it hardly ever finds noise in the dynamics"
