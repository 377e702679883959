"""How often 95 % intervals hold the truth: simulated curves of every family, with noise of either kind."""

import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.registry import Benchmark
from bridge.bootstrap import noisy_curve
from bridge.families import FAMILIES
from bridge.fitting import AMPLITUDE, NOISES, Noise, fit_curve
from bridge.profile import Profile

REPEATS, CYCLES, DEVIATION = 1000, 24, 0.01
BLOCK = 50  # repeats a task of the pool
# Saturation within sight, and parameters far from where two families are the same.
TRUTHS: dict[str, dict[str, float]] = {
    "exponential": {"tau": 6.0},
    "double_exponential": {"tau": 1.5, "ratio": 6.0, "weight": 0.5},
    "stretched_exponential": {"tau": 6.0, "b": 0.7},
    "hill": {"K": 5.0, "n": 2.0},
    "power_law": {"tau": 3.0, "a": 2.0},
    "logistic": {"tau": 4.0, "B": 5.0},
}


def block(name: str, noise: Noise, start: int, count: int) -> dict[str, np.ndarray]:
    """Of so many repeats: whether log-t and profile interval hold each parameter, (repeats, 2)."""
    family, truth = FAMILIES[name], {**TRUTHS[name], AMPLITUDE.name: 1.0}
    held: dict[str, list[tuple[bool, bool]]] = {parameter: [] for parameter in truth}
    for repeat in range(start, start + count):
        rng = np.random.default_rng([zlib.crc32(f"{name} {noise}".encode()), repeat])
        rise = noisy_curve(family, TRUTHS[name], 1.0, DEVIATION, CYCLES, noise, rng)
        fit = fit_curve(rise, family, noise)
        for parameter, value in truth.items():
            found = fit.amplitude if parameter == AMPLITUDE.name else fit.parameters[parameter]
            symmetric = bool(found.low <= value <= found.high)  # none, NaN, holds nothing
            held[parameter].append((symmetric, Profile(rise, fit, parameter).holds(value)))
    return {parameter: np.array(rows) for parameter, rows in held.items()}


def coverage(name: str, noise: Noise, repeats: int = REPEATS, workers: int | None = None) -> dict[str, np.ndarray]:
    """Shares of repeats in which each parameter's intervals hold the truth: parameter -> (log-t, profile)."""
    starts = range(0, repeats, BLOCK)
    with ProcessPoolExecutor(workers or os.cpu_count()) as pool:
        blocks = list(pool.map(block, *zip(*[(name, noise, s, min(BLOCK, repeats - s)) for s in starts], strict=True)))
    return {parameter: np.concatenate([b[parameter] for b in blocks]).mean(0) for parameter in blocks[0]}


def check() -> None:
    """Without noise to speak of, both intervals close in on the truth."""
    family, truth = FAMILIES["hill"], TRUTHS["hill"]
    rise = noisy_curve(family, truth, 1.0, 1e-3, CYCLES, "levels", np.random.default_rng(0))
    fit = fit_curve(rise, family)
    if abs(fit.parameters["K"].value / truth["K"] - 1) > 0.01:
        raise RuntimeError("the fit misses the truth without noise; nothing to compare")


def measure() -> list[dict[str, Any]]:
    """A row a kind of noise, family and parameter."""
    return [
        {
            "noise in": noise,
            "family": name,
            "parameter": parameter,
            "truth": TRUTHS[name].get(parameter, 1.0),
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
