"""One stimulation cycle in several spatial layouts: p^s rises and decays, and shows where the processes lie."""

from itertools import pairwise

import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, MacroSteps, drive, indices, traces
from astro_sim.experiments.stp_biophysical import VARIANT
from astro_sim.macro import geometry
from astro_sim.macro.model import MacroModel, MacroRequest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.stimuli import square_wave


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


def run(settings: StpSettings, parameters: MacroParameters, generator: np.random.Generator) -> MacroSteps:
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


EXPERIMENT = Experiment(
    "one cycle in several spatial layouts",
    {"macro": Variant(StpSettings, MacroParameters, run), "biophysical": VARIANT},
)
