r"""Metabotropic receptors on the astrocyte: bound by synaptic transmitter, desensitised through PKC by calcium.

    dGamma_A/dt = O_N Y_S (1 - Gamma_A) - Omega_N (1 + zeta C / (C + K_KC)) Gamma_A

They make IP3 at the rate O_beta Gamma_A. Source: Stimberg et al. (2019), after De Pitta et al. (2009).
"""

from astro_sim.biophysical.calcium import SGBD
from astro_sim.common.settings import Settings, quantity


class ReceptorParameters(Settings):
    """Constants of the receptors that start IP3 production."""

    O_beta: float = quantity(3.2, "uM/s", "maximal rate of IP3 production by PLC-beta", SGBD, ge=0)
    O_N: float = quantity(0.3, "1/uM/s", "rate of agonist binding", SGBD, ge=0)
    Omega_N: float = quantity(0.5, "1/s", "rate of unbinding", SGBD, ge=0)
    K_KC: float = quantity(0.5, "uM", "calcium affinity of PKC", SGBD, gt=0)
    zeta: float = quantity(10.0, "1", "largest increase of unbinding by PKC", SGBD, ge=0)


EQUATIONS = """
dGamma_A/dt = O_N*receptors_free*(Y_S + Y_ext)*(1 - Gamma_A) - Omega_N*(1 + zeta*C/(C + K_KC))*Gamma_A : 1
J_receptors = O_beta*Gamma_A : mmolar/second
Y_ext : mmolar
"""
ABSENT = "J_receptors = 0*mmolar/second : mmolar/second\n"


def rates(p: ReceptorParameters, transmitter: float) -> dict[str, float]:
    """Bound on the rate of decay, 1/s, at the peak of the ``transmitter`` (uM)."""
    return {"astrocytic receptors": p.O_N * transmitter + p.Omega_N * (1 + p.zeta)}
