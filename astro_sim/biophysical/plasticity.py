r"""Long-term plasticity: postsynaptic calcium moves the efficacy rho, gated by gliotransmission through release.

    dc/dt = -c / tau_ca;   a presynaptic spike, D later: c += C_pre r_S;   a postsynaptic spike: c += C_post
    tau_rho drho/dt = -rho (1 - rho) (rho_star - rho) + gamma_p (1 - rho) [c >= theta_p] - gamma_d rho [c >= theta_d]
                      + sigma sqrt(tau_rho ([c >= theta_p] + [c >= theta_d])) xi
    w = 1 + (w_potentiated - 1) rho

r_S is what the terminal released, so gliotransmitter that changes release changes plasticity. c decays exponentially
between events; the share of a step that it spends above a threshold is worked out exactly, so a step may be longer
than its excursions demand. Sources: Graupner and Brunel (2012); De Pitta and Brunel (2016); Stimberg et al. (2019).
"""

from typing import Any

import numpy as np

from astro_sim.biophysical.engine import Session, constants
from astro_sim.common.settings import Settings, quantity

GB = "Graupner and Brunel 2012"
DPB = "De Pitta and Brunel 2016"


class PlasticityParameters(Settings):
    """Constants of calcium-based plasticity."""

    tau_ca: float = quantity(20e-3, "s", "decay of postsynaptic calcium", DPB, gt=0)
    C_pre: float = quantity(1.0, "1", "calcium of a presynaptic spike that releases everything", DPB, ge=0)
    C_post: float = quantity(2.0, "1", "calcium of a postsynaptic spike", DPB, ge=0)
    D: float = quantity(13.7e-3, "s", "delay of presynaptically evoked calcium", GB, ge=0)
    theta_d: float = quantity(1.0, "1", "calcium above which efficacy falls", GB, gt=0)
    theta_p: float = quantity(1.3, "1", "calcium above which efficacy rises", GB, gt=0)
    gamma_d: float = quantity(200.0, "1", "rate of depression", GB, ge=0)
    gamma_p: float = quantity(321.808, "1", "rate of potentiation", GB, ge=0)
    rho_star: float = quantity(0.5, "1", "boundary between the two stable efficacies", GB, ge=0, le=1)
    sigma: float = quantity(2.8284, "1", "noise of efficacy while calcium is above a threshold", GB, ge=0)
    tau_rho: float = quantity(346.36, "s", "time constant of efficacy", GB, gt=0)
    bistable: float = quantity(
        1.0, "1", "share of the cubic drift in force; 0 leaves a linear equation", GB, ge=0, le=1
    )
    rho_start: float = quantity(0.0, "1", "efficacy at the start", "chosen", ge=0, le=1)
    w_potentiated: float = quantity(5.0, "1", "weight of a potentiated synapse, of a depressed one's", GB, ge=0)


EQUATIONS = """
drho/dt = (drift + gamma_p*(1 - rho)*above_p - gamma_d*rho*above_d)/tau_rho{noise} : 1
drift = -bistable*rho*(1 - rho)*(rho_star - rho) : 1
c : 1
above_p : 1
above_d : 1
w = 1 + (w_potentiated - 1)*rho : 1
"""
NOISE = " + sigma*sqrt((above_p + above_d)/tau_rho)*xi"
# Before the state update of a step: the share of it that c will spend above each threshold, then c at its end.
CALCIUM = """
above_p = clip(tau_ca*log(c/theta_p + 1e-300)/dt, 0, 1)
above_d = clip(tau_ca*log(c/theta_d + 1e-300)/dt, 0, 1)
c = c*exp(-dt/tau_ca)
"""

# Released shares travel for D; with up to four on their way each arrives as it was sent.
IN_FLIGHT = 4
_SLOTS = range(IN_FLIGHT)
FLIGHT_MODEL = "\n".join(["sent : 1", "arrived : 1", *(f"r_{slot} : 1" for slot in _SLOTS)])
SEND = "\n".join(
    [f"r_{slot} = r_{slot}*int(sent != {slot}) + r_S_pre*int(sent == {slot})" for slot in _SLOTS]
    + [f"sent = (sent + 1) % {IN_FLIGHT}"]
)
ARRIVE = "\n".join(
    [
        "c_post += jump_pre*(" + " + ".join(f"r_{slot}*int(arrived == {slot})" for slot in _SLOTS) + ")",
        f"arrived = (arrived + 1) % {IN_FLIGHT}",
    ]
)


def _namespace(parameters: PlasticityParameters) -> dict[str, Any]:
    """Constants; C_pre and C_post by other names, since on a synapse they would be C of its two ends."""
    names = {"C_pre": "jump_pre", "C_post": "jump_post"}
    return {names.get(name, name): value for name, value in constants(parameters).items()}


def build_plasticity(session: Session, parameters: PlasticityParameters, count: int, noisy: bool) -> Any:
    """A group of ``count`` synapses: efficacy ``rho``, postsynaptic calcium ``c``, weight ``w``."""
    import brian2

    noise = NOISE if noisy and parameters.sigma > 0 else ""
    group = brian2.NeuronGroup(
        count,
        EQUATIONS.format(noise=noise),
        method="euler",
        namespace=_namespace(parameters),
        name="plasticity",
    )
    session.add(group.run_regularly(CALCIUM, when="groups", order=-1, name="postsynaptic_calcium"))
    group.rho = parameters.rho_start
    return session.add(group)


def connect_release(session: Session, units: Any, group: Any, delay: float) -> Any:
    """What unit i releases at a spike reaches the calcium of synapse i after ``delay`` seconds.

    The unit's event "transmission" carries it, so it follows each presynaptic spike at once.
    """
    import brian2

    path = brian2.Synapses(
        units,
        group,
        model=FLIGHT_MODEL,
        on_pre={"send": SEND, "arrive": ARRIVE},
        on_event=dict.fromkeys(("send", "arrive"), "transmission"),  # pyright: ignore[reportArgumentType]
        namespace=group.namespace,
        name="presynaptic_calcium",
    )
    path.connect(j="i")
    path.arrive.delay = delay * brian2.second
    # The event is heard after the synapses of its step, hence these pathways come later still in that step.
    path.send.when = path.arrive.when = "after_synapses"
    path.send.order = path.arrive.order = 1
    return session.add(path)


def connect_post(session: Session, source: Any, group: Any) -> Any:
    """Postsynaptic spikes: source i reaches the calcium of synapse i."""
    import brian2

    path = brian2.Synapses(
        source, group, on_pre="c_post += jump_post", namespace=group.namespace, name="postsynaptic_spikes"
    )
    path.connect(j="i")
    return session.add(path)


def steady_state(p: PlasticityParameters, above_p: np.ndarray | float, above_d: np.ndarray | float) -> tuple[Any, Any]:
    """Efficacy and rate (1/s) without the cubic drift, for given shares of time above the thresholds.

    rho tends to G_p / (G_p + G_d) at the rate (G_p + G_d) / tau_rho, with G = gamma times the share.
    """
    rise, fall = p.gamma_p * above_p, p.gamma_d * above_d
    return rise / (rise + fall), (rise + fall) / p.tau_rho


def connect_driven(session: Session, units: Any, group: Any, delay: float, gain: float) -> Any:
    """A postsynaptic spike ``delay`` seconds after a presynaptic one, with probability ``gain`` times w r_S.

    This reads the slow variable back: a potentiated synapse makes the spikes that potentiate it.
    """
    import brian2

    path = brian2.Synapses(
        units,
        group,
        model="fires : 1",
        on_pre={"decide": "fires = int(rand() < gain*w_post*r_S_pre)", "fire": "c_post += jump_post*fires"},
        on_event=dict.fromkeys(("decide", "fire"), "transmission"),  # pyright: ignore[reportArgumentType]
        namespace={**group.namespace, "gain": gain},
        name="driven_spikes",
    )
    path.connect(j="i")
    path.fire.delay = delay * brian2.second
    path.decide.when = path.fire.when = "after_synapses"
    path.decide.order, path.fire.order = 2, 1
    return session.add(path)
