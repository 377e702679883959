"""Cooperative binding over time: with n = 1 the Michaelis-Menten curve."""

from typing import Any

import numpy as np

from bridge.families.family import LONGEST, SHORTEST, Array, Family, Parameter, Values, covered_power, where_positive


def _power(t: Any, v: Any, m: Any) -> Any:
    """(t / K)^n, the odds of F."""
    return where_positive(t, lambda t: m.exp(v["n"] * m.log(t / v["K"])), 0.0, m)


def _step(t: Any, v: Any, m: Any) -> Any:
    added = _power(t, v, m) * covered_power(t, v["n"], m)
    return -m.log1p(added / (1.0 + _power(t - 1.0, v, m)))


def _gradient(t: Array, v: Values) -> Array:
    level = -np.expm1(-np.log1p(_power(t, v, np)))  # odds / (1 + odds)
    log = where_positive(t, lambda t: np.log(t / v["K"]), 0.0, np)
    return np.array([level * v["n"] / v["K"], -level * log])


HILL = Family(
    name="hill",
    equation="F(t) = t^n / (t^n + K^n)",
    limits="n -> inf: a step at K",
    parameters=(
        Parameter("K", "cycles", "cycles until half of the rise is covered", SHORTEST, LONGEST, (0.7,)),
        Parameter("n", "1", "Hill coefficient", 0.05, 20.0, (0.8, 1.5, 3.0)),
    ),
    log_survival=lambda t, v, m: -m.log1p(_power(t, v, m)),
    log_survival_step=_step,
    gradient=_gradient,
    concave=lambda v: v["n"] <= 1.0,
)
