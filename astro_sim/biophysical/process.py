"""The tripartite unit: an astrocyte process with its synapse, many independent ones side by side in one Brian2 group.

All of a unit's variables live in one group, so one Runge-Kutta step takes them together: between events the method has
its full order, which it loses where variables of one group drive another's through sums held over a step.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from astro_sim.biophysical import calcium, gliotransmission, ip3, ip3_flux, receptors, synapse
from astro_sim.biophysical.engine import Session, SolverParameters, constants, spikes_before
from astro_sim.common.settings import quantity
from astro_sim.knockouts import Knockout, knockouts_field, refuse
from astro_sim.stability import require_stable

UM = 1e-3  # one uM in Brian2's base unit, mol/m^3
CONCENTRATIONS = ("C", "I", "Y_S", "Y_ext", "G_A", "I_bias", "J_in")
DIMENSION = {"Y_ext": "mmolar", "I": "mmolar", "I_bias": "mmolar", "J_in": "mmolar/second"}
PER_UNIT = """
receptors_free : 1 (constant)
gliotransmission_on : 1 (constant)
U_0_star : 1 (constant)
alpha : 1 (constant)
measured_from : second (constant)
spikes_heard : 1
r_total : 1
last_spike : second
"""
FULL_VESICLE = "Y_S_post += rho_c*Y_T\n"
# Counts what a window's means need at spikes alone, where recording every transmission would cost in every step.
COUNT = """
spikes_heard_post += int(t >= measured_from_post - dt/2)
r_total_post += r_S_post*int(t >= measured_from_post - dt/2)
last_spike_post = t
"""
Kinetics = Literal["li_rinzel", "chi", "g_chi"]

# Values that go together, each from the published model of that name.
G_CHI = {"kinetics": "g_chi", "K_P": 0.1, "O_delta": 0.2, "K_delta": 0.3, "K_D": 0.5, "Omega_5P": 0.1, "O_beta": 5.0,
         "F_ex": 0.09, "rho_c": 0.001}  # fmt: skip
CHI = {"kinetics": "chi", "O_3K": 2.0, "K_D": 0.7, "K_3K": 1.0, "kappa_delta": 1.5, "K_delta": 0.1}
AM = {**CHI, "O_delta": 0.02, "Omega_5P": 0.04, "K_P": 0.1}
FM = {**CHI, "O_delta": 0.05, "Omega_5P": 0.05, "K_P": 0.051}
LI_RINZEL = {"kinetics": "li_rinzel", "Omega_C": 6.0, "Omega_L": 0.11, "O_P": 0.9, "K_P": 0.1, "C_T": 2.0,
             "rho_A": 0.185, "d_1": 0.13, "d_2": 1.049, "d_3": 0.9434, "d_5": 0.08234, "O_2": 0.2}  # fmt: skip


class AstrocyteParameters(
    SolverParameters,
    calcium.CalciumParameters,
    ip3.IP3Parameters,
    receptors.ReceptorParameters,
    ip3_flux.DriveParameters,
):
    """Constants of one astrocyte process: G-ChI and what it contains."""

    kinetics: Kinetics = quantity(
        "g_chi",
        "1",
        "calcium with IP3 clamped (li_rinzel), with IP3 (chi), with receptors too (g_chi)",
        "Stimberg et al. 2019",
    )
    method: Literal["rk4", "rk2", "euler"] = quantity(
        "rk4", "1", "solver of the quiet equations between events", "ours"
    )
    knockouts: tuple[Knockout, ...] = knockouts_field()

    @property
    def noisy(self) -> bool:
        """Whether the gate h carries noise."""
        return self.noise > 0 and "noise" not in self.knockouts

    def model_post_init(self, _: object) -> None:
        super().model_post_init(_)
        if "noise" in self.knockouts and not self.has_noise:
            raise ValueError("knockouts: there is no noise to block; expected noise above 0")

    @property
    def has_noise(self) -> bool:
        """Whether anything is noisy unless it is blocked."""
        return self.noise > 0


class ProcessParameters(AstrocyteParameters, synapse.SynapseParameters, gliotransmission.ReleaseParameters):
    """Constants of a tripartite unit."""

    def model_post_init(self, _: object) -> None:
        super().model_post_init(_)
        refuse(self.knockouts, ("calcium", "receptors", "gliotransmission", "noise"), "a tripartite unit")


def switches(knockouts: tuple[Knockout, ...]) -> dict[str, float]:
    """Knock-outs as the factors of the equations: 0 where something is blocked, otherwise 1."""
    factors = {"calcium_free": "calcium", "receptors_free": "receptors", "gap_junctions_open": "gap_junctions"}
    factors["gliotransmission_on"] = "gliotransmission"
    return {factor: float(part not in knockouts) for factor, part in factors.items()}


def namespace(parameters: AstrocyteParameters) -> dict[str, Any]:
    """Constants and switches for the equations; what differs from unit to unit is left to the group."""
    space = {**constants(parameters), **switches(parameters.knockouts)}
    if isinstance(parameters, ProcessParameters):
        for name in ("U_0_star", "alpha", "receptors_free", "gliotransmission_on"):
            del space[name]
    return space


def astrocyte_equations(parameters: AstrocyteParameters, coupled: bool = False) -> str:
    """Equations of calcium, the IP3 receptor, IP3 and the astrocyte's receptors."""
    if parameters.kinetics == "li_rinzel":
        return calcium.EQUATIONS + calcium.GATE + ip3.CLAMPED
    inflow = receptors.EQUATIONS if parameters.kinetics == "g_chi" else receptors.ABSENT
    junctions = ip3_flux.COUPLED if coupled else ip3_flux.ALONE
    return calcium.EQUATIONS + calcium.GATE + ip3.FREE + inflow + ip3_flux.DRIVE + junctions


def add_noise(session: Session, group: Any, parameters: AstrocyteParameters) -> None:
    """Noise on the gate h of a group, if its parameters ask for it: after the state update of every step."""
    if parameters.noisy:
        session.add(group.run_regularly(calcium.NOISE, when="groups", order=1, name=f"{group.name}_noise"))


def build_units(
    session: Session,
    parameters: ProcessParameters,
    count: int,
    transmitter: float | None = None,
    transmission: bool = False,
    name: str = "process",
) -> Any:
    """A group of ``count`` independent units with synapse and release.

    Parameters
    ----------
    session, parameters, count
    transmitter : float, optional
        Most that the receptors meet, uM, for the stability bound; by default that of a whole vesicle.
    transmission : bool
        Have the event "transmission" just after each presynaptic spike, for `record_transmission` and for plasticity.
    name : str
        Of the group.

    Returns
    -------
    brian2.NeuronGroup
        h starts at 0.9, x_S and x_A at 1, all else at 0 (G-ChI and synapse of Stimberg et al. 2019); ``U_0_star`` and
        ``alpha`` are per unit. Its spikes are releases of gliotransmitter.

    Raises
    ------
    InputError
        A step beyond the stability bound.
    """
    import brian2

    p = parameters
    transmitter = 1e3 * p.rho_c * p.Y_T if transmitter is None else transmitter
    rates = {
        **calcium.rates(p),
        **ip3.rates(p, ip3_flux.rate(p)),
        **receptors.rates(p, transmitter),
        **synapse.rates(p, p.peak),
        **gliotransmission.rates(p),
    }
    require_stable(p.dt, rates, p.method)
    group = brian2.NeuronGroup(
        count,
        astrocyte_equations(p) + synapse.EQUATIONS + gliotransmission.EQUATIONS + PER_UNIT,
        **gliotransmission.RELEASE,
        events={"transmission": "t - last_spike < dt/2"} if transmission else None,
        method=p.method,
        namespace=namespace(p),
        name=name,
    )
    add_noise(session, group, p)
    if transmission:  # after the spikes of a step, so that the event hears what they released
        group.set_event_schedule("transmission", when="after_synapses")
    group.last_spike = -1 * brian2.second
    blocks = switches(p.knockouts)
    start = {"h": 0.9, "x_S": 1.0, "x_A": 1.0, "U_0_star": p.U_0_star, "alpha": p.alpha}
    for name in ("receptors_free", "gliotransmission_on"):
        start[name] = blocks[name]
    set_states(group, **start)
    return session.add(group)


def connect_spikes(session: Session, source: Any, group: Any, full_vesicle: bool = False) -> Any:
    """Spikes of source i reach the terminal of unit i.

    With ``full_vesicle`` a spike adds rho_c Y_T to the cleft whatever the terminal's state (published G-ChI astrocyte).
    """
    on_spike = FULL_VESICLE if full_vesicle else synapse.ON_SPIKE
    return session.act(source, group, on_spike + COUNT, "terminal")


def mean_release(group: Any) -> np.ndarray:
    """Mean r_S of each unit over the spikes since ``measured_from``; NaN where there was none."""
    spikes, total = np.asarray(group.spikes_heard_[:]), np.asarray(group.r_total_[:])
    return np.divide(total, spikes, out=np.full(len(spikes), np.nan), where=spikes > 0)


def record_transmission(session: Session, group: Any, names: Sequence[str] = ("r_S",)) -> Any:
    """Record variables of a unit just after each spike that reaches it."""
    import brian2

    return session.add(
        brian2.EventMonitor(group, "transmission", variables=list(names), name=f"{group.name}_transmission")
    )


def count_releases(monitor: Any, count: int, start: float, end: float, dt: float) -> np.ndarray:
    """Releases of each unit from ``start`` to ``end``, s."""
    units, times = spikes_before(monitor, end, dt)
    return np.bincount(units[times >= start - 0.5 * dt], minlength=count).astype(float)


def set_states(group: Any, **states: Any) -> None:
    """Set states and inputs by name; concentrations in uM, as numbers or one number a unit."""
    for name, value in states.items():
        scale = UM if name in CONCENTRATIONS else 1.0
        setattr(group, name + "_", np.broadcast_to(np.asarray(value, dtype=float) * scale, len(group)))
    if "C" in states and "not_refractory" in group.variables:
        # Calcium that starts above the threshold has not crossed it.
        group.not_refractory = np.broadcast_to(states["C"], len(group)) <= float(group.namespace["C_Theta"]) / UM


def restrict(group: Any, hears: Any, acts: Any) -> None:
    """Units hear their synapse, and act on it, only where these are true (one for all, or one a unit).

    A knock-out stays in force: this only takes more away.
    """
    group.receptors_free_ = group.receptors_free_[:] * hears
    group.gliotransmission_on_ = group.gliotransmission_on_[:] * acts


def build_cells(session: Session, parameters: ProcessParameters, count: int, name: str = "cell") -> Any:
    """A group of ``count`` independent astrocytes without synapse: kinetics li_rinzel or chi.

    Returns
    -------
    brian2.NeuronGroup
        h starts at 0.9, all else at 0.
    """
    import brian2

    p = parameters
    rates = {**calcium.rates(p)}
    if p.kinetics != "li_rinzel":
        rates |= ip3.rates(p, ip3_flux.rate(p))
    require_stable(p.dt, rates, p.method)
    group = brian2.NeuronGroup(
        count, astrocyte_equations(p), method=p.method, namespace=namespace(p), name=f"{name}_{p.kinetics}"
    )
    add_noise(session, group, p)
    group.h = 0.9
    return session.add(group)


def add_at(session: Session, group: Any, name: str, steps: Sequence[tuple[float, Any]]) -> None:
    """Add to variable ``name`` of every unit, at given times, amounts in its declared unit (one, or one a unit)."""
    import brian2

    count = len(group)
    at = np.repeat([time for time, _ in steps], count)
    source = session.spikes("command", count * len(steps), np.arange(count * len(steps)), at)
    path = brian2.Synapses(
        source, group, model=f"amount : {DIMENSION[name]}", on_pre=f"{name}_post += amount", name=f"command_{name}"
    )
    path.connect(i=np.arange(count * len(steps)), j=np.tile(np.arange(count), len(steps)))
    amounts = np.concatenate([np.broadcast_to(np.asarray(amount, dtype=float), count) for _, amount in steps])
    path.amount_ = amounts * (UM if name in CONCENTRATIONS else 1.0)
    session.add(path)


def hold_levels(session: Session, group: Any, levels: Any, hold: float, kick: float) -> None:
    """Hold the IP3 of each unit at one level after another.

    Parameters
    ----------
    levels : array, (levels, units)
        uM.
    hold : float
        Time at each level, s.
    kick : float
        Share by which calcium is raised as a level begins: at rest to machine precision, a state that has turned
        unstable would be left only after a long delay.
    """
    import brian2

    schedule = brian2.TimedArray(np.asarray(levels, dtype=float) * UM * brian2.mmolar, hold * brian2.second)
    group.namespace.update(schedule=schedule, kick=kick)
    session.add(
        group.run_regularly(
            "I = schedule(t, i)\nC = C*(1 + kick*calcium_free)",
            dt=hold * brian2.second,
            when="start",
            order=-1,
            name="hold_levels",
        )
    )


def force_releases(session: Session, source: Any, group: Any) -> Any:
    """Spikes of source i make unit i release gliotransmitter, whatever its calcium."""
    on_spike = gliotransmission.ON_RELEASE.replace("G_A", "G_A_post").replace("x_A", "x_A_post")
    return session.act(source, group, on_spike, "forced_releases")
