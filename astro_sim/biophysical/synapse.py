r"""The presynaptic terminal: Tsodyks and Markram's short-term plasticity, with receptors for gliotransmitter.

    du_S/dt = -Omega_f u_S,   dx_S/dt = Omega_d (1 - x_S),   dY_S/dt = -Omega_c Y_S
    dGamma_S/dt = O_G G_A (1 - Gamma_S) - Omega_G Gamma_S
    on a spike: U_0 = (1 - Gamma_S) U_0* + alpha Gamma_S;   u_S += U_0 (1 - u_S);   r_S = u_S x_S;   x_S -= r_S;
                Y_S += rho_c Y_T r_S

alpha < U_0* makes gliotransmission depress release, alpha > U_0* makes it facilitate. Source: Stimberg et al. (2019),
after Tsodyks (2005) and De Pitta et al. (2011).
"""

from astro_sim.biophysical.calcium import SGBD
from astro_sim.common.settings import Settings, quantity


class SynapseParameters(Settings):
    """Constants of the presynaptic terminal."""

    U_0_star: float = quantity(0.6, "1", "resting release probability U_0*", SGBD, ge=0, le=1)
    alpha: float = quantity(0.0, "1", "release probability with all gliotransmitter receptors bound", SGBD, ge=0, le=1)
    Omega_f: float = quantity(3.33, "1/s", "rate of loss of facilitation", SGBD, ge=0)
    Omega_d: float = quantity(2.0, "1/s", "rate of recovery from depression", SGBD, ge=0)
    Omega_c: float = quantity(40.0, "1/s", "rate of transmitter clearance", SGBD, ge=0)
    Y_T: float = quantity(500.0, "mM", "transmitter concentration in vesicles", SGBD, ge=0)
    rho_c: float = quantity(0.005, "1", "ratio of vesicular to cleft volume", SGBD, ge=0)
    O_G: float = quantity(1.5, "1/uM/s", "rate of gliotransmitter binding", SGBD, ge=0)
    Omega_G: float = quantity(0.5, "1/min", "rate of gliotransmitter unbinding", SGBD, ge=0)


EQUATIONS = """
du_S/dt = -Omega_f*u_S : 1
dx_S/dt = Omega_d*(1 - x_S) : 1
dY_S/dt = -Omega_c*Y_S : mmolar
dGamma_S/dt = O_G*gliotransmission_on*G_A*(1 - Gamma_S) - Omega_G*Gamma_S : 1
r_S : 1
"""
ON_SPIKE = """
u_S_post += ((1 - Gamma_S_post)*U_0_star_post + alpha_post*Gamma_S_post)*(1 - u_S_post)
r_S_post = u_S_post*x_S_post
x_S_post -= r_S_post
Y_S_post += rho_c*Y_T*r_S_post
"""


def rates(p: SynapseParameters, gliotransmitter: float) -> dict[str, float]:
    """Rates of decay, 1/s, at the peak of the ``gliotransmitter`` (uM)."""
    return {
        "synaptic facilitation": p.Omega_f,
        "synaptic recovery": p.Omega_d,
        "transmitter clearance": p.Omega_c,
        "gliotransmitter receptors": p.O_G * gliotransmitter + p.Omega_G / 60.0,
    }
