"""Recall from an associative memory: patterns stored in the coupling of the processes, cues with flipped signs."""

import numpy as np
import xarray as xr

from astro_sim.common.errors import NumericalError
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant
from astro_sim.experiments.shared import CHOSEN, Array
from astro_sim.macro.naam import NaamModel, NaamParameters, NaamState, stored


class AssociativeSettings(Settings):
    """Cues at every corruption, for every number of stored patterns."""

    patterns: tuple[int, ...] = quantity(
        (1, 2, 4, 8), "1", "numbers of random patterns to store", CHOSEN, min_length=1, max_length=100
    )
    corruption: tuple[float, ...] = quantity(
        (0.0, 0.125, 0.25, 0.375), "1", "shares of a pattern's signs that a cue flips", CHOSEN, min_length=1
    )
    cues: int = quantity(5, "1", "cues for each number of patterns and corruption", CHOSEN, ge=1, le=10_000)
    amplitude: float = quantity(1.0, "a.u.", "activity of a neuron at the start, with the cue's sign", CHOSEN, gt=0)
    duration: float = quantity(10.0, "s", "time to settle: ten tau_n", CHOSEN, gt=0, le=1e6)
    interval: float = quantity(0.5, "s", "between samples of the energy", CHOSEN, gt=0)

    def model_post_init(self, _: object) -> None:
        if not all(1 <= count <= 10_000 for count in self.patterns) or len(set(self.patterns)) < len(self.patterns):
            raise ValueError(f"patterns: expected different numbers from 1 to 10000, got {self.patterns}")
        if not all(0 <= share <= 1 for share in self.corruption) or len(set(self.corruption)) < len(self.corruption):
            raise ValueError(f"corruption: expected different shares from 0 to 1, got {self.corruption}")
        if not self.interval <= self.duration <= 1e5 * self.interval:
            raise ValueError(f"interval: expected 1 to 1e5 within {self.duration:g} s, got {self.interval:g} s")


def cues_for(patterns: Array, settings: AssociativeSettings, generator: np.random.Generator) -> tuple[Array, Array]:
    """The pattern that each cue asks for, and the cue: both (corruption, cue, n)."""
    n = patterns.shape[-1]
    asked = patterns[generator.integers(len(patterns), size=(len(settings.corruption), settings.cues))]
    # The same order of neurons for every corruption: a cue with more flips contains the one with less.
    order = generator.permuted(np.tile(np.arange(n), (settings.cues, 1)), axis=1)
    flips = np.round(np.array(settings.corruption) * n)
    flipped = order[None] < flips[:, None, None]
    return asked, np.where(flipped, -asked, asked)


def run(settings: AssociativeSettings, parameters: NaamParameters, generator: np.random.Generator) -> xr.Dataset:
    """Start the neurons at each cue, synapses and processes at 0, and let the energy fall."""
    n = parameters.n
    overlaps, energies = [], []
    time = np.empty(0)
    for count in settings.patterns:
        patterns = generator.choice([-1.0, 1.0], size=(count, n))
        asked, cue = cues_for(patterns, settings, generator)
        model = NaamModel(parameters, stored(patterns, parameters.strength))
        still = np.zeros((*cue.shape, n))
        with np.errstate(over="ignore", invalid="ignore"):  # told below, in one line
            time, states = model.run(
                NaamState(settings.amplitude * cue, still, still), settings.duration, settings.interval
            )
            energy = np.stack([model.energy(state) for state in states], axis=-1)
        if not np.isfinite(energy).all():
            raise NumericalError(f"the energy left the finite numbers with {count} patterns; try a smaller dt")
        overlaps.append((np.sign(states[-1].x) * asked).mean(axis=-1))
        energies.append(energy)
    return xr.Dataset(
        {
            "overlap": (("patterns", "corruption", "cue"), np.stack(overlaps)),
            "overlap_cue": (("corruption",), 1.0 - 2.0 * np.round(np.array(settings.corruption) * n) / n),
            "energy": (("patterns", "corruption", "cue", "time"), np.stack(energies)),
        },
        {
            "patterns": np.array(settings.patterns),
            "corruption": np.array(settings.corruption),
            "cue": np.arange(settings.cues),
            "time": time,
        },
    )


EXPERIMENT = Experiment(
    "recall of stored patterns from corrupted cues, in the neuron-astrocyte associative memory",
    {"macro": Variant(AssociativeSettings, NaamParameters, run)},
)
PROMISED = {
    "macro": {
        "overlap": ("patterns", "corruption", "cue"),
        "overlap_cue": ("corruption",),
        "energy": ("patterns", "corruption", "cue", "time"),
    }
}
MEANINGS = {
    "macro": {
        "patterns": ("1", "number of stored patterns"),
        "corruption": ("1", "share of the signs that the cue flips"),
        "cue": ("1", "index of the cue"),
        "overlap": ("1", "mean product of the signs recalled and those stored; 1 is perfect recall"),
        "overlap_cue": ("1", "mean product of the signs of the cue and those stored"),
        "energy": ("a.u.", "energy of neurons, synapses and processes"),
    }
}
