r"""What a family of saturation curves is, and all that follows from it.

A family says how a curve rises from 0 to 1: F(0) = 0, F(inf) = 1. It is stated through its log survival
L(t) = log(1 - F(t)) and the step of it, L(t) - L(t - 1), in closed form. Everything else follows without ever
subtracting two nearly equal levels:

    delta_t                = F(t) - F(t - 1) = exp(L(t - 1)) (1 - exp(L(t) - L(t - 1)))
    RetentionFactor(t, T)  = delta_t / F(T)                                       t = 1 .. T
    online factor          = delta_t / F(t) = RetentionFactor(t, t)

Source of the retention factor: RMAAT (arXiv 2601.00426). The amplitude of the curve cancels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Values = Mapping[str, float]
# The formulas are written once for arrays and for tensors: the last argument, m, is numpy or torch.
Formula = Callable[[Any, Mapping[str, Any], Any], Any]


class Parameter(NamedTuple):
    """A parameter of a family, fitted within bounds on a scale of its own.

    Attributes
    ----------
    name, unit, meaning : str
    low, high : float
        Bounds, inside those of the scale.
    starts : tuple of float
        Where fits start; of a parameter in cycles, in units of the cycle at which 63 % are covered.
    scale : {"log", "logit"}
        Positive, or between 0 and 1.
    """

    name: str
    unit: str
    meaning: str
    low: float
    high: float
    starts: tuple[float, ...] = (1.0,)
    scale: Literal["log", "logit"] = "log"

    def to_line(self, value: ArrayLike) -> Any:
        """The value on the whole real line: its logarithm or log odds."""
        value = np.asarray(value, dtype=float)
        return np.log(value) if self.scale == "log" else np.log(value) - np.log1p(-value)

    def from_line(self, z: ArrayLike) -> Any:
        """The value at a point of the line."""
        z = np.asarray(z, dtype=float)
        return np.exp(z) if self.scale == "log" else 1.0 / (1.0 + np.exp(-z))

    def slope(self, value: float) -> float:
        """Derivative of the value along the line."""
        return value if self.scale == "log" else value * (1.0 - value)


@dataclass(frozen=True)
class Family:
    """A way to saturate.

    Attributes
    ----------
    name, equation : str
    limits : str
        Where the family ends, and which other families it contains.
    parameters : tuple of Parameter
    log_survival : callable
        L(t) = log(1 - F(t)) at cycles t >= 0; arguments t, values, numpy or torch.
    log_survival_step : callable
        L(t) - L(t - 1) at whole cycles t >= 1, without cancellation; likewise.
    gradient : callable
        dL/d(parameter) at cycles t >= 0, (parameters, cycles); arguments t, values.
    concave : callable
        Whether F is concave for t > 0; exactly then do the increments fall from the first cycle on for every
        length of cycle.
    knots : tuple of float
        Of the spline alone.
    """

    name: str
    equation: str
    limits: str
    parameters: tuple[Parameter, ...]
    log_survival: Formula
    log_survival_step: Formula
    gradient: Callable[[Array, Values], Array]
    concave: Callable[[Values], bool]
    knots: tuple[float, ...] = ()

    def level(self, t: ArrayLike, values: Values) -> Array:
        """F(t): 0 at the start, 1 at saturation."""
        return -np.expm1(self.log_survival(np.asarray(t, dtype=float), values, np))

    def level_gradient(self, t: ArrayLike, values: Values) -> Array:
        """dF/d(parameter), (parameters, cycles)."""
        t = np.asarray(t, dtype=float)
        return -np.exp(self.log_survival(t, values, np)) * self.gradient(t, values)

    def steps(self, cycles: int, values: Values) -> Array:
        """L(t) - L(t - 1) for t = 1 .. ``cycles``: cycle t covers the share 1 - exp(step) of what is left."""
        return self.log_survival_step(np.arange(1, cycles + 1, dtype=float), values, np)

    def log_increments(self, cycles: int, values: Values) -> Array:
        """log delta_t for t = 1 .. ``cycles``."""
        t = np.arange(1, cycles + 1, dtype=float)
        step = self.log_survival_step(t, values, np)
        return self.log_survival(t - 1.0, values, np) + np.log(-np.expm1(step))

    def retention(self, total: int, values: Values) -> Array:
        """RetentionFactor(t, T) for t = 1 .. T; sums to 1."""
        log_increments = self.log_increments(total, values)
        return np.exp(log_increments - np.log(self.level(total, values)))

    def online(self, total: int, values: Values) -> Array:
        """delta_t / F(t) for t = 1 .. ``total``: needs the past only, so no total in advance."""
        t = np.arange(1, total + 1, dtype=float)
        factors = np.exp(self.log_increments(total, values) - np.log(self.level(t, values)))
        factors[0] = 1.0  # up to rounding it is
        return np.minimum(factors, 1.0)

    def peak_cycle(self, values: Values, horizon: int) -> int:
        """Cycle of the largest increment within ``horizon``; 1 for every concave law."""
        return int(np.argmax(self.log_increments(horizon, values))) + 1


def total_variation(one: Array, other: Array) -> float:
    """Distance between two retention laws over the same T: the share of the weight that lies elsewhere."""
    return 0.5 * float(np.abs(one - other).sum())


# Within a twentieth of a cycle a curve is over before its first sample; past 1e5 cycles it is a straight line.
SHORTEST, LONGEST = 0.05, 1e5
TAU = Parameter("tau", "cycles", "cycles until the curve has covered 63 % of its rise", SHORTEST, LONGEST)
