"""Named experiments: one a file, each a settings class and a function from settings to a dataset."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.common.settings import Settings
from astro_sim.macro.parameters import MacroParameters

Run = Callable[[Any, MacroParameters, np.random.Generator], xr.Dataset]


@dataclass(frozen=True)
class Experiment:
    """A named experiment.

    Attributes
    ----------
    summary : str
        One line for the help.
    settings : type of Settings
        Its protocol; field names must not overlap with those of the model's parameters.
    run : callable
        ``run(settings, parameters, generator) -> xarray.Dataset``, bare of units and provenance.
    defaults : mapping
        Model parameters that this experiment sets otherwise than the model does.
    """

    summary: str
    settings: type[Settings]
    run: Run
    defaults: Mapping[str, Any] = field(default_factory=dict)


NAMES = ("stp", "ltp", "spatial", "frequency")


def get(name: str) -> Experiment:
    """Look an experiment up by name; an unknown one raises `InputError` with the nearest name."""
    if name not in NAMES:
        raise InputError(f"unknown experiment {name!r}; {did_you_mean(name, NAMES)}")
    return import_module(f"{__name__}.{name}").EXPERIMENT
