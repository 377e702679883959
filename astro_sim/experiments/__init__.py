"""Named experiments: one a file, each with the models that can run it; and files of one's own, by their path."""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.common.own_file import is_file_name, require_name
from astro_sim.common.settings import Settings, split_settings
from astro_sim.contents import CONTENTS, EXPERIMENTS, Contents

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
    stands_for : str
        Of an experiment of one's own: "ltp", "spatial" or "frequency" where its datasets hold what those of that
        experiment do, so that `bridge.fit_laws` takes them in its place.
    """

    summary: str
    models: Mapping[str, Variant]
    stands_for: str = ""


NAMES = EXPERIMENTS


@dataclass(frozen=True)
class Found:
    """An experiment as it was looked up.

    Attributes
    ----------
    reference : str
        What finds it again, in another process too: its name, or the whole path of its file.
    name : str
    experiment : Experiment
    contents : Contents
        What its datasets hold.
    source : str
        SHA-256 of its file; empty for those of the package, whose version stands in every dataset.
    """

    reference: str
    name: str
    experiment: Experiment
    contents: Contents
    source: str = ""

    def resolve(self, model: str | None) -> str:
        """The model to run: the one given, or the experiment's default; an unknown one raises `InputError`."""
        known = self.experiment.models
        if model is None:
            return next(iter(known))
        if not isinstance(model, str):
            raise InputError(f"model: expected a name ({', '.join(known)}), got {type(model).__name__}")
        if model not in known:
            raise InputError(f"unknown model {model!r} for the experiment {self.name!r}; {did_you_mean(model, known)}")
        return model

    def get(self, model: str | None) -> Variant:
        """How ``model``, or by default the first, runs it; an unknown one raises `InputError`."""
        return self.experiment.models[self.resolve(model)]

    def own(self, model: str) -> dict[str, str]:
        """What a dataset of one's own experiment says of it, so that it is read without the file; else nothing."""
        if not self.source:
            return {}
        held = {name: list(dims) for name, dims in self.contents.promised[model].items()}
        stands = {"own_stands_for": self.experiment.stands_for} if self.experiment.stands_for else {}
        return {"own_source": self.source, "own_contents": json.dumps(held), **stands}


def find(experiment: str | Path) -> Found:
    """Look up an experiment by its name, or by the path of a file of one's own, which is run.

    Raises
    ------
    InputError
        An unknown name (with the nearest one); a file that is missing, cannot be run or lacks a table.
    """
    if is_file_name(experiment):
        from astro_sim.experiments import own

        return own.FILES.load(Path(experiment))
    require_name("experiment", experiment, NAMES)
    name = str(experiment)
    return Found(name, name, import_module(f"{__name__}.{name}").EXPERIMENT, CONTENTS[name])
