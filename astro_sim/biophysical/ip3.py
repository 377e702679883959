r"""IP3: production by PLC-delta, degradation by IP3-3-kinase and inositol polyphosphate 5-phosphatase.

    dI/dt = O_delta / (1 + I / kappa_delta) H_2(C, K_delta) - O_3K H_4(C, K_D) I / (I + K_3K) - Omega_5P I
            + O_beta Gamma_A + J_ex + J_coupling,        H_n(x, K) = x^n / (x^n + K^n)

The last three terms come from the receptors, the external drive and the gap junctions, each in a file of its own.
Source: Stimberg et al. (2019), after De Pitta et al. (2009), whose ChI model this is.
"""

from astro_sim.biophysical.calcium import SGBD
from astro_sim.common.settings import Settings, quantity


class IP3Parameters(Settings):
    """Constants of IP3 metabolism that need no agonist."""

    O_delta: float = quantity(0.6, "uM/s", "maximal rate of production by PLC-delta", SGBD, ge=0)
    kappa_delta: float = quantity(1.5, "uM", "IP3 at which PLC-delta is half inhibited", SGBD, gt=0)
    K_delta: float = quantity(0.1, "uM", "calcium affinity of PLC-delta", SGBD, gt=0)
    O_3K: float = quantity(4.5, "uM/s", "maximal rate of degradation by IP3-3-kinase", SGBD, ge=0)
    K_D: float = quantity(0.7, "uM", "calcium affinity of IP3-3-kinase", SGBD, gt=0)
    K_3K: float = quantity(1.0, "uM", "IP3 affinity of IP3-3-kinase", SGBD, gt=0)
    Omega_5P: float = quantity(0.05, "1/s", "rate of degradation by the 5-phosphatase", SGBD, ge=0)


CLAMPED = "I : mmolar\n"
FREE = """
dI/dt = production - degradation + J_receptors + J_ex + J_coupling : mmolar
production = O_delta/(1 + I/kappa_delta)*C**2/(C**2 + K_delta**2) : mmolar/second
degradation = O_3K*C**4/(C**4 + K_D**4)*I/(I + K_3K) + Omega_5P*I : mmolar/second
"""


def rates(p: IP3Parameters, flux: float) -> dict[str, float]:
    """Bound on the rate of decay, 1/s; ``flux`` is that of what flows in (`astro_sim.biophysical.ip3_flux.rate`)."""
    return {"IP3": p.O_3K / p.K_3K + p.Omega_5P + p.O_delta / p.kappa_delta + flux}
