"""A definition in a Python file of one's own, an experiment or a task, named by its path.

The file's name, without ``.py``, is that of what it defines. It is run when it is named, in every process that needs
it: name only files that you trust.
"""

import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import chdir
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from astro_sim.common.brian import own_preferences
from astro_sim.common.errors import InputError, brief, require_known
from astro_sim.common.files import instead_of
from astro_sim.common.interrupts import handlers_refused

PASSED = (KeyboardInterrupt, GeneratorExit)  # of all that a file can raise, what is no mistake in it


def is_file_name(name: Any) -> bool:
    """Whether a file is named where a name of the package could stand as well."""
    return isinstance(name, os.PathLike) or (isinstance(name, str) and name.endswith(".py"))


def require_name(what: str, name: Any, names: Collection[str]) -> None:
    """Raise `InputError` for a name that is none of the package's; a file of that name here is pointed at."""
    if isinstance(name, str) and name not in names and Path(f"{name}.py").is_file():
        raise InputError(f"unknown {what} {name!r}; for the file here, write {name}.py")
    require_known(what, name, names)


Found = TypeVar("Found")


class OwnFiles(Generic[Found]):
    """The files of one kind that this process has run.

    Parameters
    ----------
    kind : str
        What a file defines, with its article: "an experiment".
    names : collection of str
        Those of the package, which are taken.
    build : callable
        ``build(module, reference, name, source) -> Found`` from what the file defined; ``reference`` is its whole
        path, ``source`` its SHA-256. What it raises as `InputError` is told with the file in front.
    """

    def __init__(self, kind: str, names: Collection[str], build: Callable[[ModuleType, str, str, str], Found]) -> None:
        self.kind, self.names, self.build = kind, names, build
        self._found: dict[Path, tuple[str, Found]] = {}
        self._running: list[Path] = []

    def __iter__(self) -> Iterator[Found]:
        return (found for _, found in self._found.values())

    def load(self, path: Path) -> Found:
        """Run the file, once as long as it stays the same.

        Raises
        ------
        InputError
            No such file; a name that is none, or is one of ours; an error while it runs, with its line; a definition
            that is missing or malformed.
        """
        whole = Path(os.path.abspath(path))  # a link stays what it is called
        word = self.kind.split()[-1]
        if path.suffix != ".py":
            raise InputError(f"{path}: expected {self.kind} of your own, a file that ends in .py")
        if not path.is_file():
            raise InputError(f"{path}: {instead_of('file', path)}; expected {self.kind} of your own (.py)")
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", path.stem):
            raise InputError(f"{path}: its name is that of the {word}; expected a letter, then letters, digits and _")
        if path.stem in self.names:
            raise InputError(f"{path}: {path.stem!r} is {self.kind} of the package; choose another name")
        if whole in self._running:
            raise InputError(f"{path}: asks for itself while it is run; put that under if __name__ == '__main__'")
        code = path.read_bytes()
        source = sha256(code).hexdigest()
        if whole not in self._found or self._found[whole][0] != source:
            self._running.append(whole)
            try:
                module = _run(path, code, f"own_{word}_{path.stem}")
            finally:
                self._running.remove(whole)
            try:
                self._found[whole] = source, self.build(module, str(whole), path.stem, source)
            except InputError as error:
                raise InputError(f"{path}: {error}") from None
        return self._found[whole][1]


def located(error: BaseException, path: str | Path, shown: str | Path | None = None) -> InputError:
    """An error that came out of the file, as one line with the place in the file."""
    lines = [each.lineno for each in traceback.extract_tb(error.__traceback__) if each.filename == str(path)]
    told = " ".join(_text(error).split())
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines, told = [error.lineno] if error.lineno else [], error.msg
    if not isinstance(error, InputError):
        told = f"{type(error).__name__}: {brief(told)}".rstrip(": ")
    return InputError(f"{shown or path}{f', line {lines[-1]}' if lines else ''}: {told}")


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # of an error class of one's own
        return ""


def defined(module: ModuleType, name: str, kind: type) -> Any:
    """What a file defines under a name, of the type that is expected there."""
    found = getattr(module, name, None)
    if not isinstance(found, kind):
        got = "is missing" if found is None else f"is {type(found).__name__}"
        raise InputError(f"{name} {got}; expected {kind.__module__}.{kind.__name__}")
    return found


def _run(path: Path, code: bytes, name: str) -> ModuleType:
    module, whole = ModuleType(name), os.path.abspath(path)
    module.__file__ = whole
    before = sys.modules.get(name)
    sys.modules[name] = module  # where pydantic and dataclasses look up annotations
    try:
        with chdir("."), handlers_refused(), own_preferences():  # wherever the file goes, we come back
            exec(compile(code, whole, "exec"), vars(module))
    except BaseException as error:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        if isinstance(error, PASSED):
            raise
        raise located(error, whole, path) from error
    return module
