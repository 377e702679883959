"""Buffers of a module that follow from its settings alone. Needs torch and nothing else."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn


class Constants(nn.Module):
    """A module with buffers that follow from its settings alone, and so stand in no file.

    They keep their values and their precision whatever is done to the module: made on the meta device and brought to
    another one, changed in precision, moved, copied, pickled, or loaded tensor by tensor.
    """

    def constants(self) -> dict[str, Tensor]:
        """Values of the buffers by name, made anew on the CPU."""
        raise NotImplementedError

    def register_constants(self) -> None:
        """Make the buffers where tensors are made now; the settings must be there already."""
        here = torch.empty(0).device  # the default one, or that of a `with torch.device(...)`
        for name, value in self._values_on(here).items():
            self.register_buffer(name, value, persistent=False)

    def restore(self, device: torch.device) -> None:
        """Give every buffer its value, on this device."""
        for name, value in self._values_on(device).items():
            self._buffers[name] = value

    def _values_on(self, device: torch.device) -> dict[str, Tensor]:
        with torch.device("cpu"):  # on the meta device, or with another default, there would be no values
            return {name: value.to(device) for name, value in self.constants().items()}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What `to`, `half`, `to_empty` and their like go through; it may change device, and nothing else."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        if changed := [now for name, now in self._buffers.items() if now is not None and now is not before[name]]:
            self.restore(changed[0].device)
        return self


def restore_constants(module: nn.Module, device: torch.device) -> None:
    """Give the constants of all parts of a module their values where a loader has left them without any."""
    for part in module.modules():
        if isinstance(part, Constants) and any(value.is_meta for value in part.buffers(recurse=False)):
            part.restore(device)
