"""The dataset: what every experiment gives, how it is described, written and read.

A dataset is an `xarray.Dataset` with named dimensions. Every variable carries ``units`` and ``long_name``; the
attributes carry where it came from (experiment, model, seed, every setting, versions, a digest). What an experiment
promises stands in `astro_sim.contents`; both writer and reader check it.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError, did_you_mean
from astro_sim.common.files import digest, versions, whole_file
from astro_sim.contents import CONTENTS, meanings

SCHEMA_VERSION = 1

SOLVERS = {"macro": "numba", "biophysical": "Brian2"}  # model -> the package that integrates it
REQUIRED_ATTRIBUTES = ("experiment", "model", "seed", "settings", "versions", "digest", "schema_version")


def describe(dataset: xr.Dataset, experiment: str, model: str, seed: int, settings: Mapping[str, Any]) -> xr.Dataset:
    """Attach units, descriptions and provenance.

    The digest covers experiment, model, seed and settings: equal digests mean equal questions. No clock is read, so
    that the same run writes the same file.
    """
    known = meanings(experiment, model)
    for name, variable in dataset.variables.items():
        unit, meaning = known[str(name)]
        variable.attrs.update(units=unit, long_name=meaning)
    question = {"experiment": experiment, "model": model, "seed": seed, "settings": dict(settings)}
    dataset.attrs = {
        "title": f"{experiment} experiment, {model} model",
        "experiment": experiment,
        "model": model,
        "seed": seed,
        "settings": json.dumps(question["settings"], sort_keys=True),
        "versions": json.dumps(versions("rmaat", "numpy", SOLVERS[model], "xarray")),
        "digest": digest(question),
        "schema_version": SCHEMA_VERSION,
    }
    return check(dataset)


def settings_of(dataset: xr.Dataset) -> dict[str, Any]:
    """The settings that made ``dataset``."""
    return json.loads(dataset.attrs["settings"])


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
    for name in REQUIRED_ATTRIBUTES:
        if name not in dataset.attrs:
            raise InputError(f"{where}: not a dataset of astro_sim (attribute {name!r} is missing)")
    version = dataset.attrs["schema_version"]
    if not (isinstance(version, int | np.integer) and version == SCHEMA_VERSION):
        raise InputError(f"{where}: dataset schema {version}; this version reads {SCHEMA_VERSION}")
    found = str(dataset.attrs["experiment"])
    if experiment is not None and found != experiment:
        raise InputError(f"{where}: expected a dataset of the experiment {experiment!r}, found {found!r}")
    if found not in CONTENTS:
        raise InputError(f"{where}: unknown experiment {found!r}; {did_you_mean(found, CONTENTS)}")
    model = str(dataset.attrs["model"])
    if model not in CONTENTS[found]:
        raise InputError(f"{where}: unknown model {model!r} of {found!r}; {did_you_mean(model, CONTENTS[found])}")
    for name in ("settings", "versions"):
        try:
            table = isinstance(json.loads(dataset.attrs[name]), dict)
        except (TypeError, ValueError, RecursionError):
            table = False
        if not table:
            raise InputError(f"{where}: attribute {name!r} is not a JSON object")
    if not isinstance(dataset.attrs["seed"], int | np.integer):
        raise InputError(f"{where}: attribute 'seed' is not a whole number")
    if not re.fullmatch("[0-9a-f]{64}", str(dataset.attrs["digest"])):
        raise InputError(f"{where}: attribute 'digest' is not a SHA-256")
    for name, dims in CONTENTS[found][model].items():
        if name not in dataset:
            raise InputError(f"{where}: variable {name!r} is missing; a dataset of {found!r} needs it")
        if dataset[name].dims != dims:
            raise InputError(f"{where}: variable {name!r} has dimensions {dataset[name].dims}, expected {dims}")
        if not dataset[name].size:
            raise InputError(f"{where}: variable {name!r} is empty")
        if dataset[name].dtype.kind not in "fiu":
            raise InputError(f"{where}: variable {name!r} holds {dataset[name].dtype}, expected numbers")
        if not np.isfinite(dataset[name].values).all():
            raise InputError(f"{where}: variable {name!r} holds NaN or infinite values")
    return dataset


def write(dataset: xr.Dataset, path: str | Path) -> None:
    """Write a checked dataset as netCDF 4, whole or not at all."""
    check(dataset)
    # In memory first: HDF5 crashes on a full disk. With checksums, so that a damaged file is noticed when read.
    encoding = {name: {"fletcher32": True} for name, v in dataset.variables.items() if v.ndim and v.dtype.kind in "fiu"}
    content = dataset.to_netcdf(engine="h5netcdf", encoding=encoding)
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def read(path: str | Path, experiment: str | None = None) -> xr.Dataset:
    """Read a dataset wholly into memory, identical to what was written.

    Raises
    ------
    InputError
        No such file, not netCDF or truncated, or refused by `check`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such dataset")
    try:
        with h5py.File(path) as file:
            file.visititems(_touch)  # h5netcdf prints a traceback where it meets damage
        with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as stored:
            dataset = stored.load()
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable netCDF file, perhaps truncated ({reason})") from None
    return check(dataset, experiment, where=str(path))


def _touch(_: str, item: h5py.Group | h5py.Dataset) -> None:
    dict(item.attrs)
