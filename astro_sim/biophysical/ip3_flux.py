r"""IP3 that flows in from outside or from a neighbour: nothing below a threshold difference, a plateau above.

    J = -F/2 (1 + tanh((|dI| - I_Theta) / omega_I)) sgn(dI)

External drive: F_ex, dI = I - I_bias, and a constant inflow J_in beside it (ours, 0 unless set). Gap junction: F,
dI = I_i - I_j. With I_bias = 0 the drive is a sink of IP3, not nothing; the published G-ChI astrocyte has it so.
Source: Stimberg et al. (2019), after Goldberg et al. (2010).
"""

from astro_sim.biophysical.calcium import SGBD
from astro_sim.common.settings import Settings, quantity


class DriveParameters(Settings):
    """External IP3 drive."""

    F_ex: float = quantity(2.0, "uM/s", "largest flow of external IP3 drive", SGBD, ge=0)
    I_Theta: float = quantity(0.3, "uM", "difference of IP3 at which half of the largest flow runs", SGBD, ge=0)
    omega_I: float = quantity(0.05, "uM", "width of that threshold", SGBD, gt=0)


class GapJunctionParameters(DriveParameters):
    """External drive and gap junctions; both share threshold and width."""

    F: float = quantity(0.09, "uM/s", "largest flow of IP3 through a gap junction", SGBD, ge=0)


DRIVE = """
J_ex = -F_ex/2*(1 + tanh((abs(I - I_bias) - I_Theta)/omega_I))*sign(I - I_bias) + J_in : mmolar/second
I_bias : mmolar
J_in : mmolar/second
"""
COUPLED = "J_coupling : mmolar/second\n"
ALONE = "J_coupling = 0*mmolar/second : mmolar/second\n"

# On the synapses between astrocytes; `strength` scales a junction (1, or less with distance).
GAP_JUNCTION = """
delta_I = I_post - I_pre : mmolar
open_share = (1 + tanh((abs(delta_I) - I_Theta)/omega_I))/2 : 1
J_coupling_post = -gap_junctions_open*strength*F*open_share*sign(delta_I) : mmolar/second (summed)
strength : 1
"""


def rate(p: DriveParameters, junctions: float = 0.0) -> float:
    """Steepest slope of the flows against IP3, 1/s: of the drive and of ``junctions``, uM/s of gap junctions in all."""
    return (p.F_ex + junctions) / (2 * p.omega_I)
