"""The families that compete for a curve, each a closed form of few parameters.

    exponential             1 - exp(-t / tau)
    double_exponential      1 - weight exp(-t / tau) - (1 - weight) exp(-t / (ratio tau))
    stretched_exponential   1 - exp(-(t / tau)^b)
    hill                    t^n / (t^n + K^n)
    power_law               1 - (1 + t / (a tau))^(-a)
    logistic                (1 - exp(-t / tau)) / (1 + B exp(-t / tau))

Of each stand here L = log(1 - F), its step L(t) - L(t - 1) without cancellation, its gradient, and when it is concave.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bridge.families.base import LONGEST, SHORTEST, TAU, Array, Family, Parameter, Values

# One process that covers the same share of what is left in every cycle.

EXPONENTIAL = Family(
    name="exponential",
    equation="F(t) = 1 - exp(-t / tau)",
    limits="tau -> inf: every cycle adds alike",
    parameters=(TAU,),
    log_survival=lambda t, v, m: -t / v["tau"],
    log_survival_step=lambda t, v, m: -m.ones_like(t) / v["tau"],
    gradient=lambda t, v: np.array([t / v["tau"] ** 2]),
    concave=lambda v: True,
)


# Two processes side by side, a fast and a slow one. Their survivals add, S = w exp(-t / tau) + (1 - w) exp(-t / (ratio
# tau)). With q the fast one's share of S(t - 1), the step is log(1 + q (exp(-1 / tau) - 1) + (1 - q) (exp(-1 / (ratio
# tau)) - 1)).


def _log_shares(t: Any, v: Any, m: Any) -> tuple[Any, Any]:
    """Logarithms of the two parts of S(t)."""
    one = m.ones_like(t)
    fast, slow = m.log(v["weight"] * one), m.log1p(-v["weight"] * one)
    return fast - t / v["tau"], slow - t / (v["ratio"] * v["tau"])


def _double_log_survival(t: Any, v: Any, m: Any) -> Any:
    fast, slow = m.expm1(-t / v["tau"]), m.expm1(-t / (v["ratio"] * v["tau"]))
    level = -(v["weight"] * fast + (1.0 - v["weight"]) * slow)
    return _survival_log(level, m.logaddexp(*_log_shares(t, v, m)), m)


def _double_step(t: Any, v: Any, m: Any) -> Any:
    fast, slow = _log_shares(t - 1.0, v, m)
    both, one = m.logaddexp(fast, slow), m.ones_like(t)
    covered = m.exp(fast - both) * m.expm1(-one / v["tau"])
    return m.log1p(covered + m.exp(slow - both) * m.expm1(-one / (v["ratio"] * v["tau"])))


def _double_gradient(t: Array, v: Values) -> Array:
    tau, ratio = v["tau"], v["ratio"]
    fast, slow = _log_shares(t, v, np)
    both = np.logaddexp(fast, slow)
    share = np.exp(fast - both)  # of the fast process
    other = np.exp(slow - both)
    return np.array(
        [
            share * t / tau**2 + other * t / (ratio * tau**2),
            other * t / (ratio**2 * tau),
            np.exp(-t / (ratio * tau) - both) * np.expm1(-(1.0 - 1.0 / ratio) * t / tau),
        ]
    )


DOUBLE_EXPONENTIAL = Family(
    name="double_exponential",
    equation="F(t) = 1 - weight exp(-t / tau) - (1 - weight) exp(-t / (ratio tau))",
    limits="weight -> 0 or 1, or ratio -> 1: exponential",
    parameters=(
        Parameter("tau", "cycles", "time constant of the fast process", SHORTEST, LONGEST, (0.3, 0.7)),
        Parameter("ratio", "1", "slow time constant over the fast one", 1.05, 1e3, (3.0, 12.0)),
        Parameter("weight", "1", "share of the rise that the fast process covers", 1e-3, 1 - 1e-3, (0.5,), "logit"),
    ),
    log_survival=_double_log_survival,
    log_survival_step=_double_step,
    gradient=_double_gradient,
    concave=lambda v: True,
)


# A spread of time constants (b < 1), or a start that has to build up (b > 1).

STRETCHED = Family(
    name="stretched_exponential",
    equation="F(t) = 1 - exp(-(t / tau)^b)",
    limits="b = 1: exponential",
    parameters=(TAU, Parameter("b", "1", "stretching exponent; 1 is the exponential law", 0.05, 10.0, (0.6, 1.0, 2.0))),
    log_survival=lambda t, v, m: -_power(t, v["tau"], v["b"], m),
    # (t / tau)^b - ((t - 1) / tau)^b = (t / tau)^b (1 - (1 - 1/t)^b)
    log_survival_step=lambda t, v, m: -_power(t, v["tau"], v["b"], m) * _covered_power(t, v["b"], m),
    gradient=lambda t, v: -_power_gradient(t, v["tau"], v["b"]),
    concave=lambda v: v["b"] <= 1.0,
)


# Cooperative binding over time: with n = 1 the Michaelis-Menten curve.


def _odds(t: Any, v: Any, m: Any) -> Any:
    """F / (1 - F)."""
    return _power(t, v["K"], v["n"], m)


def _hill_step(t: Any, v: Any, m: Any) -> Any:
    added = _odds(t, v, m) * _covered_power(t, v["n"], m)
    return -m.log1p(added / (1.0 + _odds(t - 1.0, v, m)))


HILL = Family(
    name="hill",
    equation="F(t) = t^n / (t^n + K^n)",
    limits="n -> inf: a step at K",
    parameters=(
        Parameter("K", "cycles", "cycles until half of the rise is covered", SHORTEST, LONGEST, (0.7,)),
        Parameter("n", "1", "Hill coefficient", 0.05, 20.0, (0.8, 1.5, 3.0)),
    ),
    log_survival=lambda t, v, m: -m.log1p(_odds(t, v, m)),
    log_survival_step=_hill_step,
    gradient=lambda t, v: -_power_gradient(t, v["K"], v["n"]) / (1.0 + _odds(t, v, np)),
    concave=lambda v: v["n"] <= 1.0,
)


# A rate that falls as the curve ages: a gamma-distributed spread of rates, with a heavy tail.


def _power_law_gradient(t: Array, v: Values) -> Array:
    tau, a = v["tau"], v["a"]
    u = t / (a * tau)
    return np.array([u * a / (tau * (1.0 + u)), -np.log1p(u) + u / (1.0 + u)])


POWER_LAW = Family(
    name="power_law",
    equation="F(t) = 1 - (1 + t / (a tau))^(-a)",
    limits="a -> inf: exponential",
    parameters=(
        Parameter("tau", "cycles", "time constant at the start", SHORTEST, LONGEST, (0.4, 0.9)),
        Parameter("a", "1", "exponent of the tail", 0.05, 1e3, (0.5, 2.0, 20.0)),
    ),
    log_survival=lambda t, v, m: -v["a"] * m.log1p(t / (v["a"] * v["tau"])),
    log_survival_step=lambda t, v, m: -v["a"] * m.log1p(1.0 / (v["a"] * v["tau"] + t - 1.0)),
    gradient=_power_law_gradient,
    concave=lambda v: True,
)


# Growth in proportion to what is there and to what is left, started at 0. S(t) / S(t - 1) = (exp(-1 / tau) + B e) /
# (1 + B e) with e = exp(-t / tau) gives the step without cancellation.


def _logistic_log_survival(t: Any, v: Any, m: Any) -> Any:
    rest = v["B"] * m.exp(-t / v["tau"])
    level = -m.expm1(-t / v["tau"]) / (1.0 + rest)
    return _survival_log(level, m.log1p(v["B"] * m.ones_like(t)) - m.log1p(rest) - t / v["tau"], m)


def _logistic_step(t: Any, v: Any, m: Any) -> Any:
    return m.log1p(m.expm1(-m.ones_like(t) / v["tau"]) / (1.0 + v["B"] * m.exp(-t / v["tau"])))


def _logistic_gradient(t: Array, v: Values) -> Array:
    tau, B = v["tau"], v["B"]
    e = np.exp(-t / tau)
    return np.array([t / tau**2 / (1.0 + B * e), -np.expm1(-t / tau) / ((1.0 + B) * (1.0 + B * e))])


LOGISTIC = Family(
    name="logistic",
    equation="F(t) = (1 - exp(-t / tau)) / (1 + B exp(-t / tau))",
    limits="B -> 0: exponential; steepest at t = tau log B where B > 1",
    parameters=(
        Parameter("tau", "cycles", "time constant of the end of the rise", SHORTEST, LONGEST, (0.5, 1.0)),
        Parameter("B", "1", "delay of the start", 1e-3, 1e6, (0.3, 3.0, 30.0)),
    ),
    log_survival=_logistic_log_survival,
    log_survival_step=_logistic_step,
    gradient=_logistic_gradient,
    concave=lambda v: v["B"] <= 1.0,
)


# What several families are made of; m is numpy or torch.


def _where_positive(t: Any, formula: Callable[[Any], Any], otherwise: float, m: Any) -> Any:
    """``formula`` where t > 0, ``otherwise`` elsewhere; neither value nor gradient meets the formula at 0."""
    positive = t > 0
    return m.where(positive, formula(m.where(positive, t, m.ones_like(t))), otherwise * m.ones_like(t))


def _survival_log(level: Any, far: Any, m: Any) -> Any:
    """log(1 - F) from F where F is small and its logarithm would cancel, from the closed form ``far`` beyond."""
    return m.where(level < 0.5, m.log1p(-m.clip(level, 0.0, 0.5)), far)


def _power(t: Any, scale: Any, exponent: Any, m: Any) -> Any:
    """(t / scale)^exponent."""
    return _where_positive(t, lambda t: m.exp(exponent * m.log(t / scale)), 0.0, m)


def _power_gradient(t: Array, scale: float, exponent: float) -> Array:
    """Derivatives of (t / scale)^exponent with respect to scale and exponent, (2, cycles)."""
    raised = _power(t, scale, exponent, np)
    return np.array([-raised * exponent / scale, raised * _where_positive(t, lambda t: np.log(t / scale), 0.0, np)])


def _covered_power(t: Any, exponent: Any, m: Any) -> Any:
    """1 - (1 - 1/t)^exponent: the share of t^exponent that the last cycle adds; 1 at t = 1."""
    return _where_positive(t - 1.0, lambda before: -m.expm1(exponent * m.log(before / (before + 1.0))), 1.0, m)
