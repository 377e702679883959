r"""Excitatory synapses that astrocytes ensheathe: many synapses, few astrocytes, and a site between the two.

A site is a place on a postsynaptic neuron that one astrocyte covers. What its synapses have in common lives there once:

    dg_e/dt = -g_e / tau_e,   dY_S/dt = -Omega_c Y_S          (on a spike: g_e += w_e r_S, Y_S += rho_c Y_T r_S)
    Gamma_S of the astrocyte, so dGamma_S/dt = O_G G_A (1 - Gamma_S) - Omega_G Gamma_S is solved once an astrocyte
    Y_S of the astrocyte = sum of Y_S over its sites / number of synapses it covers

That is the published model without its clock-driven synapses, and exactly so: Y_S and g_e decay linearly, so their sums
obey the same equation, and Gamma_S of two synapses under one astrocyte differs by nothing. Only u_S and x_S, which
depend on the presynaptic neuron, stay with the synapse, where they change at spikes alone.
Source: Stimberg et al. (2019); equations of the terminal from `synapse`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_sim.biophysical import astrocytes, gliotransmission, receptors, synapse
from astro_sim.biophysical.calcium import SGBD
from astro_sim.biophysical.engine import Session
from astro_sim.common.settings import quantity
from astro_sim.stability import require_stable

Indices = NDArray[np.int64]
COINCIDENCE = 4.0  # most transmitter of many synapses over what they sustain; see `shared_transmitter`


class TripartiteParameters(astrocytes.CoupledParameters, synapse.SynapseParameters, gliotransmission.ReleaseParameters):
    """Constants of coupled astrocytes and the synapses under them."""

    @property
    def transmitter(self) -> float:
        """Transmitter that the release of all vesicles leaves in the cleft, uM."""
        return 1e3 * self.rho_c * self.Y_T

    def shared_transmitter(self, synapses: int) -> float:
        """Most transmitter, uM, that an astrocyte is taken to hear which shares that of ``synapses`` synapses.

        However fast it is driven, a synapse releases what it recovers, Omega_d of its vesicles a second at most, and
        keeps Y = rho_c Y_T Omega_d / Omega_c in the cleft on average. `COINCIDENCE` times that, 500 uM, is a third of
        all synapses released at once from rest (U_0* = 0.6). To it comes the whole vesicle of one synapse: few
        synapses average little, and one alone is heard in full.
        """
        sustained = self.transmitter * self.Omega_d / self.Omega_c if self.Omega_c else np.inf
        return float(min(self.transmitter, self.transmitter / max(synapses, 1) + COINCIDENCE * sustained))

    @property
    def astrocyte_rates(self) -> dict[str, float]:
        """Rates of decay, 1/s, of what a releasing astrocyte has besides its calcium."""
        terminal = synapse.rates(self, self.peak)
        return {**gliotransmission.rates(self), "gliotransmitter receptors": terminal["gliotransmitter receptors"]}


class ExcitationParameters(TripartiteParameters):
    """Constants of the excitatory current too."""

    w_e: float = quantity(0.05, "nS", "excitatory conductance of a spike that releases all vesicles", SGBD, ge=0)
    tau_e: float = quantity(5.0, "ms", "decay of the excitatory conductance", SGBD, gt=0)


def _equation(name: str) -> str:
    """The equation of ``name`` among the terminal's, without its unit."""
    return next(line for line in synapse.EQUATIONS.splitlines() if line.startswith(f"d{name}/dt")).rpartition(":")[0]


TERMINAL = "".join(f"{_equation(name)} : 1 (event-driven)\n" for name in ("u_S", "x_S")) + "r_S : 1\n"
SITE = f"dg_e/dt = -g_e/tau_e : siemens\n{_equation('Y_S')} : mmolar\nGamma_S : 1\n"
RELEASING = gliotransmission.EQUATIONS + f"{_equation('Gamma_S')} : 1\nY_S : mmolar\nY_peak : mmolar\n"
PEAK = "Y_peak += (Y_S - Y_peak)*int(Y_S > Y_peak)"


def on_spike(more: str, modulated: bool) -> str:
    """What a spike does at the terminal, and then ``more``; without an astrocyte if not ``modulated``."""
    lines = synapse.ON_SPIKE
    for name in ("u_S", "x_S", "r_S", "U_0_star", "alpha"):
        lines = lines.replace(f"{name}_post", name)
    if not modulated:
        heard = [line for line in lines.splitlines(keepends=True) if "Y_S" not in line]
        lines = "".join(heard).replace("Gamma_S_post", "0")
    return lines + more


def build_astrocytes(
    session: Session, parameters: TripartiteParameters, graph: astrocytes.Graph, synapses: int = 1, **options: Any
) -> Any:
    """Astrocytes that hear transmitter and release gliotransmitter; x_A starts at 1. Their spikes are releases.

    The step must be stable at the transmitter that ``synapses`` synapses share, the fewest under any astrocyte; whether
    a run kept to that, `require_kept` says.
    """
    group = astrocytes.build_astrocytes(
        session,
        parameters,
        graph,
        RELEASING,
        parameters.astrocyte_rates,
        parameters.shared_transmitter(synapses),
        **gliotransmission.RELEASE,
        **options,
    )
    group.x_A = 1.0
    session.add(group.run_regularly(PEAK, when="end", name=f"{group.name}_peak"))
    return group


def require_kept(parameters: TripartiteParameters, group: Any) -> None:
    """Raise `InputError` if in the run more transmitter came together than the step of the astrocytes bears."""
    met = 1e3 * float(np.max(np.asarray(group.Y_peak_), initial=0.0))
    require_stable(float(group.clock.dt_), receptors.rates(parameters, met), parameters.method, "astrocyte_dt")


def connect(
    session: Session,
    source: Any,
    target: Any,
    pairs: Indices,
    space: dict[str, Any],
    more: str,
    modulated: bool,
    name: str,
) -> Any:
    """Synapses with short-term plasticity, the vesicles full.

    Parameters
    ----------
    session
    source, target : brian2 group
        What fires; sites, or neurons where no astrocyte listens.
    pairs : array of int, (synapses, 2)
        Index in ``source``, index in ``target``.
    space : dict
        Namespace: the terminal's constants and what ``more`` needs.
    more : str
        Done after the release r_S of each spike, for instance ``g_e_post += w_e*r_S``.
    modulated : bool
        Whether an astrocyte acts on release and hears it.
    name : str
    """
    import brian2

    synapses = brian2.Synapses(
        source, target, TERMINAL, on_pre=on_spike(more, modulated), namespace=space, method="exact", name=name
    )
    if len(pairs):
        synapses.connect(i=pairs[:, 0], j=pairs[:, 1])
        synapses.x_S = 1.0
    else:
        synapses.active = False
        synapses.connect(False)
    return session.add(synapses)


def build_sites(session: Session, space: dict[str, Any], count: int) -> Any:
    """Places on neurons, each under one astrocyte; at rest."""
    import brian2

    return session.add(brian2.NeuronGroup(count, SITE, method="exact", namespace=space, name="sites"))


def ensheathe(session: Session, cells: Any, sites: Any, cover: Indices, synapses_at: Indices) -> Indices:
    """Astrocyte ``cover[k]`` hears site k and acts on it.

    Parameters
    ----------
    session, cells, sites
    cover : array of int, (sites,)
    synapses_at : array of int, (sites,)
        Excitatory synapses at each site.

    Returns
    -------
    array of int, (cells,)
        Synapses that each astrocyte covers: the published N_incoming.
    """
    import brian2

    incoming = np.bincount(cover, synapses_at, len(cells)).astype(np.int64)
    heard = brian2.Synapses(
        sites, cells, "Y_S_post = share*Y_S_pre : mmolar (summed)\nshare : 1 (constant)", name="heard"
    )
    heard.connect(i=np.arange(len(cover)), j=cover)
    heard.share = 1.0 / np.maximum(incoming[cover], 1)
    acts = brian2.Synapses(cells, sites, "Gamma_S_post = Gamma_S_pre : 1 (summed)", name="acts")
    acts.connect(i=cover, j=np.arange(len(cover)))
    session.add(heard, acts)
    return incoming
