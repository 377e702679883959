"""A small experiment in a file of its own, for tests that name it, edit it and break it."""

# Levels of a leak that is driven at a rate: no simulator, so that a worker starts quickly.
LEAK = """
import numpy as np
import xarray as xr
from astro_sim.common.settings import Settings, quantity
from astro_sim.experiments import Experiment, Variant


class Drive(Settings):
    preset: str | None = quantity(None, "1", "name of a preset", "test")
    cycles: int = quantity(12, "1", "cycles", "test", ge=1)
    input: float = quantity(1.0, "a.u.", "input a cycle", "test")


class Leak(Settings):
    tau: float = quantity(5.0, "1", "cycles to fall to 1/e", "test", gt=0)


def run(settings, parameters, generator):
    cycle = np.arange(settings.cycles + 1)
    level = settings.input * (1 - np.exp(-cycle / parameters.tau)) + 0.0 * generator.random()
    return xr.Dataset(
        {"p_l_cycle": (("cycle", "post", "pre"), level[:, None, None]), "tau_cycle": ((), 10.0)}, {"cycle": cycle}
    )


PRESETS = {"slow": {"tau": 20.0}, "fast": {"tau": 2.0}}
EXPERIMENT = Experiment("a leak", {"leak": Variant(Drive, Leak, run, {}, PRESETS)}, stands_for="ltp")
PROMISED = {"leak": {"p_l_cycle": ("cycle", "post", "pre"), "tau_cycle": ()}}
MEANINGS = {"leak": {"p_l_cycle": ("a.u.", "level at the ends of cycles")}}
"""


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
