"""Simulated curves whose law is known, and many of them at once: what the studies of the bridge are made of."""

import os
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bridge.families import FAMILIES
from bridge.fitting import Noise
from bridge.intervals import noisy_curve

Result = TypeVar("Result")

# Far from where a family contains another one: Hill with n = 1 is a power law with a = 1, say.
TRUTHS: dict[str, dict[str, float]] = {
    "exponential": {"tau": 5.0},
    "double_exponential": {"tau": 1.0, "ratio": 10.0, "weight": 0.5},
    "stretched_exponential": {"tau": 5.0, "b": 0.6},
    "hill": {"K": 5.0, "n": 2.0},
    "power_law": {"tau": 2.0, "a": 2.0},
    "logistic": {"tau": 2.5, "B": 8.0},
}


def curve(truth: str, noise: Noise, cycles: int, deviation: float, repeat: int) -> NDArray[np.float64]:
    """Repeat so-and-so of a noisy curve with amplitude 1, (cycles,); always the same."""
    rng = np.random.default_rng([zlib.crc32(f"{truth} {noise} {cycles} {deviation}".encode()), repeat])
    return noisy_curve(FAMILIES[truth], TRUTHS[truth], 1.0, deviation, cycles, noise, rng)


def side_by_side(work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]], chunk: int = 10) -> list[Result]:
    """``work`` at the arguments of every job, in their order, on all cores."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, *zip(*jobs, strict=True), chunksize=chunk))
