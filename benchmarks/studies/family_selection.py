"""Which family AICc chooses for simulated curves of every family, and what a wrong choice costs."""

from typing import Any, NamedTuple

import numpy as np

from benchmarks.registry import Benchmark, require
from benchmarks.studies.curves import TRUTHS, curve, side_by_side
from bridge.families import FAMILIES
from bridge.families.base import total_variation
from bridge.fitting import NOISES, CurveFit, Noise
from bridge.selection import likelier, ranking

REPEATS, TOTAL = 100, 16
SETTINGS = ((6, 0.01), (12, 0.01), (24, 0.01), (24, 0.002))  # cycles, noise over the amplitude


class Trial(NamedTuple):
    """What one curve was taken for."""

    chosen: str
    distance: float  # total variation between RetentionFactor(., 16) and the truth
    shape: bool  # whether the largest increment is rightly at the first cycle, or rightly not
    noise: str  # where noise was thought to enter when that was left open


def trial(truth: str, noise: Noise, cycles: int, deviation: float, repeat: int) -> Trial:
    """Simulate one curve, fit all families to it, and take the one with the lowest AICc."""
    family, values = FAMILIES[truth], TRUTHS[truth]
    rise = curve(truth, noise, cycles, deviation, repeat)
    ranked: dict[Noise, list[CurveFit]] = {kind: ranking(rise, [*FAMILIES.values()], kind) for kind in NOISES}
    best = ranked[noise][0]
    horizon = 100 * cycles
    return Trial(
        chosen=best.family.name,
        distance=total_variation(best.family.retention(TOTAL, best.values), family.retention(TOTAL, values)),
        shape=(best.family.peak_cycle(best.values, horizon) == 1) == (family.peak_cycle(values, horizon) == 1),
        noise=likelier(ranked),
    )


def trials(noise: Noise, cycles: int, deviation: float, repeats: int = REPEATS) -> dict[str, list[Trial]]:
    """Trials of every family, side by side on all cores."""
    jobs = [(truth, noise, cycles, deviation, repeat) for truth in TRUTHS for repeat in range(repeats)]
    results = side_by_side(trial, jobs)
    return {truth: results[k * repeats : (k + 1) * repeats] for k, truth in enumerate(TRUTHS)}


def check() -> None:
    """Without noise to speak of, every family is taken for itself."""
    for truth in TRUTHS:
        result = trial(truth, "levels", 24, 1e-4, 0)
        require(result.distance <= 0.002, f"{truth} was taken for {result.chosen}, {result.distance:.4f} away")


def measure() -> list[dict[str, Any]]:
    """A row a setting and true family."""
    rows = []
    for noise in NOISES:
        for cycles, deviation in SETTINGS:
            for truth, curves in trials(noise, cycles, deviation).items():
                rows.append(
                    {
                        "noise in": noise,
                        "cycles": cycles,
                        "noise": deviation,
                        "truth": truth,
                        **{name: sum(one.chosen == name for one in curves) for name in FAMILIES},
                        "shape right": sum(one.shape for one in curves),
                        "95th of distances": round(float(np.quantile([one.distance for one in curves], 0.95)), 4),
                        "kind of noise recognised": sum(one.noise == noise for one in curves),
                    }
                )
    return rows


BENCHMARK = Benchmark(
    f"families chosen by AICc for {REPEATS} simulated curves each; distance: total variation of RetentionFactor(., 16)",
    check,
    measure,
)
