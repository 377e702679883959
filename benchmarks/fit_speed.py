"""How long a law takes: all families on one curve, a thousand resampled laws."""

import time
from typing import Any

import numpy as np

from benchmarks.registry import Benchmark
from bridge.bootstrap import bootstrap, noisy_curve
from bridge.curves import Curve
from bridge.families import FAMILIES
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
    best = compare(curve(1), "stretched_exponential", "levels").attempts[0].fit
    if abs(best.values["b"] / TRUTH["b"] - 1) > 0.2:
        raise RuntimeError(f"expected b near {TRUTH['b']}, got {best.values['b']:.3f}")


def measure() -> list[dict[str, Any]]:
    """A row a thing that is timed: median of five, of one where it takes longer."""
    one, many = curve(1), curve(REPETITIONS)
    fitted = {name: compare(each, noise="levels").attempts[0].fit for name, each in (("one", one), ("many", many))}
    rows = []
    for what, times, work in (
        ("six families, held-out errors too, noise in samples", 5, lambda: compare(one, noise="levels")),
        ("the same, noise in samples or dynamics", 5, lambda: compare(one)),
        ("1,000 laws from simulated curves", 1, lambda: bootstrap(one, fitted["one"], 1000)),
        ("1,000 laws from resampled replicates", 1, lambda: bootstrap(many, fitted["many"], 1000)),
    ):
        taken = []
        for _ in range(times):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
        rows.append({"what": what, "seconds": round(float(np.median(taken)), 3)})
    return rows


BENCHMARK = Benchmark(f"seconds for a law of {CYCLES} cycles, on one core", check, measure)
