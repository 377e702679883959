"""A rate that falls as the curve ages: a gamma-distributed spread of rates, with a heavy tail."""

import numpy as np

from bridge.families.family import LONGEST, SHORTEST, Array, Family, Parameter, Values


def _gradient(t: Array, v: Values) -> Array:
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
    gradient=_gradient,
    concave=lambda v: True,
)
