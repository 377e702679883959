"""Release against rate, and what gliotransmission makes of it: none, open-loop and closed-loop modulation."""

from typing import Literal

import numpy as np
import xarray as xr

from astro_sim import observables
from astro_sim.biophysical import process, protocols
from astro_sim.biophysical.calcium import SGBD
from astro_sim.biophysical.engine import Session, values
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, over, require_different
from astro_sim.experiments.variables import EVENTS
from astro_sim.knockouts import present, refuse


class GliotransmissionSettings(Settings):
    """Trains of spikes at every rate, for every modulation, U_0* and alpha."""

    rates: tuple[float, ...] = quantity(
        tuple(round(float(rate), 3) for rate in np.geomspace(0.1, 100.0, 13)),
        "Hz",
        "presynaptic rates",
        SGBD,
        min_length=2,
    )
    modulations: tuple[Literal["none", "open", "closed"], ...] = quantity(
        ("none", "open", "closed"),
        "1",
        "no gliotransmission; calcium driven from outside; by the synapse",
        SGBD,
        min_length=1,
    )
    U_0_stars: tuple[float, ...] = quantity((), "1", "resting release probabilities; empty: U_0_star alone", "ours")
    alphas: tuple[float, ...] = quantity((), "1", "effects of gliotransmission; empty: alpha alone", "ours")
    train: Literal["poisson", "regular"] = quantity("poisson", "1", "spike trains", SGBD)
    repetitions: int = quantity(2, "1", "trains a point", CHOSEN, ge=1, le=1000)
    open_bias: float = quantity(1.0, "uM", "I_bias of the open loop", SGBD, ge=0)
    closed_bias: float = quantity(0.0, "uM", "I_bias of the closed loop", SGBD, ge=0)
    transient: float = quantity(15.0, "s", "before the measuring window", SGBD, ge=0)
    window: float = quantity(180.0, "s", "measuring window", SGBD, gt=0)
    interval: float = quantity(0.1, "s", "between samples of calcium and receptors", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        if self.interval > self.window / 2:
            raise ValueError(
                f"interval: expected at most half of the window, {self.window / 2:g} s, got {self.interval:g}"
            )
        require_different(self, "rates", "modulations", "U_0_stars", "alphas")
        if min(self.rates) <= 0:
            raise ValueError(f"rates: expected rates above 0 Hz, got {min(self.rates):g}")
        for name in ("U_0_stars", "alphas"):
            if any(not 0 <= chance <= 1 for chance in getattr(self, name)):
                raise ValueError(f"{name}: expected probabilities from 0 to 1, got {getattr(self, name)}")


def run(
    settings: GliotransmissionSettings, parameters: process.ProcessParameters, generator: np.random.Generator
) -> xr.Dataset:
    """All points side by side as units of one group; averages over the window."""
    p = parameters
    modulations = settings.modulations
    known = present(
        calcium=True, receptors="closed" in modulations, gliotransmission={"none"} != {*modulations}, noise=True
    )
    refuse(p.knockouts, known, f"gliotransmission with modulation {', '.join(modulations)}")
    axes = {
        "modulation": np.array(modulations),
        "U_0_star": np.array(settings.U_0_stars or (p.U_0_star,)),
        "alpha": np.array(settings.alphas or (p.alpha,)),
        "rate": np.array(settings.rates),
        "repetition": np.arange(settings.repetitions),
    }
    shape = tuple(len(axis) for axis in axes.values())
    modulation, u_0, alpha, rate, _ = (part.ravel() for part in np.meshgrid(*axes.values(), indexing="ij"))
    end = settings.transient + settings.window
    indices, times = protocols.trains(settings.train, rate, end, p.dt, generator)
    with Session(p, int(generator.integers(2**31)), end) as session:
        units = process.build_units(session, p, len(rate))
        bias = np.where(modulation == "open", settings.open_bias, settings.closed_bias)
        process.set_states(units, I=0.4, U_0_star=u_0, alpha=alpha, measured_from=settings.transient, I_bias=bias)
        process.restrict(units, hears=modulation == "closed", acts=modulation != "none")
        source = session.spikes("stimulus", len(rate), indices, times)
        process.connect_spikes(session, source, units)
        traces = session.record(units, ["C", "Gamma_S"], settings.interval)
        releases = session.record_spikes(units)
        session.run(end, [units])
        glio = process.count_releases(releases, len(rate), settings.transient, end, p.dt)
        mean_release, spikes = process.mean_release(units), np.array(units.spikes_heard_[:])
        totals = np.array(units.r_total_[:])
        time = traces.t_[:]
        calcium, gamma = values(traces, "C", "uM"), values(traces, "Gamma_S", "1")
    inside = time >= settings.transient - 1e-9
    events = observables.calcium_events(time, calcium, p.C_Theta, settings.transient, onset=0.0)
    per_point = {
        "r_S_mean": mean_release,
        "release_rate": totals / settings.window,
        "spike_count": spikes,
        "glio_rate": glio / settings.window,
        "Gamma_S_mean": gamma[inside].mean(axis=0),
        "Gamma_S_fall": observables.fall_time(time, gamma),
        "C_mean": calcium[inside].mean(axis=0),
        **events.named,
    }
    return xr.Dataset(over(tuple(axes), shape, per_point), axes)


SWITCH = {
    "U_0_stars": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8),
    "alphas": (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0),
    "modulations": ("none", "open"),
    "rates": (0.5, 1.0, 2.0, 5.0, 10.0),
    "repetitions": 1,
}


_POINT = ("modulation", "U_0_star", "alpha", "rate", "repetition")
EXPERIMENT = Experiment(
    "synaptic release against rate, without and with gliotransmission",
    {"biophysical": Variant(GliotransmissionSettings, process.ProcessParameters, run, presets={"switch": SWITCH})},
)
PROMISED = {
    "biophysical": {
        "release_rate": _POINT,
        "glio_rate": _POINT,
        "Gamma_S_mean": _POINT,
        "C_mean": _POINT,
        "rate": ("rate",),
    }
}
MEANINGS = {
    "biophysical": {
        **EVENTS,
        "modulation": ("1", "gliotransmission: none, open loop (calcium driven from outside) or closed loop"),
        "U_0_star": ("1", "resting release probability"),
        "alpha": ("1", "release probability with all gliotransmitter receptors bound"),
        "repetition": ("1", "index of the spike train"),
        "r_S_mean": ("1", "share of the transmitter released by a spike, averaged over spikes"),
        "release_rate": ("Hz", "transmitter released a second, in units of all that the terminal can hold"),
        "spike_count": ("1", "presynaptic spikes in the window"),
        "glio_rate": ("Hz", "releases of gliotransmitter a second"),
        "Gamma_S_mean": ("1", "mean fraction of bound presynaptic gliotransmitter receptors"),
        "Gamma_S_fall": ("s", "time constant of the steepest fall of that fraction; NaN where it never falls"),
        "C_mean": ("uM", "mean cytosolic calcium"),
    }
}
