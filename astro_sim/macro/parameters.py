"""Parameters of the macro model, each with value, unit, meaning and source."""

from typing import Literal

from astro_sim.common.settings import Settings, quantity
from astro_sim.knockouts import Knockout, knockouts_field, refuse

EQ = "RMAAT (arXiv 2601.00426), macro model"
CHOSEN = "chosen: the paper publishes no values; with these p^s follows the stimulus and p^l integrates it"

KNOCKOUTS: tuple[Knockout, ...] = ("calcium", "receptors", "gap_junctions", "gliotransmission")  # it has no noise

NonLinearity = Literal["tanh", "rectified", "softsign", "linear"]
"""Non-linearities on offer; all are 0 at 0 with (right-hand) slope 1, so that the resting state is the origin."""


class MacroParameters(Settings):
    """Constants of the macro model; equations in `astro_sim.macro.equations`, symbols the same.

    Time constants in seconds, activities and calcium in arbitrary units.
    """

    n: int = quantity(3, "1", "presynaptic neurons, and postsynaptic ones; n * n synapses", "RMAAT Fig. 1", ge=1, le=64)

    tau_n: float = quantity(0.05, "s", "time constant of the neurons", CHOSEN, gt=0, le=1e9)
    tau_s: float = quantity(0.5, "s", "time constant of synaptic facilitation", CHOSEN, gt=0, le=1e9)
    tau_p_s: float = quantity(2.0, "s", "time constant of the STP process", CHOSEN, gt=0, le=1e9)
    tau_p_l: float = quantity(60.0, "s", "time constant of the LTP process", CHOSEN, gt=0, le=1e9)

    lambda_: float = quantity(1.0, "1", "leak of the neurons (lambda)", EQ + ", value chosen", ge=0, le=1e6)
    beta: float = quantity(2.0, "1", "leak of synaptic facilitation", CHOSEN, ge=0, le=1e6)
    gamma_s: float = quantity(2.0, "1", "leak of the STP process", CHOSEN, ge=0, le=1e6)
    gamma_l: float = quantity(1.0, "1", "leak of the LTP process", CHOSEN, ge=0, le=1e6)

    b: float = quantity(0.0, "a.u.", "bias of every neuron", EQ + ", value chosen")
    c: float = quantity(0.0, "a.u.", "bias of every synapse", EQ + ", value chosen")
    d: float = quantity(0.0, "a.u.", "bias of every STP process", EQ + ", value chosen")

    coupling: float = quantity(
        0.5,
        "1",
        "strength of the coupling between STP processes (largest row sum of its matrix)",
        "chosen: bounds rho(T) at any n",
        ge=0,
    )
    scale: float = quantity(
        1.0, "1/spacing", "decay of that coupling with distance, ~ exp(-scale * distance)", EQ + ", value chosen", ge=0
    )

    phi: NonLinearity = quantity("tanh", "1", "output of a presynaptic neuron onto its targets", CHOSEN)
    g: NonLinearity = quantity("tanh", "1", "synaptic strength from facilitation s", CHOSEN)
    theta: NonLinearity = quantity("tanh", "1", "activity that drives facilitation", CHOSEN)
    psi: NonLinearity = quantity("tanh", "1", "effect of STP calcium on synapse and other processes", CHOSEN)
    kappa: NonLinearity = quantity("tanh", "1", "drive of both processes by facilitation", CHOSEN)

    ltp_dynamics: Literal["linear", "bounded"] = quantity(
        "linear",
        "1",
        "LTP drive: kappa(s), or kappa(s) (1 - p^l), whose rate depends on activity",
        "linear: RMAAT; bounded: ours",
    )
    knockouts: tuple[Knockout, ...] = knockouts_field()

    dt: float = quantity(0.005, "s", "longest step of the solver", "chosen: a tenth of tau_n", gt=0)
    method: Literal["rk4", "euler"] = quantity(
        "rk4", "1", "classical Runge-Kutta of order 4, or Euler (to compare like with like)", "chosen"
    )

    def model_post_init(self, _: object) -> None:
        refuse(self.knockouts, KNOCKOUTS, "the macro model")
