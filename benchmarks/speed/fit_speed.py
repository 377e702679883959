"""How long a law takes: all families on one curve, a thousand resampled laws."""

import time
from typing import Any

import numpy as np

from benchmarks.registry import Benchmark, median_seconds, require
from bridge.curves import Curve
from bridge.families import FAMILIES
from bridge.intervals import bootstrap, noisy_curve
from bridge.selection import compare

CYCLES, REPETITIONS = 24, 10
TRUTH = {"tau": 6.0, "b": 0.7}


def curve(replicates: int) -> Curve:
    """A noisy stretched exponential, once or repeated."""
    rng, family = np.random.default_rng(0), FAMILIES["stretched_exponential"]
    rises = [noisy_curve(family, TRUTH, 1.0, 0.01 * replicates**0.5, CYCLES, "levels", rng) for _ in range(replicates)]
    return Curve(np.pad(rises, ((0, 0), (1, 0)))[:, None], {"repetition": replicates}, 10.0, "1")


def check() -> None:
    """The law that is timed is the right one."""
    b = compare(curve(1), "stretched_exponential", "levels").attempts[0].fit.values["b"]
    require(abs(b / TRUTH["b"] - 1) <= 0.2, f"expected b near {TRUTH['b']}, got {b:.3f}")


def measure() -> list[dict[str, Any]]:
    """A row for each thing that is timed: the median of five, or one run where it takes longer."""
    one, many = curve(1), curve(REPETITIONS)
    fit_one, fit_many = (compare(data, noise="levels").attempts[0].fit for data in (one, many))
    short = {
        "six families, held-out errors too, noise in samples": lambda: compare(one, noise="levels"),
        "the same, noise in samples or dynamics": lambda: compare(one),
    }
    long = {
        "1,000 laws from simulated curves": lambda: bootstrap(one, fit_one, 1000),
        "1,000 laws from resampled replicates": lambda: bootstrap(many, fit_many, 1000),
    }
    seconds = median_seconds(short, 5, time.perf_counter) | median_seconds(long, 1, time.perf_counter)
    return [{"what": what, "seconds": round(taken, 3)} for what, taken in seconds.items()]


BENCHMARK = Benchmark(f"seconds for a law of {CYCLES} cycles, on one core", check, measure)
