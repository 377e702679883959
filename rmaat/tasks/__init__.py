"""Tasks: one a file, each turns a source (or its own generator) into a data folder that training reads.

A data folder holds memory-mapped arrays and a manifest (`rmaat.tasks.data_folder`); `rmaat.tasks.writer` makes it, and
training never parses text. Files of one's own are named by their path (`rmaat.tasks.user_file`); their data folders are
trained on without them.
"""

from importlib import import_module
from pathlib import Path

from astro_sim.common.user_file import is_file_name, require_name
from rmaat.tasks import user_file
from rmaat.tasks.task import MOST_EXAMPLES, NAMES, FoundTask, Task

__all__ = ["MOST_EXAMPLES", "NAMES", "FoundTask", "Task", "find", "name_of"]


def find(task: str | Path) -> FoundTask:
    """Look a task up by its name, or by the path of a file of one's own, which is run.

    Raises
    ------
    InputError
        An unknown name (with the nearest one); a file that is missing, cannot be run or lacks a definition.
    """
    if is_file_name(task):
        return user_file.FILES.load(Path(task))
    require_name("task", task, NAMES)
    return FoundTask(str(task), import_module(f"{__name__}.{task}").TASK)


def name_of(task: str | Path) -> str:
    """The name of a task, of a file of one's own without running it."""
    return Path(task).stem if is_file_name(task) else str(task)
