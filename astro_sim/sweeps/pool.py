"""Jobs, the same for this process, those of a pool and a cluster; and the worker processes of this machine.

One pipe a worker, so that it is known which job a dying worker had.
"""

import multiprocessing
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import xarray as xr

from astro_sim import simulation
from astro_sim.common.errors import InputError
from astro_sim.common.machine import cores
from astro_sim.common.signals import interrupts_held
from astro_sim.experiments import find

Caught = tuple[type[Warning], str]
Point = tuple[int, dict[str, Any]]  # seed and parameters
LOSSES = 3
LOST = f"lost: its worker died {LOSSES} times"
# For the authors of libraries (Brian2 causes some when it is loaded): Python does not show them either.
HIDDEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
# The record of warnings is not made for threads. An experiment may sweep others, so one thread may come twice.
_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Job:
    """Points that run one after the other."""

    experiment: str  # what finds it in another process: a name, or the whole path of a file of one's own
    model: str
    indices: tuple[int, ...]  # of the points in the grid
    points: tuple[Point, ...]
    source: str = ""  # SHA-256 of that file; empty for an experiment of the package
    losses: int = 0  # how often a worker died with it

    def alone(self) -> list["Job"]:
        """Its points as jobs of their own, after the worker died once more: so that one bad point ruins no other."""
        losses = self.losses + 1 if len(self.points) == 1 else 1
        return [
            Job(self.experiment, self.model, (index,), (point,), self.source, losses)
            for index, point in zip(self.indices, self.points, strict=True)
        ]


@dataclass(frozen=True)
class Done:
    """What became of a job."""

    indices: tuple[int, ...]
    results: tuple[xr.Dataset | str, ...]  # a dataset or a message a point
    caught: tuple[Caught, ...] = ()  # warnings, once a category
    lost: bool = False  # its worker died
    stop: str = ""  # why the sweep cannot go on; there are no results then


def attempt(job: Job) -> Done:
    """Run a job. Whatever a point raises is its message; interrupts pass."""
    if reason := _file_changed(job):
        return Done(job.indices, (), stop=reason)
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = _run(job)
    first = {one.category: str(one.message) for one in reversed(caught) if not issubclass(one.category, HIDDEN)}
    return Done(job.indices, tuple(map(_message, results)), tuple(first.items()))


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
    seeds, parameters = zip(*job.points, strict=True)
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


def run(jobs: Sequence[Job], workers: int | None = None, first_alone: bool = True) -> Generator[Done, None, None]:
    """Run jobs in processes, and give back what is done in the order in which it is.

    Parameters
    ----------
    jobs : sequence of Job
    workers : int, optional
        Processes; by default one a core.
    first_alone : bool
        Start the others when the first job is done: what it compiled lies in the cache then.
    """
    waiting = deque(jobs)
    wanted = min(workers or cores(), len(waiting))
    crew: list[_Worker] = []
    ahead = 0 if first_alone else 1  # jobs that must be done before all workers start
    try:
        while waiting or any(worker.job for worker in crew):
            for worker in crew:
                if worker.job is None and waiting:
                    worker.give(waiting.popleft())
            while waiting and len(crew) < (wanted if ahead else 1):
                crew.append(_Worker())
                crew[-1].give(waiting.popleft())
            for ready in wait([worker.pipe for worker in crew if worker.job]):
                worker = next(worker for worker in crew if worker.pipe is ready)
                job, done = worker.take()
                if done is not None:
                    ahead = 1
                    yield done
                    continue
                crew.remove(worker)
                for single in job.alone():
                    if single.losses < LOSSES:
                        waiting.appendleft(single)
                    else:
                        ahead = 1
                        yield lost(single)
    finally:
        for worker in crew:
            worker.kill()


class _Worker:
    """A process and the job that it has."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _without_main(), interrupts_held():
            self.process.start()
        theirs.close()
        self.job: Job | None = None
        try:
            self.pipe.recv()
        except EOFError:
            self.kill()
            raise InputError("workers: a worker process ended before it started to work") from None

    def give(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # it died meanwhile: `take` finds out
            self.pipe.send(job)

    def take(self) -> tuple[Job, Done | None]:
        """The job and what became of it; None if the process died."""
        job, self.job = self.job, None
        assert job is not None  # for the type checker
        try:
            return job, self.pipe.recv()
        except (EOFError, OSError):
            self.kill()
            return job, None

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection) -> None:
    """Work until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver hears the interrupt and ends its workers
    quieten()
    pipe.send(None)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(job))


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the caller's script: a worker needs none of it, and would run it again where it has no main guard."""
    main: Any = sys.modules["__main__"]
    hidden = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        del main.__spec__
        vars(main).update(hidden)
