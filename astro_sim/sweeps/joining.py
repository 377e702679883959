"""From the datasets of single points to one dataset with the grid in front, and back to a point, without loss.

Along a dimension in which points differ, they are joined outer: by label, or by position where hardly a label is
shared (times of cycles of another length). ``held_DIM`` then says where each entry lies in the point's own array.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.dataset import OWN_ATTRIBUTES, check, grid_of, promised, provenance, settings_of
from astro_sim.experiments import NAMES, NamedExperiment, find, user_file
from astro_sim.sweeps.grid import SEED

HELD = ("1", "place of the entry in the point's own array; -1 where it has none")
FAILURE = ("1", "why the point failed; empty where it did not")
POSITIONAL = 2  # by position where the union would be more than this many times as long as the longest point

Point = xr.Dataset | None


def join(
    points: Sequence[Point],
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    skip: Collection[str] = (),
    shared: Collection[str] = (),
) -> xr.Dataset:
    """Put the datasets of points into one with ``dims`` in front; NaN where a point is None or has no entry.

    Parameters
    ----------
    points : sequence of xarray.Dataset or None
        In the order of the grid, the last dimension fastest.
    dims, shape : tuple
        Names and sizes of the grid's dimensions.
    skip : collection of str
        Variables to leave out.
    shared : collection of str
        Dimensions to join by label in any case.
    """
    present = {index: point for index, point in enumerate(points) if point is not None}
    # Sorted: a point that was read from a file may name its variables in another order.
    names = sorted({str(name) for point in present.values() for name in point.variables} - set(skip))
    inside = dict.fromkeys(str(dim) for name in names for dim in _first(present, name).dims)
    plans = {dim: _plan(dim, present, dim in shared) for dim in inside}
    variables = {name: _stack(name, present, plans, dims, shape) for name in names if name not in plans}
    for dim, plan in plans.items():
        if plan.labels is not None:
            variables[dim] = xr.Variable((dim,), plan.labels, plan.attributes)
        if plan.slots is not None:
            held = np.full((len(points), plan.size), -1, dtype=np.int32)
            for index, slots in plan.slots.items():
                held[index, slots] = np.arange(len(slots))
            variables[f"held_{dim}"] = _front(held, (dim,), dims, shape, _attributes(HELD))
        if plan.own is not None:
            dtype, fill = _padded(plan.own[min(plan.own)].dtype)
            own = np.full((len(points), plan.size), fill, dtype=dtype)
            for index, labels in plan.own.items():
                own[index, : len(labels)] = labels
            variables[f"point_{dim}"] = _front(own, (dim,), dims, shape, plan.attributes)
    coordinates = {name for point in present.values() for name in point.coords}
    dataset = xr.Dataset(variables)
    return dataset.set_coords([name for name in dataset.variables if name in coordinates])


def take(dataset: xr.Dataset, dims: tuple[str, ...], place: Sequence[int]) -> xr.Dataset:
    """The dataset of one point as it was before `join`, without attributes."""
    at = dict(zip(dims, place, strict=True))
    orders: dict[str, NDArray[np.intp]] = {}
    variables: dict[str, xr.Variable] = {}
    for name, variable in dataset.variables.items():
        if str(name).startswith("held_"):
            held = variable.values[tuple(place)]
            orders[str(name).removeprefix("held_")] = np.argsort(held, kind="stable")[int((held < 0).sum()) :]
    for name, variable in dataset.variables.items():
        name = str(name)
        if name in dims or name == "failure" or name.startswith("held_"):
            continue
        attributes = dict(variable.attrs)
        dtype, optional = attributes.pop("point_dtype", None), attributes.pop("optional", None)
        own = name.startswith("point_")
        inner = tuple(str(dim) for dim in variable.dims if dim not in at)
        values = variable.values[tuple(place)] if len(inner) < variable.ndim else variable.values
        values = np.asarray(values)
        if optional and _absent(values):
            continue
        for axis, dim in enumerate(inner):
            if dim in orders:
                values = np.take(values, orders[dim], axis=axis)
        name = name.removeprefix("point_") if own else name
        variables[name] = xr.Variable(inner, values.astype(dtype) if dtype else values, attributes)
    point = xr.Dataset(variables)
    return point.set_coords([name for name in point.variables if name in dataset.coords or f"point_{name}" in dataset])


def front(
    points: Sequence[Point],
    failures: Sequence[str],
    values: Mapping[str, list[Any]],
    described: Mapping[str, tuple[str, str]],
    promised: Mapping[str, tuple[str, ...]],
) -> xr.Dataset:
    """The whole sweep: grid coordinates with unit and meaning, the points joined, and what failed.

    A swept setting whose name a dimension or variable of the points carries too is called ``swept_NAME``, unless
    the experiment promises it as a single number: then the coordinate is that number.
    """
    taken = {str(name) for point in points if point is not None for name in (*point.variables, *point.dims)}
    single = [
        name for name in values if promised.get(name) == () and _is_setting(name, values, described[name][0], points)
    ]
    dims = tuple(f"swept_{name}" if name in taken and name not in single else name for name in values)
    shape = tuple(map(len, values.values()))
    dataset = join(points, dims, shape, single, promised)
    coordinates = {
        dim: xr.Variable((dim,), coordinate(swept), _attributes(described[name]))
        for dim, (name, swept) in zip(dims, values.items(), strict=True)
    }
    for name in single:  # as the points describe it
        coordinates[name].attrs = dict(next(point[name].attrs for point in points if point is not None))
    failure = xr.Variable(dims, np.array(failures, dtype=object).reshape(shape), _attributes(FAILURE))
    return dataset.assign_coords(coordinates).assign(failure=failure)


def _is_setting(name: str, values: Mapping[str, list[Any]], unit: str, points: Sequence[Point]) -> bool:
    """Whether the number that points hold under the name of a swept setting is that setting's value, in its unit."""
    own = np.broadcast_to(
        np.array(values[name], dtype=object).reshape(-1, *[1] * (len(values) - 1 - list(values).index(name))),
        tuple(map(len, values.values())),
    ).ravel()
    return all(
        point[name].item() == value and point[name].attrs.get("units") == unit
        for point, value in zip(points, own, strict=True)
        if point is not None
    )


def coordinate(values: Sequence[Any]) -> NDArray[Any]:
    """Values as numbers, or else as text: what is not a word (lists, for instance) as JSON."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return np.array(values)
    return np.array([value if isinstance(value, str) else json.dumps(value) for value in values], dtype=object)


@dataclass
class _Plan:
    """How points share a dimension."""

    size: int
    labels: NDArray[Any] | None  # of the union
    attributes: dict[str, Any]
    slots: dict[int, NDArray[np.intp]] | None = None  # where the entries of each point go; None: all points alike
    own: dict[int, NDArray[Any]] | None = None  # labels of each point where it has others


def _plan(dim: str, present: Mapping[int, xr.Dataset], shared: bool) -> _Plan:
    held = {index: point for index, point in present.items() if dim in point.dims}
    first = next(iter(held.values()))
    labelled = dim in first.coords
    labels = {index: point[dim].values if labelled else np.arange(point.sizes[dim]) for index, point in held.items()}
    start = next(iter(labels.values()))
    attributes = _sorted(first[dim].attrs) if labelled else {}
    if all(np.array_equal(own, start) for own in labels.values()):
        return _Plan(len(start), start if labelled else None, attributes)
    longest = max(map(len, labels.values()))
    union, unique = _union(labels)
    times = start.dtype.kind == "f" and len(union) > POSITIONAL * longest and not shared
    if times or not unique:
        return _Plan(longest, None, attributes, {index: np.arange(len(own)) for index, own in labels.items()}, labels)
    if start.dtype.kind in "fiu":
        slots = {index: np.searchsorted(union, own) for index, own in labels.items()}
    else:
        where = {label: place for place, label in enumerate(union)}
        slots = {index: np.array([where[label] for label in own]) for index, own in labels.items()}
    return _Plan(len(union), union if labelled else None, attributes, slots)


def _union(labels: Mapping[int, NDArray[Any]]) -> tuple[NDArray[Any], bool]:
    """All labels (numbers ascending, words as they come), and whether no point has one twice."""
    joined = np.concatenate(list(labels.values()))
    if joined.dtype.kind in "fiu":
        return np.unique(joined), all(len(np.unique(own)) == len(own) for own in labels.values())
    return np.array(list(dict.fromkeys(joined)), dtype=object), all(
        len(set(own)) == len(own) for own in labels.values()
    )


def _stack(
    name: str,
    present: Mapping[int, xr.Dataset],
    plans: Mapping[str, _Plan],
    dims: tuple[str, ...],
    shape: tuple[int, ...],
) -> xr.Variable:
    held = {index: point.variables[name] for index, point in present.items() if name in point.variables}
    first = next(iter(held.values()))
    count = int(np.prod(shape))
    inner = tuple(str(dim) for dim in first.dims)
    kind = np.result_type(*{variable.dtype for variable in held.values()})
    attributes = _sorted(first.attrs)
    if len(held) < len(present):
        attributes["optional"] = 1
    if kind.kind == "U":
        kind = np.dtype(object)
    if len(held) < count or any(plans[dim].slots is not None for dim in inner):
        dtype, fill = _padded(kind)
        if dtype != kind:
            attributes["point_dtype"] = kind.name
    else:
        dtype, fill = kind, np.zeros((), kind)[()]
    out = np.full((count, *(plans[dim].size for dim in inner)), fill, dtype=dtype)
    for index, variable in held.items():
        if tuple(variable.dims) != inner:
            raise InputError(f"{name}: dimensions {inner} at one point, {tuple(variable.dims)} at another")
        slots = [(plans[dim].slots or {}).get(index, np.arange(plans[dim].size)) for dim in inner]
        if any(plans[dim].slots is not None for dim in inner):
            out[index][np.ix_(*slots)] = variable.values
        else:
            out[index, ...] = variable.values  # or a single word would be put there as an array
    return _front(out, inner, dims, shape, attributes)


def _front(
    values: NDArray[Any],
    inner: tuple[str, ...],
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    attrs: Mapping[str, Any],
) -> xr.Variable:
    return xr.Variable((*dims, *inner), values.reshape(*shape, *values.shape[1:]), dict(attrs))


def _first(present: Mapping[int, xr.Dataset], name: str) -> xr.Variable:
    return next(point.variables[name] for point in present.values() if name in point.variables)


def _padded(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], Any]:
    """A type that can say "nothing here", and how it says it."""
    if dtype.kind == "f":
        return dtype, np.nan
    return (np.dtype(np.float64), np.nan) if dtype.kind in "iub" else (np.dtype(object), "")


def _absent(values: NDArray[Any]) -> bool:
    return bool(np.isnan(values).all()) if values.dtype.kind == "f" else bool((values == "").all())


def _attributes(described: tuple[str, str]) -> dict[str, str]:
    return {"long_name": described[1], "units": described[0]}


def _sorted(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): attributes[name] for name in sorted(attributes)}


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
    wanted = list(value) if isinstance(value, tuple) else value
    if wanted in values:
        return values.index(wanted)
    number = _number(value)
    for place, swept in enumerate(map(_number, values)):  # 0.3 for the 0.30000000000000004 of equal steps
        if math.isclose(swept, number, rel_tol=1e-9):
            return place
    listed = ", ".join(map(str, values[:10])) + (", ..." if len(values) > 10 else "")
    raise InputError(f"select: {name} = {value!r} was not swept; expected one of {listed}")


def _number(value: Any) -> float:
    """The number that ``value`` is; NaN, which is close to nothing, where it is none."""
    return float(value) if isinstance(value, int | float | np.number) and not isinstance(value, bool) else math.nan
