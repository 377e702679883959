"""Tasks: one a file, each turns a source (or its own generator) into a data folder that training reads.

A data folder holds memory-mapped arrays and a manifest (`rmaat.tasks.storage`); training never parses text. Files of
one's own are named by their path (`rmaat.tasks.own`); their data folders are trained on without them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings
from astro_sim.common.user_file import is_file_name, located, require_name

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

    @property
    def towers(self) -> Literal[1, 2]:
        """Sequences of an example."""
        return 2 if self.head == "match" else 1


@dataclass(frozen=True)
class FoundTask:
    """A task as it was looked up: its name, and of a file of one's own its whole path and SHA-256, else "" for both."""

    name: str
    task: Task
    path: str = ""
    source: str = ""

    def configure(self, given: Mapping[str, Any]) -> Settings:
        """The task's settings; raises `InputError` for wrong ones, and for a mistake in a file of one's own."""
        try:
            return self.task.settings(**given)
        except InputError:
            raise
        except Exception as error:
            if not self.path:
                raise
            raise located(error, self.path) from error


MOST_EXAMPLES = 10**9  # of a split that is generated
NAMES = ("listops", "text", "recall", "enwik8", "image", "retrieval", "pathfinder")


def find(task: str | Path) -> FoundTask:
    """Look a task up by its name, or by the path of a file of one's own, which is run.

    Raises
    ------
    InputError
        An unknown name (with the nearest one); a file that is missing, cannot be run or lacks a definition.
    """
    if is_file_name(task):
        from rmaat.tasks import own

        return own.FILES.load(Path(task))
    require_name("task", task, NAMES)
    return FoundTask(str(task), import_module(f"{__name__}.{task}").TASK)


def name_of(task: str | Path) -> str:
    """The name of a task, of a file of one's own without running it."""
    return Path(task).stem if is_file_name(task) else str(task)
