"""Sweeps: an experiment at every point of a grid, as one dataset."""

import json
import math
import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from astro_sim import experiments
from astro_sim.common.errors import InputError
from astro_sim.common.progress import Progress
from astro_sim.dataset import check, provenance
from astro_sim.simulation import require_seed
from astro_sim.sweeps import cluster, pool
from astro_sim.sweeps.grid import Grid, make
from astro_sim.sweeps.joining import front
from astro_sim.sweeps.store import Store, missing
from astro_sim.sweeps.work import Caught, Done, Job, in_turn

COMPILED = ("macro",)  # models that run many points at once in this process, on all cores
CHUNK = 128  # points of such a model in a job, and in a file


class SweepError(InputError):
    """Every point of the sweep failed."""


def sweep(
    experiment: str | Path,
    grid: Mapping[str, Any],
    model: str | None = None,
    seed: int = 0,
    client: Any = None,
    folder: str | Path | None = None,
    workers: int | None = None,
    **parameters: Any,
) -> xr.Dataset:
    """Run a named experiment at every point of a grid.

    Parameters
    ----------
    experiment, model, seed, **parameters
        As for `astro_sim.simulate`.
    grid : mapping
        Name of a setting -> its values: a sequence, "a:b:n" (n values from a to b, equal steps) or "a:b:n:log" (equal
        ratios). "seed" may be swept too: repetitions as a dimension.
    client : dask.distributed.Client or str, optional
        Run on its workers; an address, or "local" for a cluster of processes on this machine.
    folder : path, optional
        Keep finished points here; the same sweep goes on from them after an interruption.
    workers : int, optional
        Processes (a model on Brian2, or client "local"); by default one a core.

    Returns
    -------
    xarray.Dataset
        The swept settings as leading dimensions, with their values as coordinates; ``failure`` holds the message of a
        point that failed, whose values are NaN. `astro_sim.select` gives back the dataset of one point.

    Raises
    ------
    InputError
        A malformed grid, or a value that the settings refuse: before anything runs. Another sweep in ``folder``.
    SweepError
        Every point failed; carries the first message.

    Examples
    --------
    >>> runs = sweep("ltp", {"tau_p_l": "30:90:3", "seed": [0, 1]}, cycles=2, dt=0.05)
    >>> dict(runs["p_l_cycle"].isel(post=0, pre=0).sizes)
    {'tau_p_l': 3, 'seed': 2, 'cycle': 3}
    """
    _require_workers(workers)
    named = experiments.find(experiment)
    points = make(named, named.resolve(model), seed, grid, parameters)
    model, own = points.model, named.attributes(points.model)
    swept = {setting for setting, _ in named.by_setting.values()} & set(points.values)
    if own and (points.decided or swept):
        own["own_decided"] = json.dumps(sorted({*points.decided, *swept}))
    attributes = provenance(named.name, model, points.seed, points.settings, points.values, own)
    store = Store(folder, attributes) if folder is not None else None
    count = math.prod(points.shape)
    results: dict[int, xr.Dataset | str] = store.finished() if store else {}

    def job(indices: tuple[int, ...]) -> Job:
        return Job(named.reference, model, indices, tuple(points.point(index) for index in indices), named.source)

    def keep(done: Done) -> None:
        if store:
            store.put(done)

    caught = _finish("sweeping", job, model, count, results, client, workers, keep)
    dataset = _assemble(points, [results[index] for index in range(count)], attributes)
    _warn(caught)
    return dataset


def run_points(
    experiment: str | Path,
    points: Sequence[Mapping[str, Any]],
    model: str | None = None,
    seed: int = 0,
    workers: int | None = None,
) -> list[xr.Dataset | str]:
    """Run a named experiment at any points, those of a model on Brian2 in processes.

    Parameters
    ----------
    experiment, model, seed
        As for `astro_sim.simulate`.
    points : sequence of mapping
        Settings and parameters, a mapping a point.
    workers : int, optional
        Processes (a model on Brian2); by default one a core.

    Returns
    -------
    list of xarray.Dataset or str
        In the order of ``points``; of a point that failed, the message.

    Raises
    ------
    InputError
        Unknown experiment or model, a seed or number of workers that is none.
    """
    _require_workers(workers)
    named, seed = experiments.find(experiment), require_seed(seed)
    model = named.resolve(model)
    results: dict[int, xr.Dataset | str] = {}

    def job(indices: tuple[int, ...]) -> Job:
        return Job(
            named.reference, model, indices, tuple((seed, dict(points[index])) for index in indices), named.source
        )

    _warn(_finish("simulating", job, model, len(points), results, None, workers))
    return [results[index] for index in range(len(points))]


def failures(dataset: xr.Dataset) -> list[tuple[dict[str, Any], str]]:
    """Points of a sweep that failed, by the values of the swept settings, each with its message."""
    told = dataset["failure"]
    return [
        ({str(dim): dataset[dim].values.tolist()[i] for dim, i in zip(told.dims, place, strict=True)}, str(text))
        for place, text in np.ndenumerate(told.values)
        if text
    ]


def _require_workers(workers: int | None) -> None:
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise InputError(f"workers: expected a whole number from 1, got {workers!r}")


def _finish(
    title: str,
    job: Callable[[tuple[int, ...]], Job],
    model: str,
    count: int,
    results: dict[int, xr.Dataset | str],
    client: Any,
    workers: int | None,
    keep: Callable[[Done], None] = lambda done: None,
) -> list[Caught]:
    """Run the points that ``results`` lacks of so many, and put what becomes of them there; ``keep`` sees it first.

    Gives back the warnings of the points.
    """
    caught: list[Caught] = []
    with (
        Progress(title, count) as progress,
        _running(job, model, missing(results, count), client, workers) as finished,
    ):
        progress.advance(len(results))
        for done in finished:
            if done.stop:
                raise InputError(f"{done.stop}; a sweep into a folder goes on once it is as it was")
            keep(done)
            results.update(zip(done.indices, done.results, strict=True))
            caught += done.caught
            progress.advance(len(done.indices))
    return caught


@contextmanager
def _running(
    job: Callable[[tuple[int, ...]], Job], model: str, wanted: Sequence[int], client: Any, workers: int | None
) -> Iterator[Iterator[Done]]:
    """What becomes of the wanted points, as they are done; workers are gone when the block ends."""
    compiled = model in COMPILED
    size = CHUNK if compiled else 1
    jobs = [job(tuple(wanted[at : at + size])) for at in range(0, len(wanted), size)]
    with ExitStack() as stack:
        if not jobs:
            yield iter(())
        elif client is not None:
            ours = stack.enter_context(cluster.connect(client, workers))
            yield stack.enter_context(closing(cluster.run(jobs, ours, first_alone=not compiled)))
        elif compiled or multiprocessing.current_process().daemon:  # which may not have processes of its own
            yield in_turn(jobs)
        else:
            yield stack.enter_context(closing(pool.run(jobs, workers)))


def _assemble(points: Grid, results: list[xr.Dataset | str], attributes: dict[str, Any]) -> xr.Dataset:
    told = ["" if isinstance(each, xr.Dataset) else each for each in results]
    if all(told):
        raise SweepError(f"every point of the sweep failed; the first: {told[0]}")
    dataset = front(
        [each if isinstance(each, xr.Dataset) else None for each in results],
        told,
        points.values,
        {name: points.describe(name) for name in points.values},
        points.experiment.promised[points.model],
    )
    for name, (unit, meaning) in points.experiment.decided(points.model, points.settings).items():
        for each in {name, f"point_{name}"} & set(map(str, dataset.variables)):
            dataset[each].attrs.update(units=unit, long_name=meaning)
    return check(dataset.assign_attrs(attributes))


def _warn(caught: list[Caught]) -> None:
    """Warnings of the points, once a category."""
    seen: dict[type[Warning], str] = {}
    for category, message in caught:
        seen.setdefault(category, message)
    for category, message in seen.items():
        warnings.warn(f"{message} (one point of the sweep at least)", category, stacklevel=3)
