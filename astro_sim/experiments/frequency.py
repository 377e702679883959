"""Calcium against stimulation rate: the curve whose exponent the model's presynaptic state takes over.

Astrocytic calcium against presynaptic rate, through the synapse's own transmitter.
"""

from typing import Literal

import numpy as np
import xarray as xr

from astro_sim import observables
from astro_sim.biophysical import process, protocols
from astro_sim.biophysical.calcium import SGBD
from astro_sim.biophysical.engine import Session, values
from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, MacroSteps, PlacedSettings, indices, over, position_variable
from astro_sim.experiments.variables import ASTROCYTE, EVENTS, MACRO
from astro_sim.knockouts import refuse
from astro_sim.macro.model import MacroModel, MacroRequest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.stimuli import pulse_train


class FrequencySettings(PlacedSettings):
    """Trains of pulses to every neuron, one train a rate."""

    rates: tuple[float, ...] = quantity(
        tuple(float(rate) for rate in range(1, 11)), "Hz", "pulse rates", "AT Fig. 3: 1 to 10 Hz", min_length=3
    )
    width: float = quantity(0.02, "s", "length of one pulse", CHOSEN, gt=0)
    amplitude: float = quantity(5.0, "a.u.", "input to every neuron during a pulse", CHOSEN)
    transient: float = quantity(10.0, "s", "train before the measuring window", CHOSEN, ge=0)
    window: float = quantity(10.0, "s", "measuring window", CHOSEN, gt=0)
    interval: float = quantity(0.01, "s", "between samples of the average", CHOSEN, gt=0)
    event_swing: float = quantity(
        0.05, "1", "least swing of p^s, of its peak, whose crossings half-way are counted as events", CHOSEN, gt=0, le=1
    )

    def model_post_init(self, _: object) -> None:
        if self.interval > self.window / 10:
            raise ValueError(f"interval: expected at most a tenth of the window, {self.window / 10:g} s")
        if not (min(self.rates) > 0 and max(self.rates) * self.width <= 1 and len({*self.rates}) == len(self.rates)):
            raise ValueError(
                f"rates: expected different ones above 0 and up to 1/width = {1 / self.width:g} Hz, got {self.rates}"
            )


def run_macro(settings: FrequencySettings, parameters: MacroParameters, generator: np.random.Generator) -> MacroSteps:
    """Mean, peak and events of p^s over a whole number of periods in the window, for every rate."""
    n = parameters.n
    at = settings.place(n, generator)
    model = MacroModel(parameters, at)
    input_ = np.full(n, settings.amplitude)
    calcium, peak, events = [], [], []
    for rate in settings.rates:
        periods = int(np.floor(settings.window * rate + 1e-9))
        if periods < 1:
            raise InputError(f"window: expected at least one period at {rate:g} Hz, got {settings.window:g} s")
        total = (int(np.ceil(settings.transient * rate)) + periods) / rate
        train = pulse_train(rate, settings.width, total, input_, input_)
        result = yield MacroRequest(model, train, settings.interval)
        inside = result.time >= total - periods / rate - 1e-9
        time, p_s = result.time[inside], result.state.p_s[inside]
        calcium.append(np.trapezoid(p_s, time, axis=0) / (time[-1] - time[0]))
        peak.append(p_s.max(axis=0))
        flat = p_s.reshape(len(time), -1)
        low, high = flat.min(axis=0), flat.max(axis=0)
        counted = observables.calcium_events(time, flat, 0.5 * (low + high)).rate
        events.append(np.where(high - low >= settings.event_swing * high, counted, 0.0).reshape(n, n))
    return xr.Dataset(
        {
            **over(
                ("rate", "post", "pre"), (-1, n, n), {"calcium": calcium, "calcium_peak": peak, "event_rate": events}
            ),
            "position": position_variable(at),
        },
        indices(n, rate=np.array(settings.rates), axis=np.arange(at.shape[-1])),
    )


class RateSettings(Settings):
    """Spike trains at every rate to the synapse of an astrocyte process."""

    rates: tuple[float, ...] = quantity(
        (0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0), "Hz", "presynaptic rates", CHOSEN, min_length=3
    )
    train: Literal["poisson", "regular"] = quantity("poisson", "1", "spike trains", SGBD)
    repetitions: int = quantity(4, "1", "trains a rate", CHOSEN, ge=1, le=1000)
    transient: float = quantity(15.0, "s", "before the measuring window", SGBD, ge=0)
    window: float = quantity(60.0, "s", "measuring window", CHOSEN, gt=0)
    interval: float = quantity(0.02, "s", "between samples", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        if self.interval > self.window / 2:
            raise ValueError(
                f"interval: expected at most half of the window, {self.window / 2:g} s, got {self.interval:g}"
            )
        if min(self.rates) <= 0 or len(set(self.rates)) != len(self.rates):
            raise ValueError(f"rates: expected different ones above 0 Hz, got {self.rates}")


def run_biophysical(
    settings: RateSettings, parameters: process.ProcessParameters, generator: np.random.Generator
) -> xr.Dataset:
    """Mean, peak and events of calcium in the window, for every rate and repetition."""
    p = parameters
    refuse(p.knockouts, ("calcium", "receptors", "gliotransmission", "noise"), "frequency")
    shape = (len(settings.rates), settings.repetitions)
    rate = np.repeat(settings.rates, settings.repetitions)
    end = settings.transient + settings.window
    sources, times = protocols.trains(settings.train, rate, end, p.dt, generator)
    with Session(p, int(generator.integers(2**31)), end) as session:
        units = process.build_units(session, p, len(rate))
        process.set_states(units, measured_from=settings.transient)
        source = session.spikes("stimulus", len(rate), sources, times)
        process.connect_spikes(session, source, units)
        traces = session.record(units, ["C", "Gamma_S"], settings.interval)
        releases = session.record_spikes(units)
        session.run(end, [units])
        time, calcium, gamma = traces.t_[:], values(traces, "C", "uM"), values(traces, "Gamma_S", "1")
        glio = process.count_releases(releases, len(rate), settings.transient, end, p.dt)
        mean_release = process.mean_release(units)
    inside = time >= settings.transient - 1e-9
    events = observables.calcium_events(time, calcium, p.C_Theta, settings.transient, onset=0.0)
    dims = ("rate", "repetition")
    by_train = {
        "calcium": calcium[inside].mean(axis=0),
        "calcium_peak": calcium[inside].max(axis=0),
        "glio_rate": glio / settings.window,
        "Gamma_S_mean": gamma[inside].mean(axis=0),
        "r_S_mean": mean_release,
    }
    return xr.Dataset(
        {
            **over(dims, shape, by_train),
            "C": (("time", *dims), calcium.reshape(len(time), *shape)),
            **over(dims, shape, events.named),
        },
        {"rate": np.array(settings.rates), "repetition": np.arange(settings.repetitions), "time": time},
    )


# I_bias is 0, as in the published closed loop: the external drive is then a sink that keeps IP3 near its threshold.


EXPERIMENT = Experiment(
    "calcium proxy against stimulation rate",
    {
        "macro": Variant(FrequencySettings, MacroParameters, run_macro),
        "biophysical": Variant(RateSettings, process.ProcessParameters, run_biophysical),
    },
)
PROMISED = {
    "macro": {"calcium": ("rate", "post", "pre"), "rate": ("rate",)},
    "biophysical": {"calcium": ("rate", "repetition"), "calcium_peak": ("rate", "repetition"), "rate": ("rate",)},
}
MEANINGS = {
    "macro": {
        **MACRO,
        "calcium": ("a.u.", "calcium proxy: fast calcium averaged over the measuring window"),
        "calcium_peak": ("a.u.", "largest fast calcium in the measuring window"),
        "event_rate": ("Hz", "upward crossings of half of the swing of fast calcium a second, where it swings enough"),
    },
    "biophysical": {
        **ASTROCYTE,
        **EVENTS,
        "calcium": ("uM", "cytosolic calcium averaged over the measuring window"),
        "calcium_peak": ("uM", "largest cytosolic calcium in the measuring window"),
        "glio_rate": ("Hz", "releases of gliotransmitter a second"),
        "Gamma_S_mean": ("1", "mean fraction of bound presynaptic gliotransmitter receptors"),
        "r_S_mean": ("1", "share of the transmitter released by a spike, averaged over spikes"),
        "repetition": ("1", "index of the spike train"),
    },
}
