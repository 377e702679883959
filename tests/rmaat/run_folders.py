"""Small runs, and what tests ask of their folders: whether two ended alike."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from rmaat.records import WEIGHTS, read_run

# A model and a run that end within a second.
TINY = {
    "width": 8, "heads": 2, "depth": 1, "feedforward": 8, "segment_length": 16, "memory_tokens": 2, "batch": 8,
    "device": "cpu",
}  # fmt: skip
# Twelve steps, of which 4, 8 and 12 leave a checkpoint.
TWELVE = {**TINY, "steps": 12, "warmup": 3, "log_every": 3, "validate_every": 6, "checkpoint_every": 4}
CLOCKS = ("seconds", "waited", "memory_mb")  # what differs between two runs of the same


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / WEIGHTS)


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def same_weights(one: Path, other: Path) -> bool:
    return same(weights(one), weights(other))


def without_clock(run: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in CLOCKS} for row in read_run(run).metrics]


def files(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def assignments(settings: Mapping[str, Any]) -> list[str]:
    """The words of a command that sets these."""
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
