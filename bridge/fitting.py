"""Least-squares fits: a family to a saturation curve, a line to a log relation, each with its interval.

Two places where noise may enter a curve y_0 = 0, y_1, ..., y_n, and the residual of each (A the amplitude, F the
family, s_t its log-survival step):

    levels      y_t - A F(t)                                       every sample is read with an error of its own
    dynamics    y_t - (A - (A - y_{t-1}) exp(s_t))                 every cycle starts where the last one ended, and errs

Both are densities of the same samples, so their likelihoods compare. Taking the one for the other makes intervals too
short by a factor of two and more.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import lmfit
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bridge.families import Family, Parameter
from bridge.schema import REACH, RESOLUTION, Estimate, residual_deviation, residual_r_squared

Array = NDArray[np.float64]
Noise = Literal["levels", "dynamics"]
NOISES: tuple[Noise, ...] = get_args(Noise)

CONFIDENCE = 0.95
TOLERANCES: dict[str, Any] = {"xtol": 1e-13, "ftol": 1e-13, "gtol": 1e-13}
# A curve that a family can follow in many ways (an exact exponential with two processes) has a valley without an end;
# fits to noisy curves are done within 100 evaluations, nearly always.
MOST_EVALUATIONS = 300
AMPLITUDE = Parameter("amplitude", "1", "saturation over the largest sample", 1e-3, 1e6)
MOST_STARTS = 3  # of the places where a fit may start, those that fit best as they are (chosen)
EXACT = 1e-6  # residuals, over the largest sample, that another start need not improve on (chosen)
AT_A_BOUND = 1e-6
TRAINING_SHARE = 2 / 3  # of the cycles, where the error on the later ones is measured


@dataclass(frozen=True)
class CurveFit:
    """A family fitted to a curve.

    Attributes
    ----------
    family : Family
    noise : {"levels", "dynamics"}
    parameters : dict of str to Estimate
        Intervals are symmetric in the logarithm (log odds of a share), with Student's t; none for data without noise.
    amplitude : Estimate
        Fitted saturation; never the last sample.
    residuals : array, (cycles,)
        Data minus fit, at cycles 1 .. n; of the dynamics, data minus what the cycle before predicts.
    deviation : float
        Standard deviation of the noise, in the unit of the curve, at the mean weight.
    r_squared : float
    aicc, bic : float
        Corrected Akaike criterion (infinite when there are too few cycles for the number of parameters) and Bayesian
        criterion, of the curve over its largest sample.
    converged : bool
        The optimiser stopped at a minimum inside the bounds, where the curvature gives finite standard errors. With
        residuals below `EXACT`, no bound lies where they would still be below it.
    """

    family: Family
    noise: Noise
    parameters: dict[str, Estimate]
    amplitude: Estimate
    residuals: Array
    deviation: float
    r_squared: float
    aicc: float
    bic: float
    converged: bool

    @property
    def values(self) -> dict[str, float]:
        """Parameter values alone."""
        return {name: estimate.value for name, estimate in self.parameters.items()}

    @property
    def cycles(self) -> int:
        """Number of cycles that were fitted."""
        return len(self.residuals)

    @property
    def noisy(self) -> bool:
        """Whether there is noise to speak of."""
        return bool(self.deviation >= RESOLUTION * self.amplitude.value * self.reached)

    @property
    def reached(self) -> float:
        """Share of the fitted saturation that the curve has reached at its last cycle."""
        return float(self.family.level(float(self.cycles), self.values))

    @property
    def identifiable(self) -> bool:
        """Whether the curve tells its law: a minimum was found, and the curve came far enough towards its end."""
        return self.converged and self.reached >= REACH


class Problem:
    """Residuals and their Jacobian on the line of log amplitude and parameters, for data of size 1."""

    def __init__(self, data: Array, family: Family, noise: Noise, spread: Array | None) -> None:
        self.data, self.family, self.noise = data, family, noise
        self.weight = np.ones(len(data)) if spread is None else np.sqrt(np.mean(spread**2)) / spread
        self.before = np.r_[0.0, data[:-1]]
        self.t = np.arange(1, len(data) + 1, dtype=float)
        self.axes = (AMPLITUDE, *family.parameters)

    def values(self, line: Sequence[float]) -> dict[str, float]:
        """Parameter values at a point of the line, the amplitude among them."""
        return {p.name: float(p.from_line(z)) for p, z in zip(self.axes, line, strict=True)}

    def _linear(self, values: dict[str, float]) -> tuple[Array, Array]:
        """Data and slope such that the residual is data - amplitude slope, whatever the amplitude."""
        if self.noise == "levels":
            return self.data, self.family.level(self.t, values)
        kept = np.exp(self.family.steps(len(self.t), values))
        return self.data - self.before * kept, 1.0 - kept

    def residual(self, line: Sequence[float]) -> Array:
        """Weighted data minus fit."""
        values = self.values(line)
        data, slope = self._linear(values)
        return self.weight * (data - values[AMPLITUDE.name] * slope)

    def jacobian(self, line: Sequence[float]) -> Array:
        """Derivatives of the residual, (cycles, 1 + parameters)."""
        values = self.values(line)
        amplitude = values[AMPLITUDE.name]
        if self.noise == "levels":
            inner = -amplitude * self.family.level_gradient(self.t, values)
        else:
            turned = self.family.gradient(self.t, values) - self.family.gradient(self.t - 1.0, values)
            inner = (amplitude - self.before) * np.exp(self.family.steps(len(self.t), values)) * turned
        slopes = np.array([p.slope(values[p.name]) for p in self.family.parameters])
        _, slope = self._linear(values)
        return (self.weight * np.vstack([-amplitude * slope, slopes[:, None] * inner])).T

    def starts(self) -> list[list[float]]:
        """The most promising places to start from, best first; the amplitude follows from the rest."""
        # The curve passes 63 % of its last sample at about one time constant.
        scale = float(max(0.3, np.interp(0.63, np.maximum.accumulate(self.data), self.t)))
        unit = {"cycles": scale, "1/cycle": 1.0 / scale, "1": 1.0}
        choices = [[np.clip(s * unit[p.unit], p.low, p.high) for s in p.starts] for p in self.family.parameters]
        found = []
        for choice in itertools.product(*choices):
            values = {p.name: float(value) for p, value in zip(self.family.parameters, choice, strict=True)}
            data, slope = self._linear(values)
            amplitude = (self.weight**2 * data) @ slope / ((self.weight**2 * slope) @ slope)
            amplitude = float(np.clip(amplitude, 10 * AMPLITUDE.low, 0.1 * AMPLITUDE.high))
            line = [float(p.to_line(v)) for p, v in zip(self.axes, (amplitude, *choice), strict=True)]
            found.append((float(np.sum(self.residual(line) ** 2)), line))
        return [line for _, line in sorted(found)[:MOST_STARTS]]


def fit_curve(
    rise: Array,
    family: Family,
    noise: Noise = "levels",
    spread: Array | None = None,
    start: dict[str, float] | None = None,
) -> CurveFit:
    """Fit ``A F(t)`` to a rise by weighted least squares in transformed parameters.

    Parameters
    ----------
    rise : array, (cycles,)
        p_t - p_0 at the ends of cycles 1 .. n. p_0 is the start of the simulation and thus known.
    family : Family
    noise : {"levels", "dynamics"}
        Where noise enters.
    spread : array, (cycles,), optional
        Standard deviation of the noise at each cycle, up to a common factor, which is fitted; by default the same.
    start : dict, optional
        Parameter values (amplitude in the unit of the curve) to start from; by default several places are tried.

    Returns
    -------
    CurveFit
        A fit that did not converge is a result too (``converged`` is False).
    """
    unit = float(np.abs(rise).max())
    problem = Problem(rise / unit, family, noise, spread)
    weight = problem.weight
    starts = problem.starts()
    if start is not None:
        given = {**start, AMPLITUDE.name: start[AMPLITUDE.name] / unit}
        starts = [[float(p.to_line(np.clip(given[p.name], p.low, p.high))) for p in problem.axes]]
    found = _best(problem, starts)

    count, free = len(rise), len(problem.axes)
    weighted = np.asarray(found.residual, dtype=float)
    rss = float(weighted @ weighted)
    deviation = residual_deviation(weighted, free)
    flatness = {name: p.stderr or np.nan for name, p in found.params.items()}  # standard errors at a deviation of 1
    errors = {name: each * deviation for name, each in flatness.items()}
    # Without noise the search ends somewhere among residuals below EXACT: a bound that lies there, too, is reached.
    reach = EXACT if _exact(found) else 0.0
    inside = all(
        min(p.value - p.min, p.max - p.value) > AT_A_BOUND + reach * flatness[name] for name, p in found.params.items()
    )
    converged = bool(found.success) and inside and bool(np.isfinite([*errors.values()]).all())
    quantile = stats.t.ppf(0.5 + CONFIDENCE / 2, count - free) if count > free else np.nan

    def estimate(p: Parameter, unit: float = 1.0) -> Estimate:
        z, error = float(found.params[p.name].value), errors[p.name] if converged else np.nan
        value = float(p.from_line(z))
        # A half width past e^50 says "unknown"; capping it keeps the interval finite and just as useless.
        half = min(quantile * error, 50.0) if deviation >= RESOLUTION and np.isfinite(error) else np.nan
        low, high = float(p.from_line(z - half)), float(p.from_line(z + half))
        return Estimate(unit * value, unit * p.slope(value) * error, unit * low, unit * high)

    aicc, bic = _criteria(rss, weight, free + 1)  # the variance of the residuals counts
    return CurveFit(
        family=family,
        noise=noise,
        parameters={p.name: estimate(p) for p in family.parameters},
        amplitude=estimate(AMPLITUDE, unit),
        residuals=weighted / weight * unit,
        deviation=deviation * unit,
        r_squared=residual_r_squared(weighted / weight, problem.data, weight),
        aicc=aicc,
        bic=bic,
        converged=converged,
    )


def _best(problem: Problem, starts: Sequence[Sequence[float]]) -> Any:
    """The best minimum from any start; none is tried after one that leaves as good as nothing."""
    found = []
    for start in starts:
        found.append(each := _minimise(problem, start))
        if each.success and _exact(each):
            break
    return min(found, key=lambda each: each.chisqr)


def _exact(found: Any) -> bool:
    """Whether a minimum leaves as good as nothing."""
    return bool(found.chisqr < found.ndata * EXACT**2)


def _minimise(problem: Problem, start: Sequence[float]) -> Any:
    parameters = lmfit.Parameters()
    for p, z in zip(problem.axes, start, strict=True):
        parameters.add(p.name, value=z, min=float(p.to_line(p.low)), max=float(p.to_line(p.high)))

    def line(given: lmfit.Parameters) -> list[float]:
        return [given[p.name].value for p in problem.axes]

    # A singular curvature gives NaN errors, which `converged` reports.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return lmfit.minimize(
            lambda given: problem.residual(line(given)),
            parameters,
            method="least_squares",
            scale_covar=False,
            jac=lambda given: problem.jacobian(line(given)),
            max_nfev=MOST_EVALUATIONS,
            **TOLERANCES,
        )


def _criteria(rss: float, weight: Array, parameters: int) -> tuple[float, float]:
    """AICc and BIC of weighted residuals; weights make some samples sharper, which their density counts."""
    count = len(weight)
    deviance = count * np.log(max(rss, count * RESOLUTION**2) / count) - 2.0 * float(np.log(weight).sum())
    spare = count - parameters - 1
    bic = deviance + parameters * np.log(count)
    if spare <= 0:
        return float("inf"), float(bic)
    return float(deviance + 2 * parameters + 2 * parameters * (parameters + 1) / spare), float(bic)


def held_out_error(rise: Array, family: Family, noise: Noise = "levels", spread: Array | None = None) -> float:
    """Error on the last third of the cycles of a fit to those before.

    Returns
    -------
    float
        Root mean square over the largest sample; infinite where what is left leaves no freedom to a fit.
    """
    known = int(np.ceil(TRAINING_SHARE * len(rise)))
    if known <= len(family.parameters) + 1 or known == len(rise):
        return float("inf")
    fit = fit_curve(rise[:known], family, noise, None if spread is None else spread[:known])
    t, A = np.arange(known + 1, len(rise) + 1, dtype=float), fit.amplitude.value
    if noise == "levels":
        predicted = A * family.level(t, fit.values)
    else:
        left = family.log_survival(t, fit.values, np) - family.log_survival(np.array([float(known)]), fit.values, np)
        predicted = A - (A - rise[known - 1]) * np.exp(left)
    return float(np.sqrt(np.mean((rise[known:] - predicted) ** 2)) / np.abs(rise).max())


def fit_slope(x: Array, y: Array) -> tuple[Estimate, float]:
    """Slope of the least-squares line through (x, y), with its Student interval, and R^2."""
    line: Any = stats.linregress(x, y)
    half = stats.t.ppf(0.5 + CONFIDENCE / 2, len(x) - 2) * line.stderr
    estimate = Estimate(float(line.slope), float(line.stderr), float(line.slope - half), float(line.slope + half))
    return estimate, float(line.rvalue**2)
