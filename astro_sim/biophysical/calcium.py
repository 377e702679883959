r"""Cytosolic calcium: release through IP3 receptors, leak and uptake (Li and Rinzel's two variables).

    dC/dt = (Omega_C m^3 h^3 + Omega_L) (C_T - (1 + rho_A) C) - O_P C^2 / (C^2 + K_P^2)
    m     = I / (I + d_1) * C / (C + d_5)
    dh/dt = (h_inf - h) / tau_h,   h_inf = Q_2 / (Q_2 + C),   tau_h = 1 / (O_2 (Q_2 + C)),
    Q_2   = d_2 (I + d_1) / (I + d_3)

With noise on, dh/dt is multiplied by (1 + noise sqrt(tau_h) xi) in Stratonovich's sense, and h is kept in [0, 1]. A
step is then split: first the quiet equations, with the order of their solver, then the noise alone, which multiplies
h_inf - h by exp(-noise dW / sqrt(tau_h)), exactly for the calcium and IP3 of that moment. So noise that tends to 0
gives the quiet run, which a stochastic method for all equations at once, Euler's in their drift, does not.

Source: Stimberg, Goodman, Brette and De Pitta (2019), after Li and Rinzel (1994).
"""

from astro_sim.common.settings import Settings, quantity

SGBD = "Stimberg et al. 2019"


class CalciumParameters(Settings):
    """Constants of calcium release, uptake and of the IP3 receptor."""

    Omega_C: float = quantity(6.0, "1/s", "maximal rate of release by IP3 receptors", SGBD, ge=0)
    Omega_L: float = quantity(0.1, "1/s", "rate of the leak from the endoplasmic reticulum", SGBD, ge=0)
    O_P: float = quantity(0.9, "uM/s", "maximal rate of uptake by SERCA pumps", SGBD, ge=0)
    K_P: float = quantity(0.05, "uM", "calcium affinity of SERCA pumps", SGBD, gt=0)
    C_T: float = quantity(2.0, "uM", "calcium in cytosol and reticulum together", SGBD, gt=0)
    rho_A: float = quantity(0.18, "1", "ratio of reticulum to cytosol by volume", SGBD, ge=0)
    d_1: float = quantity(0.13, "uM", "IP3 binding affinity", SGBD, gt=0)
    d_2: float = quantity(1.05, "uM", "calcium inactivation dissociation constant", SGBD, gt=0)
    d_3: float = quantity(0.9434, "uM", "IP3 dissociation constant", SGBD, gt=0)
    d_5: float = quantity(0.08, "uM", "calcium activation dissociation constant", SGBD, gt=0)
    O_2: float = quantity(0.2, "1/uM/s", "rate of calcium binding for inactivation", SGBD, gt=0)
    noise: float = quantity(
        0.0, "1", "strength of the noise on h; 1 in the noisy astrocyte of Fig. 2", SGBD, ge=0, le=10
    )


EQUATIONS = """
dC/dt = calcium_free*((Omega_C*m**3*h**3 + Omega_L)*(C_T - (1 + rho_A)*C) - O_P*C**2/(C**2 + K_P**2)) : mmolar
m = I/(I + d_1)*C/(C + d_5) : 1
Q_2 = d_2*(I + d_1)/(I + d_3) : mmolar
"""
GATE = "dh/dt = O_2*(Q_2 - (Q_2 + C)*h) : 1\n"
NOISE = """
h_inf = Q_2/(Q_2 + C)
h = clip(h_inf - (h_inf - h)*exp(-noise*sqrt(dt*O_2*(Q_2 + C))*randn()), 0, 1)
"""  # after the state update of each step


def rates(p: CalciumParameters) -> dict[str, float]:
    """Bounds on the rates of decay, 1/s, for the step size."""
    return {
        "calcium release and uptake": (p.Omega_C + p.Omega_L) * (1 + p.rho_A) + 0.65 * p.O_P / p.K_P,
        "IP3 receptor": p.O_2 * (p.d_2 + p.C_T),
    }
