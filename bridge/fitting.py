"""Least-squares fits: a family to a saturation curve, a line to a log relation, each with its interval."""

from dataclasses import dataclass
from typing import Any

import lmfit
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bridge.families import Family

Array = NDArray[np.float64]

CONFIDENCE = 0.95
TIGHT: dict[str, Any] = {"xtol": 1e-13, "ftol": 1e-13, "gtol": 1e-13}
# Below this share of the rise, residuals are no noise but transients of the protocol and rounding: a simulation without
# noise. They admit no interval, and no choice of a family that another seed or layout would bear out, so AICc counts
# them as this large (chosen; noisy data lie above).
RESOLUTION = 1e-3


@dataclass(frozen=True)
class Estimate:
    """A fitted number: value, standard error and 95 % interval (NaN where the fit gives none)."""

    value: float
    stderr: float
    low: float
    high: float


@dataclass(frozen=True)
class CurveFit:
    """A family fitted to a curve.

    Attributes
    ----------
    family : Family
    parameters : dict of str to Estimate
        Intervals are symmetric in the logarithm, with Student's t; none for data without noise.
    amplitude : Estimate
        Fitted saturation; never the last sample.
    residuals : array, (cycles,)
        Data minus fit, at cycles 1 .. n.
    r_squared : float
    aicc : float
        Corrected Akaike criterion; infinite when there are too few cycles for the number of parameters.
    converged : bool
        The optimiser stopped at a minimum inside the bounds, where the curvature gives finite standard errors.
    """

    family: Family
    parameters: dict[str, Estimate]
    amplitude: Estimate
    residuals: Array
    r_squared: float
    aicc: float
    converged: bool

    @property
    def values(self) -> dict[str, float]:
        """Parameter values alone."""
        return {name: estimate.value for name, estimate in self.parameters.items()}


def fit_curve(rise: Array, family: Family) -> CurveFit:
    """Fit ``A F(t)`` to a rise by least squares in log parameters.

    Parameters
    ----------
    rise : array, (cycles,)
        p_t - p_0 at the ends of cycles 1 .. n. p_0 is the start of the simulation and thus known.
    family : Family

    Returns
    -------
    CurveFit
        A fit that did not converge is a result too (``converged`` is False).
    """
    t = np.arange(1, len(rise) + 1, dtype=float)
    unit = float(np.abs(rise).max())
    data = rise / unit

    def residual(parameters: lmfit.Parameters) -> Array:
        values = {p.name: np.exp(parameters[f"log_{p.name}"].value) for p in family.parameters}
        return data - np.exp(parameters["log_amplitude"].value) * family.level(t, values)

    start = lmfit.Parameters()
    start.add("log_amplitude", value=np.log(1.05), min=np.log(1e-3), max=np.log(1e6))
    # The curve passes 63 % of its last sample at about tau.
    guess = {"tau": float(max(0.3, np.interp(0.63, np.maximum.accumulate(data), t)))}
    for p in family.parameters:
        start.add(f"log_{p.name}", value=np.log(guess.get(p.name, 1.0)), min=np.log(p.low), max=np.log(p.high))
    with np.errstate(invalid="ignore"):  # a singular curvature gives NaN errors, which `converged` reports
        found: Any = lmfit.minimize(residual, start, method="least_squares", scale_covar=False, **TIGHT)

    count, free = len(data), len(start)
    residuals = np.asarray(found.residual, dtype=float)
    rss = float(residuals @ residuals)
    noise = float(np.sqrt(rss / (count - free))) if count > free else np.nan
    noisy = noise >= RESOLUTION
    errors = {name: (found.params[name].stderr or np.nan) * noise for name in start}
    inside = all(min(p.value - p.min, p.max - p.value) > 1e-6 for p in found.params.values())
    finite = bool(np.isfinite([*errors.values()]).all())
    converged = bool(found.success) and inside and finite
    quantile = stats.t.ppf(0.5 + CONFIDENCE / 2, count - free) if count > free else np.nan

    def estimate(name: str, unit: float = 1.0) -> Estimate:
        log, error = float(found.params[name].value), errors[name] if converged else np.nan
        value = unit * float(np.exp(log))
        half = quantile * error if noisy else np.nan
        # A half width past e^50 says "unknown"; capping it keeps the interval finite and just as useless.
        spread = float(np.exp(min(half, 50.0))) if np.isfinite(half) else np.nan
        return Estimate(value, value * error, value / spread, value * spread)

    floor = count * RESOLUTION**2
    parameters = free + 1  # the variance of the residuals counts
    spare = count - parameters - 1
    aicc = count * np.log(max(rss, floor) / count) + 2 * parameters
    aicc = float(aicc + 2 * parameters * (parameters + 1) / spare) if spare > 0 else float("inf")
    total = float(np.sum((data - data.mean()) ** 2))
    return CurveFit(
        family=family,
        parameters={p.name: estimate(f"log_{p.name}") for p in family.parameters},
        amplitude=estimate("log_amplitude", unit),
        residuals=residuals * unit,
        r_squared=1.0 - rss / total if total > 0 else float("nan"),
        aicc=aicc,
        converged=converged,
    )


def fit_slope(x: Array, y: Array) -> tuple[Estimate, float]:
    """Slope of the least-squares line through (x, y), with its Student interval, and R^2."""
    line: Any = stats.linregress(x, y)
    half = stats.t.ppf(0.5 + CONFIDENCE / 2, len(x) - 2) * line.stderr
    estimate = Estimate(float(line.slope), float(line.stderr), float(line.slope - half), float(line.slope + half))
    return estimate, float(line.rvalue**2)
