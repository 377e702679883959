"""From a sweep back to the dataset of one of its points."""

import math
from typing import Any

import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.dataset import OWN_ATTRIBUTES, check, grid_of, promised, provenance, settings_of
from astro_sim.experiments import NAMES, NamedExperiment, find, user_file
from astro_sim.sweeps.grid import SEED
from astro_sim.sweeps.joining import take


def select(dataset: xr.Dataset, **point: Any) -> xr.Dataset:
    """The dataset of one point of a sweep: identical to what `simulate` gives for it, and read by `bridge.fit_laws`.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of `sweep`.
    **point
        A value for every swept setting; one that was swept over a single value may be left out.

    Raises
    ------
    InputError
        Not a sweep, a name or value that it does not have, or a point that failed.

    Examples
    --------
    >>> from astro_sim import sweep
    >>> runs = sweep("ltp", {"tau_p_l": [30, 60], "cycles": [1, 2]}, dt=0.05)
    >>> select(runs, tau_p_l=60, cycles=2).sizes["cycle"]
    3
    """
    grid = grid_of(check(dataset))
    if not grid:
        raise InputError("select: expected a sweep, got a single run")
    names = {dim.removeprefix("swept_"): dim for dim in grid}
    for name in point:
        if name not in names:
            raise InputError(f"select: {name!r} was not swept; {did_you_mean(name, names)}")
    wanting = [name for name, dim in names.items() if name not in point and len(grid[dim]) > 1]
    if wanting:
        raise InputError(f"select: expected a value of {', '.join(wanting)} too")
    place = tuple(_find(name, point.get(name, grid[dim][0]), grid[dim]) for name, dim in names.items())
    failure = str(dataset["failure"].values[place])
    if failure:
        raise InputError(f"select: this point failed: {failure}")
    experiment, model = str(dataset.attrs["experiment"]), str(dataset.attrs["model"])
    chosen = {name: grid[dim][i] for (name, dim), i in zip(names.items(), place, strict=True)}
    run = take(dataset, tuple(grid), place)
    for name, value in chosen.items():
        if names[name] == name and promised(dataset).get(name) == ():  # the coordinate stood for it
            run[name] = ((), value, {key: dataset[name].attrs[key] for key in ("units", "long_name")})
    seed = int(chosen.pop(SEED, dataset.attrs["seed"]))
    named = _experiment(dataset)
    settings = {**settings_of(dataset), **chosen}
    if named is not None:
        # Completed anew: what a swept preset sets is not among the settings that all points share.
        protocol, constants = named.get(model).complete(settings)
        settings = {**protocol.model_dump(mode="json"), **constants.model_dump(mode="json")}
        known = named.known(model, settings)
        for name in run.variables:
            unit, meaning = known[str(name)]
            run[name].attrs.update(units=unit, long_name=meaning)
    elif "own_decided" in dataset.attrs:
        raise InputError(
            f"select: what was swept decides {dataset.attrs['own_decided']}; load the experiment's file first, "
            f"unchanged since: astro_sim.experiments.find('{experiment}.py')"
        )
    own_attributes = {name: dataset.attrs[name] for name in OWN_ATTRIBUTES if name in dataset.attrs}
    run.attrs = provenance(experiment, model, seed, settings, own=own_attributes)
    return check(run.assign_attrs(versions=dataset.attrs["versions"]))


def _experiment(dataset: xr.Dataset) -> NamedExperiment | None:
    """The experiment that made the sweep; None for one of one's own whose file this process has not run."""
    name = str(dataset.attrs["experiment"])
    return find(name) if name in NAMES else user_file.loaded(name, str(dataset.attrs["own_source"]))


def _find(name: str, value: Any, values: list[Any]) -> int:
    for place, each in enumerate(values):
        if each == value or (isinstance(value, list | tuple) and list(value) == each):
            return place
    number = _number(value)
    for place, each in enumerate(map(_number, values)):  # 0.3 for the 0.30000000000000004 of equal steps
        if math.isclose(each, number, rel_tol=1e-9):
            return place
    listed = ", ".join(map(str, values[:10])) + (", ..." if len(values) > 10 else "")
    raise InputError(f"select: {name} = {value!r} was not swept; expected one of {listed}")


def _number(value: Any) -> float:
    """The number that ``value`` is; NaN, which is close to nothing, where it is none."""
    return float(value) if isinstance(value, int | float | np.number) and not isinstance(value, bool) else math.nan
