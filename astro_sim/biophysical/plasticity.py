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
from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings, quantity

GB = "Graupner and Brunel 2012"
DPB = "De Pitta and Brunel 2016"


class PlasticityParameters(Settings):
    """Constants of calcium-based plasticity."""

    tau_ca: float = quantity(20e-3, "s", "decay of postsynaptic calcium", DPB, gt=0)
    C_pre: float = quantity(1.0, "1", "calcium of a presynaptic spike that releases everything", DPB, ge=0)
    C_post: float = quantity(2.0, "1", "calcium of a postsynaptic spike", DPB, ge=0)
    D: float = quantity(13.7e-3, "s", "delay of presynaptically evoked calcium, rounded to the grid", GB, ge=0)
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

MOST_SLOTS = 64


def slots(spikes: tuple[Any, Any], delay: float, dt: float) -> int:
    """Places that a synapse needs for what is on its way: the most spikes within ``delay`` s; 4, 8, 16 ..

    Parameters
    ----------
    spikes : tuple of array, (spikes,)
        Which synapse, and when, s.
    delay, dt : float
        s.
    """
    order = np.lexsort((spikes[1], spikes[0]))
    which, steps = np.asarray(spikes[0])[order], np.round(np.asarray(spikes[1])[order] / dt)
    needed = 1
    while needed < len(which):  # are there synapses with so many spikes and one more within the delay?
        close = steps[needed:] - steps[:-needed] <= round(delay / dt)
        if not (close & (which[needed:] == which[:-needed])).any():
            break
        needed += 1
        if needed > MOST_SLOTS:
            raise InputError(f"D, post_delay: more than {MOST_SLOTS} spikes within {delay:g} s; expected fewer")
    return max(4, 1 << (needed - 1).bit_length())


def ring(count: int, value: str) -> tuple[str, str, str]:
    """A queue of ``count`` places on a synapse: its model, code that puts ``value`` in, expression for what is next.

    What is sent travels for the delay of a pathway, and arrives as it was sent.
    """
    places = range(count)
    model = "\n".join(["sent : 1", "arrived : 1", *(f"r_{place} : 1" for place in places)])
    puts = [f"r_{place} = r_{place}*int(sent != {place}) + ({value})*int(sent == {place})" for place in places]
    send = "\n".join([*puts, f"sent = (sent + 1) % {count}"])
    return model, send, " + ".join(f"r_{place}*int(arrived == {place})" for place in places)


def _namespace(parameters: PlasticityParameters) -> dict[str, Any]:
    """Constants; C_pre and C_post by other names, since on a synapse they would be C of its two ends."""
    names = {"C_pre": "jump_pre", "C_post": "jump_post"}
    return {names.get(name, name): value for name, value in constants(parameters).items()}


def build_plasticity(session: Session, parameters: PlasticityParameters, count: int, noisy: bool) -> Any:
    """A group of ``count`` synapses: efficacy ``rho``, postsynaptic calcium ``c``, weight ``w``."""
    import brian2

    noise = NOISE if noisy and parameters.sigma > 0 else ""
    group = brian2.NeuronGroup(
        count, EQUATIONS.format(noise=noise), method="euler", namespace=_namespace(parameters), name="plasticity"
    )
    session.add(group.run_regularly(CALCIUM, when="groups", order=-1, name="postsynaptic_calcium"))
    group.rho = parameters.rho_start
    return session.add(group)


def connect_release(session: Session, units: Any, group: Any, delay: float, slots: int = 4) -> Any:
    """What unit i releases at a spike reaches the calcium of synapse i after ``delay`` seconds.

    The unit's event "transmission" carries it, so it follows each presynaptic spike at once. ``slots`` is how many may
    be on their way.
    """
    model, send, following = ring(slots, "r_S_pre")
    arrive = f"c_post += jump_pre*({following})\narrived = (arrived + 1) % {slots}"
    return _delayed(session, units, group, model, {"send": send, "arrive": arrive}, delay, "presynaptic_calcium")


def _delayed(
    session: Session, units: Any, group: Any, model: str, code: dict[str, str], delay: float, name: str, **more: Any
) -> Any:
    """Two pathways from a unit's spikes to synapse i: the first at once, the second after ``delay`` seconds."""
    import brian2

    path = brian2.Synapses(
        units,
        group,
        model=model,
        on_pre=code,
        on_event=dict.fromkeys(code, "transmission"),  # pyright: ignore[reportArgumentType]
        namespace={**group.namespace, **more},
        name=name,
    )
    path.connect(j="i")
    at_once, later = (getattr(path, pathway) for pathway in code)
    later.delay = delay * brian2.second
    # The event is heard after the synapses of its step, hence these pathways come later still in that step; and what
    # is sent with no delay must have been sent before it arrives.
    at_once.when = later.when = "after_synapses"
    at_once.order, later.order = 1, 2
    return session.add(path)


def connect_post(session: Session, source: Any, group: Any) -> Any:
    """Postsynaptic spikes: source i reaches the calcium of synapse i."""
    return session.act(source, group, "c_post += jump_post", "postsynaptic_spikes")


def steady_state(p: PlasticityParameters, above_p: np.ndarray | float, above_d: np.ndarray | float) -> tuple[Any, Any]:
    """Efficacy and rate (1/s) without the cubic drift, for given shares of time above the thresholds.

    rho tends to G_p / (G_p + G_d) at the rate (G_p + G_d) / tau_rho, with G = gamma times the share.
    """
    rise, fall = p.gamma_p * above_p, p.gamma_d * above_d
    return rise / (rise + fall), (rise + fall) / p.tau_rho


def connect_driven(session: Session, units: Any, group: Any, delay: float, gain: float, slots: int = 4) -> Any:
    """A postsynaptic spike ``delay`` seconds after each presynaptic one, with probability ``gain`` w r_S (at most 1).

    This reads the slow variable back: a potentiated synapse makes the spikes that potentiate it. ``fired`` of the
    result counts them.
    """
    model, send, following = ring(slots, "chosen")
    decide = f"chosen = int(rand() < gain*w_post*r_S_pre)\n{send}"
    fire = f"now = {following}\nc_post += jump_post*now\nfired += now\narrived = (arrived + 1) % {slots}"
    model += "\nfired : 1"
    return _delayed(session, units, group, model, {"decide": decide, "fire": fire}, delay, "driven_spikes", gain=gain)
