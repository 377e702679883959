"""One active synapse among many silent ones: how far its calcium reaches through the coupled processes.

One active synapse among many silent ones, each with an astrocyte process; the processes exchange IP3.
"""

import dataclasses

import numpy as np
import xarray as xr

from astro_sim.biophysical import astrocytes, gliotransmission, synapse
from astro_sim.biophysical.engine import Session, on_grid, values
from astro_sim.biophysical.process import count_releases, set_states
from astro_sim.biophysical.protocols import regular_trains
from astro_sim.biophysical.tripartite import TripartiteParameters
from astro_sim.common.settings import quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, MacroSteps, PlacedSettings, indices, over, position_variable, traces
from astro_sim.experiments.variables import ASTROCYTE, EVENTS, MACRO, SYNAPSE
from astro_sim.knockouts import refuse
from astro_sim.macro import geometry
from astro_sim.macro.model import MacroModel, MacroRequest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.stimuli import square_wave
from astro_sim.observables import calcium_events


class SpatialSettings(PlacedSettings):
    """One cycle of input to the two neurons of the central synapse."""

    tau_cycle: float = quantity(10.0, "s", "length of the cycle", CHOSEN, gt=0)
    duty: float = quantity(0.5, "1", "share of the cycle with input", CHOSEN, gt=0, le=1)
    amplitude: float = quantity(1.0, "a.u.", "input to the two neurons while on", CHOSEN)
    interval: float = quantity(0.05, "s", "between samples", CHOSEN, gt=0)


def run_macro(settings: SpatialSettings, parameters: MacroParameters, generator: np.random.Generator) -> MacroSteps:
    """Drive the synapse in the middle and record the peak of p^s at every process."""
    n = parameters.n
    at = settings.place(n, generator)
    active = n // 2
    one = settings.amplitude * (np.arange(n) == active)
    wave = square_wave(1, settings.tau_cycle, settings.duty, one, one)
    result = yield MacroRequest(MacroModel(parameters, at), wave, settings.interval)
    return xr.Dataset(
        {
            **traces(result),
            "p_s_peak": (("post", "pre"), result.state.p_s.max(axis=0)),
            "distance": (("post", "pre"), geometry.distances(at)[active, active]),
            "position": position_variable(at),
        },
        indices(n, time=result.time, axis=np.arange(at.shape[-1])),
    )


OWN = "U_0_star : 1 (constant)\nalpha : 1 (constant)\n"
UNIT = synapse.EQUATIONS + gliotransmission.EQUATIONS + OWN
TRACES = {"C": "uM", "I": "uM", "Gamma_A": "1", "Gamma_S": "1"}


class SpatialProcessSettings(PlacedSettings):
    """Spikes at the central synapse once all processes are at rest."""

    n: int = quantity(7, "1", "neurons in each set: n x n synapses, a process each", "RMAAT Fig. 1: 3", ge=1, le=40)
    scale: float = quantity(1.0, "1/spacing", "decay of a junction's strength with distance", "RMAAT: T", ge=0)
    rate: float = quantity(10.0, "Hz", "spikes at the central synapse, periodic", CHOSEN, gt=0)
    settle: float = quantity(60.0, "s", "without spikes, before the protocol", CHOSEN, ge=0)
    active: float = quantity(5.0, "s", "length of the train", CHOSEN, gt=0)
    after: float = quantity(15.0, "s", "recorded after the train", CHOSEN, ge=0)
    interval: float = quantity(0.05, "s", "between samples", CHOSEN, gt=0)


class SpatialProcessParameters(TripartiteParameters):
    """Constants of the processes."""

    def model_post_init(self, _: object) -> None:
        super().model_post_init(_)
        known = ("calcium", "receptors", "gap_junctions", "gliotransmission", "noise")
        refuse(self.knockouts, known, "a group of processes")


def run_biophysical(
    settings: SpatialProcessSettings, parameters: SpatialProcessParameters, generator: np.random.Generator
) -> xr.Dataset:
    """Drive one synapse; peaks above what a process does that nothing reaches.

    Without noise all processes are alike when left alone and exchange nothing, so one of them stands for all, and a
    response is exactly 0 where gap junctions are blocked. With noise that one has a course of its own, and responses
    carry the difference.
    """
    p, n = parameters, settings.n
    at = settings.place(n, generator)
    count, driven = n * n, (n // 2) * n + n // 2
    graph = astrocytes.decaying(at.reshape(count, -1), settings.scale)
    graph = dataclasses.replace(graph, cells=count + 1)  # the last is joined to none and hears no spike
    length = settings.active + settings.after
    for name in ("settle", "active", "after"):
        if getattr(settings, name):
            on_grid(getattr(settings, name), settings.interval, name)
    _, spikes = regular_trains(np.array([settings.rate]), settings.settle, settings.settle + settings.active)
    with Session(p, int(generator.integers(2**31))) as session:
        group = astrocytes.build_astrocytes(
            session, p, graph, UNIT, p.astrocyte_rates, p.transmitter, name="processes", **gliotransmission.RELEASE
        )  # fmt: skip
        set_states(group, x_S=1.0, x_A=1.0, U_0_star=p.U_0_star, alpha=p.alpha)
        source = session.spikes("stimulus", 1, np.zeros(len(spikes)), spikes)
        session.act(source, group, synapse.ON_SPIKE, "terminal", i=0, j=driven)
        monitor = session.record(group, TRACES, settings.interval)
        released = session.record_spikes(group)
        session.run(settings.settle + length, [group])
        time = monitor.t_[:] - settings.settle
        kept = time >= -p.dt / 2
        releases = count_releases(released, count + 1, settings.settle, settings.settle + length, p.dt)
        recorded = {name: values(monitor, name, unit)[kept] for name, unit in TRACES.items()}
    events = calcium_events(time[kept], recorded["C"][:, :-1], p.C_Theta)
    above_rest = {name: (recorded[name][:, :-1] - recorded[name][:, -1:]).max(axis=0) for name in ("C", "I")}
    by_process = {
        "p_s_peak": above_rest["I"],
        "C_peak": above_rest["C"],
        "event_count": events.count,
        "release_count": releases[:-1],
    }
    return xr.Dataset(
        {
            **over(("time", "post", "pre"), (-1, n, n), {name: trace[:, :-1] for name, trace in recorded.items()}),
            **over(("post", "pre"), (n, n), by_process),
            "distance": (("post", "pre"), geometry.distances(at)[n // 2, n // 2]),
            "position": position_variable(at),
        },
        indices(n, time=time[kept], axis=np.arange(at.shape[-1])),
    )


EXPERIMENT = Experiment(
    "p^s against distance from the active synapse",
    {
        "macro": Variant(SpatialSettings, MacroParameters, run_macro, {"n": 7}),
        "biophysical": Variant(
            SpatialProcessSettings, SpatialProcessParameters, run_biophysical, {"F_ex": 0.09, "dt": 0.002}
        ),
    },
)
PROMISED = {
    "macro": {"p_s_peak": ("post", "pre"), "distance": ("post", "pre")},
    "biophysical": {"p_s_peak": ("post", "pre"), "distance": ("post", "pre"), "C_peak": ("post", "pre")},
}
MEANINGS = {
    "macro": {**MACRO, "p_s_peak": ("a.u.", "largest fast calcium within the cycle")},
    "biophysical": {
        **ASTROCYTE,
        **SYNAPSE,
        "position": MACRO["position"],
        "distance": MACRO["distance"],
        "p_s_peak": ("uM", "largest IP3 above rest, which is what reads as p^s: calcium answers all or none"),
        "C_peak": ("uM", "largest cytosolic calcium above rest"),
        "event_count": EVENTS["event_count"],
        "release_count": ("1", "releases of gliotransmitter by the process, from the start of the train"),
    },
}
