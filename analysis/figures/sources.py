"""What a figure is drawn from: the paths that were given, or without any the project's own results and defaults."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from analysis.collect import Inputs, collect
from astro_sim.common.errors import InputError
from astro_sim.common.files import read_json
from astro_sim.dataset import settings_of
from bridge.laws import Laws
from rmaat.records import RunRecord

RESULTS = Path(__file__).resolve().parents[2] / "results"  # of a checkout
MAKES = {"lra": "rmaat reproduce lra", "ablations": "rmaat reproduce ablations"}  # others: rmaat bench NAME

# table -> what every row must have
RUNS = ("task", "name", "state", "accuracy")
KEYS: dict[str, tuple[str, ...]] = {
    "lra": (*RUNS, "model"),
    "ablations": (*RUNS, "examples"),
    "amrb-memory": ("segments", "bptt_mb", "amrb_mb"),
    "model": ("model", "backward"),
    "recall": ("training", "rule", "seed", "T", "accuracy", "at 2 T", "at 4 T"),
}

Simulate = Callable[..., xr.Dataset]
Pictures = Callable[[], tuple[NDArray[np.uint8], NDArray[np.int64]]]


class Sources:
    """Finds what a figure asks for.

    Parameters
    ----------
    paths : sequence of path
        Datasets, laws, run folders, folders of these, and tables of results (JSON with rows). Where any are given,
        nothing else is used. Where none are, laws and tables are those of the checkout, and datasets are simulated.
    simulate : callable, optional
        ``(experiment, model, **settings) -> xarray.Dataset``; nothing is simulated without.
    pictures : callable, optional
        ``() -> (pictures, labels)`` of Pathfinder.

    Raises
    ------
    InputError
        A path that does not exist or is of no known kind, or a broken file.

    Attributes
    ----------
    used : list of str
        What was handed out so far: paths, the project's own files, what was simulated.
    """

    def __init__(
        self, paths: Sequence[str | Path] = (), simulate: Simulate | None = None, pictures: Pictures | None = None
    ) -> None:
        self._given = bool(paths)
        self._inputs = collect(paths) if paths else Inputs()
        self._tables = {table.path.stem: table for table in self._inputs.tables}
        self._simulate, self._pictures = simulate, pictures
        self.used: list[str] = []

    @property
    def given(self) -> list[xr.Dataset]:
        """All datasets given."""
        self.used += [str(dataset.path) for dataset in self._inputs.datasets]
        return [dataset.data for dataset in self._inputs.datasets]

    def dataset(
        self, experiment: str, model: str = "macro", having: Mapping[str, Any] | None = None, **settings: Any
    ) -> xr.Dataset:
        """The first dataset given of an experiment and model ``having`` these settings.

        Where no path was given it is simulated, with ``settings`` over the defaults.
        """
        for dataset in self._inputs.of(experiment):
            own = settings_of(dataset.data)
            if dataset.model == model and all(own.get(name) == value for name, value in (having or {}).items()):
                self.used.append(str(dataset.path))
                return dataset.data
        if self._given or self._simulate is None:
            changed = "".join(f" --set {name}={value}" for name, value in settings.items())
            where = f" --model {model}" if model != "macro" else ""
            self._lacks(f"{experiment} dataset ({model} model)", f"rmaat simulate {experiment}{where}{changed}")
        changed = "".join(f", {name}={value}" for name, value in settings.items())
        self.used.append(f"{experiment}, simulated ({model} model{changed})")
        return self._simulate(experiment, model, **settings)

    def laws(self) -> Laws:
        """The first laws given; those of the checkout where no path was given."""
        if self._inputs.laws:
            self.used.append(str(self._inputs.laws[0].path))
            return self._inputs.laws[0].laws
        if self._given or not (RESULTS / "laws.json").is_file():
            self._lacks("laws file", "rmaat fit ltp.nc --out laws.json")
        return Laws.load(self._own("laws.json"))

    def runs(self, needed: bool = True) -> list[RunRecord]:
        """All runs given."""
        if needed and not self._inputs.runs:
            self._lacks("run folder", "rmaat train, then rmaat inspect RUN")
        self.used += [str(run.path) for run in self._inputs.runs]
        return self._inputs.runs

    def rows(self, table: str, needed: bool = True) -> list[dict[str, Any]]:
        """Rows of the table ``NAME.json``: given, or the checkout's; each must have its ``KEYS``."""
        # One alone may have a name of its own.
        name = table if table in self._tables or len(self._tables) != 1 else next(iter(self._tables))
        if name in self._tables:
            found = self._tables[name]
            for number, row in enumerate(found.rows, start=1):
                if missing := [key for key in KEYS[table] if key not in row]:
                    raise InputError(f"figure: {name}.json, row {number}: expected {missing[0]!r}, of a table {table}")
            self.used.append(str(found.path))
            return found.rows
        if not self._given and (RESULTS / f"{table}.json").is_file():
            return read_json(self._own(f"{table}.json"), "table of results")["rows"]
        if needed:
            self._lacks(f"table {table}.json", MAKES.get(table, f"rmaat bench {table} --out DIR"))
        return []

    def pictures(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Pictures of Pathfinder and their labels."""
        if self._pictures is None:
            self._lacks("picture of Pathfinder", "rmaat figure pathfinder")
        self.used.append("generated pictures")
        return self._pictures()

    def _own(self, name: str) -> Path:
        """A file of the project's own results."""
        self.used.append(f"the project's own {RESULTS.name}/{name}")
        return RESULTS / name

    def _lacks(self, what: str, command: str) -> NoReturn:
        if swept := [str(sweep.path) for sweep in self._inputs.sweeps]:
            told = f"{', '.join(swept)}: a sweep, of which a figure draws one point: astro_sim.select gives it"
            raise InputError(f"figure: no {what} among the given paths ({told})")
        where = "among the given paths" if self._given else "at hand"
        raise InputError(f"figure: no {what} {where}; make one with: {command}")
