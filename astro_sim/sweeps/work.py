"""The work of a sweep: which points have yet to run, who runs them, and the one dataset that comes of them."""

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
from astro_sim.common.errors import InputError, require_whole
from astro_sim.common.progress import Progress
from astro_sim.dataset import check, provenance
from astro_sim.experiments import NamedExperiment
from astro_sim.simulation import require_seed
from astro_sim.sweeps import cluster, pool
from astro_sim.sweeps.grid import Grid, make
from astro_sim.sweeps.joining import front
from astro_sim.sweeps.pool import Caught, Done, Job, Point, attempt
from astro_sim.sweeps.store import Store

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
    if workers is not None:
        require_whole("workers", workers, 1)
    named = experiments.find(experiment)
    points = make(named, named.resolve(model), seed, grid, parameters)
    own = named.attributes(points.model)
    swept = {setting for setting, _ in named.by_setting.values()} & set(points.values)
    if own and (points.decided or swept):
        own["own_decided"] = json.dumps(sorted({*points.decided, *swept}))
    attributes = provenance(named.name, points.model, points.seed, points.settings, points.values, own)
    store = Store(folder, attributes) if folder is not None else None
    results: dict[int, xr.Dataset | str] = store.finished() if store else {}
    asked = [points.point(index) for index in range(math.prod(points.shape))]
    caught = _run("sweeping", named, points.model, asked, results, client, workers, store.put if store else None)
    dataset = _assemble(points, [results[index] for index in range(len(asked))], attributes)
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
    if workers is not None:
        require_whole("workers", workers, 1)
    named, seed = experiments.find(experiment), require_seed(seed)
    results: dict[int, xr.Dataset | str] = {}
    asked = [(seed, dict(point)) for point in points]
    _warn(_run("simulating", named, named.resolve(model), asked, results, None, workers))
    return [results[index] for index in range(len(asked))]


def failures(dataset: xr.Dataset) -> list[tuple[dict[str, Any], str]]:
    """Points of a sweep that failed, by the values of the swept settings, each with its message."""
    failure = dataset["failure"]
    return [
        ({str(dim): dataset[dim].values.tolist()[i] for dim, i in zip(failure.dims, place, strict=True)}, str(message))
        for place, message in np.ndenumerate(failure.values)
        if message
    ]


def _run(
    title: str,
    named: NamedExperiment,
    model: str,
    points: Sequence[Point],
    results: dict[int, xr.Dataset | str],
    client: Any,
    workers: int | None,
    keep: Callable[[Done], None] | None = None,
) -> list[Caught]:
    """Run the points that ``results`` lacks, and put what becomes of them there; ``keep`` sees it first.

    Gives back the warnings of the points.
    """
    missing = [index for index in range(len(points)) if index not in results]
    size = CHUNK if model in COMPILED else 1
    chunks = [tuple(missing[at : at + size]) for at in range(0, len(missing), size)]
    jobs = [
        Job(named.reference, model, chunk, tuple(points[index] for index in chunk), named.source) for chunk in chunks
    ]
    caught: list[Caught] = []
    with Progress(title, len(points)) as progress, _started(jobs, model, client, workers) as finished:
        progress.advance(len(results))
        for done in finished:
            if done.stop:
                raise InputError(f"{done.stop}; a sweep into a folder goes on once it is as it was")
            if keep is not None:
                keep(done)
            results.update(zip(done.indices, done.results, strict=True))
            caught += done.caught
            progress.advance(len(done.indices))
    return caught


@contextmanager
def _started(jobs: Sequence[Job], model: str, client: Any, workers: int | None) -> Iterator[Iterator[Done]]:
    """What becomes of the jobs, as they are done; workers are gone when the block ends."""
    compiled = model in COMPILED
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


def in_turn(jobs: Sequence[Job]) -> Iterator[Done]:
    """Run jobs in this process."""
    return map(attempt, jobs)


def _assemble(points: Grid, results: list[xr.Dataset | str], attributes: dict[str, Any]) -> xr.Dataset:
    messages = ["" if isinstance(result, xr.Dataset) else result for result in results]
    if all(messages):
        raise SweepError(f"every point of the sweep failed; the first: {messages[0]}")
    dataset = front(
        [result if isinstance(result, xr.Dataset) else None for result in results],
        messages,
        points.values,
        {name: points.describe(name) for name in points.values},
        points.experiment.promised[points.model],
    )
    for name, (unit, meaning) in points.experiment.decided(points.model, points.settings).items():
        for variable in {name, f"point_{name}"} & set(map(str, dataset.variables)):
            dataset[variable].attrs.update(units=unit, long_name=meaning)
    return check(dataset.assign_attrs(attributes))


def _warn(caught: list[Caught]) -> None:
    """Warnings of the points, once a category."""
    seen: dict[type[Warning], str] = {}
    for category, message in caught:
        seen.setdefault(category, message)
    for category, message in seen.items():
        warnings.warn(f"{message} (one point of the sweep at least)", category, stacklevel=3)
