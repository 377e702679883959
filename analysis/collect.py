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
        return [dataset for dataset in self.datasets if dataset.experiment == experiment]

    @property
    def named_runs(self) -> list[tuple[str, RunRecord]]:
        """Runs with the names of their folders; whole paths where two folders share one.

        Of a folder named "run", which says nothing, the name begins with the folder around it.
        """
        names = []
        for run in self.runs:
            around = run.path.absolute().parent.name
            names.append(f"{around}/{run.path.name}" if run.path.name == "run" and around else run.path.name)
        return [
            (name if names.count(name) == 1 else str(run.path), run) for name, run in zip(names, self.runs, strict=True)
        ]

    def laws_from(self, dataset: Dataset) -> Laws | None:
        """The first laws that rest on this very dataset; None if none do."""
        return next(
            (one.laws for one in self.laws if any(map(dataset.is_source, one.laws.document.sources))),
            None,
        )


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
    inputs, seen = Inputs(), set[Path]()
    for given in map(Path, paths):
        taken = 0
        for path in _candidates(given):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                try:
                    _take(path, inputs)
                except datasets.ForeignError:
                    if path == given:
                        raise
                    inputs.passed_over.append(path)
                    continue
            taken += 1
        if not taken:
            raise InputError(f"{given}: nothing to report in this folder; {EXPECTED}")
    # Laws inside runs come last: a laws file that was named is the better name for the same laws.
    inside = [LawsFile(run.path / "laws.json", run.laws) for run in inputs.runs if run.laws is not None]
    inputs.laws = list({one.laws.digest: one for one in reversed(inputs.laws + inside)}.values())[::-1]
    return inputs


def _candidates(given: Path) -> Iterator[Path]:
    """The files and run folders that ``given`` stands for."""
    if not given.exists():
        raise InputError(f"{given}: no such file or folder; {EXPECTED}")
    if given.is_file() and given.suffix.lower() not in (".nc", ".json"):
        raise InputError(f"{given}: not something to report on; {EXPECTED}")
    if given.is_file() or is_run(given):
        yield given
        return
    if _is_data(given):
        raise InputError(f"{given}: a data folder of {DATA_KIND!r}; {EXPECTED}")
    for at, folders, files in walk(given):
        here = [name for name in folders if name != "data"]
        runs = [name for name in here if is_run(at / name)]
        folders[:] = [name for name in here if name not in runs and not _is_data(at / name)]
        yield from (file for file in (at / name for name in files) if _is_ours(file))
        yield from (at / name for name in runs)


def _take(path: Path, inputs: Inputs) -> None:
    if path.is_dir():
        inputs.runs.append(read_run(path))
    elif path.suffix.lower() == ".nc":
        data = datasets.read(path)
        (inputs.sweeps if datasets.grid_of(data, str(path)) else inputs.datasets).append(Dataset(path, data))
    elif (rows := _rows(raw := _peek(path))) is not None:
        if not rows:
            raise InputError(f"{path}: a table of results without rows")
        inputs.tables.append(Results(path, str(raw.get("what", path.stem)), rows))
    else:
        inputs.laws.append(LawsFile(path, Laws.load(path)))


def _is_ours(path: Path) -> bool:
    """Folders hold many JSON files: one is ours to read if it says so, or by its name if it cannot speak."""
    if path.suffix.lower() != ".json":
        return path.suffix.lower() == ".nc"
    raw = _peek(path)
    if raw is None:
        return path.name == "laws.json"
    return bool(_rows(raw)) or (isinstance(raw, dict) and raw.get("kind") == KIND)


def _rows(raw: Any) -> list[dict[str, Any]] | None:
    """Rows of a table of results; None of any other file, which is someone else's to judge."""
    rows = raw.get("rows") if isinstance(raw, dict) else None
    return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


def _peek(path: Path) -> Any:
    """Parsed JSON, or None where there is none; whether that is an error is the caller's to say."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None


def _is_data(folder: Path) -> bool:
    raw = _peek(folder / "manifest.json")
    return isinstance(raw, dict) and raw.get("kind") == DATA_KIND
