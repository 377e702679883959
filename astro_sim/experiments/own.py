"""An experiment in a file of one's own: what `astro_sim.experiments` and `astro_sim.contents` hold for ours, in one.

The file defines ``EXPERIMENT``, ``PROMISED`` and ``MEANINGS`` (perhaps ``BY_SETTING``), and its name, without ``.py``,
is that of the experiment. It is run when it is named, in every process that simulates: name only files that you trust.
Whoever reads its datasets does not need it.
"""

import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings
from astro_sim.contents import Contents
from astro_sim.experiments import NAMES, Experiment, Found, Variant

FITTED = ("ltp", "spatial", "frequency")  # what an experiment of one's own may stand for
TABLES = ("PROMISED", "MEANINGS")

_loaded: dict[Path, Found] = {}


def load(path: Path) -> Found:
    """Run the file, once as long as it stays the same, and hold what it defines against what is expected.

    Raises
    ------
    InputError
        No such file; a name that is none, or is that of an experiment of ours; an error while it runs, with its line;
        a definition that is missing or malformed.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an experiment of your own (.py)")
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", path.stem):
        raise InputError(f"{path}: its name is that of the experiment; expected letters, digits and _")
    if path.stem in NAMES:
        raise InputError(f"{path}: {path.stem!r} is an experiment of the package; choose another name")
    code = path.read_bytes()
    source = sha256(code).hexdigest()
    whole = path.resolve()
    if whole not in _loaded or _loaded[whole].source != source:
        module = _run(path, code)
        experiment = _experiment(module, path)
        _loaded[whole] = Found(str(whole), path.stem, experiment, _contents(module, experiment, path), source)
    return _loaded[whole]


def loaded(name: str, source: str) -> Found | None:
    """The experiment of this name and source if this process has run its file."""
    return next((each for each in _loaded.values() if (each.name, each.source) == (name, source)), None)


def _run(path: Path, code: bytes) -> ModuleType:
    module = ModuleType(f"own_experiment_{path.stem}")
    module.__file__ = str(path.resolve())
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module  # where pydantic and dataclasses look up annotations
    try:
        with _folder_on_path(path.resolve().parent):
            exec(compile(code, str(path), "exec"), vars(module))
    except Exception as error:
        sys.modules.pop(module.__name__)
        if before is not None:
            sys.modules[module.__name__] = before
        lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
        told = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
        raise InputError(f"{path}{'' if line is None else f', line {line}'}: {told}") from error
    return module


@contextmanager
def _folder_on_path(folder: Path) -> Iterator[None]:
    """Modules beside the file can be imported by it, as when Python runs it; last, so that they hide no others."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _experiment(module: ModuleType, path: Path) -> Experiment:
    found = getattr(module, "EXPERIMENT", None)
    if not isinstance(found, Experiment):
        got = "is missing" if found is None else f"is {type(found).__name__}"
        raise InputError(f"{path}: EXPERIMENT {got}; expected an astro_sim.experiments.Experiment")
    if not isinstance(found.models, Mapping) or not found.models:
        raise InputError(f"{path}: EXPERIMENT has no models; expected a mapping from a name to a Variant")
    for model, variant in found.models.items():
        if not isinstance(variant, Variant):
            raise InputError(f"{path}: model {model!r}: expected a Variant, got {type(variant).__name__}")
        for part in (variant.settings, variant.parameters):
            if not (isinstance(part, type) and issubclass(part, Settings)):
                raise InputError(f"{path}: model {model!r}: expected subclasses of Settings, got {part!r}")
        both = set(variant.settings.model_fields) & set(variant.parameters.model_fields)
        if both:
            raise InputError(f"{path}: model {model!r}: {', '.join(sorted(both))} is both a setting and a parameter")
    if found.stands_for and found.stands_for not in FITTED:
        raise InputError(f"{path}: stands_for: expected one of {', '.join(FITTED)}, got {found.stands_for!r}")
    return found


def _contents(module: ModuleType, experiment: Experiment, path: Path) -> Contents:
    for name in TABLES:
        table = getattr(module, name, None)
        if not isinstance(table, Mapping):
            got = "is missing" if table is None else f"is {type(table).__name__}"
            raise InputError(f"{path}: {name} {got}; expected a mapping from every model to its table")
        for model in experiment.models:
            if model not in table:
                raise InputError(f"{path}: {name} has no table of the model {model!r}")
    contents = Contents.of(module)
    for model in experiment.models:
        known = contents.known(model, {})
        for name, dims in contents.promised[model].items():
            if not _words(dims):
                raise InputError(f"{path}: PROMISED: {name}: expected a tuple of dimensions, got {dims!r}")
            if name not in known:
                raise InputError(f"{path}: MEANINGS of {model!r} lack {name!r}, which PROMISED has")
        for name, meaning in known.items():
            if not (_words(meaning) and len(meaning) == 2):
                raise InputError(f"{path}: MEANINGS: {name}: expected (unit, meaning), got {meaning!r}")
    return contents


def _words(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
