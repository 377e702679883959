r"""Slow inward current: gliotransmitter opens extrasynaptic NMDA receptors of nearby neurons.

    I_slow = g_l (S_decay - S_rise),   dS_decay/dt = -S_decay / tau_slow_decay,   dS_rise/dt = -S_rise / tau_slow_rise
    on a release: S_decay += a,  S_rise += a,   a = A_slow / peak of (e^(-t/tau_slow_decay) - e^(-t/tau_slow_rise))

One release therefore drives a depolarisation whose steady state, I_slow / g_l, peaks at A_slow; the membrane itself,
which lags by C_m / g_l, stays a little below. Source: De Pitta and Brunel (2016) for the three constants.
"""

from typing import Any

import numpy as np

from astro_sim.biophysical.engine import Session
from astro_sim.common.settings import Settings, quantity
from astro_sim.knockouts import Knockout

DB = "De Pitta and Brunel 2016"


class SlowCurrentParameters(Settings):
    """Constants of the slow inward current."""

    A_slow: float = quantity(4.5, "mV", "peak of the depolarisation that one release drives", DB, ge=0)
    tau_slow_rise: float = quantity(30.0, "ms", "rise", DB, gt=0)
    tau_slow_decay: float = quantity(600.0, "ms", "decay", DB, gt=0)

    def model_post_init(self, _: object) -> None:
        super().model_post_init(_)
        if self.tau_slow_rise >= self.tau_slow_decay:
            raise ValueError(
                f"tau_slow_rise: expected below tau_slow_decay = {self.tau_slow_decay:g} ms, got {self.tau_slow_rise:g}"
            )

    @property
    def peak_time(self) -> float:
        """From the release to the peak of the current, ms."""
        rise, decay = self.tau_slow_rise, self.tau_slow_decay
        return float(np.log(decay / rise) * rise * decay / (decay - rise))

    @property
    def jump(self) -> float:
        """Step a of both states at a release, mV, which makes the peak A_slow."""
        at = self.peak_time
        return self.A_slow / float(np.exp(-at / self.tau_slow_decay) - np.exp(-at / self.tau_slow_rise))


EQUATIONS = """
I_slow = g_l*(S_decay - S_rise) : amp
dS_decay/dt = -S_decay/tau_slow_decay : volt
dS_rise/dt = -S_rise/tau_slow_rise : volt
"""
ABSENT = "I_slow = 0*amp : amp\n"
ON_RELEASE = """
S_decay_post += gliotransmission_on*jump
S_rise_post += gliotransmission_on*jump
"""


def connect(
    session: Session, p: SlowCurrentParameters, knockouts: tuple[Knockout, ...], cells: Any, neurons: Any, pairs: Any
) -> None:
    """A release of astrocyte ``pairs[:, 0]`` acts on neuron ``pairs[:, 1]``."""
    import brian2

    space = {"jump": p.jump * brian2.mV, "gliotransmission_on": float("gliotransmission" not in knockouts)}
    # The astrocytes' step is longer than the neurons'; that matters to delays, and there are none.
    brian2.BrianLogger.suppress_name("synapses_dt_mismatch")
    session.act(cells, neurons, ON_RELEASE, "slow_current", space, i=pairs[:, 0], j=pairs[:, 1])
