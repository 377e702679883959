"""How far a law could be from the one that was fitted: profile-likelihood intervals, and refits to resampled data.

The interval of a parameter holds what the data do not refuse, whatever the other parameters are.

Draws are refits. Where a curve is the mean over replicates they are drawn with replacement: repetitions first, then the
synapses of each. Cycles are never drawn, since what happens in one depends on the ones before. Where nothing repeats,
curves are simulated from the fitted law with the fitted noise (the parametric bootstrap). A curve without noise admits
neither.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from astro_sim.common.progress import Progress
from bridge.curves import Curve
from bridge.families.base import Family, Values
from bridge.fitting import AMPLITUDE, CONFIDENCE, CurveFit, Noise, Problem, fit_curve
from bridge.schema import Draws

Array = NDArray[np.float64]
FIRST_STEP = 0.05  # on the line of the parameter; doubled until the interval's end is passed
PRECISION = 1e-5  # of the end, on that line


class Profile:
    """The residual sum of squares over one parameter of a fit, the others fitted again at every value.

    Parameters
    ----------
    rise, spread : array, (cycles,)
        As given to `fit_curve`.
    fit : CurveFit
    name : str
        A parameter of the family, or "amplitude".

    Raises
    ------
    KeyError
        The family has no such parameter.
    """

    def __init__(self, rise: Array, fit: CurveFit, name: str, spread: Array | None = None) -> None:
        self.unit = float(np.abs(rise).max())
        self.problem = Problem(rise / self.unit, fit.family, fit.noise, spread)
        axes = self.problem.axes
        names = [p.name for p in axes]
        if name not in names:
            raise KeyError(name)
        self.axis = names.index(name)
        self.free = np.arange(len(names)) != self.axis
        values = {**fit.values, AMPLITUDE.name: fit.amplitude.value / self.unit}
        self.best = np.array([float(p.to_line(values[p.name])) for p in axes])
        self.low = np.array([float(p.to_line(p.low)) for p in axes])
        self.high = np.array([float(p.to_line(p.high)) for p in axes])
        freedom = len(rise) - len(axes)
        smallest = float(np.sum(self.problem.residual(self.best.tolist()) ** 2))
        self.allowed = smallest * (1.0 + float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) ** 2 / freedom)

    def to_line(self, value: float) -> float:
        """The parameter's place on its line; an amplitude in the unit of the curve."""
        p = self.problem.axes[self.axis]
        return float(p.to_line(value / self.unit if p is AMPLITUDE else value))

    def from_line(self, z: float) -> float:
        """The other way round."""
        p = self.problem.axes[self.axis]
        return float(p.from_line(z)) * (self.unit if p is AMPLITUDE else 1.0)

    def excess(self, z: float, others: Array | None = None) -> tuple[float, Array]:
        """Smallest sum of squares with the parameter at z, above what is allowed, and where the others then are."""
        free = self.free
        others = self.best[free] if others is None else others

        def whole(rest: Array) -> list[float]:
            line = np.empty(len(self.best))
            line[self.axis], line[free] = z, rest
            return line.tolist()

        found: Any = optimize.least_squares(
            lambda rest: self.problem.residual(whole(rest)),
            np.clip(others, self.low[free] + 1e-9, self.high[free] - 1e-9),
            jac=lambda rest: self.problem.jacobian(whole(rest))[:, free],  # pyright: ignore[reportArgumentType]
            bounds=(self.low[free], self.high[free]),
        )
        return 2.0 * float(found.cost) - self.allowed, found.x

    def holds(self, value: float) -> bool:
        """Whether the interval holds a value."""
        return self.excess(self.to_line(value))[0] <= 0

    def end(self, sign: float) -> float:
        """One end of the interval, on the line.

        Outwards in growing steps until refused, then by halves; every fit starts from that of the last allowed.
        """
        bound = float((self.low if sign < 0 else self.high)[self.axis])
        inner, step, others = float(self.best[self.axis]), FIRST_STEP, self.best[self.free]
        while True:
            outer = bound if sign * (inner + sign * step - bound) >= 0 else inner + sign * step
            above, there = self.excess(outer, others)
            if above > 0:
                break
            if outer == bound:
                return bound
            inner, step, others = outer, 2.0 * step, there
        while abs(outer - inner) > PRECISION:
            middle = 0.5 * (inner + outer)
            above, there = self.excess(middle, others)
            if above > 0:
                outer = middle
            else:
                inner, others = middle, there
        return 0.5 * (inner + outer)


def profile_interval(rise: Array, fit: CurveFit, name: str, spread: Array | None = None) -> tuple[float, float]:
    """Interval of one parameter of a fit, or of its "amplitude"; arguments and errors as of `Profile`.

    The others are fitted again at every value tried; the interval ends where the residual sum of squares is
    (1 + t^2 / (n - k)) times the smallest, with t the quantile of Student's distribution. It need not be symmetric, and
    an end that the data leave open is the bound of the parameter.
    """
    profile = Profile(rise, fit, name, spread)
    return profile.from_line(profile.end(-1.0)), profile.from_line(profile.end(1.0))


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
