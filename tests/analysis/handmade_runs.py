"""Run folders by hand, finished and evaluated, with predictions that are known; no laws file, which none here needs."""

import json
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS = {"steps": 400, "batch": 32, "learning_rate": 2e-3, "device": "cpu", "log_every": 10}
MODEL = {"width": 64, "depth": 2, "memory_rule": None, "vocabulary": 16, "classes": 10}


def write(
    folder: Path, model: str = "rmaat", seed: int = 0, right: Any = None, accuracy: float = 0.5, examples: int = 200,
    bits: float | None = None, evaluated: bool = True, finished: bool = True,
    data: str = "d" * 64, asked: dict[str, Any] | None = None, **changes: Any,
) -> Path:  # fmt: skip
    """A run; ``right``: which examples it has right, and leaves predictions; ``asked``: settings of the model."""
    folder.mkdir(parents=True)
    settings = {**MODEL, **(asked or {})}
    run = {
        "schema_version": 3, "task": "listops", "model": model, "settings": {**SETTINGS, "seed": seed},
        "laws": {"trainable": False, "perturbed": None, "factor": 2.0, "seed": 0}, "model_settings": settings,
        "model_config": {**settings, "memory_rule": settings["memory_rule"] or "none"}, "without_effect": [],
        "data": {"path": "data/listops", "digest": data},
        "laws_digest": "a" * 64, "commit": "c" * 40,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps({**run, **changes}))
    if finished:
        (folder / "model.safetensors").write_bytes(b"")
    if not evaluated:
        return folder
    if right is not None:
        answers = np.asarray(right, dtype=bool)
        accuracy, examples = float(answers.mean()), len(answers)
        labels = np.arange(examples) % 10
        np.save(folder / "predictions.npy", np.stack([np.where(answers, labels, 10), labels]).astype(np.uint8))
    result = {"split": "test", "accuracy": accuracy, "loss": 1.5, "examples": examples, "majority": 0.2, "step": 400}
    result |= {} if bits is None else {"bits_per_token": bits}
    (folder / "evaluation.json").write_text(json.dumps(result))
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
