"""Two processes side by side, a fast and a slow one.

Their survivals add, S = w exp(-t / tau) + (1 - w) exp(-t / (ratio tau)). With q the fast one's share of S(t - 1), the
step is log(1 + q (exp(-1 / tau) - 1) + (1 - q) (exp(-1 / (ratio tau)) - 1)).
"""

from typing import Any

import numpy as np

from bridge.families.family import LONGEST, SHORTEST, Array, Family, Parameter, Values, survival_log


def _log_shares(t: Any, v: Any, m: Any) -> tuple[Any, Any]:
    """Logarithms of the two parts of S(t)."""
    one = m.ones_like(t)
    fast, slow = m.log(v["weight"] * one), m.log1p(-v["weight"] * one)
    return fast - t / v["tau"], slow - t / (v["ratio"] * v["tau"])


def _log_survival(t: Any, v: Any, m: Any) -> Any:
    fast, slow = m.expm1(-t / v["tau"]), m.expm1(-t / (v["ratio"] * v["tau"]))
    level = -(v["weight"] * fast + (1.0 - v["weight"]) * slow)
    return survival_log(level, m.logaddexp(*_log_shares(t, v, m)), m)


def _step(t: Any, v: Any, m: Any) -> Any:
    fast, slow = _log_shares(t - 1.0, v, m)
    both, one = m.logaddexp(fast, slow), m.ones_like(t)
    covered = m.exp(fast - both) * m.expm1(-one / v["tau"])
    return m.log1p(covered + m.exp(slow - both) * m.expm1(-one / (v["ratio"] * v["tau"])))


def _gradient(t: Array, v: Values) -> Array:
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
    log_survival=_log_survival,
    log_survival_step=_step,
    gradient=_gradient,
    concave=lambda v: True,
)
