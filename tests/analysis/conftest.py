"""One small set of everything the report shows, made once: datasets, laws, two runs."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import analysis
import astro_sim
from bridge.laws import Laws

RUN: dict[str, Any] = {
    "schema_version": 3,
    "task": "listops",
    "model": "rmaat",
    "settings": {"seed": 3, "steps": 400, "batch": 32, "learning_rate": 2e-3},
    "laws": {"trainable": False, "perturbed": None, "factor": 2.0, "seed": 0},
    "model_settings": {"width": 64, "memory_rule": "consolidate", "max_length": 2048},
    "model_config": {
        "width": 64,
        "depth": 2,
        "heads": 4,
        "segment_length": 128,
        "memory_tokens": 8,
        "memory_rule": "consolidate",
        "backward": "amrb",
        "presynaptic_exponent": 0.25,
        "spatial_decay": None,
    },
    "without_effect": ["max_length"],
    "data": {
        "path": "data/listops",
        "digest": "d" * 64,
        "train": 24_000,
        "valid": 1000,
        "test": 2000,
        "longest": 1999,
    },
    "parameters": 123_456,
    "position_parameters": 8_192,
    "versions": {"rmaat": "0.1.0", "torch": "2.13.0"},
    "machine": {"cpu": "a cpu", "cores": "2"},
}
EVALUATION = {
    "split": "test",
    "accuracy": 0.3215,
    "loss": 1.77,
    "examples": 2000,
    "majority": 0.1695,
    "first_symbol": 0.315,
    "step": 400,
}
DIAGNOSTICS: dict[str, Any] = {
    "schema_version": 1,
    "split": "test",
    "examples": 16,
    "data_digest": "d" * 64,
    "influence": [0.03, 0.1, 0.4, 1.0],
    "memory_norm": [2.0, 2.5, 2.25, 2.125],
    "first": [
        {"T": 1, "measured": 1.0, "direct": 1.0},
        {"T": 2, "measured": 0.5, "direct": 0.25},
        {"T": 4, "measured": 0.125, "direct": 0.0625},
    ],
}


def _write_run(
    folder: Path,
    laws: Laws,
    /,
    finished: bool = True,
    evaluation: dict[str, Any] = EVALUATION,
    diagnostics: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A run folder by hand; ``diagnostics`` as `rmaat inspect` leaves them, ``changes`` replace fields of run.json."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({**RUN, "laws_digest": laws.digest, **changes}))
    laws.save(folder / "laws.json")
    rows = []
    for step in range(1, 3001):
        rows.append({"split": "train", "step": step, "loss": 2.3 - step / 5000, "accuracy": 0.2, "seconds": 0.1})
        if step % 100 == 0:
            rows.append({"split": "valid", "step": step, "loss": 2.2, "accuracy": 0.25, "seconds": 0.1})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if finished:
        (folder / "model.safetensors").write_bytes(b"")
        (folder / "evaluation.json").write_text(json.dumps(evaluation))
    if diagnostics is not None:
        (folder / "diagnostics.json").write_text(json.dumps(diagnostics))
    return folder


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
