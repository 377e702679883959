"""Cooperative binding over time: with n = 1 the Michaelis-Menten curve."""

from typing import Any

import numpy as np

from bridge.families.family import (
    LONGEST,
    SHORTEST,
    Array,
    Family,
    Parameter,
    Values,
    covered_power,
    power,
    power_gradient,
)


def _odds(t: Any, v: Any, m: Any) -> Any:
    """F / (1 - F)."""
    return power(t, v["K"], v["n"], m)


def _step(t: Any, v: Any, m: Any) -> Any:
    added = _odds(t, v, m) * covered_power(t, v["n"], m)
    return -m.log1p(added / (1.0 + _odds(t - 1.0, v, m)))


def _gradient(t: Array, v: Values) -> Array:
    return -power_gradient(t, v["K"], v["n"]) / (1.0 + _odds(t, v, np))


HILL = Family(
    name="hill",
    equation="F(t) = t^n / (t^n + K^n)",
    limits="n -> inf: a step at K",
    parameters=(
        Parameter("K", "cycles", "cycles until half of the rise is covered", SHORTEST, LONGEST, (0.7,)),
        Parameter("n", "1", "Hill coefficient", 0.05, 20.0, (0.8, 1.5, 3.0)),
    ),
    log_survival=lambda t, v, m: -m.log1p(_odds(t, v, m)),
    log_survival_step=_step,
    gradient=_gradient,
    concave=lambda v: v["n"] <= 1.0,
)
