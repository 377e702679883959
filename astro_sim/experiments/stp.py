"""Short-term plasticity: p^s in several spatial layouts (macro); release at test spikes after gliotransmission of
several strengths (biophysical).
"""

from itertools import pairwise
from typing import Literal

import numpy as np
import xarray as xr

from astro_sim.biophysical import process, protocols
from astro_sim.biophysical.calcium import SGBD
from astro_sim.biophysical.engine import Session, values
from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, MacroSteps, drive, indices, over, require_different, traces
from astro_sim.experiments.variables import ASTROCYTE, MACRO, SYNAPSE
from astro_sim.knockouts import present, refuse
from astro_sim.macro import geometry
from astro_sim.macro.model import MacroModel, MacroRequest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.stimuli import square_wave


class StpSettings(Settings):
    """One cycle of input to every neuron, for each layout."""

    layouts: tuple[str, ...] = quantity(
        ("equidistant", "grid", "line", "clusters"), "1", "layouts to compare", "RMAAT Fig. 1", min_length=1
    )
    tau_cycle: float = quantity(10.0, "s", "length of the cycle", CHOSEN, gt=0)
    duty: float = quantity(0.5, "1", "share of the cycle with input", CHOSEN, gt=0, le=1)
    amplitude: float = quantity(1.0, "a.u.", "input to every neuron while on", CHOSEN)
    drive_cv: float = quantity(0.0, "1", "variation of the input over neurons", CHOSEN, ge=0, le=10)
    interval: float = quantity(0.05, "s", "between samples", CHOSEN, gt=0)


def run_macro(settings: StpSettings, parameters: MacroParameters, generator: np.random.Generator) -> MacroSteps:
    """Run every layout with the same input."""
    if any(a == b for a, b in pairwise(sorted(settings.layouts))):
        raise InputError(f"layouts: expected different ones, got {', '.join(settings.layouts)}")
    n = parameters.n
    pre, post = drive(settings.amplitude, n, settings.drive_cv, generator)
    stimulus = square_wave(1, settings.tau_cycle, settings.duty, pre, post)
    placed = [geometry.positions(layout, n, generator) for layout in settings.layouts]
    axes = max(at.shape[-1] for at in placed)
    runs, widened = [], []
    for at in placed:
        result = yield MacroRequest(MacroModel(parameters, at), stimulus, settings.interval)
        runs.append(xr.Dataset(traces(result), indices(n, time=result.time)))
        widened.append(np.pad(at, ((0, 0), (0, 0), (0, axes - at.shape[-1]))))  # zeros change no distance
    dataset = xr.concat(runs, "layout", data_vars="all", coords="minimal", compat="equals", join="exact")
    return dataset.assign_coords(layout=list(settings.layouts), axis=np.arange(axes)).assign(
        position=(("layout", "post", "pre", "axis"), np.stack(widened))
    )


TEST = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, *(round(0.31 + 0.01 * k, 2) for k in range(10)))
TRACES = {"C": "uM", "I": "uM", "Gamma_S": "1", "x_S": "1", "u_S": "1", "G_A": "uM"}


class StpTrainSettings(Settings):
    """A train of test spikes once gliotransmission has settled, for every modulation."""

    protocol: Literal["paired_pulse", "tetanus", "theta_burst", "test"] = quantity(
        "paired_pulse", "1", "pairs at every interval, one tetanus, theta bursts, or the published test train", SGBD
    )
    modulations: tuple[Literal["none", "weak", "strong", "closed"], ...] = quantity(
        ("none", "weak", "strong"),
        "1",
        "gliotransmission: none, driven by a weak or strong I_bias, or by the synapse",
        SGBD,
        min_length=1,
    )
    weak_bias: float = quantity(0.8, "uM", "I_bias of weak modulation", SGBD, ge=0)
    strong_bias: float = quantity(1.25, "uM", "I_bias of strong modulation", SGBD, ge=0)
    conditioning_rate: float = quantity(
        2.0, "Hz", "spikes of the modulation closed before the test, which move its astrocyte", CHOSEN, ge=0
    )
    conditioning_gap: float = quantity(
        2.0, "s", "without spikes before the test, so that the terminal recovers", CHOSEN, ge=0
    )
    start: float = quantity(16.5, "s", "first test spike", SGBD, ge=0)
    intervals: tuple[float, ...] = quantity(
        (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), "s", "between the spikes of a pair", CHOSEN, min_length=1
    )
    tetanus_rate: float = quantity(100.0, "Hz", "rate of the tetanus and within theta bursts", CHOSEN, gt=0)
    tetanus_spikes: int = quantity(100, "1", "spikes of the tetanus", CHOSEN, ge=2, le=100_000)
    bursts: int = quantity(10, "1", "theta bursts", CHOSEN, ge=1, le=10_000)
    burst_spikes: int = quantity(4, "1", "spikes in a theta burst", CHOSEN, ge=1, le=1000)
    burst_rate: float = quantity(5.0, "Hz", "theta bursts a second", CHOSEN, gt=0)
    rest: float = quantity(0.5, "s", "after the last test spike", CHOSEN, ge=0)
    interval: float = quantity(0.01, "s", "between samples of the traces", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        require_different(self, "modulations", "intervals")
        if min(self.intervals) <= 0:
            raise ValueError(f"intervals: expected times above 0 s, got {min(self.intervals):g}")
        if self.protocol == "theta_burst" and (self.burst_spikes - 1) / self.tetanus_rate >= 1 / self.burst_rate:
            raise ValueError(f"burst_rate: expected bursts that end before the next begins, got {self.burst_rate:g} Hz")

    def trains(self) -> np.ndarray:
        """Spike times after ``start``, s: array (trains, spikes)."""
        if self.protocol == "paired_pulse":
            return np.array([(0.0, interval) for interval in self.intervals])
        if self.protocol == "tetanus":
            return np.arange(self.tetanus_spikes)[None] / self.tetanus_rate
        if self.protocol == "theta_burst":
            burst = np.arange(self.burst_spikes) / self.tetanus_rate
            return (np.arange(self.bursts)[:, None] / self.burst_rate + burst).reshape(1, -1)
        return np.array([TEST])


def run_biophysical(
    settings: StpTrainSettings, parameters: process.ProcessParameters, generator: np.random.Generator
) -> xr.Dataset:
    """Every train on every modulation, a unit each; release at each test spike."""
    p, modulations, trains = parameters, settings.modulations, settings.trains()
    known = present(
        calcium=True, receptors="closed" in modulations, gliotransmission=modulations != ("none",), noise=True
    )
    refuse(p.knockouts, known, f"stp with modulation {', '.join(modulations)}")
    if np.diff(trains, axis=1).min(initial=np.inf) < (1 - 1e-9) * p.dt:
        blamed = {"paired_pulse": "intervals", "tetanus": "tetanus_rate", "theta_burst": "tetanus_rate"}
        name = blamed.get(settings.protocol, "dt")
        raise InputError(f"{name}: expected spikes at least a step of dt = {p.dt:g} s apart")
    modulation = np.repeat(np.array(modulations), len(trains))
    times = np.tile(settings.start + trains, (len(modulations), 1))  # (units, spikes)
    count, spikes = times.shape
    biases = {"none": 0.0, "weak": settings.weak_bias, "strong": settings.strong_bias, "closed": 0.0}
    duration = float(np.ceil((times.max() + settings.rest) / settings.interval)) * settings.interval
    conditioning = np.where(modulation == "closed", settings.conditioning_rate, 0.0)
    before, when = protocols.regular_trains(conditioning, 0.0, max(settings.start - settings.conditioning_gap, 0.0))
    with Session(p, int(generator.integers(2**31)), duration) as session:
        units = process.build_units(session, p, count, transmission=True)
        process.set_states(units, I=0.4, I_bias=[biases[name] for name in modulation])
        process.restrict(units, hears=modulation == "closed", acts=modulation != "none")
        sources = np.concatenate([before, np.repeat(np.arange(count), spikes)])
        source = session.spikes("stimulus", count, sources, np.concatenate([when, times.ravel()]))
        process.connect_spikes(session, source, units)
        monitor = session.record(units, TRACES, settings.interval)
        transmission = process.record_transmission(session, units)
        releases = session.record_spikes(units)
        session.run(duration, [units])
        tested = transmission.t_[:] >= settings.start - 0.5 * p.dt
        order = np.lexsort((transmission.t_[:][tested], transmission.i[:][tested]))
        released = transmission.r_S[:][tested][order].reshape(count, spikes)
        glio = process.count_releases(releases, count, 0.0, settings.start, p.dt)
        time = monitor.t_[:]
        recorded = {name: values(monitor, name, unit) for name, unit in TRACES.items()}
    shape = (len(modulations), len(trains))
    at = np.searchsorted(time, settings.start - 1e-9)
    by_train = {
        "paired_pulse_ratio": released[:, 1] / released[:, 0],
        "Gamma_S_test": recorded["Gamma_S"][at],
        "glio_count": glio,
    }
    return xr.Dataset(
        {
            "r_S": (("modulation", "train", "spike"), released.reshape(*shape, spikes)),
            "spike_time": (("train", "spike"), settings.start + trains),
            **over(("modulation", "train"), shape, by_train),
            **over(("time", "modulation", "train"), (-1, *shape), recorded),
        },
        {"time": time, "modulation": list(modulations), "train": np.arange(len(trains)), "spike": np.arange(spikes)},
    )


FACILITATING = {"Omega_d": 2.0, "Omega_f": 2.0, "U_0_star": 0.15, "alpha": 1.0}
EXPERIMENT = Experiment(
    "one cycle in several spatial layouts",
    {
        "macro": Variant(StpSettings, MacroParameters, run_macro),
        "biophysical": Variant(
            StpTrainSettings, process.ProcessParameters, run_biophysical, presets={"facilitating": FACILITATING}
        ),
    },
)
PROMISED = {
    "macro": {
        "p_s": ("layout", "time", "post", "pre"),
        "s": ("layout", "time", "post", "pre"),
        "position": ("layout", "post", "pre", "axis"),
    },
    "biophysical": {
        "r_S": ("modulation", "train", "spike"),
        "spike_time": ("train", "spike"),
        "paired_pulse_ratio": ("modulation", "train"),
        "Gamma_S_test": ("modulation", "train"),
    },
}
MEANINGS = {
    "macro": MACRO,
    "biophysical": {
        **ASTROCYTE,
        **SYNAPSE,
        "modulation": ("1", "gliotransmission: none, driven from outside (weak, strong) or by the synapse (closed)"),
        "train": ("1", "index of the train of test spikes"),
        "spike_time": ("s", "times of the test spikes"),
        "paired_pulse_ratio": ("1", "release of the second test spike over that of the first"),
        "Gamma_S_test": ("1", "fraction of bound presynaptic receptors at the first test spike"),
        "glio_count": ("1", "releases of gliotransmitter before the test"),
    },
}
