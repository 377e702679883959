"""Neuron-astrocyte plasticity experiments: from a name to a dataset.

>>> import astro_sim
>>> dataset = astro_sim.simulate("ltp", cycles=24, seed=1)

Names are loaded on first use, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
