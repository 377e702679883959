"""What is handed to a worker and what comes back, the same for this process, a pool and a cluster."""

import multiprocessing
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from astro_sim import simulation
from astro_sim.common.errors import InputError
from astro_sim.experiments import find

Caught = tuple[type[Warning], str]
LOSSES = 3
LOST = f"lost: its worker died {LOSSES} times"
# For the authors of libraries (Brian2 causes some when it is loaded): Python does not show them either.
HIDDEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
# The record of warnings is not made for threads. An experiment may sweep others, so one thread may come twice.
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Job:
    """Points that run one after the other.

    Attributes
    ----------
    experiment : str
        What finds it in another process: a name, or the whole path of a file of one's own.
    model : str
    indices : tuple of int
        Numbers of the points in the grid.
    points : tuple
        Seed and parameters of each.
    source : str
        SHA-256 of that file; empty for an experiment of the package.
    losses : int
        How often a worker died with it.
    """

    experiment: str
    model: str
    indices: tuple[int, ...]
    points: tuple[tuple[int, dict[str, Any]], ...]
    source: str = ""
    losses: int = 0

    def alone(self) -> list["Job"]:
        """Its points as jobs of their own, after the worker died once more: so that one bad point ruins no other."""
        losses = self.losses + 1 if len(self.points) == 1 else 1
        return [
            Job(self.experiment, self.model, (index,), (point,), self.source, losses)
            for index, point in zip(self.indices, self.points, strict=True)
        ]


@dataclass(frozen=True)
class Done:
    """What became of a job: a dataset or a message a point, warnings once a category, and whether its worker died.

    ``stop``: why the whole sweep cannot go on; there are no results then.
    """

    indices: tuple[int, ...]
    results: tuple[xr.Dataset | str, ...]
    caught: tuple[Caught, ...] = ()
    lost: bool = False
    stop: str = ""


def attempt(job: Job) -> Done:
    """Run a job. Whatever a point raises is its message; interrupts pass."""
    if told := _file_changed(job):
        return Done(job.indices, (), stop=told)
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = _run(job)
    told = {each.category: str(each.message) for each in reversed(caught) if not issubclass(each.category, HIDDEN)}
    return Done(job.indices, tuple(_message(each) for each in results), tuple(told.items()))


def in_turn(jobs: Sequence[Job]) -> Iterator[Done]:
    """Run jobs in this process."""
    return map(attempt, jobs)


def lost(job: Job) -> Done:
    """A job that no worker survived."""
    return Done(job.indices, (LOST,) * len(job.indices), lost=True)


def quieten() -> None:
    """Keep progress lines of a worker off the terminal: they belong to the driver."""
    if multiprocessing.parent_process() is not None and sys.stderr is not None:
        sys.stderr.isatty = lambda: False


def _file_changed(job: Job) -> str:
    """What is wrong with the file of an experiment of one's own, that its sweep began with; empty if nothing is."""
    try:
        changed = bool(job.source) and find(job.experiment).source != job.source
    except InputError as error:
        return f"{error} (while its sweep ran)"
    return f"{job.experiment}: changed while its sweep ran" if changed else ""


def _run(job: Job) -> list[xr.Dataset | Exception]:
    seeds, parameters = [seed for seed, _ in job.points], [each for _, each in job.points]
    try:
        return simulation.simulate_many(job.experiment, parameters, job.model, seeds)
    except Exception as error:  # of all together, memory for instance: one by one there may be enough
        if len(job.points) == 1:
            return [error]
        return [result for one in job.alone() for result in _run(one)]


def _message(result: xr.Dataset | Exception) -> xr.Dataset | str:
    if isinstance(result, xr.Dataset):
        return result
    text = " ".join(str(result).split())
    return text if isinstance(result, ValueError) and text else f"{type(result).__name__}: {text}".rstrip(": ")
