"""Neuron-astrocyte plasticity experiments: from a name to a dataset.

>>> import astro_sim
>>> dataset = astro_sim.simulate("ltp", cycles=24, seed=1)

Names are loaded on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING

from astro_sim.common.extras import lazily

if TYPE_CHECKING:
    from astro_sim.common.errors import InputError
    from astro_sim.dataset import read, write
    from astro_sim.simulation import simulate
    from astro_sim.sweeps import sweep
    from astro_sim.sweeps.joining import select

_HOME = {
    "InputError": "astro_sim.common.errors",
    "read": "astro_sim.dataset",
    "select": "astro_sim.sweeps.joining",
    "simulate": "astro_sim.simulation",
    "sweep": "astro_sim.sweeps",
    "write": "astro_sim.dataset",
}

__all__ = ["InputError", "read", "select", "simulate", "sweep", "write"]

__getattr__ = lazily(__name__, _HOME)
