"""What an experiment is: its variants, and what its datasets promise."""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.experiments.variables import COMMON, Dimensions, Meanings

if TYPE_CHECKING:  # listing the names loads none of these
    import numpy as np
    import xarray as xr

    from astro_sim.common.settings import Settings

    Run = Callable[[Any, Any, np.random.Generator], xr.Dataset | Generator[Any, Any, xr.Dataset]]

SHARED = {"experiment", "shared", "user_file", "variables"}  # modules of this folder that are no experiments
# As they are listed to people; one that is not here follows them.
ORDER = ("stp", "ltp", "spatial", "frequency", "associative", "gliotransmission", "waves", "calcium", "an", "network")
_FILES = sorted({module.name for module in iter_modules([str(Path(__file__).parent)])} - SHARED)
NAMES = tuple(sorted(_FILES, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER)))

# What the bridge reads of a dataset, with its units, and what an experiment of one's own that stands for it must hold.
READ: dict[str, dict[str, tuple[str, ...]]] = {
    "ltp": {"p_l_cycle": ("1", "a.u."), "tau_cycle": ("s",)},
    "spatial": {"p_s_peak": (), "distance": ("spacing",)},  # () is any unit
    "frequency": {"calcium": (), "rate": ("Hz",)},
}


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

    settings: "type[Settings]"
    parameters: "type[Settings]"
    run: "Run"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def complete(self, given: Mapping[str, Any]) -> "tuple[Settings, Settings]":
        """Protocol and constants from ``given`` on top of a preset on top of the defaults, validated."""
        from astro_sim.common.settings import split_settings

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
    """A protocol and the models that run it.

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


@dataclass(frozen=True)
class NamedExperiment:
    """An experiment under its name, with what its datasets hold.

    Attributes
    ----------
    reference : str
        What finds it again, in another process too: its name, or the whole path of its file.
    name : str
    experiment : Experiment
    promised : mapping
        Model -> variable -> its dimensions. A dataset may hold more; these it holds, and without NaN.
    meanings : mapping
        Model -> variable -> (unit, meaning), of everything that a dataset may hold besides what all share.
    by_setting : mapping
        Variable -> (setting, its value -> (unit, meaning)), where a setting decides what a variable means.
    source : str
        SHA-256 of its file; empty for those of the package, whose version stands in every dataset.
    """

    reference: str
    name: str
    experiment: Experiment
    promised: Mapping[str, Dimensions]
    meanings: Mapping[str, Meanings]
    by_setting: Mapping[str, tuple[str, Mapping[Any, tuple[str, str]]]]
    source: str = ""

    @classmethod
    def of(cls, module: ModuleType, reference: str, name: str, source: str = "") -> "NamedExperiment":
        """From what its file defines."""
        by_setting = getattr(module, "BY_SETTING", {})
        return cls(reference, name, module.EXPERIMENT, module.PROMISED, module.MEANINGS, by_setting, source)

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

    def known(self, model: str, settings: Mapping[str, Any]) -> Meanings:
        """Name -> (unit, meaning) of everything that a dataset of this model and these settings may hold."""
        return {**COMMON, **self.meanings[model], **self.decided(model, settings)}

    def decided(self, model: str, settings: Mapping[str, Any]) -> Meanings:
        """Those of them that a setting decides; in general terms where ``settings`` lack it, as where it was swept."""
        return {
            name: choices.get(settings.get(setting), self.meanings[model][name])
            for name, (setting, choices) in self.by_setting.items()
        }

    def attributes(self, model: str) -> dict[str, str]:
        """What a dataset says of an experiment of one's own, so that it is read without the file; of ours nothing."""
        if not self.source:
            return {}
        promised = {name: list(dims) for name, dims in self.promised[model].items()}
        stands = {"own_stands_for": self.experiment.stands_for} if self.experiment.stands_for else {}
        return {"own_source": self.source, "own_contents": json.dumps(promised), **stands}


def require_readable(experiment: str, promised: Dimensions, units: Mapping[str, str]) -> None:
    """Raise `InputError` unless what is promised can be read as ``experiment``: names, dimensions, units if known."""
    if experiment not in READ:
        raise InputError(f"stands_for: expected one of {', '.join(READ)}, got {experiment!r}")
    for name, known in READ[experiment].items():
        if name not in promised:
            raise InputError(f"to stand for {experiment!r}, {name!r} must be promised")
        if known and name in units and units[name] not in known:
            raise InputError(
                f"to stand for {experiment!r}, {name!r} must be in {' or '.join(known)}, got {units[name]!r}"
            )
    dims = {name: tuple(promised[name]) for name in READ[experiment]}
    expected = ""
    if experiment == "ltp" and ("cycle" not in dims["p_l_cycle"] or dims["tau_cycle"]):
        expected = "'cycle' among those of p_l_cycle, none of tau_cycle"
    elif experiment == "spatial" and dims["p_s_peak"] != dims["distance"]:
        expected = "the same of p_s_peak and distance"
    elif experiment == "frequency" and ("rate" not in dims["calcium"] or dims["rate"] != ("rate",)):
        expected = "'rate' among those of calcium, and of rate that alone"
    if expected:
        raise InputError(f"to stand for {experiment!r}, expected dimensions: {expected}; got {dims}")
