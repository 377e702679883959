r"""Glutamate from the astrocyte, the potentiation e-SP that it causes, and the release probability PR of a synapse.

    dGlu/dt = -Glu / tau_Glu;   on a release by the astrocyte: Glu += r_Glu
    tau_eSP deSP/dt = -eSP + m_eSP Glu                       percent
    PR = PR_0 (1 + (DSE + eSP) / 100), kept in [0, 1]

What counts as a release decides the size of e-SP:

    crossing    where C crosses C_Theta upwards
    repeated    every ``period`` while C is above C_Theta
    latched     every ``period`` for ever once C is above: e-SP tends to m_eSP r_Glu tau_Glu / period
    rate        no events: dGlu/dt gets J_Glu while C is above C_Theta

J_Glu is r_Glu every millisecond: the script's "10 uM/s" without its wait of 300 steps. So "rate" is ``period``/1 ms =
300 times as strong as "repeated". Source: values of a published self-repair script after Wade et al. (2012).
"""

from typing import Literal

from astro_sim.biophysical.an_neuron import SCRIPT
from astro_sim.common.settings import Settings, quantity

Release = Literal["crossing", "repeated", "latched", "rate"]


class PotentiationParameters(Settings):
    """Constants of astrocytic glutamate, e-SP and PR."""

    release: Release = quantity(
        "latched", "1", "when the astrocyte releases: see biophysical/potentiation.py", f"{SCRIPT}: latched"
    )
    C_Theta: float = quantity(0.3, "uM", "calcium at which glutamate is released", SCRIPT, gt=0)
    period: float = quantity(0.3, "s", "between releases where they repeat", SCRIPT, gt=0)
    r_Glu: float = quantity(
        0.01, "uM", "glutamate that one release adds", f"{SCRIPT}: 10 uM/s for a step of 1 ms", ge=0
    )
    J_Glu: float = quantity(10.0, "uM/s", "inflow of glutamate where release is a rate", SCRIPT, ge=0)
    tau_Glu: float = quantity(0.1, "s", "time constant of the loss of glutamate", SCRIPT, gt=0)
    m_eSP: float = quantity(55e3, "1/uM", "potentiation per glutamate, percent per uM", SCRIPT, ge=0)
    tau_eSP: float = quantity(40.0, "s", "time constant of e-SP", SCRIPT, gt=0)
    PR_0: float = quantity(0.3, "1", "release probability at rest", SCRIPT, ge=0, le=1)

    def switches(self) -> dict[str, float]:
        """The reading of release as factors, so that one set of equations serves all four."""
        return {
            "release_by_events": float(self.release != "rate"),
            "release_by_rate": float(self.release == "rate"),
            "crossings_only": float(self.release == "crossing"),
            "latching": float(self.release == "latched"),
        }


ASTROCYTE = """
dGlu/dt = -Glu/tau_Glu + release_by_rate*int(C > C_Theta)*J_Glu : mmolar
deSP/dt = (gliotransmission_on*m_eSP*Glu - eSP)/tau_eSP : 1
latched : 1
"""
THRESHOLD = "release_by_events > 0 and (C > C_Theta or latched > 0)"
# Tested within step t for the threshold of step t + dt; half a step for rounding.
REFRACTORY = "(crossings_only > 0 and C > C_Theta) or (crossings_only < 1 and t - lastspike + 1.5*dt < period)"
ON_RELEASE = """
Glu += r_Glu
latched = latching
"""

SYNAPSE = "PR = clip(PR_0*share*(1 + (DSE_post + eSP)/100), 0, 1) : 1\n"


def rates(p: PotentiationParameters) -> dict[str, float]:
    """Rates of decay, 1/s."""
    return {"astrocytic glutamate": 1 / p.tau_Glu, "e-SP": 1 / p.tau_eSP}
