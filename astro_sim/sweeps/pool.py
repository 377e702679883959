"""Worker processes on this machine. One pipe a worker, so that it is known which job a dying worker had."""

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from astro_sim.common.errors import InputError
from astro_sim.common.machine import cores
from astro_sim.common.signals import interrupts_held
from astro_sim.sweeps.work import LOSSES, Done, Job, attempt, lost, quieten


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
                worker = next(each for each in crew if each.pipe is ready)
                job, done = worker.take()
                if done is not None:
                    ahead = 1
                    yield done
                    continue
                crew.remove(worker)
                for each in job.alone():
                    if each.losses < LOSSES:
                        waiting.appendleft(each)
                    else:
                        ahead = 1
                        yield lost(each)
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
