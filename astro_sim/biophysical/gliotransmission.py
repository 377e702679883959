r"""Release of gliotransmitter by the astrocyte where its calcium crosses a threshold upwards.

    dx_A/dt = Omega_A (1 - x_A),   dG_A/dt = -Omega_e G_A
    on C crossing C_Theta upwards: G_A += rho_e G_T U_A x_A;   x_A -= U_A x_A

Source: Stimberg et al. (2019), after De Pitta et al. (2011).
"""

from typing import Any

from astro_sim.biophysical.calcium import SGBD
from astro_sim.common.settings import Settings, quantity


class ReleaseParameters(Settings):
    """Constants of calcium-dependent gliotransmitter release."""

    C_Theta: float = quantity(0.5, "uM", "calcium at which gliotransmitter is released", SGBD, gt=0)
    Omega_A: float = quantity(0.6, "1/s", "rate of recovery of the gliotransmitter resource", SGBD, ge=0)
    U_A: float = quantity(0.6, "1", "share of the resource that one release takes", SGBD, ge=0, le=1)
    G_T: float = quantity(200.0, "mM", "gliotransmitter concentration in vesicles", SGBD, ge=0)
    rho_e: float = quantity(6.5e-4, "1", "ratio of vesicular to extracellular volume", SGBD, ge=0)
    Omega_e: float = quantity(60.0, "1/s", "rate of gliotransmitter clearance", SGBD, ge=0)

    @property
    def peak(self) -> float:
        """Gliotransmitter after one release from a full resource, uM."""
        return 1e3 * self.rho_e * self.G_T * self.U_A


EQUATIONS = """
dx_A/dt = Omega_A*(1 - x_A) : 1
dG_A/dt = -Omega_e*G_A : mmolar
"""
ON_RELEASE = """
G_A += rho_e*G_T*U_A*x_A
x_A -= U_A*x_A
"""
# Options of a Brian2 group whose spikes are releases: once a crossing, not again while calcium stays above.
RELEASE: dict[str, Any] = {"threshold": "C > C_Theta", "refractory": "C > C_Theta", "reset": ON_RELEASE}


def rates(p: ReleaseParameters) -> dict[str, float]:
    """Rates of decay, 1/s."""
    return {"gliotransmitter resource": p.Omega_A, "gliotransmitter clearance": p.Omega_e}
