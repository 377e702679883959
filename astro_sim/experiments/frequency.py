"""Calcium against stimulation rate: the curve whose exponent the model's presynaptic state takes over."""

import numpy as np
import xarray as xr

from astro_sim import observables
from astro_sim.common.errors import InputError
from astro_sim.common.settings import quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.frequency_biophysical import VARIANT
from astro_sim.experiments.shared import CHOSEN, MacroSteps, PlacedSettings, indices, position_variable
from astro_sim.macro.model import MacroModel, MacroRequest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.stimuli import pulse_train


class FrequencySettings(PlacedSettings):
    """Trains of pulses to every neuron, one train a rate."""

    rates: tuple[float, ...] = quantity(
        tuple(float(rate) for rate in range(1, 11)),
        "Hz",
        "pulse rates",
        "AT Fig. 3: 1 to 10 Hz",
        min_length=3,
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
        low, high = min(self.rates), max(self.rates)
        if not (low > 0 and high * self.width <= 1 and len(set(self.rates)) == len(self.rates)):
            raise ValueError(
                f"rates: expected different ones above 0 and up to 1/width = {1 / self.width:g} Hz, got {self.rates}"
            )


def run(settings: FrequencySettings, parameters: MacroParameters, generator: np.random.Generator) -> MacroSteps:
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
        found = observables.calcium_events(time, flat, 0.5 * (low + high))
        events.append(np.where(high - low >= settings.event_swing * high, found.rate, 0.0).reshape(n, n))
    return xr.Dataset(
        {
            "calcium": (("rate", "post", "pre"), np.stack(calcium)),
            "calcium_peak": (("rate", "post", "pre"), np.stack(peak)),
            "event_rate": (("rate", "post", "pre"), np.stack(events)),
            "position": position_variable(at),
        },
        indices(n, rate=np.array(settings.rates), axis=np.arange(at.shape[-1])),
    )


EXPERIMENT = Experiment(
    "calcium proxy against stimulation rate",
    {"macro": Variant(FrequencySettings, MacroParameters, run), "biophysical": VARIANT},
)
