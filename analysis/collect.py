"""From the paths on the command line to what they hold: datasets, laws, runs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr

from astro_sim import dataset as datasets
from astro_sim.common.errors import InputError
from astro_sim.common.files import walk
from bridge.laws import Laws
from bridge.schema import KIND, Source
from rmaat.records import RunRecord, is_run, read_run

EXPECTED = "expected a dataset (.nc), laws or a table of results (.json), a run folder, or a folder that holds such"
DATA_KIND = "rmaat-data"  # of the manifest in a folder that `rmaat data` made


@dataclass(frozen=True)
class Dataset:
    """A dataset and the path it came from."""

    path: Path
    data: xr.Dataset

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return str(self.data.attrs["experiment"])

    @property
    def model(self) -> str:
        """Name of the model that ran it."""
        return str(self.data.attrs["model"])

    @property
    def digest(self) -> str:
        """Digest of the question that the dataset answers."""
        return str(self.data.attrs["digest"])

    @cached_property
    def contents(self) -> str:
        """Digest of the answer."""
        return datasets.content_digest(self.data)

    def is_source(self, source: Source) -> bool:
        """Whether laws rest on this very dataset, as far as they say."""
        return source.digest == self.digest and source.contents in (None, self.contents)


@dataclass(frozen=True)
class LawsFile:
    """Laws and the path they came from."""

    path: Path
    laws: Laws


@dataclass(frozen=True)
class Results:
    """A table of results that `rmaat reproduce` or `rmaat bench` wrote.

    Attributes
    ----------
    path : Path
    what : str
        What was measured, in one line.
    rows : list of dict
    """

    path: Path
    what: str
    rows: list[dict[str, Any]]

    @property
    def reproduced(self) -> bool:
        """Rows are runs of tasks of the Long Range Arena."""
        return all({"task", "name", "seed", "state"} <= row.keys() for row in self.rows)


@dataclass
class Inputs:
    """Everything that was found, in the order given; folders alphabetically.

    ``passed_over`` are .nc files in folders that are no datasets of ours.
    """

    datasets: list[Dataset] = field(default_factory=list)
    sweeps: list[Dataset] = field(default_factory=list)
    laws: list[LawsFile] = field(default_factory=list)
    runs: list[RunRecord] = field(default_factory=list)
    tables: list[Results] = field(default_factory=list)
    passed_over: list[Path] = field(default_factory=list)

    def of(self, experiment: str) -> list[Dataset]:
        """Datasets of one experiment."""
        return [found for found in self.datasets if found.experiment == experiment]

    def laws_from(self, dataset: Dataset) -> Laws | None:
        """The first laws that rest on this very dataset; None if none do."""
        for each in self.laws:
            if any(map(dataset.is_source, each.laws.document.sources)):
                return each.laws
        return None


def collect(paths: Sequence[str | Path]) -> Inputs:
    """Read whatever ``paths`` hold.

    Parameters
    ----------
    paths : sequence of path
        Datasets (.nc), laws and tables of results (.json), run folders, or folders of such; these are searched to the
        bottom, links followed, without hidden folders, data folders and the insides of runs. What is met twice is
        taken once. What other programs left there is passed over, and of .nc files it is said.

    Returns
    -------
    Inputs
        Laws inside run folders count as laws too, once a digest.

    Raises
    ------
    InputError
        No path, a path that does not exist or is of no known kind, an empty folder, or a broken file.
    """
    if not paths:
        raise InputError(f"report: no path given; {EXPECTED}")
    found, seen = Inputs(), set[Path]()
    for given in map(Path, paths):
        taken = 0
        for path in _candidates(given):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                try:
                    _take(path, found)
                except datasets.ForeignError:
                    if path == given:
                        raise
                    found.passed_over.append(path)
                    continue
            taken += 1
        if not taken:
            raise InputError(f"{given}: nothing to report in this folder; {EXPECTED}")
    # Laws inside runs come last: a laws file that was named is the better name for the same laws.
    for run in found.runs:
        if run.laws is not None:
            found.laws.append(LawsFile(run.path / "laws.json", run.laws))
    found.laws = list({each.laws.digest: each for each in reversed(found.laws)}.values())[::-1]
    return found


def _candidates(given: Path) -> Iterator[Path]:
    """The files and run folders that ``given`` stands for."""
    if not given.exists():
        raise InputError(f"{given}: no such file or folder; {EXPECTED}")
    if given.is_file():
        if given.suffix.lower() not in (".nc", ".json"):
            raise InputError(f"{given}: not something to report on; {EXPECTED}")
        yield given
    elif is_run(given):
        yield given
    elif _is_data(given):
        raise InputError(f"{given}: a data folder of {DATA_KIND!r}; {EXPECTED}")
    else:
        yield from _search(given)


def _search(folder: Path) -> Iterator[Path]:
    for at, folders, files in walk(folder):
        here = [name for name in folders if name != "data"]
        runs = [name for name in here if is_run(at / name)]
        folders[:] = [name for name in here if name not in runs and not _is_data(at / name)]
        for file in (at / name for name in files):
            if file.suffix.lower() == ".nc" or _claims_laws(file) or _claims_results(file):
                yield file
        yield from (at / name for name in runs)


def _take(path: Path, found: Inputs) -> None:
    if path.is_dir():
        found.runs.append(read_run(path))
    elif path.suffix.lower() == ".nc":
        data = datasets.read(path)
        (found.sweeps if datasets.grid_of(data, str(path)) else found.datasets).append(Dataset(path, data))
    elif (table := read_results(path)) is not None:
        if not table.rows:
            raise InputError(f"{path}: a table of results without rows")
        found.tables.append(table)
    else:
        found.laws.append(LawsFile(path, Laws.load(path)))


def read_results(path: Path) -> Results | None:
    """A table of results; None for any other file, which is someone else's to judge."""
    raw = _peek(path) if path.suffix.lower() == ".json" and path.is_file() else None
    if not isinstance(raw, dict):
        return None
    rows = raw.get("rows")
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        return None
    return Results(path, str(raw.get("what", path.stem)), rows)


def _claims_results(path: Path) -> bool:
    """A table with something in it; in a folder an empty one is passed over."""
    table = read_results(path)
    return table is not None and bool(table.rows)


def _peek(path: Path) -> Any:
    """Parsed JSON, or None where there is none; whether that is an error is the caller's to say."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None


def _claims_laws(path: Path) -> bool:
    """Folders hold many JSON files: one is ours to read if it says so, or by its name if it cannot speak."""
    if path.suffix.lower() != ".json":
        return False
    raw = _peek(path)
    return path.name == "laws.json" if raw is None else isinstance(raw, dict) and raw.get("kind") == KIND


def _is_data(folder: Path) -> bool:
    raw = _peek(folder / "manifest.json")
    return isinstance(raw, dict) and raw.get("kind") == DATA_KIND
