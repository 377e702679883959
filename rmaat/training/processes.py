"""One process or several: which device each has, and what they tell each other.

Started alone, a run is one process. `torchrun` and `accelerate launch` start several; `accelerate` then makes the
process group and says which device is whose. Every process has the whole data folder and sees its share of each batch,
so the batch, its order and the loss are those of one process.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, distributed, nn

from astro_sim.common.errors import InputError, brief, quoted, require_known
from rmaat.settings import Device


def started_processes() -> int:
    """How many ``torchrun`` or ``accelerate launch`` have started, this one among them."""
    given = os.environ.get("WORLD_SIZE", "1")
    if not (given.isascii() and given.isdigit()):
        raise InputError(f"WORLD_SIZE: expected a whole number, as torchrun sets it, got {quoted(given)}")
    return int(given)


class Processes:
    """This process among the others.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}

    Attributes
    ----------
    rank, count : int
    device : torch.device

    Raises
    ------
    InputError
        A GPU is asked for and there is none.
    """

    def __init__(self, device: str) -> None:
        self.rank, self.count = 0, 1
        self.device: torch.device = device_of(device)
        if started_processes() > 1:
            from accelerate import PartialState

            try:
                state = PartialState(cpu=self.device.type == "cpu")
            except ValueError as error:
                raise InputError(
                    f"the variables of torchrun in the environment do not fit together ({brief(error)}); start it with "
                    "torchrun, or remove them"
                ) from None
            assert state.device is not None
            self.rank, self.count, self.device = state.process_index, state.num_processes, torch.device(state.device)
        self._sharded = False

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def share(self, network: nn.Module, how: str, unused: bool = False) -> nn.Module:
        """What to call in training so that gradients are those of all processes.

        Parameters
        ----------
        network : Model
            With "fsdp" its parameters are sharded in place, and gathered once a step, for all segments and their
            replays. Sharded block by block they would be gathered for every segment, which processes have not equally
            many of.
        how : {"ddp", "fsdp"}
        unused : bool
            Whether some parameters may have no gradient in a step.
        """
        if self.count == 1:
            return network
        if how == "ddp":
            from torch.nn.parallel import DistributedDataParallel

            where = [self.device.index] if self.device.type == "cuda" else None
            return DistributedDataParallel(network, where, find_unused_parameters=unused)
        from torch.distributed.fsdp import fully_shard

        self._sharded = True
        mesh = distributed.device_mesh.init_device_mesh(self.device.type, (self.count,))
        fully_shard(network, mesh=mesh, reshard_after_forward=False)
        return network

    @contextmanager
    def gradients(self, shared: Any, meet: bool) -> Iterator[None]:
        """Whether gradients of this part of a batch meet those of the other processes, or wait for the next part's."""
        if self._sharded:
            shared.set_requires_gradient_sync(meet)
        if meet or self._sharded or self.count == 1:
            yield
        else:
            with shared.no_sync():
                yield

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sums over the processes."""
        if self.count == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor)
        return tensor.tolist()

    def largest(self, value: int) -> int:
        """The largest of what the processes say."""
        return max(map(int, self.gather(torch.tensor([value]))))

    def gather(self, value: Tensor) -> list[Tensor]:
        """A tensor of every process, on the CPU."""
        if self.count == 1:
            return [value.cpu()]
        here = value.to(self.device)
        everywhere = [torch.empty_like(here) for _ in range(self.count)]
        distributed.all_gather(everywhere, here)
        return [tensor.cpu() for tensor in everywhere]

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()


def device_of(name: str) -> torch.device:
    """The device that a setting names."""
    require_known("device", name, get_args(Device))
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device: 'cuda' is not available here; expected cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def denormals_dropped() -> Iterator[None]:
    """Arithmetic on a CPU that takes what is too small for a normal number, in float32 below 1.2e-38, for 0.

    It is many times slower with such numbers, and where a sigmoid saturates gradients are full of them. This holds in
    the present thread and in those that torch starts from it, which keep to it; so before torch computes anything.
    """
    _ = np.finfo(np.float32), np.finfo(np.float64)  # looked up once; later they would warn that the smallest is 0
    before = _drops_denormals()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _drops_denormals() -> bool:
    return (torch.tensor([1e-20]) * 1e-20).item() == 0.0
