"""A definition in a Python file of one's own, an experiment or a task, named by its path.

The file's name, without ``.py``, is that of what it defines. It is run when it is named, in every process that needs
it: name only files that you trust.
"""

import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import chdir, suppress
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from astro_sim.common.brian import own_preferences
from astro_sim.common.errors import InputError, brief, require_known
from astro_sim.common.files import instead_of
from astro_sim.common.signals import handlers_refused

PASSED = (KeyboardInterrupt, GeneratorExit)  # of all that a file can raise, what is no mistake in it


def is_file_name(name: Any) -> bool:
    """Whether a file is named where a name of the package could stand as well."""
    return isinstance(name, os.PathLike) or (isinstance(name, str) and name.endswith(".py"))


def require_name(what: str, name: Any, names: Collection[str]) -> None:
    """Raise `InputError` for a name that is none of the package's; a file of that name here is pointed at."""
    if isinstance(name, str) and name not in names and Path(f"{name}.py").is_file():
        raise InputError(f"unknown {what} {name!r}; for the file here, write {name}.py")
    require_known(what, name, names)


Definition = TypeVar("Definition")


class UserFiles(Generic[Definition]):
    """The files of one kind that this process has run.

    Parameters
    ----------
    kind : str
        What a file defines, with its article: "an experiment".
    names : collection of str
        Those of the package, which are taken.
    build : callable
        ``build(module, reference, name, source) -> Definition`` from what the file defined; ``reference`` is its whole
        path, ``source`` its SHA-256. What it raises as `InputError` is told with the file in front.
    """

    def __init__(
        self, kind: str, names: Collection[str], build: Callable[[ModuleType, str, str, str], Definition]
    ) -> None:
        self.kind, self.names, self.build = kind, names, build
        self._defined: dict[Path, tuple[str, Definition]] = {}
        self._running: list[Path] = []

    def __iter__(self) -> Iterator[Definition]:
        return (definition for _, definition in self._defined.values())

    def load(self, path: Path) -> Definition:
        """Run the file, once as long as it stays the same.

        Raises
        ------
        InputError
            No such file; a name that is none, or is one of ours; an error while it runs, with its line; a definition
            that is missing or malformed.
        """
        place = Path(os.path.abspath(path))  # a link stays what it is called
        word = self.kind.split()[-1]
        if path.suffix != ".py":
            raise InputError(f"{path}: expected {self.kind} of your own, a file that ends in .py")
        if not path.is_file():
            raise InputError(f"{path}: {instead_of('file', path)}; expected {self.kind} of your own (.py)")
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", path.stem):
            raise InputError(f"{path}: its name is that of the {word}; expected a letter, then letters, digits and _")
        if path.stem in self.names:
            raise InputError(f"{path}: {path.stem!r} is {self.kind} of the package; choose another name")
        if place in self._running:
            raise InputError(f"{path}: asks for itself while it is run; put that under if __name__ == '__main__'")
        code = path.read_bytes()
        source = sha256(code).hexdigest()
        if place not in self._defined or self._defined[place][0] != source:
            self._running.append(place)
            try:
                module = _run(path, code, f"own_{word}_{path.stem}")
            finally:
                self._running.remove(place)
            try:
                self._defined[place] = source, self.build(module, str(place), path.stem, source)
            except InputError as error:
                raise InputError(f"{path}: {error}") from None
        return self._defined[place][1]


def located(error: BaseException, path: str | Path, shown: str | Path | None = None) -> InputError:
    """An error that came out of the file, as one line with the place in the file."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    message = ""
    with suppress(Exception):  # of an error class of one's own
        message = " ".join(str(error).split())
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines, message = [error.lineno] if error.lineno else [], error.msg
    if not isinstance(error, InputError):
        message = f"{type(error).__name__}: {brief(message)}".rstrip(": ")
    return InputError(f"{shown or path}{f', line {lines[-1]}' if lines else ''}: {message}")


def defined(module: ModuleType, name: str, kind: type, home: str = "") -> Any:
    """What a file defines under a name, of the type that is expected there, which ``home`` offers."""
    value = getattr(module, name, None)
    if not isinstance(value, kind):
        got = "is missing" if value is None else f"is {type(value).__name__}"
        raise InputError(f"{name} {got}; expected {home or kind.__module__}.{kind.__name__}")
    return value


def _run(path: Path, code: bytes, name: str) -> ModuleType:
    module, place = ModuleType(name), os.path.abspath(path)
    module.__file__ = place
    before = sys.modules.get(name)
    sys.modules[name] = module  # where pydantic and dataclasses look up annotations
    try:
        with chdir("."), handlers_refused(), own_preferences():  # wherever the file goes, we come back
            exec(compile(code, place, "exec"), vars(module))
    except BaseException as error:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        if isinstance(error, PASSED):
            raise
        raise located(error, place, path) from error
    return module
