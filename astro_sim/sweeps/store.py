"""Finished points on disk: each file whole or not at all, with a manifest that says which question they answer."""

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from astro_sim.common.errors import InputError
from astro_sim.common.files import read_json, write_bytes
from astro_sim.common.sealed import seal, unseal
from astro_sim.sweeps.joining import join, take
from astro_sim.sweeps.pool import Done

KIND = "rmaat-sweep"
FORMAT = 1
INDEX = "sweep_point"


class Store:
    """The folder of a sweep.

    Parameters
    ----------
    folder : path
        Made where it does not exist.
    provenance : mapping
        Attributes of the dataset to be: question, versions, digest.

    Raises
    ------
    InputError
        The folder holds something else, another sweep, or points that other versions computed.
    """

    def __init__(self, folder: str | Path, provenance: dict[str, Any]) -> None:
        self.folder, self.digest = Path(folder), str(provenance["digest"])
        manifest, self.provenance = self.folder / "manifest.json", provenance
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder}: exists and is not a folder")
        if not manifest.exists():
            if self.folder.is_dir() and any(not path.name.startswith(".") for path in self.folder.iterdir()):
                raise InputError(f"{self.folder}: holds something else than a sweep; choose another folder")
            return  # written with the first points: a sweep that cannot start leaves no folder
        known = read_json(manifest, "manifest of a sweep")
        if not isinstance(known, dict) or known.get("kind") != KIND or known.get("format") != FORMAT:
            raise InputError(f"{manifest}: not a manifest of a sweep that this version reads")
        for name, what in (("digest", "another sweep"), ("versions", "a sweep that other versions computed")):
            if known.get(name) != provenance[name]:
                raise InputError(
                    f"{self.folder}: holds points of {what} ({known.get('title')}); choose another folder or remove it"
                )

    def finished(self) -> dict[int, xr.Dataset | str]:
        """Every finished point: its dataset, or the message of its failure. A damaged file counts as not there."""
        results: dict[int, xr.Dataset | str] = {}
        for path in sorted(self.folder.glob("points-*.h5")):
            try:
                content = unseal(path.read_bytes())
                if content is None:
                    continue
                stored = _unpacked(content)
                indices, failures = stored[INDEX].values, stored["failure"].values
            except (OSError, RuntimeError, ValueError, KeyError):  # a seal that does not hold is among them
                continue
            if stored.attrs["digest"] != self.digest:
                continue
            for place, index in enumerate(indices):
                results[int(index)] = str(failures[place]) or take(stored, (INDEX,), (place,))
        return results

    def put(self, done: Done) -> None:
        """Write the points of a job, unless its worker died: another worker may fare better another time."""
        if done.lost:
            return
        points = [result if isinstance(result, xr.Dataset) else None for result in done.results]
        messages = ["" if isinstance(result, xr.Dataset) else result for result in done.results]
        chunk = join(points, (INDEX,), (len(points),))
        chunk = chunk.assign_coords({INDEX: np.array(done.indices)})
        chunk = chunk.assign(failure=(INDEX, np.array(messages, dtype=object))).assign_attrs(digest=self.digest)
        manifest = self.folder / "manifest.json"
        if not manifest.exists():
            write_bytes(manifest, json.dumps({"kind": KIND, "format": FORMAT, **self.provenance}, indent=2).encode())
        write_bytes(self.folder / f"points-{done.indices[0]:07}.h5", _packed(chunk))


def _packed(dataset: xr.Dataset) -> bytes:
    """A dataset as sealed plain HDF5: a tenth of the time that netCDF takes, and nobody else reads it."""
    content = io.BytesIO()  # in memory: HDF5 crashes on a full disk
    with h5py.File(content, "w") as file:
        file.attrs["digest"] = dataset.attrs["digest"]
        for name, variable in dataset.variables.items():
            number = variable.dtype.kind in "fiub"
            values = variable.values if number else variable.values.astype(object)
            item = file.create_dataset(str(name), data=values, dtype=None if number else h5py.string_dtype())
            item.attrs["dims"] = json.dumps(variable.dims)
            item.attrs["attributes"] = json.dumps(variable.attrs)
            item.attrs["coordinate"] = name in dataset.coords
    return seal(content.getvalue())


def _unpacked(content: bytes) -> xr.Dataset:
    variables, coordinates = {}, []
    with h5py.File(io.BytesIO(content)) as file:
        for name, item in file.items():
            values = item.asstr()[...] if h5py.check_string_dtype(item.dtype) else item[...]
            dims, attributes = (json.loads(item.attrs[key]) for key in ("dims", "attributes"))
            variables[name] = xr.Variable(dims, values, attributes)
            if item.attrs["coordinate"]:
                coordinates.append(name)
        return xr.Dataset(variables, attrs={"digest": file.attrs["digest"]}).set_coords(coordinates)
