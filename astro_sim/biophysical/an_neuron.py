r"""A leaky integrate-and-fire neuron that a released vesicle charges at once.

    dv/dt = -v / tau_m
    on a release: v += R_m q_r / tau_m, unless the last spike is less than tau_ref ago
    on v > v_th: a spike, and v = 0

A charge q_r into R_m and tau_m moves v by R_m q_r / tau_m whatever the step; a current held for one step would move it
by an amount that grows with the step. With 133 mV against 9 mV one release is one spike: only tau_ref stands between.
"""

from astro_sim.common.settings import Settings, quantity

SCRIPT = "published self-repair script after Wade et al. 2012"


class ANNeuronParameters(Settings):
    """Constants of the neuron."""

    R_m: float = quantity(1.2, "Gohm", "resistance of the membrane", SCRIPT, gt=0)
    tau_m: float = quantity(60.0, "ms", "time constant of the membrane", SCRIPT, gt=0)
    q_r: float = quantity(
        6.65, "pcoulomb", "charge that one release brings", f"{SCRIPT}: 6650 pA for a step of 1 ms", ge=0
    )
    v_th: float = quantity(9.0, "mV", "threshold, from rest", SCRIPT, gt=0)
    tau_ref: float = quantity(2.0, "ms", "refractory period, in which releases are not heard", SCRIPT, ge=0)

    @property
    def jump(self) -> float:
        """What one release adds to v, mV."""
        return self.R_m * self.q_r / (1e-3 * self.tau_m)


EQUATIONS = """
dv/dt = -v/tau_m : volt
t_spike : second
"""
THRESHOLD = "v > v_th"
ON_SPIKE = """
v = 0*volt
t_spike = t
"""
HEARD = "int(t - t_spike_post > tau_ref - 0.5*dt)"  # half a step: times are sums of steps, with rounding
