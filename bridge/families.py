r"""Families of saturation curves, as pure functions of the cycle.

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
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astro_sim.common.errors import InputError, did_you_mean

Array = NDArray[np.float64]
Values = Mapping[str, float]


class Parameter(NamedTuple):
    """A positive parameter of a family, fitted by its logarithm within bounds."""

    name: str
    unit: str
    meaning: str
    low: float
    high: float


@dataclass(frozen=True)
class Family:
    """A way to saturate.

    Attributes
    ----------
    name, equation : str
    parameters : tuple of Parameter
    log_survival : callable
        L(t) = log(1 - F(t)) at cycles t >= 0.
    log_survival_step : callable
        L(t) - L(t - 1) at whole cycles t >= 1, without cancellation.
    concave : callable
        Whether F is concave for t > 0; exactly then do the increments fall from the first cycle on for every
        length of cycle.
    """

    name: str
    equation: str
    parameters: tuple[Parameter, ...]
    log_survival: Callable[[Array, Values], Array]
    log_survival_step: Callable[[Array, Values], Array]
    concave: Callable[[Values], bool]

    def level(self, t: ArrayLike, values: Values) -> Array:
        """F(t): 0 at the start, 1 at saturation."""
        return -np.expm1(self.log_survival(np.asarray(t, dtype=float), values))

    def log_increments(self, cycles: int, values: Values) -> Array:
        """log delta_t for t = 1 .. ``cycles``."""
        t = np.arange(1, cycles + 1, dtype=float)
        step = self.log_survival_step(t, values)
        return self.log_survival(t - 1.0, values) + np.log(-np.expm1(step))

    def retention(self, total: int, values: Values) -> Array:
        """RetentionFactor(t, T) for t = 1 .. T; sums to 1."""
        log_increments = self.log_increments(total, values)
        return np.exp(log_increments - np.log(self.level(total, values)))

    def online(self, total: int, values: Values) -> Array:
        """delta_t / F(t) for t = 1 .. ``total``: needs the past only, so no total in advance."""
        t = np.arange(1, total + 1, dtype=float)
        return np.exp(self.log_increments(total, values) - np.log(self.level(t, values)))

    def peak_cycle(self, values: Values, horizon: int) -> int:
        """Cycle of the largest increment within ``horizon``; 1 for every concave law."""
        return int(np.argmax(self.log_increments(horizon, values))) + 1


TAU = Parameter("tau", "cycles", "cycles until the curve has covered 63 % of its rise", 1e-2, 1e5)


def _stretched_step(t: Array, v: Values) -> Array:
    # (t / tau)^b - ((t - 1) / tau)^b = (t / tau)^b (1 - (1 - 1/t)^b); at t = 1 the bracket is 1.
    with np.errstate(divide="ignore"):
        bracket = -np.expm1(v["b"] * np.log1p(-1.0 / t))
    return -((t / v["tau"]) ** v["b"]) * bracket


EXPONENTIAL = Family(
    name="exponential",
    equation="F(t) = 1 - exp(-t / tau)",
    parameters=(TAU,),
    log_survival=lambda t, v: -t / v["tau"],
    log_survival_step=lambda t, v: np.full_like(t, -1.0 / v["tau"]),
    concave=lambda v: True,
)

STRETCHED = Family(
    name="stretched_exponential",
    equation="F(t) = 1 - exp(-(t / tau)^b)",
    parameters=(TAU, Parameter("b", "1", "stretching exponent; 1 is the exponential law", 0.05, 10.0)),
    log_survival=lambda t, v: -((t / v["tau"]) ** v["b"]),
    log_survival_step=_stretched_step,
    concave=lambda v: v["b"] <= 1.0,
)

FAMILIES: dict[str, Family] = {family.name: family for family in (EXPONENTIAL, STRETCHED)}


def get(name: str) -> Family:
    """Look a family up by name; an unknown one raises `InputError` with the nearest name."""
    if name not in FAMILIES:
        raise InputError(f"unknown law family {name!r}; {did_you_mean(name, FAMILIES)}")
    return FAMILIES[name]
