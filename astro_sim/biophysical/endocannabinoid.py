r"""The endocannabinoid 2-AG: each postsynaptic spike makes some; it silences terminals and starts the astrocyte's IP3.

    dAG/dt = -AG / tau_AG;   on a postsynaptic spike: AG += r_AG
    DSE    = K_AG AG                      depolarisation-induced suppression of excitation, percent
    dI/dt  = (I_star - I) / tau_I + r_I sum AG        over the neurons that share the astrocyte

sum AG obeys the equation of AG, so that the astrocyte keeps it as a state of its own and no value is held over a step.
Source: values of a published self-repair script after Wade et al. (2012), not checked against their table.
"""

from astro_sim.biophysical.an_neuron import SCRIPT
from astro_sim.common.settings import Settings, quantity


class EndocannabinoidParameters(Settings):
    """Constants of 2-AG and of what it does."""

    r_AG: float = quantity(
        0.8e-3, "uM", "2-AG that a postsynaptic spike adds", f"{SCRIPT}: 0.8 uM/s for a step of 1 ms", ge=0
    )
    tau_AG: float = quantity(10.0, "s", "time constant of the loss of 2-AG", SCRIPT, gt=0)
    K_AG: float = quantity(-1000.0, "1/uM", "suppression per 2-AG, percent per uM", SCRIPT, le=0)
    I_star: float = quantity(0.16, "uM", "IP3 at rest", SCRIPT, ge=0)
    tau_I: float = quantity(7.0, "s", "time constant of the loss of IP3", SCRIPT, gt=0)
    r_I: float = quantity(0.5, "1/s", "rate of IP3 production per 2-AG", SCRIPT, ge=0)


NEURON = """
dAG/dt = -AG/tau_AG : mmolar
DSE = K_AG*AG : 1
"""
ON_SPIKE = "AG += r_AG\n"
ASTROCYTE = """
dAG_sum/dt = -AG_sum/tau_AG : mmolar
dI/dt = (I_star - I)/tau_I + receptors_free*r_I*AG_sum : mmolar
"""
ON_SHARED_SPIKE = "AG_sum_post += r_AG\n"


def rates(p: EndocannabinoidParameters) -> dict[str, float]:
    """Rates of decay, 1/s."""
    return {"2-AG": 1 / p.tau_AG, "IP3": 1 / p.tau_I}
