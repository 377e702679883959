"""What tests ask of run folders: whether two runs ended alike."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from rmaat.records import WEIGHTS, read_run

CLOCKS = ("seconds", "waited", "memory_mb")  # what differs between two runs of the same


def weights(run: Path) -> dict[str, Tensor]:
    return load_file(run / WEIGHTS)


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def same_weights(one: Path, other: Path) -> bool:
    return same(weights(one), weights(other))


def without_clock(run: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in CLOCKS} for row in read_run(run).metrics]
