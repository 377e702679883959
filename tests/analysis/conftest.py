"""One small set of everything the report shows, made once: datasets, laws, two runs."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import analysis
import astro_sim
from bridge.laws import Laws
from tests.analysis.handmade_runs import DIAGNOSTICS, EVALUATION, write


def _write_run(folder: Path, laws: Laws, /, evaluation: dict[str, Any] = EVALUATION, **changes: Any) -> Path:
    """A run of RMAAT that is told apart from others by what a test says."""
    asked = {"memory_rule": "consolidate", "max_length": 2048, **changes.pop("asked", {})}
    built = {"presynaptic_exponent": 0.25, **changes.pop("built", {})}
    about = {"seed": 3, "without_effect": ["max_length"], "logged": 3000, **changes}
    return write(folder, laws=laws, asked=asked, built=built, evaluation=evaluation, **about)


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    return _write_run


@pytest.fixture
def diagnostics() -> dict[str, Any]:
    """One set of diagnostics, for a test to change."""
    return copy.deepcopy(DIAGNOSTICS)


@pytest.fixture(scope="session")
def datasets(simulated) -> dict[str, xr.Dataset]:
    return {name: simulated(name) for name in ("stp", "ltp", "spatial", "frequency")}


@pytest.fixture(scope="session")
def laws(datasets: dict[str, xr.Dataset], fitted) -> Laws:
    return fitted(*(datasets[name] for name in ("ltp", "spatial", "frequency")))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, datasets: dict[str, xr.Dataset], laws: Laws) -> Path:
    """A folder with one of each, a data folder and clutter to be passed over. Tests must not write to it."""
    folder = tmp_path_factory.mktemp("made")
    for name, dataset in datasets.items():
        astro_sim.write(dataset, folder / f"{name}.nc")
    laws.save(folder / "laws.json")
    _write_run(folder / "runs" / "done", laws, diagnostics=DIAGNOSTICS)
    _write_run(folder / "runs" / "half", laws, finished=False)
    (folder / "data").mkdir()
    (folder / "data" / "broken.nc").write_bytes(b"not ours to read")
    (folder / "prepared").mkdir()
    (folder / "prepared" / "manifest.json").write_text('{"kind": "rmaat-data"}')
    (folder / "prepared" / "broken.nc").write_bytes(b"not ours to read")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "broken.nc").write_bytes(b"not ours to read")
    (folder / "notes.json").write_text('{"kind": "something else"}')
    (folder / "broken.json").write_text("{")
    return folder


@pytest.fixture(scope="session")
def page(made: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of everything."""
    out = tmp_path_factory.mktemp("page") / "report.html"
    analysis.build_report([made], out)
    return out.read_text(encoding="utf-8")
