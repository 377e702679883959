"""Astrocytic calcium against presynaptic rate, through the synapse's own transmitter."""

from typing import Literal

import numpy as np
import xarray as xr

from astro_sim import observables
from astro_sim.biophysical import process, protocols
from astro_sim.biophysical.engine import Session, values
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Variant
from astro_sim.experiments.shared import CHOSEN
from astro_sim.knockouts import refuse


class RateSettings(Settings):
    """Spike trains at every rate to the synapse of an astrocyte process."""

    rates: tuple[float, ...] = quantity(
        (0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0), "Hz", "presynaptic rates", CHOSEN, min_length=3
    )
    train: Literal["poisson", "regular"] = quantity("poisson", "1", "spike trains", "Stimberg et al. 2019")
    repetitions: int = quantity(4, "1", "trains a rate", CHOSEN, ge=1, le=1000)
    transient: float = quantity(15.0, "s", "before the measuring window", "Stimberg et al. 2019", ge=0)
    window: float = quantity(60.0, "s", "measuring window", CHOSEN, gt=0)
    interval: float = quantity(0.02, "s", "between samples", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        if self.interval > self.window / 2:
            raise ValueError(
                f"interval: expected at most half of the window, {self.window / 2:g} s, got {self.interval:g}"
            )
        if min(self.rates) <= 0 or len(set(self.rates)) != len(self.rates):
            raise ValueError(f"rates: expected different ones above 0 Hz, got {self.rates}")


def run(settings: RateSettings, parameters: process.ProcessParameters, generator: np.random.Generator) -> xr.Dataset:
    """Mean, peak and events of calcium in the window, for every rate and repetition."""
    p = parameters
    refuse(p.knockouts, ("calcium", "receptors", "gliotransmission", "noise"), "frequency")
    shape = (len(settings.rates), settings.repetitions)
    rate = np.repeat(settings.rates, settings.repetitions)
    end = settings.transient + settings.window
    indices, times = protocols.trains(settings.train, rate, end, p.dt, generator)
    with Session(p, int(generator.integers(2**31)), end) as session:
        units = process.build_units(session, p, len(rate))
        process.set_states(units, measured_from=settings.transient)
        source = session.spikes("stimulus", len(rate), indices, times)
        process.connect_spikes(session, source, units)
        traces = session.record(units, ["C", "Gamma_S"], settings.interval)
        releases = session.record_spikes(units)
        session.run(end, [units])
        time, calcium, gamma = traces.t_[:], values(traces, "C", "uM"), values(traces, "Gamma_S", "1")
        glio = process.count_releases(releases, len(rate), settings.transient, end, p.dt)
        mean_release = process.mean_release(units)
    inside = time >= settings.transient - 1e-9
    events = observables.calcium_events(time, calcium, p.C_Theta, settings.transient, onset=0.0)
    return xr.Dataset(
        {
            "calcium": (("rate", "repetition"), calcium[inside].mean(axis=0).reshape(shape)),
            "calcium_peak": (("rate", "repetition"), calcium[inside].max(axis=0).reshape(shape)),
            "glio_rate": (("rate", "repetition"), (glio / settings.window).reshape(shape)),
            "Gamma_S_mean": (("rate", "repetition"), gamma[inside].mean(axis=0).reshape(shape)),
            "r_S_mean": (("rate", "repetition"), mean_release.reshape(shape)),
            "C": (("time", "rate", "repetition"), calcium.reshape(len(time), *shape)),
            **{name: (("rate", "repetition"), value.reshape(shape)) for name, (_, value) in events.variables().items()},
        },
        {"rate": np.array(settings.rates), "repetition": np.arange(settings.repetitions), "time": time},
    )


# I_bias is 0, as in the published closed loop: the external drive is then a sink that keeps IP3 near its threshold.
VARIANT = Variant(RateSettings, process.ProcessParameters, run)
