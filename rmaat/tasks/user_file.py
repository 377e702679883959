"""A task in a file of one's own, which defines ``TASK``."""

from collections.abc import Collection
from dataclasses import replace
from operator import index
from types import ModuleType
from typing import Any, get_args

from astro_sim.common.errors import InputError, quoted, require_known
from astro_sim.common.settings import Settings
from astro_sim.common.user_file import UserFiles, defined
from rmaat.tasks.task import NAMES, FoundTask, Task

HEADS = get_args(Task.__annotations__["head"])
MOST_SYMBOLS = 2**32
MOST_CLASSES = 2**20  # of a head, whose weights are as many rows


def _found(module: ModuleType, path: str, name: str, source: str) -> FoundTask:
    task = defined(module, "TASK", Task)
    if not isinstance(task.summary, str):
        raise InputError(f"summary: expected a line, got {quoted(task.summary)}")
    if not (isinstance(task.settings, type) and issubclass(task.settings, Settings)):
        raise InputError(f"settings: expected a subclass of Settings, got {quoted(task.settings)}")
    required = [each for each, field in task.settings.model_fields.items() if field.is_required()]
    if required:
        raise InputError(f"settings: expected a default for every one; {', '.join(required)} has none")
    symbols, classes = _number("symbols", task.symbols, 1, MOST_SYMBOLS), task.classes
    require_known("head", task.head, HEADS)
    if task.head == "language":
        if task.classes is not None:
            raise InputError(f"classes: expected None where each next symbol is asked for, got {quoted(task.classes)}")
    else:
        classes = _number("classes", classes, 2, MOST_CLASSES)
    if not callable(task.prepare):
        raise InputError(f"prepare: expected a function, got {quoted(task.prepare)}")
    idle = task.generated_only
    if not isinstance(idle, Collection) or isinstance(idle, str) or not all(isinstance(each, str) for each in idle):
        raise InputError(f"generated_only: expected a set of names of settings, got {quoted(idle)}")
    for each in idle:
        require_known("setting in generated_only", each, task.settings.model_fields)
    found = FoundTask(
        name, replace(task, symbols=symbols, classes=classes, generated_only=frozenset(idle)), path, source
    )
    found.configure({})
    return found


def _number(name: str, value: Any, least: int, most: int | None = None) -> int:
    """A whole number, NumPy's too, as Python's own."""
    whole = -1 if isinstance(value, bool) or not hasattr(value, "__index__") else index(value)
    if whole < least or (most is not None and whole > most):
        span = f"from {least}" if most is None else f"from {least} to {most:,}"
        raise InputError(f"{name}: expected a whole number {span}, got {quoted(value)}")
    return whole


FILES = UserFiles("a task", NAMES, _found)
