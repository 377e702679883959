"""Growth in proportion to what is there and to what is left, started at 0.

S(t) / S(t - 1) = (exp(-1 / tau) + B e) / (1 + B e) with e = exp(-t / tau), which gives the step without cancellation.
"""

from typing import Any

import numpy as np

from bridge.families.family import LONGEST, SHORTEST, Array, Family, Parameter, Values, survival_log


def _log_survival(t: Any, v: Any, m: Any) -> Any:
    rest = v["B"] * m.exp(-t / v["tau"])
    level = -m.expm1(-t / v["tau"]) / (1.0 + rest)
    return survival_log(level, m.log1p(v["B"] * m.ones_like(t)) - m.log1p(rest) - t / v["tau"], m)


def _step(t: Any, v: Any, m: Any) -> Any:
    return m.log1p(m.expm1(-m.ones_like(t) / v["tau"]) / (1.0 + v["B"] * m.exp(-t / v["tau"])))


def _gradient(t: Array, v: Values) -> Array:
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
    log_survival=_log_survival,
    log_survival_step=_step,
    gradient=_gradient,
    concave=lambda v: v["B"] <= 1.0,
)
