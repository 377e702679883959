r"""The bidirectional astrocyte-neuron (AN) synapse: neurons that share an astrocyte, which hears and strengthens them.

    presynaptic spike -> release with probability PR -> postsynaptic spike -> 2-AG -> DSE (down), and IP3 -> calcium
    -> glutamate -> e-SP (up) -> PR

Wade et al. (2012) in form, with the values of a published self-repair script. Calcium is Li and Rinzel's (calcium.py).

Three groups: synapses, neurons, astrocytes; independent repetitions side by side. What a spike does, it does in its own
step: synapses act before neurons are held against their threshold, so that no delay of a step enters.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from astro_sim.biophysical import an_neuron, calcium, endocannabinoid, potentiation, process
from astro_sim.biophysical.an_neuron import SCRIPT
from astro_sim.biophysical.engine import Session, SolverParameters, constants, on_grid
from astro_sim.common.settings import quantity
from astro_sim.knockouts import Knockout, knockouts_field, refuse
from astro_sim.stability import require_stable

Array = NDArray[np.float64]


class ANCalciumParameters(calcium.CalciumParameters):
    """Constants of the astrocyte's calcium in this model."""

    Omega_C: float = quantity(6.0, "1/s", "maximal rate of release by IP3 receptors (r_C)", SCRIPT, ge=0)
    Omega_L: float = quantity(0.11, "1/s", "rate of the leak from the endoplasmic reticulum (r_L)", SCRIPT, ge=0)
    O_P: float = quantity(0.8, "uM/s", "maximal rate of uptake by SERCA pumps (v_ER)", SCRIPT, ge=0)
    K_P: float = quantity(0.1, "uM", "calcium affinity of SERCA pumps (k_ER)", SCRIPT, gt=0)
    C_T: float = quantity(2.0, "uM", "calcium in cytosol and reticulum together (c_0)", SCRIPT, gt=0)
    rho_A: float = quantity(0.185, "1", "ratio of reticulum to cytosol by volume (c_1)", SCRIPT, ge=0)
    d_1: float = quantity(0.13, "uM", "IP3 binding affinity", SCRIPT, gt=0)
    d_2: float = quantity(1.049, "uM", "calcium inactivation dissociation constant", SCRIPT, gt=0)
    d_3: float = quantity(0.9434, "uM", "IP3 dissociation constant", SCRIPT, gt=0)
    d_5: float = quantity(0.08234, "uM", "calcium activation dissociation constant", SCRIPT, gt=0)
    O_2: float = quantity(0.2, "1/uM/s", "rate of calcium binding for inactivation (a_2)", SCRIPT, gt=0)
    noise: float = quantity(0.0, "1", "noise on h: none in this model", SCRIPT, ge=0, le=0)
    C_0: float = quantity(0.071006, "uM", "calcium at the start", SCRIPT, ge=0)
    h_0: float = quantity(0.7791, "1", "fraction of IP3 receptors not inactivated, at the start", SCRIPT, ge=0, le=1)


class ANParameters(
    SolverParameters,
    ANCalciumParameters,
    endocannabinoid.EndocannabinoidParameters,
    potentiation.PotentiationParameters,
    an_neuron.ANNeuronParameters,
):
    """Constants of the AN model."""

    dt: float = quantity(
        1e-3,
        "s",
        "step of the solver and grid of the spikes",
        f"{SCRIPT}. Halved: e-SP moves by 0.001 %, rates by 0.2 % (the dead time is tau_ref less half a step)",
        gt=0,
    )
    transmission: Literal["stochastic", "mean"] = quantity(
        "stochastic",
        "1",
        "a spike brings q_r with probability PR; or its mean, PR q_r always, where one release fires no neuron",
        "stochastic: Wade et al. 2012",
    )
    knockouts: tuple[Knockout, ...] = knockouts_field()

    def model_post_init(self, _: object) -> None:
        super().model_post_init(_)
        refuse(self.knockouts, ("calcium", "receptors", "gliotransmission"), "the AN model")
        # There PR decides how often the neuron fires; a mean jump would fire it every time, or never.
        if self.transmission == "mean" and self.jump > self.v_th:
            raise ValueError(
                f"transmission: expected stochastic where one release fires the neuron ({self.jump:.3g} mV, above v_th "
                f"= {self.v_th:g} mV), got mean; q_r below {self.q_r * self.v_th / self.jump:.2g} pC allows it"
            )


def namespace(p: ANParameters) -> dict[str, Any]:
    """Constants and switches for the equations."""
    return {
        **constants(p),
        **p.switches(),
        "jump": constants(p)["R_m"] * constants(p)["q_r"] / constants(p)["tau_m"],
        "mean_only": float(p.transmission == "mean"),
        **process.switches(p.knockouts),
    }


@dataclass(frozen=True)
class ANUnits:
    """The groups of `build_units`: neuron k of unit u has index u * neurons + k, its synapses follow one another."""

    astrocytes: Any
    neurons: Any
    synapses: Any


ON_PRE = f"""
sent = mean_only*PR + (1 - mean_only)*int(rand() < PR)
v_post += sent*jump*{an_neuron.HEARD}
sent_healthy += sent*int(t < t_failure - 0.5*dt)
sent_failed += sent*int(t > t_failure - 0.5*dt)
"""


def build_units(
    session: Session, p: ANParameters, sources: Any, neurons: int, failed: Array, failure_time: float
) -> ANUnits:
    """Astrocytes, each with ``neurons`` neurons.

    Parameters
    ----------
    session, p
    sources : brian2 group
        Presynaptic terminals, one a synapse: unit slowest, then neuron, then synapse.
    neurons : int
        That share an astrocyte.
    failed : array, (units, neurons, synapses)
        Factor on PR_0 of each synapse from ``failure_time`` (s) on.

    Raises
    ------
    InputError
        A step beyond the stability bound, or times that are no whole number of steps.
    """
    import brian2

    require_stable(p.dt, {**calcium.rates(p), **endocannabinoid.rates(p), **potentiation.rates(p)}, "rk4")
    if p.tau_ref:
        on_grid(1e-3 * p.tau_ref, p.dt, "tau_ref")
    on_grid(p.period, p.dt, "period")
    units, _, synapses = failed.shape
    space = {**namespace(p), "t_failure": failure_time * brian2.second}
    refractory: Any = potentiation.REFRACTORY  # Brian2's hints know bool, not the expression that gives one
    astrocytes = brian2.NeuronGroup(
        units,
        calcium.EQUATIONS + calcium.GATE + endocannabinoid.ASTROCYTE + potentiation.ASTROCYTE,
        threshold=potentiation.THRESHOLD,
        refractory=refractory,
        reset=potentiation.ON_RELEASE,
        method="rk4",
        namespace=space,
        name="an_astrocytes",
    )
    astrocytes.C = space["C_0"]
    astrocytes.h = p.h_0
    astrocytes.I = space["I_star"]
    if p.release == "crossing":
        astrocytes.not_refractory = p.C_Theta >= p.C_0  # what starts above has not crossed
    cells = brian2.NeuronGroup(
        units * neurons,
        an_neuron.EQUATIONS + endocannabinoid.NEURON,
        threshold=an_neuron.THRESHOLD,
        reset=an_neuron.ON_SPIKE + endocannabinoid.ON_SPIKE,
        method="exact",
        namespace=space,
        name="an_neurons",
    )
    cells.t_spike = -1e6 * brian2.second  # no spike yet
    astrocyte = np.repeat(np.arange(units), neurons)
    terminals = brian2.Synapses(
        sources,
        cells,
        potentiation.SYNAPSE + "share = 1 - lost*int(t > t_failure - 0.5*dt) : 1\n"
        "eSP : 1 (linked)\nastrocyte : integer (constant)\nlost : 1 (constant)\nsent_healthy : 1\nsent_failed : 1\n",
        on_pre=ON_PRE,
        namespace=space,
        name="an_synapses",
    )
    index = np.arange(failed.size)
    terminals.connect(i=index, j=index // synapses)
    terminals.astrocyte = np.repeat(astrocyte, synapses)
    terminals.eSP = brian2.linked_var(astrocytes, "eSP", index="astrocyte")
    terminals.lost = 1 - failed.ravel()
    terminals.pre.when, terminals.pre.order = "thresholds", 1  # after the sources spoke
    cells.thresholder["spike"].order = 2
    shared = brian2.Synapses(
        cells, astrocytes, on_pre=endocannabinoid.ON_SHARED_SPIKE, namespace=space, name="an_shared"
    )
    shared.connect(i=np.arange(units * neurons), j=astrocyte)
    session.add(astrocytes, cells, terminals, shared)
    return ANUnits(astrocytes, cells, terminals)
