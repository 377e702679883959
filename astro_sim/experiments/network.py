"""Neurons and astrocytes in a network: how gliotransmission changes firing."""

from typing import Any, Literal

import numpy as np
import xarray as xr

from astro_sim import observables
from astro_sim.biophysical import lif, slow_inward_current, tripartite, wiring
from astro_sim.biophysical.calcium import SGBD
from astro_sim.biophysical.engine import Session, on_grid, spikes_before, values
from astro_sim.biophysical.process import namespace, set_states
from astro_sim.biophysical.protocols import poisson_trains
from astro_sim.common.settings import quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, Array, PlacedSettings, over
from astro_sim.experiments.variables import ASTROCYTE, EVENTS, SYNAPSE
from astro_sim.knockouts import refuse

MOST_NEURONS = 100_000
PUBLISHED_INPUTS = 160.0  # excitatory and inhibitory synapses on a neuron: 3200 x 0.05 and 800 x 0.2
POPULATIONS = ("excitatory", "inhibitory")


class NetworkSettings(PlacedSettings):
    """Size and wiring of the network, and its external current."""

    configuration: Literal["recurrent", "synapses"] = quantity(
        "recurrent", "1", "random network on a grid of astrocytes; or n trains on n neurons, a process a synapse", SGBD
    )
    excitatory: int = quantity(800, "1", "excitatory neurons", f"chosen: a quarter of {SGBD}", ge=1, le=MOST_NEURONS)
    inhibitory: int = quantity(200, "1", "inhibitory neurons", f"chosen: a quarter of {SGBD}", ge=0, le=MOST_NEURONS)
    astrocytes: int = quantity(800, "1", "astrocytes", f"chosen: a quarter of {SGBD}", ge=1, le=MOST_NEURONS)
    p_e: float = quantity(0.05, "1", "chance of an excitatory synapse from neuron to neuron", SGBD, gt=0, le=1)
    p_i: float = quantity(0.2, "1", "chance of an inhibitory synapse", SGBD, ge=0, le=1)
    scale_weights: bool = quantity(
        True, "1", "weights times 160 over the expected synapses a neuron: the mean input of the published size", "ours"
    )
    edges: tuple[tuple[int, int], ...] | None = quantity(
        None, "1", "gap junctions as pairs of astrocytes, each pair once; overrides radius", "ours"
    )
    spacing: float = quantity(67.0, "um", "between neighbouring astrocytes", f"{SGBD}: 3.75 mm, 56 cells", gt=0)
    radius: float = quantity(75.0, "um", "astrocytes closer than this are joined", SGBD, gt=0)
    n: int = quantity(3, "1", "trains and neurons of the configuration synapses", "RMAAT Fig. 1", ge=1, le=40)
    scale: float = quantity(1.0, "1/spacing", "decay of a gap junction's strength there", "RMAAT: kernel of T", ge=0)
    train_rate: float = quantity(20.0, "Hz", "Poisson spikes of the trains there", CHOSEN, ge=0)
    factors: tuple[float, ...] = quantity(
        (1.0, 1.2, 1.0, 1.0), "1", "on the external current, a window each", SGBD, min_length=1, max_length=1000
    )
    window: float = quantity(2.0, "s", "length of a window", SGBD, gt=0)
    C_start: float = quantity(0.01, "uM", "calcium of the astrocytes at the start", SGBD, ge=0)
    I_start: float = quantity(0.01, "uM", "IP3 of the astrocytes at the start", SGBD, ge=0)
    slow_current: bool = quantity(False, "1", "whether gliotransmitter also drives slow inward currents", "ours")
    astrocyte_dt: float = quantity(
        1e-3, "s", "step of the astrocytes, a multiple of dt", "chosen; published 0.01", gt=0
    )
    interval: float = quantity(0.05, "s", "between samples of the astrocytes", CHOSEN, gt=0)
    traced: int = quantity(20, "1", "astrocytes whose traces are kept", CHOSEN, ge=1)
    bin: float = quantity(0.005, "s", "of spike counts, for synchrony", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        if self.bin > self.window / 10:
            raise ValueError(f"bin: expected at most a tenth of the window, {self.window / 10:g} s, got {self.bin:g}")

    @property
    def starts(self) -> Array:
        """Of the windows, s."""
        return np.arange(len(self.factors), dtype=np.float64) * np.float64(self.window)

    def wire(self, generator: np.random.Generator) -> wiring.Wiring:
        """Draw the network."""
        if self.configuration == "synapses":
            return wiring.one_process_each(self.place(self.n, generator), self.scale)
        return wiring.recurrent(
            self.excitatory, self.inhibitory, (self.p_e, self.p_i), self.astrocytes, self.spacing, self.radius,
            self.edges, generator,
        )  # fmt: skip

    def weights(self) -> tuple[float, float]:
        """Factors on w_e and w_i."""
        if not self.scale_weights:
            return 1.0, 1.0
        if self.configuration == "synapses":
            return PUBLISHED_INPUTS / self.n, 1.0
        inputs = (self.p_e * self.excitatory, self.p_i * self.inhibitory)
        e, i = (PUBLISHED_INPUTS / expected if expected else 1.0 for expected in inputs)
        return e, i


class NetworkParameters(
    slow_inward_current.SlowCurrentParameters, lif.NeuronParameters, tripartite.ExcitationParameters
):
    """Constants of neurons, synapses and astrocytes."""

    def model_post_init(self, _: object) -> None:
        super().model_post_init(_)
        known = ("calcium", "receptors", "gap_junctions", "gliotransmission", "noise")
        refuse(self.knockouts, known, "a network of neurons and astrocytes")


def run(settings: NetworkSettings, parameters: NetworkParameters, generator: np.random.Generator) -> xr.Dataset:
    """Run the windows; spikes, releases, astrocytes, and what is read off them."""
    p = parameters
    wired = settings.wire(generator)
    starts = settings.starts
    duration = settings.window * len(settings.factors)
    on_grid(settings.astrocyte_dt, p.dt, "astrocyte_dt")
    on_grid(settings.window, p.dt, "window")
    on_grid(duration, settings.interval, "window times the number of factors")
    on_grid(settings.interval, settings.astrocyte_dt, "interval")
    with Session(p, int(generator.integers(2**31)), duration) as session:
        neurons, cells, covered = _build(session, settings, p, wired, generator)
        spikes = session.record_spikes(neurons)
        releases = session.record_spikes(cells)
        kept = np.unique(np.linspace(0, len(cells) - 1, settings.traced).round().astype(int))
        traces = session.record(cells, ["C", "I", "Gamma_A"], settings.interval, kept)
        bound = session.record(cells, ["Gamma_S"], settings.interval)
        session.run(duration, [neurons, cells])
        tripartite.require_kept(p, cells)
        spike_neuron, spike_time = spikes_before(spikes, duration, p.dt)
        release_cell, release_time = spikes_before(releases, duration, p.dt)
        recorded = {name: values(traces, name, unit) for name, unit in TRACES.items()}
        time, Gamma_S = traces.t_[:], values(bound, "Gamma_S", "1")
    mean = Gamma_S @ covered / max(covered.sum(), 1)
    events = observables.calcium_events(time, recorded["C"], p.C_Theta)
    return xr.Dataset(
        {
            **statistics(settings, wired, spike_time, spike_neuron, p.dt),
            **over(("time", "cell"), (len(time), -1), recorded),
            **events.variables("cell"),
            "Gamma_S_mean": (("time",), mean),
            "Gamma_S_window": (("window",), by_window(starts, time, mean, p.dt)),
            "release_count": ((), float(len(release_time))),
            "releases_window": (("window",), np.bincount(which(starts, release_time, p.dt), minlength=len(starts))),
            "synapses_covered": (("astrocyte",), covered.astype(float)),
            "spike_time": (("event",), spike_time),
            "spike_neuron": (("event",), spike_neuron),
            "release_time": (("release",), release_time),
            "release_cell": (("release",), release_cell),
            "factor": (("window",), np.array(settings.factors)),
        },
        {
            "time": time,
            "cell": kept,
            "population": [name for name, count in zip(POPULATIONS, _sizes(wired), strict=True) if count],
            "window": starts,
        },
    )


TRACES = {"C": "uM", "I": "uM", "Gamma_A": "1"}


def _build(
    session: Session,
    settings: NetworkSettings,
    p: NetworkParameters,
    wired: wiring.Wiring,
    generator: np.random.Generator,
) -> tuple[Any, Any, wiring.Indices]:
    """Neurons, astrocytes, and the number of synapses that each astrocyte covers."""
    import brian2

    space = namespace(p)
    on_e, on_i = settings.weights()
    space |= {"w_e": on_e * space["w_e"], "w_i": on_i * space["w_i"]}
    space["factors"] = brian2.TimedArray(np.array(settings.factors), settings.window * brian2.second, name="factors")
    # First, because a step is refused here.
    cells = tripartite.build_astrocytes(
        session, p, wired.graph, wired.fewest_synapses, dt=settings.astrocyte_dt * brian2.second
    )
    slow = slow_inward_current.EQUATIONS if settings.slow_current else slow_inward_current.ABSENT
    neurons = lif.build_neurons(session, space, wired.excitatory + wired.inhibitory, slow)
    session.add(neurons.run_regularly("factor = factors(t)", dt=settings.window * brian2.second, when="start"))
    sites = tripartite.build_sites(session, space, len(wired.neuron_at))
    set_states(cells, C=settings.C_start, I=settings.I_start)
    if settings.configuration == "synapses":
        rates = np.full(wired.sources, settings.train_rate)
        duration = settings.window * len(settings.factors)
        source = session.spikes("trains", wired.sources, *poisson_trains(rates, 0.0, duration, p.dt, generator))
    else:
        source = neurons[: wired.excitatory]
        neurons.v_ = 1e-3 * (p.E_l + generator.random(len(neurons)) * (p.V_th - p.E_l))
        neurons.g_i_ = generator.random(len(neurons)) * float(space["w_i"])
        sites.g_e_ = generator.random(len(sites)) * float(space["w_e"])
    tripartite.connect(session, source, sites, wired.to_sites, space, "g_e_post += w_e*r_S", True, "excitation")
    if wired.inhibitory:
        inhibitory = neurons[wired.excitatory :]
        more = "g_i_post += w_i*r_S"
        tripartite.connect(session, inhibitory, neurons, wired.to_neurons, space, more, False, "inhibition")
    gather(session, sites, neurons, wired.neuron_at)
    covered = tripartite.ensheathe(session, cells, sites, wired.astrocyte_at, wired.synapses_at)
    if settings.slow_current and len(wired.ensheathed):
        slow_inward_current.connect(session, p, p.knockouts, cells, neurons, wired.ensheathed)
    return neurons, cells, covered


def gather(session: Session, sites: Any, neurons: Any, neuron_at: wiring.Indices) -> None:
    """Excitatory conductance of a neuron: the sum over its sites, held over a step."""
    import brian2

    gathered = brian2.Synapses(sites, neurons, "g_e_post = g_e_pre : siemens (summed)", name="gathered")
    gathered.connect(i=np.arange(len(neuron_at)), j=neuron_at)
    session.add(gathered)


def _sizes(wired: wiring.Wiring) -> tuple[int, int]:
    return wired.excitatory, wired.inhibitory


def which(starts: Array, times: Array, step: float) -> wiring.Indices:
    """Window of each time; half a step keeps one at the edge in the window that begins there."""
    return np.searchsorted(starts, np.asarray(times) + step / 2, side="right") - 1


def by_window(starts: Array, times: Array, values_: Array, step: float) -> Array:
    """Mean over the samples of each window, NaN where none lies; the sample at the end of the run is the last one's."""
    at = which(starts, times, step)
    count = np.bincount(at, minlength=len(starts))
    return np.divide(np.bincount(at, values_, len(starts)), count, out=np.full(len(starts), np.nan), where=count > 0)


def statistics(
    settings: NetworkSettings, wired: wiring.Wiring, times: Array, indices: wiring.Indices, dt: float
) -> dict[str, Any]:
    """Rate and synchrony for every population and window; local variation of the intervals in the whole run.

    Parameters
    ----------
    times, indices : array, (spikes,)
        s, and neurons.
    dt : float
        Step of the neurons, s.
    """
    starts = settings.starts
    window, step = which(starts, times, dt), np.round(times / dt).astype(np.int64)
    bins = np.linspace(0, round(settings.window / dt), max(2, round(settings.window / settings.bin) + 1))
    rates, chi, variation, measured = [], [], [], []
    first = 0
    for count in filter(None, _sizes(wired)):
        own = (indices >= first) & (indices < first + count)
        who = indices - first
        rates.append(np.bincount(window[own], minlength=len(starts)) / count / settings.window)
        chi.append([])
        for k in range(len(starts)):
            inside = own & (window == k)
            edges = bins + k * round(settings.window / dt) - 0.5  # between steps
            counts = observables.spike_counts(who[inside].astype(float), step[inside].astype(float), count, edges)
            chi[-1].append(observables.synchrony(counts))
        by_neuron = observables.local_variation(who[own], times[own], count)
        measured.append(float(np.isfinite(by_neuron).sum()))
        variation.append(float(np.nanmean(by_neuron)) if measured[-1] else float("nan"))
        first += count
    by_population = {"local_variation": variation, "local_variation_neurons": measured}
    return {
        **over(("population", "window"), (-1, len(starts)), {"firing_rate": rates, "synchrony": chi}),
        **over(("population",), (-1,), by_population),
    }


EXPERIMENT = Experiment(
    "neurons and astrocytes in a network",
    {
        "biophysical": Variant(
            NetworkSettings,
            NetworkParameters,
            run,
            {"dt": 1e-4, "O_beta": 0.5, "O_delta": 1.2, "F_ex": 0.0},
            {
                "published": {"excitatory": 3200, "inhibitory": 800, "astrocytes": 3200, "scale_weights": False},
                "nine_synapses": {"configuration": "synapses", "n": 3},
            },
        )
    },
)
PROMISED = {
    "biophysical": {
        "firing_rate": ("population", "window"),
        "C": ("time", "cell"),
        "Gamma_S_mean": ("time",),
        "release_count": (),
    }
}
MEANINGS = {
    "biophysical": {
        **ASTROCYTE,
        **SYNAPSE,
        **EVENTS,
        "population": ("1", "excitatory or inhibitory neurons"),
        "window": ("s", "start of the window"),
        "factor": ("1", "factor on the external current in the window"),
        "firing_rate": ("Hz", "spikes a neuron and second in the window"),
        "local_variation": ("1", "CV2 of the inter-spike intervals in the whole run, mean over neurons; 1: Poisson"),
        "local_variation_neurons": ("1", "neurons with five intervals or more, which that mean is over"),
        "synchrony": ("1", "chi of the spike counts in the window's bins: 1 together, 1/sqrt(neurons) if independent"),
        "Gamma_S_mean": ("1", "fraction of bound presynaptic receptors, mean over excitatory synapses"),
        "Gamma_S_window": ("1", "mean of Gamma_S_mean over the window"),
        "releases_window": ("1", "releases of gliotransmitter in the window"),
        "release_count": ("1", "releases of gliotransmitter"),
        "spike_time": ("s", "times of the neurons' spikes"),
        "spike_neuron": ("1", "which neuron fired; excitatory ones come first"),
        "release_time": ("s", "times of the releases"),
        "release_cell": ("1", "which astrocyte released"),
        "synapses_covered": ("1", "excitatory synapses under each astrocyte"),
    }
}
