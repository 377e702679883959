r"""The presynaptic terminal: Tsodyks and Markram's short-term plasticity, with receptors for gliotransmitter.

    du_S/dt = -Omega_f u_S,   dx_S/dt = Omega_d (1 - x_S),   dY_S/dt = -Omega_c Y_S
    dGamma_S/dt = O_G G_A (1 - Gamma_S) - Omega_G Gamma_S
    on a spike: U_0 = (1 - Gamma_S) U_0* + alpha Gamma_S;   u_S += U_0 (1 - u_S);   r_S = u_S x_S;   x_S -= r_S;
                Y_S += rho_c Y_T r_S

alpha < U_0* makes gliotransmission depress release, alpha > U_0* makes it facilitate. Source: Stimberg et al. (2019),
after Tsodyks (2005) and De Pitta et al. (2011).
"""

import math
from typing import Literal

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


def periodic_release(interval: float, U_0: float, Omega_f: float, Omega_d: float) -> float:
    """r_S of a periodic train in its steady state: Tsodyks and Markram's closed form.

    Parameters
    ----------
    interval : float
        Between spikes, s.
    U_0, Omega_f, Omega_d : float
        Release probability and rates, 1/s.
    """
    u = U_0 / (1 - (1 - U_0) * math.exp(-interval * Omega_f))
    recovery = math.exp(-interval * Omega_d)
    return u * (1 - recovery) / (1 - (1 - u) * recovery)


def mean_field_release(rate: float, U_0: float, Omega_f: float, Omega_d: float) -> float:
    """r_S at ``rate`` (Hz) in the averaged equations, which take u_S and x_S as independent."""
    u = U_0 * (Omega_f + rate) / (Omega_f + U_0 * rate)
    return u * Omega_d / (Omega_d + u * rate)


def switching_probability(
    Omega_f: float, Omega_d: float, train: Literal["mean_field", "poisson"] = "mean_field"
) -> float:
    """U_0 below which release grows with the rate at first (facilitation) and above which it falls (depression).

    In the averaged equations Omega_d / (Omega_d + Omega_f). For Poisson spikes the first order in the rate is the
    integral of r_2(D) - U_0 over the time D between two spikes, which is 0 where
    (1 - U)/Omega_f - U/Omega_d - U (1 - U)/(Omega_f + Omega_d) is.
    """
    if train == "mean_field":
        return Omega_d / (Omega_d + Omega_f)
    a, b, c = 1 / Omega_f, 1 / Omega_d, 1 / (Omega_f + Omega_d)
    return 2 * a / (a + b + c + math.sqrt((a + b + c) ** 2 - 4 * a * c))


def limiting_rate(U_0: float, Omega_f: float, Omega_d: float) -> float:
    """Rate (Hz) up to which a facilitating synapse facilitates, in the averaged equations; 0 for a depressing one."""
    return max(0.0, Omega_f * (math.sqrt(Omega_d * (1 - U_0) / (Omega_f * U_0)) - 1))
