"""Profile-likelihood intervals: what the data do not refuse, whatever the other parameters are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from bridge.fitting import AMPLITUDE, CONFIDENCE, CurveFit, Problem

Array = NDArray[np.float64]
FIRST_STEP = 0.05  # on the line of the parameter; doubled until the interval's end is passed
PRECISION = 1e-5  # of the end, on that line


def profile_interval(rise: Array, fit: CurveFit, name: str, spread: Array | None = None) -> tuple[float, float]:
    """Interval of one parameter of a fit, or of its "amplitude".

    The others are fitted again at every value tried; the interval ends where the residual sum of squares is
    (1 + t^2 / (n - k)) times the smallest, with t the quantile of Student's distribution. It need not be symmetric, and
    an end that the data leave open is the bound of the parameter.

    Parameters
    ----------
    rise, spread : array, (cycles,)
        As given to `fit_curve`.
    fit : CurveFit
    name : str

    Raises
    ------
    KeyError
        The family has no such parameter.
    """
    unit = float(np.abs(rise).max())
    problem = Problem(rise / unit, fit.family, fit.noise, spread)
    names = [p.name for p in problem.axes]
    if name not in names:
        raise KeyError(name)
    axis = names.index(name)
    free = np.arange(len(names)) != axis
    values = {**fit.values, AMPLITUDE.name: fit.amplitude.value / unit}
    best = np.array([float(p.to_line(values[p.name])) for p in problem.axes])
    low = np.array([float(p.to_line(p.low)) for p in problem.axes])
    high = np.array([float(p.to_line(p.high)) for p in problem.axes])
    freedom = len(rise) - len(best)
    smallest = float(np.sum(problem.residual(best.tolist()) ** 2))
    allowed = smallest * (1.0 + float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) ** 2 / freedom)

    def excess(z: float, others: Array) -> tuple[float, Array]:
        """Smallest sum of squares with the parameter at z, above what is allowed, and where the others then are."""

        def whole(rest: Array) -> list[float]:
            line = np.empty(len(best))
            line[axis], line[free] = z, rest
            return line.tolist()

        found: Any = optimize.least_squares(
            lambda rest: problem.residual(whole(rest)),
            np.clip(others, low[free] + 1e-9, high[free] - 1e-9),
            jac=lambda rest: problem.jacobian(whole(rest))[:, free],  # pyright: ignore[reportArgumentType]
            bounds=(low[free], high[free]),
        )
        return 2.0 * float(found.cost) - allowed, found.x

    def end(bound: float, sign: float) -> float:
        """Outwards in growing steps until refused, then by halves; every fit starts from that of the last allowed."""
        inner, step, others = float(best[axis]), FIRST_STEP, best[free]
        while True:
            outer = bound if sign * (inner + sign * step - bound) >= 0 else inner + sign * step
            above, there = excess(outer, others)
            if above > 0:
                break
            if outer == bound:
                return bound
            inner, step, others = outer, 2.0 * step, there
        while abs(outer - inner) > PRECISION:
            middle = 0.5 * (inner + outer)
            above, there = excess(middle, others)
            if above > 0:
                outer = middle
            else:
                inner, others = middle, there
        return 0.5 * (inner + outer)

    p = problem.axes[axis]
    scale = unit if name == AMPLITUDE.name else 1.0
    ends = end(float(low[axis]), -1.0), end(float(high[axis]), 1.0)
    return scale * float(p.from_line(ends[0])), scale * float(p.from_line(ends[1]))
