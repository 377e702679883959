"""`simulate` and `simulate_many`: from the name of an experiment to its dataset, or to those of many points.

An experiment's run function gives its dataset outright, or is a generator function. That one yields requests and is
sent their answers; a request has a ``size`` (bytes of its answer, about) and a static ``together(requests)``, which
answers many at once. So one experiment serves a single run and a sweep whose points share a kernel.
"""

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from astro_sim import experiments
from astro_sim.common.brian import own_preferences
from astro_sim.common.errors import InputError, require_whole
from astro_sim.common.settings import describe as describe_fields
from astro_sim.common.signals import interrupts_heard
from astro_sim.common.user_file import PASSED, located
from astro_sim.dataset import describe

MOST_SEED = 2**63 - 1  # what a file can hold
BATCH_BYTES, BATCH_REQUESTS = 5e8, 512  # answered at once; also bounds how many points are under way


def simulate(experiment: str | Path, model: str | None = None, seed: int = 0, **parameters: Any) -> xr.Dataset:
    """Run a named experiment.

    Parameters
    ----------
    experiment : str or Path
        One of `astro_sim.experiments.NAMES`, or the path of a file of your own (.py), as docs/howto/experiment.md
        tells.
    model : str
        One of those that run it; by default "macro" where that is one, of a file of your own its first.
    seed : int
        Decides what is random: spike trains, noise and stochastic release; in the macro model input strengths where
        ``drive_cv`` > 0 and the layout "random".
    **parameters
        Settings of the experiment and parameters of the model, by name; `describe_settings` lists them.

    Returns
    -------
    xarray.Dataset
        Named dimensions; units and description on every variable; provenance in the attributes.

    Raises
    ------
    InputError
        Unknown experiment, model or setting (with the nearest name), a value out of bounds, a numerical blow-up.

    Examples
    --------
    >>> dataset = simulate("ltp", cycles=6)
    >>> dataset["p_l_cycle"].sizes["cycle"]
    7
    """
    require_seed(seed)
    (result,) = _run(experiment, model, [parameters], [seed])
    if isinstance(result, Exception):
        raise result
    return result


def simulate_many(
    experiment: str | Path, points: Sequence[Mapping[str, Any]], model: str | None = None, seed: int | Sequence[int] = 0
) -> list[xr.Dataset | Exception]:
    """Run a named experiment at many points; the dataset of each is the one that `simulate` gives.

    Parameters
    ----------
    experiment, model : str
        As for `simulate`.
    points : sequence of mapping
        Settings and parameters, a mapping a point.
    seed : int or sequence of int
        One for all, or one a point.

    Returns
    -------
    list of xarray.Dataset or Exception
        In the order of ``points``; a point that failed gives its exception.

    Raises
    ------
    InputError
        Unknown experiment or model, a seed that is none.

    Examples
    --------
    >>> low, high = simulate_many("ltp", [{"beta": 1.5}, {"beta": 3.0}])
    >>> bool(low["p_l_cycle"][-1].mean() > high["p_l_cycle"][-1].mean())
    True
    """
    if isinstance(seed, int | np.integer):
        seed = [seed] * len(points)
    if len(seed) != len(points):
        raise InputError(f"seed: expected one, or {len(points)} (one a point), got {len(seed)}")
    for one in seed:
        require_seed(one)
    return _run(experiment, model, points, seed)


def require_seed(seed: Any) -> int:
    """The seed as a plain number, or `InputError`: it is no whole number from 0, or none that a file can hold."""
    number = require_whole("seed", seed, 0)
    if number > MOST_SEED:
        raise InputError(f"seed: expected at most {MOST_SEED}, got {seed}")
    return number


class _Point(NamedTuple):
    """One point under way, waiting for the answer to its request."""

    place: int
    steps: Generator[Any, Any, xr.Dataset]
    request: Any


def _steps(
    named: experiments.NamedExperiment, model: str, given: Mapping[str, Any], seed: int
) -> Generator[Any, Any, xr.Dataset]:
    """One point as a generator, whatever its experiment's run function is."""
    variant = named.get(model)
    settings, parameters = variant.complete(given)
    try:
        run = variant.run(settings, parameters, np.random.default_rng(seed))
        dataset = (yield from run) if isinstance(run, Generator) else run
    except InputError:
        raise
    except BaseException as error:
        if not named.source or isinstance(error, PASSED):
            raise
        raise located(error, named.reference) from error  # a mistake in one's own file: where
    if not isinstance(dataset, xr.Dataset):
        raise InputError(f"{named.name}: expected an xarray.Dataset of its run function, got {type(dataset).__name__}")
    question = {**settings.model_dump(mode="json"), **parameters.model_dump(mode="json")}
    return describe(dataset, named, model, int(seed), question)


def _run(
    experiment: str | Path, model: str | None, points: Sequence[Mapping[str, Any]], seeds: Sequence[int]
) -> list[xr.Dataset | Exception]:
    """Run every point, those that wait for answers in lockstep.

    What is cut short by an interrupt is never given back as if it were whole, and no preference of the user's changes
    what is computed.
    """
    with interrupts_heard(), own_preferences():
        return _lockstep(experiments.find(experiment), model, points, seeds)


def _lockstep(
    named: experiments.NamedExperiment, model: str | None, points: Sequence[Mapping[str, Any]], seeds: Sequence[int]
) -> list[xr.Dataset | Exception]:
    model = named.resolve(model)
    results: list[xr.Dataset | Exception] = [RuntimeError("not run")] * len(points)
    waiting: deque[_Point] = deque()

    def proceed(index: int, steps: Generator[Any, Any, xr.Dataset], answer: Any) -> None:
        """Hand over an answer; the point then waits again, or has its result."""
        try:
            request = steps.throw(answer) if isinstance(answer, Exception) else steps.send(answer)
        except StopIteration as end:
            results[index] = end.value
        except Exception as error:
            results[index] = error
        else:
            if not hasattr(type(request), "together"):
                steps.close()
                results[index] = InputError(
                    f"{named.name}: its run function yielded {type(request).__name__}, expected a request as "
                    "astro_sim.macro.model.MacroRequest is"
                )
                return
            waiting.append(_Point(index, steps, request))

    begun = 0
    while begun < len(points) or waiting:
        while (
            begun < len(points)
            and len(waiting) < BATCH_REQUESTS
            and sum(point.request.size for point in waiting) < BATCH_BYTES
        ):
            proceed(begun, _steps(named, model, points[begun], seeds[begun]), None)
            begun += 1
        batch, size = [], 0.0
        while waiting and (not batch or size + waiting[0].request.size <= BATCH_BYTES):
            batch.append(waiting.popleft())
            size += batch[-1].request.size
        if batch:
            answers = type(batch[0].request).together([point.request for point in batch])
            for point, answer in zip(batch, answers, strict=True):
                proceed(point.place, point.steps, answer)
    return results


def describe_settings(experiment: str | Path, model: str | None = None) -> list[tuple[str, Any, str, str]]:
    """Every setting of an experiment and its model: name, default, unit, meaning."""
    chosen = experiments.find(experiment).get(model)
    rows = describe_fields(chosen.settings, chosen.parameters)
    presets = ", ".join(chosen.presets) or "none here"
    return [
        (name, chosen.defaults.get(name, default), unit, f"{meaning} ({presets})" if name == "preset" else meaning)
        for name, default, unit, meaning in rows
    ]
