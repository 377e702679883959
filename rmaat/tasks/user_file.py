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


def _checked(module: ModuleType, path: str, name: str, source: str) -> FoundTask:
    task = defined(module, "TASK", Task)
    if not isinstance(task.summary, str):
        raise InputError(f"summary: expected a line, got {quoted(task.summary)}")
    if not (isinstance(task.settings, type) and issubclass(task.settings, Settings)):
        raise InputError(f"settings: expected a subclass of Settings, got {quoted(task.settings)}")
    fields = task.settings.model_fields
    if required := [setting for setting, field in fields.items() if field.is_required()]:
        raise InputError(f"settings: expected a default for every one; {', '.join(required)} has none")
    symbols, classes = _number("symbols", task.symbols, 1, MOST_SYMBOLS), task.classes
    require_known("head", task.head, HEADS)
    if task.head == "language":
        if classes is not None:
            raise InputError(f"classes: expected None where each next symbol is asked for, got {quoted(classes)}")
    else:
        classes = _number("classes", classes, 2, MOST_CLASSES)
    if not callable(task.prepare):
        raise InputError(f"prepare: expected a function, got {quoted(task.prepare)}")
    idle = task.generated_only
    if not isinstance(idle, Collection) or isinstance(idle, str) or not all(isinstance(name, str) for name in idle):
        raise InputError(f"generated_only: expected a set of names of settings, got {quoted(idle)}")
    for setting in idle:
        require_known("setting in generated_only", setting, fields)
    checked = replace(task, symbols=symbols, classes=classes, generated_only=frozenset(idle))
    lookup = FoundTask(name, checked, path, source)
    lookup.configure({})
    return lookup


def _number(name: str, given: Any, least: int, most: int) -> int:
    """A whole number, NumPy's too, as Python's own."""
    number = -1 if isinstance(given, bool) or not hasattr(given, "__index__") else index(given)
    if not least <= number <= most:
        raise InputError(f"{name}: expected a whole number from {least} to {most:,}, got {quoted(given)}")
    return number


FILES = UserFiles("a task", NAMES, _checked)
