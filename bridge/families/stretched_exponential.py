"""A spread of time constants (b < 1), or a start that has to build up (b > 1)."""

from bridge.families.family import TAU, Family, Parameter, covered_power, power, power_gradient

STRETCHED = Family(
    name="stretched_exponential",
    equation="F(t) = 1 - exp(-(t / tau)^b)",
    limits="b = 1: exponential",
    parameters=(TAU, Parameter("b", "1", "stretching exponent; 1 is the exponential law", 0.05, 10.0, (0.6, 1.0, 2.0))),
    log_survival=lambda t, v, m: -power(t, v["tau"], v["b"], m),
    # (t / tau)^b - ((t - 1) / tau)^b = (t / tau)^b (1 - (1 - 1/t)^b)
    log_survival_step=lambda t, v, m: -power(t, v["tau"], v["b"], m) * covered_power(t, v["b"], m),
    gradient=lambda t, v: -power_gradient(t, v["tau"], v["b"]),
    concave=lambda v: v["b"] <= 1.0,
)
