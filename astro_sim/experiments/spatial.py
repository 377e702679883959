"""One active synapse among many silent ones: how far its calcium reaches through the coupled processes."""

import numpy as np
import xarray as xr

from astro_sim.common.settings import quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, MacroSteps, PlacedSettings, indices, position_variable, traces
from astro_sim.experiments.spatial_biophysical import VARIANT
from astro_sim.macro import geometry
from astro_sim.macro.model import MacroModel, MacroRequest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.stimuli import square_wave


class SpatialSettings(PlacedSettings):
    """One cycle of input to the two neurons of the central synapse."""

    tau_cycle: float = quantity(10.0, "s", "length of the cycle", CHOSEN, gt=0)
    duty: float = quantity(0.5, "1", "share of the cycle with input", CHOSEN, gt=0, le=1)
    amplitude: float = quantity(1.0, "a.u.", "input to the two neurons while on", CHOSEN)
    interval: float = quantity(0.05, "s", "between samples", CHOSEN, gt=0)


def run(settings: SpatialSettings, parameters: MacroParameters, generator: np.random.Generator) -> MacroSteps:
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


EXPERIMENT = Experiment(
    "p^s against distance from the active synapse",
    {"macro": Variant(SpatialSettings, MacroParameters, run, {"n": 7}), "biophysical": VARIANT},
)
