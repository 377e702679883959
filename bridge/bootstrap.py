"""How far a law could be from the one that was fitted: refits to resampled data.

Where a curve is the mean over replicates they are drawn with replacement: repetitions first, then the synapses of
each. Cycles are never drawn, since what happens in one depends on the ones before. Where nothing repeats, curves are
simulated from the fitted law with the fitted noise (the parametric bootstrap). A curve without noise admits neither.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.progress import Progress
from bridge.curves import Curve
from bridge.families import Family
from bridge.families.family import Values
from bridge.fitting import AMPLITUDE, CurveFit, Noise, fit_curve
from bridge.schema import Draws

Array = NDArray[np.float64]


def bootstrap(curve: Curve, fit: CurveFit, count: int = 1000, seed: int = 0) -> Draws | None:
    """Refit the family of ``fit`` to ``count`` resampled curves; None for a curve without noise."""
    generator = np.random.default_rng(seed)
    outer, inner, _ = curve.replicates.shape
    increments = fit.noise == "dynamics"
    spread = curve.spread(increments)
    if spread is not None:
        averaged = " and ".join(f"{size} of {name}" for name, size in curve.averaged.items())
        method = f"replicates drawn with replacement ({averaged})"
    elif fit.noisy and fit.converged:
        method = f"curves simulated from the fit, noise in the {fit.noise}"
    else:
        return None
    start = {**fit.values, AMPLITUDE.name: fit.amplitude.value}
    values: dict[str, list[float]] = {name: [] for name in start}
    with Progress("resampling", count) as progress:
        for _ in range(count):
            if spread is not None:
                rows = generator.integers(outer, size=outer) if outer > 1 else np.arange(outer)
                columns = generator.integers(inner, size=(outer, inner)) if inner > 1 else np.zeros((outer, 1), int)
                drawn = replace(curve, replicates=curve.replicates[rows[:, None], columns])
                rise = drawn.rise
            else:
                A = fit.amplitude.value
                rise = noisy_curve(fit.family, fit.values, A, fit.deviation, fit.cycles, fit.noise, generator)
            again = fit_curve(rise, fit.family, fit.noise, spread, start)
            for name, value in {**again.values, AMPLITUDE.name: again.amplitude.value}.items():
                values[name].append(value)
            progress.advance()
    return Draws(method=method, seed=seed, values=values)


def noisy_curve(
    family: Family,
    values: Values,
    amplitude: float,
    deviation: float,
    cycles: int,
    noise: Noise,
    generator: np.random.Generator,
) -> Array:
    """A rise with noise in its samples or its dynamics, (cycles,)."""
    errors = deviation * generator.standard_normal(cycles)
    if noise == "levels":
        return amplitude * family.level(np.arange(1, cycles + 1), values) + errors
    rise, level = np.empty(cycles), 0.0
    for t, (kept, error) in enumerate(zip(np.exp(family.steps(cycles, values)), errors, strict=True)):
        rise[t] = level = amplitude - (amplitude - level) * kept + error
    return rise
