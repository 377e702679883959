"""Workers on other machines, through dask.distributed."""

import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from astro_sim.common.errors import InputError
from astro_sim.sweeps.pool import LOSSES, Done, Job, attempt, lost, quieten

ANSWER = 5  # s, for a scheduler
PATIENCE = 30  # s, for its first worker
PAUSE = 0.02  # s, between looks for what is done
ALONE = 60  # s, for another worker where the last one has gone


@contextmanager
def connect(client: Any, workers: int | None) -> Iterator[Any]:
    """Yield a client: the one given, one for an address, or one of a cluster on this machine ("local").

    A script that starts a local cluster needs ``if __name__ == "__main__":`` around it, as dask says.
    """
    import dask.config
    from distributed import Client, LocalCluster

    if isinstance(client, Client):
        yield client
    elif client == "local":
        if multiprocessing.current_process().daemon:
            raise InputError("client: 'local' starts processes, which this one may not; expected an address, or none")
        options: dict[str, Any] = {
            "n_workers": workers,
            "threads_per_worker": 1,
            "processes": True,
            "dashboard_address": ":0",  # None would take a fixed port, and warn where another cluster has it
            "silence_logs": logging.CRITICAL,
        }
        # A lost point comes back to us at once: we count, and run it alone.
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0}),
            LocalCluster(**options) as cluster,
            Client(cluster) as ours,
        ):
            yield ours
    elif isinstance(client, str):
        try:
            ours = Client(client, timeout=ANSWER)
        except (OSError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"dask: no scheduler answers at {client!r} ({reason})") from None
        with ours:
            yield ours
    else:
        raise InputError(f"client: expected a dask client, an address or 'local', got {client!r}")


def run(jobs: Sequence[Job], client: Any, first_alone: bool = True) -> Generator[Done, None, None]:
    """Run jobs on the workers of ``client``, and give back what is done in the order in which it is.

    One job a thread is on its way at a time: dask suspects everything that a dying worker was sent. What was lost
    runs again at the end, alone, where it is clear who is to blame.
    """
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise InputError(f"dask: no worker within {PATIENCE} s") from None
    at_once = max(1, sum(client.nthreads().values()))
    suspects: deque[Job] = deque()
    start = list(jobs[:1]) if first_alone else []
    yield from _round(start, client, 1, suspects)
    yield from _round(jobs[len(start) :], client, at_once, suspects)
    while suspects:
        job = suspects.popleft()
        if job.losses >= LOSSES:
            yield lost(job)
        else:
            yield from _round([job], client, 1, suspects)


def _round(jobs: Sequence[Job], client: Any, at_once: int, suspects: deque[Job]) -> Iterator[Done]:
    from distributed import KilledWorker, as_completed

    waiting = deque(jobs)
    going: dict[Any, Job] = {}
    completed = as_completed()

    def submit() -> None:
        while waiting and len(going) < at_once:
            job = waiting.popleft()
            future = client.submit(_attempt, job, pure=False)
            going[future] = job
            completed.add(future)

    try:
        submit()
        while going:
            future = _next(completed, client)
            job = going.pop(future)
            if future.status == "finished":
                done = future.result()
            elif future.status == "error":
                error = future.exception()
                if isinstance(error, KilledWorker):
                    suspects.extend(job.alone())
                    done = None
                else:
                    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
                    done = Done(job.indices, (text,) * len(job.indices), lost=True)
            else:
                raise InputError("dask: the scheduler is gone; what was finished is kept where a folder was given")
            submit()
            if done is not None:
                yield done
    finally:
        client.cancel(list(going))


def _next(completed: Any, client: Any) -> Any:
    """What is done next; raises `InputError` where no worker is left to do it, for which dask would wait for ever."""
    seen = asked = time.monotonic()
    while not completed.has_ready():
        time.sleep(PAUSE)
        if (now := time.monotonic()) < asked + 1:
            continue
        asked = now
        with suppress(OSError):  # a scheduler that is gone is told by the futures
            seen = now if client.nthreads() else seen
            if now > seen + ALONE:
                raise InputError(f"dask: no worker for {ALONE} s; what was finished is kept where a folder was given")
    return next(completed)


def _attempt(job: Job) -> Done:
    quieten()
    return attempt(job)
