"""Named experiments: one a file, each with the models that can run it."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError, did_you_mean, require_known
from astro_sim.common.settings import Settings, split_settings
from astro_sim.contents import EXPERIMENTS

Run = Callable[[Any, Any, np.random.Generator], xr.Dataset | Generator[Any, Any, xr.Dataset]]


@dataclass(frozen=True)
class Variant:
    """An experiment as one model runs it.

    Attributes
    ----------
    settings : type of Settings
        Its protocol; field names must not overlap with those of the parameters.
    parameters : type of Settings
        Constants of the model.
    run : callable
        ``run(settings, parameters, generator) -> xarray.Dataset``, bare of units and provenance; or a generator
        function that returns it and yields requests (`astro_sim.simulation`), for many points to be run together.
    defaults : mapping
        Parameters that this experiment sets otherwise than the model does.
    presets : mapping
        Name -> settings and parameters that go together, chosen with the parameter ``preset``; what is set one by one
        goes on top.
    """

    settings: type[Settings]
    parameters: type[Settings]
    run: Run
    defaults: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def complete(self, given: Mapping[str, Any]) -> tuple[Settings, Settings]:
        """Protocol and constants from ``given`` on top of a preset on top of the defaults, validated."""
        preset = given.get("preset")
        if preset is not None and not (isinstance(preset, str) and preset in self.presets):
            if not self.presets:
                raise InputError(f"preset: unknown {preset!r}; this experiment and model have none")
            raise InputError(f"preset: unknown {preset!r}; {did_you_mean(str(preset), self.presets)}")
        chosen = self.presets[preset] if preset is not None else {}
        protocol, constants = split_settings({**self.defaults, **chosen, **given}, self.settings, self.parameters)
        return self.settings(**protocol), self.parameters(**constants)


@dataclass(frozen=True)
class Experiment:
    """A named experiment.

    Attributes
    ----------
    summary : str
        One line for people.
    models : mapping
        Name of a model -> how that model runs the experiment.
    """

    summary: str
    models: Mapping[str, Variant]


NAMES = EXPERIMENTS


def models(name: str) -> Mapping[str, Variant]:
    """The models that run the experiment ``name``, its default first; an unknown name raises `InputError`."""
    require_known("experiment", name, NAMES)
    return import_module(f"{__name__}.{name}").EXPERIMENT.models


def resolve(name: str, model: str | None) -> str:
    """The name of the model to run: the one given, or the experiment's default."""
    return next(iter(models(name))) if model is None else model


def get(name: str, model: str) -> Variant:
    """Look up how ``model`` runs the experiment ``name``; an unknown one raises `InputError` with the nearest name."""
    known = models(name)
    if not isinstance(model, str):
        raise InputError(f"model: expected a name ({', '.join(known)}), got {type(model).__name__}")
    if model not in known:
        raise InputError(f"unknown model {model!r} for the experiment {name!r}; {did_you_mean(model, known)}")
    return known[model]
