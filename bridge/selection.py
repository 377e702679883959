"""Which family: every one is fitted, AICc chooses, other evidence stands beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from astro_sim.common.errors import InputError, did_you_mean
from bridge import families
from bridge.curves import Curve
from bridge.families import Family
from bridge.fitting import NOISES, CurveFit, Noise, fit_curve, held_out_error


@dataclass(frozen=True)
class Attempt:
    """A family's attempt at a curve, with its error on held-out later cycles (over the largest sample)."""

    fit: CurveFit
    held_out: float


def compare(curve: Curve, family: str | None = None, noise: Noise | None = None) -> list[Attempt]:
    """Fit families to a curve, best first.

    Parameters
    ----------
    curve : Curve
    family : str, optional
        Put this one first, whatever the evidence; the spline takes part only if it is named here.
    noise : {"levels", "dynamics"}, optional
        Where noise enters; by default as the lowest AICc of any family has it.

    Returns
    -------
    list of Attempt
        In the order of AICc, fits that did not converge last; all with noise in the same place.

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
    kinds = NOISES if noise is None else (noise,)
    ranked = [ranking(curve, tried, each) for each in kinds]
    # Without noise there is nothing to place: then the simpler reading, the first.
    quiet = ranked[0][0].converged and not ranked[0][0].noisy
    best = ranked[0] if quiet else min(ranked, key=lambda fits: (not fits[0].converged, fits[0].aicc))
    ordered = sorted(best, key=lambda fit: fit.family.name != family) if family else best
    return [
        Attempt(fit, held_out_error(curve.rise, fit.family, fit.noise, curve.spread(fit.noise == "dynamics")))
        for fit in ordered
    ]


def ranking(curve: Curve, tried: Sequence[Family], noise: Noise) -> list[CurveFit]:
    """Fits of families with noise in one place, best first."""
    spread = curve.spread(noise == "dynamics")
    fits = [fit_curve(curve.rise, family, noise, spread) for family in tried]
    return sorted(fits, key=lambda fit: (not fit.converged, fit.aicc))
