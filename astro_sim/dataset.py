"""The dataset: what every experiment gives, how it is described, written and read.

A dataset is an `xarray.Dataset` with named dimensions. Every variable carries ``units`` and ``long_name``; the
attributes carry where it came from (experiment, model, seed, every setting, versions, a digest). What an experiment
promises stands in its file in `astro_sim.experiments`, or, of one's own, in the dataset itself; writer and reader
check it.

Two digests say what a dataset is: ``digest`` covers the question (experiment, model, seed, settings), and
`content_digest` the answer. In a file the second stands in the attribute ``content_digest``; both are held on reading.

A sweep is one dataset too: the grid in front of the dimensions, its values in the attribute ``sweep``, NaN where a
point failed (``failure`` says why) or has no entry (``held_DIM`` says where).
"""

import hashlib
import json
import operator
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError, brief, did_you_mean, quoted
from astro_sim.common.files import HDF5, digest, parse_json, versions, write_bytes
from astro_sim.common.sealed import read_hdf5, seal
from astro_sim.experiments import find
from astro_sim.experiments.experiment import NAMES, NamedExperiment, require_readable
from astro_sim.experiments.variables import Dimensions

SCHEMA_VERSION = 1
CONTENT = "content_digest"
# Attributes of a variable that readers of netCDF act on, and do not give back.
DECODED = frozenset({"_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "dtype", "coordinates"})


class ForeignError(InputError):
    """Not a dataset of ours, broken or whole: another program wrote it."""


# Model -> the packages that integrate it; a model of one's own may use any of them.
SOLVERS = {"macro": ("numba",), "biophysical": ("Brian2",)}
REQUIRED_ATTRIBUTES = ("experiment", "model", "seed", "settings", "versions", "digest", "schema_version")
# Of an experiment of one's own: SHA-256 of its file, what it promises as JSON, the experiment that it stands for.
OWN_ATTRIBUTES = ("own_source", "own_contents", "own_stands_for")


def describe(
    dataset: xr.Dataset, experiment: str | NamedExperiment, model: str, seed: int, settings: Mapping[str, Any]
) -> xr.Dataset:
    """Attach units, descriptions and provenance.

    The digest covers experiment, model, seed, settings and the file of an experiment of one's own: equal digests mean
    equal questions. No clock is read, so that the same run writes the same file.

    Parameters
    ----------
    dataset : xarray.Dataset
        Left as it is. Attributes and encodings that it has are not taken over.
    experiment : str or NamedExperiment
        Its name alone if it is one of the package.
    model, seed, settings

    Raises
    ------
    InputError
        A variable without a meaning, or of values that no file keeps; or refused by `check`.
    """
    dataset = dataset.copy()
    named = find(experiment) if isinstance(experiment, str) else experiment
    known = named.known(model, settings)
    for name, variable in dataset.variables.items():
        if str(name) not in known:
            raise InputError(
                f"{named.name}: MEANINGS of {model!r} lack the variable {str(name)!r}; expected its unit and meaning"
            )
        if not _is_kept(variable):
            raise InputError(f"{named.name}: variable {str(name)!r} holds {variable.dtype}, expected numbers or text")
        unit, meaning = known[str(name)]
        variable.attrs, variable.encoding = {"units": unit, "long_name": meaning}, {}
    dataset.encoding = {}
    dataset.attrs = provenance(named.name, model, seed, settings, own=named.attributes(model))
    return check(dataset)


def provenance(
    experiment: str,
    model: str,
    seed: int,
    settings: Mapping[str, Any],
    grid: Mapping[str, list[Any]] | None = None,
    own: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The attributes of a dataset; of a sweep if ``grid`` names swept settings and their values."""
    own = own or {}
    title, swept = f"{experiment} experiment, {model} model", {}
    if grid is not None:
        title, swept = f"{title}, sweep of {', '.join(grid)}", {"sweep": json.dumps(dict(grid))}
    source = own.get("own_source")
    return {
        "title": title,
        "experiment": experiment,
        "model": model,
        "seed": seed,
        "settings": json.dumps(dict(settings), sort_keys=True),
        **swept,
        **own,
        "versions": json.dumps(versions("rmaat", "numpy", *SOLVERS.get(model, ("numba", "Brian2")), "xarray")),
        "digest": _question_digest(experiment, model, seed, settings, grid, source),
        "schema_version": SCHEMA_VERSION,
    }


def _question_digest(
    experiment: str,
    model: str,
    seed: int,
    settings: Mapping[str, Any],
    grid: Mapping[str, list[Any]] | None,
    source: str | None,
) -> str:
    question = {"experiment": experiment, "model": model, "seed": seed, "settings": dict(settings)}
    if source is not None:
        question["source"] = source
    if grid is not None:
        question["sweep"] = list(grid.items())  # the order of the names is that of the dimensions
    return digest(question)


def content_digest(dataset: xr.Dataset) -> str:
    """SHA-256 of all that a dataset holds: names, dimensions, values, units, meanings and provenance.

    Two datasets of one question have the same one exactly if their numbers are the same. It does not depend on the
    order of variables, nor on whether the dataset came from a file.
    """
    total = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        variable = dataset[name].variable
        values = variable.values
        if values.dtype.kind in "OU":
            kind, content = "text", json.dumps(values.astype(object).tolist()).encode()
        else:
            if values.dtype.kind == "f":
                values = np.where(np.isnan(values), np.array(np.nan, values.dtype), values)  # of many NaNs one
            values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            kind, content = values.dtype.str, values.tobytes()
        about = [name, list(variable.dims), list(variable.shape), kind, name in dataset.coords]
        total.update(digest([*about, _plain(variable.attrs)]).encode())
        total.update(len(content).to_bytes(8, "little") + content)
    total.update(digest(_plain(dataset.attrs)).encode())
    return total.hexdigest()


def _plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON has them, whatever type of number they came in, but for the digest that is made of them."""
    plain = {}
    for name, value in attributes.items():
        if not isinstance(value, str):
            array = np.asarray(value)
            value = repr(array.item() if array.size == 1 else array.tolist())
        plain[str(name)] = value
    plain.pop(CONTENT, None)
    return plain


def settings_of(dataset: xr.Dataset) -> dict[str, Any]:
    """The settings that made ``dataset``."""
    return json.loads(dataset.attrs["settings"])


def changes_of(dataset: xr.Dataset) -> dict[str, tuple[Any, Any, str]]:
    """Settings of ``dataset`` that differ from the defaults of its experiment and model: value, default and unit.

    Empty for an experiment of one's own, whose defaults stand in a file that is not there.
    """
    experiment, given = str(dataset.attrs["experiment"]), settings_of(dataset)
    if experiment not in NAMES:
        return {}
    return {
        name: (given[name], default, part.unit(name))
        for part in find(experiment).get(str(dataset.attrs["model"])).complete({})
        for name, default in part.model_dump(mode="json").items()
        if given.get(name, default) != default
    }


def grid_of(dataset: xr.Dataset, where: str = "dataset") -> dict[str, list[Any]]:
    """Names of the dimensions of a sweep's grid and the values along them; empty for a single run."""
    if "sweep" not in dataset.attrs:
        return {}
    grid = _parsed(dataset, "sweep", where, "object of lists", lambda values: isinstance(values, list) and values)
    if not grid:
        raise InputError(f"{where}: attribute 'sweep' is not a JSON object of lists")
    return {f"swept_{name}" if f"swept_{name}" in dataset.dims else name: values for name, values in grid.items()}


def _parsed(
    dataset: xr.Dataset, name: str, where: str, expected: str = "object", sound: Callable[[Any], Any] = lambda _: True
) -> dict[str, Any]:
    """The JSON object in an attribute, whose values are all ``sound``."""
    try:
        table = parse_json(dataset.attrs[name])
        if isinstance(table, dict) and all(map(sound, table.values())):
            return table
    except (TypeError, ValueError, RecursionError):
        pass
    raise InputError(f"{where}: attribute {name!r} is not a JSON {expected}")


def require_single(dataset: xr.Dataset, where: str = "dataset") -> xr.Dataset:
    """Raise `InputError` for a sweep, where one run is expected."""
    grid = grid_of(dataset, where)
    if grid:
        point = ", ".join(f"{name.removeprefix('swept_')}={values[0]!r}" for name, values in grid.items())
        raise InputError(
            f"{where}: a sweep; select one point first, for instance in Python: "
            f"run = astro_sim.select(dataset, {point}); astro_sim.write(run, 'one.nc') keeps it for rmaat fit"
        )
    return dataset


def check(dataset: xr.Dataset, experiment: str | None = None, where: str = "dataset") -> xr.Dataset:
    """Hold a dataset against the schema and return it.

    Parameters
    ----------
    dataset : xarray.Dataset
    experiment : str, optional
        Demand this experiment; otherwise the one that its attributes name.
    where : str
        What to call it in messages, a path for instance.

    Raises
    ------
    InputError
        Not a dataset of ours, another schema version, a variable or dimension missing, NaN inside.
    """
    if not isinstance(dataset, xr.Dataset):
        got = repr(dataset) if isinstance(dataset, str | Path) else type(dataset).__name__
        raise InputError(f"{where}: expected an xarray.Dataset, as of astro_sim.read or simulate, got {got}")
    for name in REQUIRED_ATTRIBUTES:
        if name not in dataset.attrs:
            raise ForeignError(f"{where}: not a dataset of astro_sim (attribute {name!r} is missing)")
    version = dataset.attrs["schema_version"]
    if not (isinstance(version, int | np.integer) and version == SCHEMA_VERSION):
        raise InputError(f"{where}: dataset schema {version}; this version reads {SCHEMA_VERSION}")
    name_of, model = str(dataset.attrs["experiment"]), str(dataset.attrs["model"])
    if experiment is not None and name_of != experiment:
        raise InputError(f"{where}: expected a dataset of the experiment {experiment!r}, found {name_of!r}")
    needed = promised(dataset, where)
    for name in ("settings", "versions"):
        _parsed(dataset, name, where)
    if not isinstance(dataset.attrs["seed"], int | np.integer):
        raise InputError(f"{where}: attribute 'seed' is not a whole number")
    grid, seed = grid_of(dataset, where), int(dataset.attrs["seed"])
    asked = json.loads(dataset.attrs["sweep"]) if grid else None
    stated, source = settings_of(dataset), dataset.attrs.get("own_source")
    if dataset.attrs["digest"] != _question_digest(name_of, model, seed, stated, asked, source):
        raise InputError(
            f"{where}: attribute 'digest' is not that of its experiment, model, seed and settings; one was changed"
        )
    failed = _failed(dataset, grid, where) if grid else np.zeros((), bool)
    for name, dims in needed.items():
        if name not in dataset:
            raise InputError(f"{where}: variable {name!r} is missing; a dataset of {name_of!r} needs it")
        if name not in grid and dims != (name,):  # one coordinate for all points
            dims = (*grid, *dims)
        elif name in grid:
            dims = (name,)
        if dataset[name].dims != dims:
            raise InputError(f"{where}: variable {name!r} has dimensions {dataset[name].dims}, expected {dims}")
        if not dataset[name].size:
            raise InputError(f"{where}: variable {name!r} is empty")
        if dataset[name].dtype.kind not in "fiu":
            raise InputError(f"{where}: variable {name!r} holds {dataset[name].dtype}, expected numbers")
        if not np.isfinite(_present(dataset, dataset[name].variable, grid, failed)).all():
            raise InputError(f"{where}: variable {name!r} holds NaN or infinite values")
    return dataset


def promised(dataset: xr.Dataset, where: str = "dataset") -> Dimensions:
    """What a dataset must hold, variable -> dimensions: by its experiment, or, of one's own, as it says itself.

    Raises
    ------
    InputError
        An unknown experiment or model; of an experiment of one's own, attributes or units that are missing or broken.
    """
    experiment, model = str(dataset.attrs["experiment"]), str(dataset.attrs["model"])
    if experiment in NAMES:
        known = find(experiment).promised
        if model not in known:
            raise InputError(f"{where}: unknown model {model!r} of {experiment!r}; {did_you_mean(model, known)}")
        return known[model]
    if "own_contents" not in dataset.attrs:
        raise InputError(f"{where}: unknown experiment {experiment!r}; {did_you_mean(experiment, NAMES)}")
    words = _parsed(dataset, "own_contents", where, "object of lists of dimensions", _are_words)
    dims = {name: tuple(of) for name, of in words.items()}
    if not re.fullmatch("[0-9a-f]{64}", str(dataset.attrs.get("own_source"))):
        raise InputError(f"{where}: attribute 'own_source' is not a SHA-256")
    for name, variable in dataset.variables.items():
        if not {"units", "long_name"} <= variable.attrs.keys():
            raise InputError(f"{where}: variable {name!r} has no units or no long_name")
    if "own_stands_for" in dataset.attrs:
        units = {str(name): str(variable.attrs["units"]) for name, variable in dataset.variables.items()}
        try:
            require_readable(str(dataset.attrs["own_stands_for"]), dims, units)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    return dims


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def stands_for(dataset: xr.Dataset) -> str:
    """The experiment as which a dataset is fitted: its own, or the one in whose place it stands."""
    return str(dataset.attrs.get("own_stands_for") or dataset.attrs["experiment"])


def _failed(dataset: xr.Dataset, grid: Mapping[str, list[Any]], where: str) -> np.ndarray:
    """Where a sweep has no results; raises `InputError` if its grid and the dataset do not fit together."""
    for name, values in grid.items():
        if name not in dataset.coords or dataset[name].dims != (name,):
            raise InputError(f"{where}: coordinate {name!r} is missing; a sweep over it needs it")
        if dataset[name].size != len(values):
            raise InputError(f"{where}: {dataset[name].size} values of {name!r}, expected {len(values)} as swept")
    if "failure" not in dataset:
        raise InputError(f"{where}: variable 'failure' is missing; a sweep needs it")
    failure = dataset["failure"]
    if failure.dims != tuple(grid):
        raise InputError(f"{where}: variable 'failure' has dimensions {failure.dims}, expected {tuple(grid)}")
    if not all(isinstance(text, str) for text in failure.values.ravel()):
        raise InputError(f"{where}: variable 'failure' holds {failure.dtype}, expected text")
    for name in dataset.variables:
        dims = (*grid, str(name).removeprefix("held_"))
        if str(name).startswith("held_") and (dataset[name].dims != dims or dataset[name].dtype.kind != "i"):
            raise InputError(f"{where}: variable {name!r} is not a table of whole numbers over {dims}")
    return failure.values != ""


def _present(
    dataset: xr.Dataset, variable: xr.Variable, grid: Mapping[str, list[Any]], failed: np.ndarray
) -> np.ndarray:
    """The values of a promised variable, with 0 where a point of a sweep may hold nothing, and does."""
    values = variable.values
    if not grid or variable.dims[: len(grid)] != tuple(grid):
        return values
    inner = variable.dims[len(grid) :]
    empty = np.broadcast_to(failed.reshape(failed.shape + (1,) * len(inner)), values.shape)
    for axis, dim in enumerate(inner):
        if f"held_{dim}" in dataset:
            held = dataset[f"held_{dim}"].values < 0
            shape = [1] * len(inner)
            shape[axis] = held.shape[-1]
            empty = empty | held.reshape(*failed.shape, *shape)
    return np.where(empty & np.isnan(values), 0.0, values)


def write(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a checked dataset as netCDF 4, whole or not at all.

    Raises
    ------
    InputError
        Refused by `check`; values, names or attributes that netCDF would not give back as they are.
    """
    check(dataset)
    _require_storable(dataset)
    dataset = dataset.drop_encoding().assign_attrs({CONTENT: content_digest(dataset)})
    # In memory first: HDF5 crashes on a full disk. With checksums, so that damage is noticed by other readers, too.
    encoding = {name: {"fletcher32": True} for name, v in dataset.variables.items() if v.ndim and v.dtype.kind in "fiu"}
    with _without_cluster():
        content = dataset.to_netcdf(engine="h5netcdf", encoding=encoding)
    write_bytes(path, seal(bytes(content)))


def _require_storable(dataset: xr.Dataset) -> None:
    """Refuse what a file would not give back as it is: dates, other objects, attributes that are no text or number."""
    for name, variable in dataset.variables.items():
        if not (isinstance(name, str) and name and not {"/", "\0"} & set(name)):
            raise InputError(f"dataset: variable {name!r}: expected a name without '/'")
        if not _is_kept(variable):
            raise InputError(f"dataset: variable {name!r} holds {variable.dtype}, expected numbers or text")
        if dropped := sorted(DECODED & set(map(str, variable.attrs))):
            raise InputError(f"dataset: variable {name!r} has the attribute {dropped[0]!r}, which readers would act on")
    places = {"dataset": dataset.attrs, **{f"variable {n!r}": v.attrs for n, v in dataset.variables.items()}}
    for where, attributes in places.items():
        for name, value in attributes.items():
            kept = isinstance(name, str) and name and not {"/", "\0"} & set(name)
            if isinstance(value, str):
                kept = kept and _is_text(value)
            else:
                array = np.asarray(value)
                number = array.dtype.kind in "iuf" and not isinstance(value, bool)
                kept = kept and number and (array.ndim == 0 or (array.ndim == 1 and array.size > 1))
            if not kept:
                raise InputError(
                    f"{where}: attribute {name!r}: expected text or numbers, got {quoted(value)}; "
                    "json.dumps makes text of anything else"
                )


def _is_kept(variable: xr.Variable) -> bool:
    """Whether a file gives back values of this kind."""
    if variable.dtype.kind in "OU":
        values = variable.values.ravel().tolist()
        known = variable.dtype.kind == "U" or values  # of no objects it is not known what they would be
        return bool(known) and all(isinstance(text, str) and _is_text(text) for text in values)
    return variable.dtype.kind in "iub" or variable.dtype in (np.float32, np.float64)


def _is_text(text: str) -> bool:
    """Whether HDF5 can hold a text: no NUL, which ends one, and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _without_cluster() -> AbstractContextManager[Any]:
    """Where a dask client is at work, xarray asks its cluster for a lock; for a file in memory there is none."""
    if not sys.modules.get("dask"):
        return nullcontext()
    import dask.config

    return dask.config.set(scheduler="sync")


def read(path: str | Path, experiment: str | None = None) -> xr.Dataset:
    """Read a dataset wholly into memory, identical to what was written.

    Raises
    ------
    InputError
        No such file, not netCDF or truncated, or refused by `check`.
    """
    path = Path(path)
    if path.is_dir():
        inside = sorted(path.glob("*.nc"))
        hint = f", such as {inside[0]}" if inside else "; it holds no .nc"
        raise InputError(f"{path}: a folder; expected a dataset (.nc){hint}")
    if not path.is_file():
        raise InputError(f"{path}: no such dataset")
    with path.open("rb") as file:
        begin = file.read(len(HDF5))
    if sum(map(operator.eq, begin, HDF5)) < len(begin) / 2:  # a byte or two of another value are damage
        raise ForeignError(f"{path}: not a netCDF 4 (HDF5) file; expected a dataset that rmaat simulate wrote (.nc)")
    try:
        content = read_hdf5(path)
        with h5py.File(content) as file:
            file.visititems(_touch)  # h5netcdf prints a traceback where it meets damage
        with xr.open_dataset(content, engine="h5netcdf", decode_times=False) as stored:
            dataset = stored.load()
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # not of its contents: permissions, for instance
        raise InputError(f"{path}: not a readable netCDF file, perhaps truncated ({brief(error)})") from None
    stated = dataset.attrs.pop(CONTENT, None)
    check(dataset, experiment, where=str(path))
    if stated is not None and stated != content_digest(dataset):
        raise InputError(
            f"{path}: its contents are not those that were written (attribute {CONTENT!r}); in Python, astro_sim.write "
            "keeps a dataset that was changed on purpose"
        )
    return dataset


def _touch(_: str, item: h5py.Group | h5py.Dataset) -> None:
    dict(item.attrs)
