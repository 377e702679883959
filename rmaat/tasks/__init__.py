"""Tasks: one a file, each turns a source (or its own generator) into a data folder that training reads.

A data folder holds memory-mapped arrays and a manifest (`rmaat.tasks.storage`); training never parses text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from astro_sim.common.errors import require_known
from astro_sim.common.settings import Settings

Prepare = Callable[[Any, Path | None, int, Any], str]


@dataclass(frozen=True)
class Task:
    """What a model is asked, and how its data come about.

    Attributes
    ----------
    summary : str
        One line for the help.
    settings : type of Settings
    symbols : int
        Distinct symbols; the vocabulary has one more, 0, for padding.
    classes : int or None
        None where each next symbol is asked for.
    prepare : callable
        ``prepare(settings, source, seed, writer) -> content``: hand every split to a `storage.Writer`, and say in one
        line what the data are.
    head : {"classify", "match", "language"}
        As in `rmaat.config.RMAATConfig`.
    generated_only : frozenset of str
        Settings without effect on files that are converted.
    """

    summary: str
    settings: type[Settings]
    symbols: int
    classes: int | None
    prepare: Prepare
    head: Literal["classify", "match", "language"] = "classify"
    generated_only: frozenset[str] = frozenset()


NAMES = ("listops", "text", "recall", "enwik8", "image", "retrieval", "pathfinder")


def get(name: str) -> Task:
    """Look a task up by name; an unknown one raises `InputError` with the nearest name."""
    require_known("task", name, NAMES)
    return import_module(f"{__name__}.{name}").TASK
