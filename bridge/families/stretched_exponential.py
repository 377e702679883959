"""A spread of time constants (b < 1), or a start that has to build up (b > 1)."""

from typing import Any

import numpy as np

from bridge.families.family import TAU, Array, Family, Parameter, Values, covered_power, where_positive


def _power(t: Any, v: Any, m: Any) -> Any:
    """(t / tau)^b."""
    return where_positive(t, lambda t: m.exp(v["b"] * m.log(t / v["tau"])), 0.0, m)


def _gradient(t: Array, v: Values) -> Array:
    power = _power(t, v, np)
    log = where_positive(t, lambda t: np.log(t / v["tau"]), 0.0, np)
    return np.array([power * v["b"] / v["tau"], -power * log])


STRETCHED = Family(
    name="stretched_exponential",
    equation="F(t) = 1 - exp(-(t / tau)^b)",
    limits="b = 1: exponential",
    parameters=(TAU, Parameter("b", "1", "stretching exponent; 1 is the exponential law", 0.05, 10.0, (0.6, 1.0, 2.0))),
    log_survival=lambda t, v, m: -_power(t, v, m),
    # (t / tau)^b - ((t - 1) / tau)^b = (t / tau)^b (1 - (1 - 1/t)^b)
    log_survival_step=lambda t, v, m: -_power(t, v, m) * covered_power(t, v["b"], m),
    gradient=_gradient,
    concave=lambda v: v["b"] <= 1.0,
)
