"""One process that covers the same share of what is left in every cycle."""

import numpy as np

from bridge.families.family import TAU, Family

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
