r"""Leaky integrate-and-fire neurons with conductance-based synapses.

    C_m dv/dt = g_l (E_l - v) + g_e (E_e - v) + g_i (E_i - v) + I_ex factor + I_slow,   dg_i/dt = -g_i / tau_i
    v > V_th: spike, v = V_r, held for tau_r

g_e comes from the sites of the synapses (`tripartite`), I_slow from the astrocytes (`slow_inward_current`). Between
steps conductances are held, and the voltage is solved exactly for them. Source: Stimberg et al. (2019).
"""

from typing import Any

import numpy as np

from astro_sim.biophysical.calcium import SGBD
from astro_sim.biophysical.engine import Session
from astro_sim.common.settings import Settings, quantity


class NeuronParameters(Settings):
    """Constants of the neurons."""

    C_m: float = quantity(198.0, "pF", "membrane capacitance", SGBD, gt=0)
    g_l: float = quantity(9.99, "nS", "leak conductance", SGBD, gt=0)
    E_l: float = quantity(-60.0, "mV", "leak reversal potential", SGBD)
    V_th: float = quantity(-50.0, "mV", "firing threshold", SGBD)
    V_r: float = quantity(-60.0, "mV", "reset potential", SGBD)
    E_e: float = quantity(0.0, "mV", "excitatory reversal potential", SGBD)
    E_i: float = quantity(-80.0, "mV", "inhibitory reversal potential", SGBD)
    tau_r: float = quantity(5.0, "ms", "refractory period", SGBD, ge=0)
    I_ex: float = quantity(100.0, "pA", "external current", f"{SGBD}, network", ge=0)
    w_i: float = quantity(1.0, "nS", "inhibitory conductance of a spike that releases all vesicles", SGBD, ge=0)
    tau_i: float = quantity(10.0, "ms", "decay of the inhibitory conductance", SGBD, gt=0)

    def model_post_init(self, _: object) -> None:
        super().model_post_init(_)
        if self.V_r >= self.V_th:
            raise ValueError(f"V_r: expected below V_th = {self.V_th:g} mV, got {self.V_r:g}")


EQUATIONS = """
dv/dt = (g_l*(E_l - v) + g_e*(E_e - v) + g_i*(E_i - v) + I_ex*factor + I_slow)/C_m : volt (unless refractory)
dg_i/dt = -g_i/tau_i : siemens
g_e : siemens
factor : 1
"""


def rate(p: NeuronParameters, factor: float = 1.0) -> float:
    """Closed form: firing rate, Hz, of a neuron that external current alone drives.

    1 / (tau_r + tau_m ln((V - V_r) / (V - V_th))) with V = E_l + I_ex factor / g_l, tau_m = C_m / g_l; 0 for V <= V_th.
    """
    end = p.E_l + p.I_ex * factor / p.g_l
    if end <= p.V_th:
        return 0.0
    return 1e3 / (p.tau_r + p.C_m / p.g_l * float(np.log((end - p.V_r) / (end - p.V_th))))


def build_neurons(session: Session, space: dict[str, Any], count: int, slow: str, name: str = "neurons") -> Any:
    """A group of ``count`` neurons at rest, ``factor`` 1; ``slow`` holds the equations of I_slow."""
    import brian2

    group = brian2.NeuronGroup(
        count,
        EQUATIONS + slow,
        threshold="v > V_th",
        reset="v = V_r",
        refractory=space["tau_r"],
        method="exponential_euler",
        namespace=space,
        name=name,
    )
    group.v = space["E_l"]
    group.factor = 1.0
    return session.add(group)
