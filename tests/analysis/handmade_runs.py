"""Run folders and tables of results by hand, with numbers that are known."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.records import Run
from rmaat.settings import LawSettings, TrainSettings

SETTINGS: dict[str, Any] = {"steps": 400, "batch": 32, "learning_rate": 2e-3, "device": "cpu", "log_every": 10}
MODEL: dict[str, Any] = {"width": 64, "depth": 2, "vocabulary": 16, "classes": 10}
DATA: dict[str, Any] = {
    "path": "data/listops", "digest": "d" * 64, "content": "generated", "origin": "converted",
    "train": 24_000, "valid": 1000, "test": 2000, "longest": 1999, "segments": 16,
}  # fmt: skip
EVALUATION: dict[str, Any] = {
    "split": "test", "accuracy": 0.3215, "loss": 1.77, "examples": 2000, "majority": 0.1695, "first_symbol": 0.315,
    "step": 400, "data_digest": "d" * 64,
}  # fmt: skip
DIAGNOSTICS: dict[str, Any] = {
    "schema_version": 1, "split": "test", "examples": 16, "data_digest": "d" * 64,
    "influence": [0.03, 0.1, 0.4, 1.0],
    "memory_norm": [2.0, 2.5, 2.25, 2.125],
    "first": [
        {"T": 1, "measured": 1.0, "direct": 1.0},
        {"T": 2, "measured": 0.5, "direct": 0.25},
        {"T": 4, "measured": 0.125, "direct": 0.0625},
    ],
}  # fmt: skip


def write(
    folder: Path, model: str = "rmaat", seed: int = 0, right: Any = None, accuracy: float = 0.5, examples: int = 200,
    bits: float | None = None, evaluated: bool = True, finished: bool = True, data: str = "d" * 64,
    asked: dict[str, Any] | None = None, built: dict[str, Any] | None = None, settings: dict[str, Any] | None = None,
    law_settings: dict[str, Any] | None = None, laws: Laws | None = None, evaluation: dict[str, Any] | None = None,
    diagnostics: dict[str, Any] | None = None, logged: int = 0, **changes: Any,
) -> Path:  # fmt: skip
    """A run folder; ``changes`` replace fields of run.json.

    ``right``: which examples it has right, and leaves predictions; ``data``: their digest; ``asked`` and ``built``:
    settings of the model over `MODEL`; ``logged``: steps in the metrics, every 100th with a validation.
    """
    config = {**MODEL, **(asked or {})}
    run = Run(
        task="listops", model=model, settings=TrainSettings(**{**SETTINGS, "seed": seed, **(settings or {})}),
        laws=LawSettings(**(law_settings or {})), model_settings=RMAATConfig(**config),
        config=RMAATConfig(**{**config, "memory_rule": config.get("memory_rule") or "none", **(built or {})}),
        without_effect=[], data={**DATA, "digest": data}, laws_digest="a" * 64 if laws is None else laws.digest,
        parameters=123_456, position_parameters=8_192, init_from=None, commit="c" * 40, versions={"rmaat": "0.1.0"},
        machine={"cpu": "a cpu", "cores": "2"}, sittings=[],
    )  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({**run.dump(), **changes}))
    if laws is not None:
        laws.save(folder / "laws.json")
    rows = []
    for step in range(1, logged + 1):
        rows.append({"split": "train", "step": step, "loss": 2.3 - step / 5000, "accuracy": 0.2, "seconds": 0.1})
        if step % 100 == 0:
            rows.append({"split": "valid", "step": step, "loss": 2.2, "accuracy": 0.25, "seconds": 0.1})
    if rows:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if right is not None:
        answers = np.asarray(right, dtype=bool)
        accuracy, examples = float(answers.mean()), len(answers)
        labels = np.arange(len(answers)) % 10
        np.save(folder / "predictions.npy", np.stack([np.where(answers, labels, 10), labels]).astype(np.uint8))
    if finished:
        (folder / "model.safetensors").write_bytes(b"")
    if finished and evaluated:
        told = {**EVALUATION, "accuracy": accuracy, "examples": examples, "bits_per_token": bits}
        (folder / "evaluation.json").write_text(json.dumps(evaluation or told))
    if diagnostics is not None:
        (folder / "diagnostics.json").write_text(json.dumps(diagnostics))
    return folder


def row(name: str, seed: int, accuracy: float | None, model: str = "rmaat", **changes: Any) -> dict[str, Any]:
    """A row of a table of `rmaat reproduce`."""
    made = {
        "task": "listops", "name": name, "model": model, "seed": seed, "state": "finished", "asked": {"seed": seed},
        "settings": {**SETTINGS, **MODEL, "seed": seed}, "laws_digest": "a" * 64, "data": {"digest": "d" * 64},
        "accuracy": accuracy, "examples": 2000, "commit": "c" * 40,
    }  # fmt: skip
    return {**made, **changes}


def table(path: Path, *rows: dict[str, Any]) -> Path:
    """A table of `rmaat reproduce`."""
    path.write_text(json.dumps({"schema_version": 1, "what": "lra small", "rows": list(rows)}))
    return path
