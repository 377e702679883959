"""Self-repair: two neurons share an astrocyte, and most synapses of the second fail half way.

The astrocyte goes on potentiating: the second neuron spikes less, makes less 2-AG, and its remaining synapses are less
suppressed. They release more, and part of the rate comes back.
"""

from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from astro_sim import observables
from astro_sim.biophysical.an import ANParameters, build_units
from astro_sim.biophysical.an_neuron import SCRIPT
from astro_sim.biophysical.engine import Session, on_grid, spikes_before, values
from astro_sim.biophysical.protocols import poisson_trains, regular_trains, same_for_all
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, Array, over
from astro_sim.experiments.variables import ASTROCYTE, EVENTS

PERIODS = ["healthy", "failed"]
TRACES = {"C": "uM", "I": "uM", "h": "1", "Glu": "uM", "eSP": "1"}


class ANSettings(Settings):
    """Spike trains to the synapses of neurons that share an astrocyte, and a failure."""

    duration: float = quantity(400.0, "s", "length of the run", SCRIPT, gt=0)
    rate: float = quantity(
        10.0, "Hz", "rate of the spikes to each synapse", f"{CHOSEN}; the script draws rates up to 20 Hz", gt=0
    )
    trains: Literal["poisson", "shared", "regular"] = quantity(
        "poisson", "1", "a Poisson train a synapse, or one for all synapses of a neuron, or regular spikes", SCRIPT
    )
    neurons: int = quantity(2, "1", "neurons that share the astrocyte", SCRIPT, ge=1, le=100)
    synapses: int = quantity(10, "1", "synapses a neuron", SCRIPT, ge=1, le=1000)
    failed: int = quantity(7, "1", "synapses of the last neuron that fail", SCRIPT, ge=0)
    failed_pr: float = quantity(0.0, "1", "factor on PR_0 of a synapse that failed", f"{SCRIPT}: PR is 0", ge=0, le=1)
    failure_time: float = quantity(200.0, "s", "when they fail", SCRIPT, gt=0)
    healthy_window: float = quantity(25.0, "s", "measuring window, up to the failure", f"{SCRIPT}: 175 to 200 s", gt=0)
    failed_window: float = quantity(100.0, "s", "measuring window, up to the end", f"{SCRIPT}: 300 to 400 s", gt=0)
    repetitions: int = quantity(1, "1", "independent units, side by side", CHOSEN, ge=1, le=1000)
    bin: float = quantity(1.0, "s", "bin in which spikes are counted", CHOSEN, gt=0)
    interval: float = quantity(0.1, "s", "between samples of the traces", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        if self.failed > self.synapses:
            raise ValueError(f"failed: expected at most synapses = {self.synapses}, got {self.failed}")
        if not self.failure_time < self.duration:
            raise ValueError(
                f"failure_time: expected below duration = {self.duration:g} s, got {self.failure_time:g} s"
            )
        for name, longest in (
            ("healthy_window", self.failure_time),
            ("failed_window", self.duration - self.failure_time),
            ("bin", self.duration),
            ("interval", min(self.healthy_window, self.failed_window)),
        ):
            if getattr(self, name) > longest * (1 + 1e-9):  # of rounding
                raise ValueError(f"{name}: expected at most {longest:g} s, got {getattr(self, name):g} s")

    @property
    def windows(self) -> list[tuple[float, float]]:
        """Start and end of the measuring windows, s."""
        return [
            (self.failure_time - self.healthy_window, self.failure_time),
            (self.duration - self.failed_window, self.duration),
        ]


def trains(settings: ANSettings, dt: float, generator: np.random.Generator) -> tuple[Array, Array]:
    """Spikes to all synapses: index of the synapse (unit slowest, then neuron), and time in s."""
    s, neurons = settings, settings.repetitions * settings.neurons
    if s.trains == "regular":
        return same_for_all(regular_trains(np.array([s.rate]), 0.0, s.duration)[1], neurons * s.synapses)
    if s.trains == "poisson":
        return poisson_trains(np.full(neurons * s.synapses, s.rate), 0.0, s.duration, dt, generator)
    which, times = poisson_trains(np.full(neurons, s.rate), 0.0, s.duration, dt, generator)
    synapses = which[:, None] * s.synapses + np.arange(s.synapses)
    return synapses.ravel(), np.repeat(times, s.synapses)


def run(settings: ANSettings, parameters: ANParameters, generator: np.random.Generator) -> xr.Dataset:
    """Run all units side by side; traces, and figures of the measuring windows."""
    s, p = settings, parameters
    for name in ("duration", "failure_time", "bin", "interval"):
        on_grid(getattr(s, name), p.dt, name)
    shape = (s.repetitions, s.neurons, s.synapses)
    factor = np.ones(shape)
    factor[:, -1, : s.failed] = s.failed_pr
    indices, times = trains(s, p.dt, generator)
    with Session(p, seed=int(generator.integers(2**31))) as session:
        sources = session.spikes("an_sources", factor.size, indices, times)
        units = build_units(session, p, sources, s.neurons, factor, s.failure_time)
        spikes = session.record_spikes(units.neurons)
        released = session.record_spikes(units.astrocytes)
        cells = session.record(units.astrocytes, TRACES, s.interval)
        cannabinoid = session.record(units.neurons, ["AG"], s.interval)
        session.run(s.duration, watch=[units.astrocytes, units.neurons])
        time = values(cells, "t", "s")
        traces = {name: values(cells, name, unit).T for name, unit in TRACES.items()}
        AG = values(cannabinoid, "AG", "uM")
        AG_fall = observables.fall_time(time, AG)
        AG = AG.reshape(len(time), *shape[:2]).swapaxes(0, 1)  # (unit, time, neuron)
        sent = [np.asarray(getattr(units.synapses, f"sent_{period}")[:]).reshape(shape) for period in PERIODS]
        fired = spikes_before(spikes, s.duration, p.dt)
        glio = spikes_before(released, s.duration, p.dt)
    late = (time > s.failure_time - 0.5 * p.dt)[:, None, None]
    lost = np.where(late, factor[:, None], 1.0)  # (unit, time, neuron, synapse)
    drive = 1 + (p.K_AG * AG + traces["eSP"][..., None]) / 100
    PR = np.clip(p.PR_0 * lost * drive[..., None], 0, 1)
    return xr.Dataset(
        {
            **_spike_figures(s, fired, p.dt),
            **over(("unit", "time"), (s.repetitions, -1), traces),
            **_period_figures(s, time, traces["eSP"], PR),
            **over(("unit", "time", "neuron"), AG.shape, {"AG": AG, "DSE": p.K_AG * AG}),
            **over(("unit", "neuron"), shape[:2], {"AG_fall": AG_fall}),
            "PR": (("unit", "time", "neuron", "synapse"), PR),
            "releases": (("period", "unit", "neuron", "synapse"), np.stack(sent)),
            "gliotransmitter_releases": (("period", "unit"), _releases(s, p, *glio)),
            **observables.calcium_events(time, traces["C"].T, p.C_Theta).variables("unit"),
        },
        {
            "unit": np.arange(s.repetitions), "neuron": np.arange(s.neurons), "synapse": np.arange(s.synapses),
            "period": PERIODS, "time": time,
        },
    )  # fmt: skip


def _releases(s: ANSettings, p: ANParameters, unit: NDArray[np.int64], at: Array) -> Array:
    """Releases by the astrocyte (period, unit); NaN where release is a rate, which has no events."""
    if p.release == "rate":
        return np.full((2, s.repetitions), np.nan)
    late = at >= s.failure_time - 0.5 * p.dt
    counts = [np.bincount(unit[late == after], minlength=s.repetitions) for after in (False, True)]
    return np.array(counts, dtype=float)


def _spike_figures(s: ANSettings, fired: tuple[NDArray[np.int64], Array], dt: float) -> dict[str, Any]:
    """Rates and intervals of the postsynaptic spikes."""
    shape = (s.repetitions, s.neurons)
    cells = shape[0] * shape[1]
    count = int(np.floor(s.duration / s.bin + 1e-9))
    index, at = fired
    at = at + 0.5 * dt  # a spike at an edge belongs to what begins there, though times are sums of rounded steps
    bins = np.floor(at / s.bin).astype(np.int64)
    inside = bins < count
    rates = np.zeros((count, cells))
    np.add.at(rates, (bins[inside], index[inside]), 1 / s.bin)
    spikes, rate, cv = np.zeros((3, 2, cells))
    edges = [0.0, s.failure_time, s.duration]
    for k, (start, end) in enumerate(s.windows):
        within = (at >= edges[k]) & (at < edges[k + 1])
        inside = (at >= start) & (at < end)
        spikes[k] = np.bincount(index[within], minlength=cells)
        rate[k] = np.bincount(index[inside], minlength=cells) / (end - start)
        cv[k] = observables.interval_variation(index[inside].astype(float), at[inside], cells)
    recovery = np.divide(rate[1], rate[0], out=np.full_like(rate[0], np.nan), where=rate[0] > 0)
    return {
        "bin": s.bin * np.arange(count),
        "spike_rate": (("unit", "bin", "neuron"), rates.reshape(count, *shape).swapaxes(0, 1)),
        **over(("period", "unit", "neuron"), (2, *shape), {"spike_rate_period": rate, "spikes": spikes, "cv_isi": cv}),
        "recovery": (("unit", "neuron"), recovery.reshape(shape)),
    }


def _period_figures(s: ANSettings, time: Array, eSP: Array, PR: Array) -> dict[str, Any]:
    """Means over the measuring windows."""
    inside = [(time > start - 1e-9) & (time < end - 1e-9) for start, end in s.windows]
    # Where all synapses of a neuron fail none is left to compare
    survives = np.arange(s.synapses) >= s.failed * (np.arange(s.neurons) == s.neurons - 1)[:, None]  # (neuron, synapse)
    before, after = (np.where(survives, PR[:, during].mean(1), 0).sum(-1) for during in inside)
    gain = np.divide(after, before, out=np.full_like(before, np.nan), where=before > 0)
    return {
        "eSP_period": (("period", "unit"), np.stack([eSP[:, during].mean(1) for during in inside])),
        "PR_gain": (("unit", "neuron"), gain),
    }


# The neuron spikes at the given rate whatever the astrocyte does: PR stays at 1, as e-SP only raises it
OPEN_LOOP = {"neurons": 1, "synapses": 1, "failed": 0, "PR_0": 1.0, "K_AG": 0.0}
EXPERIMENT = Experiment(
    "self-repair: failing synapses and the astrocyte that two neurons share",
    {"biophysical": Variant(ANSettings, ANParameters, run, presets={"open_loop": OPEN_LOOP})},
)
_CELL, _NEURON = ("unit", "time"), ("unit", "time", "neuron")
PROMISED = {
    "biophysical": {
        "spike_rate": ("unit", "bin", "neuron"),
        "spike_rate_period": ("period", "unit", "neuron"),
        "spikes": ("period", "unit", "neuron"),
        "AG": _NEURON,
        "DSE": _NEURON,
        "PR": ("unit", "time", "neuron", "synapse"),
        "releases": ("period", "unit", "neuron", "synapse"),
        "C": _CELL,
        "I": _CELL,
        "h": _CELL,
        "Glu": _CELL,
        "eSP": _CELL,
        "eSP_period": ("period", "unit"),
    }
}
MEANINGS = {
    "biophysical": {
        **ASTROCYTE,
        **EVENTS,
        "unit": ("1", "index of the independent repetition: an astrocyte with its neurons"),
        "neuron": ("1", "index of the neuron that shares the astrocyte; synapses of the last one fail"),
        "synapse": ("1", "index of the synapse on its neuron; the first ones fail"),
        "period": ("1", "healthy: before synapses fail; failed: after"),
        "bin": ("s", "start of the bin in which spikes are counted"),
        "spike_rate": ("Hz", "rate of postsynaptic spikes in a bin"),
        "spike_rate_period": ("Hz", "rate of postsynaptic spikes in the measuring window at the end of each period"),
        "spikes": ("1", "number of postsynaptic spikes in all of the period"),
        "cv_isi": (
            "1",
            "coefficient of variation of inter-spike intervals in the measuring window; NaN below 3 spikes",
        ),
        "recovery": ("1", "recovery index: rate of spikes at the end of the run, divided by that before the failure"),
        "AG": ("uM", "2-AG of the postsynaptic neuron"),
        "DSE": ("percent", "depolarisation-induced suppression of excitation"),
        "PR": ("1", "release probability of the synapse"),
        "PR_gain": (
            "1",
            "mean PR of the synapses that do not fail, at the end of the run divided by before the failure",
        ),
        "releases": ("1", "releases of transmitter in all of the period (with mean transmission, the sum of PR)"),
        "Glu": ("uM", "glutamate that the astrocyte released"),
        "eSP": ("percent", "potentiation by the astrocyte's glutamate"),
        "AG_fall": ("s", "time constant of the steepest fall of 2-AG; NaN where it never falls"),
        "eSP_period": ("percent", "e-SP averaged over the measuring window at the end of each period"),
        "gliotransmitter_releases": (
            "1",
            "releases by the astrocyte in all of the period; NaN where release is a rate",
        ),
    }
}
