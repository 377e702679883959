"""What a tensor that is handed over must be. Types and shapes alone are looked at: no device is waited for."""

from typing import Any

import torch
from torch import Tensor

from astro_sim.common.errors import InputError


def kind_of(value: Any) -> str:
    """Type and shape of a tensor, the type of anything else; for messages."""
    return f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def refuse_tracing() -> None:
    """Raise `InputError` inside of `torch.jit.trace`.

    A trace keeps numbers of its example that are no tensors to it, the count of rows among them: it would be wrong at
    every other length, and say nothing.
    """
    if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        raise InputError("torch.jit.trace: would be right at the length of its example alone; expected torch.compile")


def require_mask(mask: Any, batch: int, rows: int) -> None:
    """Raise `InputError` unless a mask is None, or of bool with an entry a row."""
    if mask is None:
        return
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != (batch, rows):
        raise InputError(f"mask: expected torch.bool of shape ({batch}, {rows}), got {kind_of(mask)}")


def require_counts(least: int, **values: Any) -> None:
    """Raise `InputError` unless all are whole numbers from ``least``."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"{name}: expected a whole number from {least}, got {value!r}")
