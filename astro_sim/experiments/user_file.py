"""An experiment in a file of one's own, held against the contract that the files of the package keep, too.

The file defines ``EXPERIMENT``, ``PROMISED`` and ``MEANINGS`` (perhaps ``BY_SETTING``). Whoever reads its datasets does
not need it.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, get_origin

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.common.user_file import UserFiles, defined
from astro_sim.experiments.experiment import NAMES, Experiment, NamedExperiment, Variant, require_readable

# Arguments of `simulate`, `sweep` and `select`: a setting of such a name could not be given.
TAKEN = ("experiment", "model", "seed", "grid", "client", "folder", "workers", "dataset")
RESERVED = ("failure", "held_", "point_", "swept_")  # names of variables that a sweep adds, or begins its own with


def loaded(name: str, source: str) -> NamedExperiment | None:
    """The experiment of this name and source if this process has run its file."""
    return next((known for known in FILES if (known.name, known.source) == (name, source)), None)


def checked(module: ModuleType, reference: str, name: str, source: str) -> NamedExperiment:
    """What a file defines, once it is known to be sound; raises `InputError` that says what is not."""
    experiment = defined(module, "EXPERIMENT", Experiment, "astro_sim.experiments")
    if not isinstance(experiment.models, Mapping) or not experiment.models:
        raise InputError("EXPERIMENT has no models; expected a mapping from a name to a Variant")
    for model, variant in experiment.models.items():
        if not isinstance(model, str):
            raise InputError(f"EXPERIMENT: expected names of models, got {model!r}")
        try:
            _require_variant(variant)
        except InputError as error:
            raise InputError(f"model {model!r}: {error}") from None
    for table, value in ((name, getattr(module, name, None)) for name in ("PROMISED", "MEANINGS")):
        if not isinstance(value, Mapping):
            got = "is missing" if value is None else f"is {type(value).__name__}"
            raise InputError(f"{table} {got}; expected a mapping from every model to its table")
        for model in experiment.models:
            if model not in value:
                raise InputError(f"{table} has no table of the model {model!r}")
            if not isinstance(value[model], Mapping):
                raise InputError(f"{table} of {model!r} is {type(value[model]).__name__}; expected a mapping")
    named = NamedExperiment.of(module, reference, name, source)
    if not isinstance(named.by_setting, Mapping):
        raise InputError(f"BY_SETTING is {type(named.by_setting).__name__}; expected a mapping")
    for model in experiment.models:
        _require_tables(named, model)
    return named


FILES = UserFiles("an experiment", NAMES, checked)


def _require_variant(variant: Any) -> None:
    from astro_sim.common.settings import Settings

    if not isinstance(variant, Variant):
        raise InputError(f"expected a Variant, got {type(variant).__name__}")
    for part in (variant.settings, variant.parameters):
        if not (isinstance(part, type) and issubclass(part, Settings)):
            raise InputError(f"expected subclasses of Settings, got {part!r}")
        for name, field in part.model_fields.items():
            if name in TAKEN:
                raise InputError(f"{name}: not a name for a setting; simulate and sweep take it for themselves")
            if get_origin(field.annotation) in (set, frozenset) or field.annotation in (set, frozenset):
                raise InputError(f"{name}: a set has no order, so no digest; expected a tuple")
            if field.alias is not None:
                raise InputError(f"{name}: expected a setting without an alias")
    both = set(variant.settings.model_fields) & set(variant.parameters.model_fields)
    if both:
        raise InputError(f"{', '.join(sorted(both))} is both a setting and a parameter")
    if not callable(variant.run):
        raise InputError(f"expected a function to run, got {type(variant.run).__name__}")
    for name, table in (("defaults", variant.defaults), ("presets", variant.presets)):
        if not isinstance(table, Mapping):
            raise InputError(f"{name}: expected a mapping, got {type(table).__name__}")
    if variant.presets and "preset" not in {**variant.settings.model_fields, **variant.parameters.model_fields}:
        raise InputError("presets: expected a setting 'preset', which chooses one")
    for given in ({}, *({"preset": name} for name in variant.presets)):
        try:
            variant.complete(given)
        except InputError as error:
            where = f"preset {given['preset']!r}" if given else "defaults"
            raise InputError(f"{where}: {error}") from None


def _require_tables(named: NamedExperiment, model: str) -> None:
    """The tables of one model: names and texts of the right kind, and a meaning for all that is promised."""
    meanings, promised, variant = named.meanings[model], named.promised[model], named.get(model)
    for name, meaning in meanings.items():
        if not (isinstance(name, str) and name.isidentifier()):
            raise InputError(f"MEANINGS: {name!r}: expected a name of letters, digits and _")
        if name == RESERVED[0] or name.startswith(RESERVED[1:]):
            raise InputError(f"MEANINGS: {name}: a name that sweeps take for themselves; choose another")
        _require_meaning(name, meaning)
    for name, choice in named.by_setting.items():
        if name not in meanings:
            raise InputError(f"BY_SETTING: {name}: MEANINGS of {model!r} lack it; expected one in general terms")
        if not (isinstance(choice, tuple) and len(choice) == 2 and isinstance(choice[1], Mapping)):
            raise InputError(f"BY_SETTING: {name}: expected (setting, {{its value: (unit, meaning)}})")
        known = [*variant.settings.model_fields, *variant.parameters.model_fields]
        if choice[0] not in known:
            raise InputError(f"BY_SETTING: {name}: unknown setting {choice[0]!r}; {did_you_mean(choice[0], known)}")
        for meaning in choice[1].values():
            _require_meaning(name, meaning)
    known = named.known(model, {})
    for name, dims in promised.items():
        if not _words(dims):
            raise InputError(f"PROMISED: {name}: expected a tuple of dimensions, got {dims!r}")
        if name not in known:
            raise InputError(f"MEANINGS of {model!r} lack {name!r}, which PROMISED has")
    if named.experiment.stands_for:
        require_readable(named.experiment.stands_for, promised, {name: unit for name, (unit, _) in known.items()})


def _require_meaning(name: str, meaning: Any) -> None:
    if not (_words(meaning) and len(meaning) == 2):
        raise InputError(f"MEANINGS: {name}: expected (unit, meaning), got {meaning!r}")


def _words(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(word, str) for word in value)
