"""What a task is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings
from astro_sim.common.user_file import located

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
        ``prepare(settings, source, seed, writer) -> content``: hand every split to a
        `rmaat.tasks.writer.Writer`, and say in one line what the data are.
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
