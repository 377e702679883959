"""Repeated stimulation: p^l accumulates from cycle to cycle and saturates. The bridge reads its law off this curve."""

from typing import Literal

import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError
from astro_sim.common.settings import quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.ltp_biophysical import VARIANT
from astro_sim.experiments.shared import CHOSEN, MacroSteps, PlacedSettings, drive, indices, position_variable, traces
from astro_sim.macro.model import MacroModel, MacroRequest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.stimuli import Stimulus, square_wave

MOST_CYCLES = 1024


class LtpSettings(PlacedSettings):
    """Cycles of input to every neuron."""

    cycles: int | Literal["saturation"] = quantity(
        6, "1", 'number of cycles, or "saturation": as many as saturation takes', "RMAAT Fig. 1: 6"
    )
    saturation_tolerance: float = quantity(
        0.01,
        "1",
        "saturated when a cycle adds less than this share of the largest cycle's",
        CHOSEN,
        gt=0,
        lt=1,
    )
    burn_in: int = quantity(
        0,
        "1",
        "cycles before the first, with p^l held at 0, that bring s to its periodic state",
        "ours; RMAAT: 0",
        ge=0,
    )
    tau_cycle: float = quantity(10.0, "s", "length of one cycle", CHOSEN, gt=0)
    duty: float = quantity(0.5, "1", "share of the cycle with input", CHOSEN, gt=0, le=1)
    amplitude: float = quantity(1.0, "a.u.", "mean input to a neuron while on", CHOSEN)
    drive_cv: float = quantity(
        0.1, "1", "variation of the input over neurons, drawn from the seed", CHOSEN, ge=0, le=10
    )
    interval: float = quantity(0.1, "s", "between samples", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        if self.cycles != "saturation" and not 1 <= self.cycles <= MOST_CYCLES:
            raise ValueError(f'cycles: expected 1 to {MOST_CYCLES} or "saturation", got {self.cycles}')


def run(settings: LtpSettings, parameters: MacroParameters, generator: np.random.Generator) -> MacroSteps:
    """Run the cycles; sample traces every ``interval`` and p^l at every end of a cycle."""
    n = parameters.n
    at = settings.place(n, generator)
    pre, post = drive(settings.amplitude, n, settings.drive_cv, generator)
    model = MacroModel(parameters, at)

    def wave(cycles: int) -> Stimulus:
        return square_wave(cycles, settings.tau_cycle, settings.duty, pre, post)

    start = None
    if settings.burn_in:
        burnt_in = yield MacroRequest(model, wave(settings.burn_in), settings.tau_cycle, hold_ltp=True)
        start = burnt_in.final

    def ends(cycles: int) -> MacroRequest:
        return MacroRequest(model, wave(cycles), settings.tau_cycle, start)

    cycles = settings.cycles
    if cycles == "saturation":
        cycles = 16
        while not _saturated((yield ends(cycles)).state.p_l, settings.saturation_tolerance):
            if cycles >= MOST_CYCLES:
                raise InputError(f"cycles: no saturation within {MOST_CYCLES} cycles; expected a number instead")
            cycles *= 2
    traced = yield MacroRequest(model, wave(cycles), settings.interval, start)
    at_ends = yield ends(cycles)
    return xr.Dataset(
        {
            **traces(traced),
            "p_l_cycle": (("cycle", "post", "pre"), at_ends.state.p_l),
            "position": position_variable(at),
            "tau_cycle": ((), settings.tau_cycle),
        },
        indices(n, time=traced.time, cycle=np.arange(cycles + 1), axis=np.arange(at.shape[-1])),
    )


def _saturated(p_l: np.ndarray, tolerance: float) -> bool:
    # Against the largest step, not the rise: a straight line adds 1 % of its rise in cycle 100 without an end.
    steps = np.abs(np.diff(p_l.mean(axis=(1, 2))))
    return bool(steps[-1] <= tolerance * steps.max())


EXPERIMENT = Experiment(
    "cycles of stimulation, until p^l saturates if asked",
    {"macro": Variant(LtpSettings, MacroParameters, run), "biophysical": VARIANT},
)
