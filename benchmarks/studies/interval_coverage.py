"""How often 95 % intervals hold the truth: simulated curves of every family, with noise of either kind."""

from typing import Any

import numpy as np

from benchmarks.registry import Benchmark, require
from benchmarks.studies.curves import TRUTHS, curve, side_by_side
from bridge.families import FAMILIES
from bridge.fitting import AMPLITUDE, NOISES, Noise, fit_curve
from bridge.intervals import Profile

REPEATS, CYCLES, DEVIATION = 1000, 24, 0.01


def trial(name: str, noise: Noise, repeat: int) -> list[tuple[bool, bool]]:
    """Of one curve: whether log-t and profile interval hold each parameter and the amplitude."""
    rise = curve(name, noise, CYCLES, DEVIATION, repeat)
    fit = fit_curve(rise, FAMILIES[name], noise)
    held = []
    for parameter, value in truths(name).items():
        fitted = fit.amplitude if parameter == AMPLITUDE.name else fit.parameters[parameter]
        symmetric = bool(fitted.low <= value <= fitted.high)  # none, NaN, holds nothing
        held.append((symmetric, Profile(rise, fit, parameter).holds(value)))
    return held


def truths(name: str) -> dict[str, float]:
    """Parameters of the curves of a family, their amplitude among them."""
    return {**TRUTHS[name], AMPLITUDE.name: 1.0}


def coverage(name: str, noise: Noise, repeats: int = REPEATS) -> dict[str, np.ndarray]:
    """Shares of repeats in which each parameter's intervals hold the truth: parameter -> (log-t, profile)."""
    shares = np.mean(side_by_side(trial, [(name, noise, repeat) for repeat in range(repeats)], chunk=50), axis=0)
    return dict(zip(truths(name), shares, strict=True))


def check() -> None:
    """Without noise to speak of, both intervals close in on the truth."""
    fit = fit_curve(curve("hill", "levels", CYCLES, 1e-3, 0), FAMILIES["hill"])
    ratio = fit.parameters["K"].value / TRUTHS["hill"]["K"]
    require(abs(ratio - 1) <= 0.01, "the fit misses the truth without noise")


def measure() -> list[dict[str, Any]]:
    """A row a kind of noise, family and parameter."""
    return [
        {
            "noise in": noise,
            "family": name,
            "parameter": parameter,
            "truth": truths(name)[parameter],
            "log-t": round(float(shares[0]), 3),
            "profile": round(float(shares[1]), 3),
        }
        for noise in NOISES
        for name in TRUTHS
        for parameter, shares in coverage(name, noise).items()
    ]


BENCHMARK = Benchmark(
    f"share of {REPEATS} curves of {CYCLES} cycles with {DEVIATION:.0%} noise whose 95 % interval holds the truth",
    check,
    measure,
)
