"""Astrocytic Memory Replay Back-propagation (AMRB), for any module of the form (memory, segment) -> (memory, output).

The forward pass keeps, of every segment, only what went into it: the memory and references to the segment's inputs.
The backward pass goes from the last segment to the first, runs each again from its stored memory with gradients on,
and hands the gradient of the memory on. In today's terms this is recomputation at segment boundaries, and it is done
with the standard means for it, `torch.utils.checkpoint` without re-entrance: the random state is restored before a
replay, so dropout draws the same masks, and the gradients are those of full back-propagation through time.

A budget lies between the two: the ``keep`` most recent segments keep their activations, the others are replayed. With
0 every segment is replayed, with T none is; `affordable` finds the largest number that a memory limit allows.

>>> memory, outputs = run_segments(step, memory, segments, keep=2)
>>> memory, outputs = run_segments(step, memory, segments, keep=affordable(step, memory, segments, megabytes=200))

Source: RMAAT (arXiv 2601.00426).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from astro_sim.common.errors import InputError

Backward = Literal["amrb", "bptt", "truncated"]
Step = Callable[..., tuple[Tensor, Tensor]]

RESERVE = 0.5  # of what a segment keeps: for what operators of the backward pass hold for a moment


def run_segments(
    step: Step,
    memory: Tensor,
    segments: Sequence[tuple[Any, ...]],
    backward: Backward = "amrb",
    keep: int = 1,
    truncate_after: int = 1,
    draws: bool = True,
) -> tuple[Tensor, list[Tensor]]:
    """Carry a memory through segments.

    Parameters
    ----------
    step : callable
        ``step(memory, *segment) -> (memory, output)``. Inputs that need gradients must be arguments or parameters.
        What varies from segment to segment should be a tensor: a Python number would recompile a compiled step.
        Outputs stay in memory until the backward pass, so they should be small: a few numbers a row, not the tokens.
    memory : Tensor
        mem_1.
    segments : sequence of tuple
        Arguments of each step after the memory.
    backward : {"amrb", "bptt", "truncated"}
        Replay segments, keep all their activations, or also cut the gradient between segments.
    keep : int
        AMRB: the ``keep`` most recent segments keep their activations; the others are replayed. The last one's are
        needed at once, so 1 costs no more memory than 0.
    truncate_after : int
        Truncated: the gradient is cut each time so many segments have passed.
    draws : bool
        AMRB: whether the step draws random numbers. If not, their state (5 kB a segment) need not be kept.

    Returns
    -------
    memory : Tensor
        mem_{T+1}.
    outputs : list of Tensor
        One a segment.

    Raises
    ------
    InputError
        Another ``backward``, a negative ``keep``, a ``truncate_after`` below 1.
    """
    if backward not in ("amrb", "bptt", "truncated"):
        raise InputError(f"backward: expected 'amrb', 'bptt' or 'truncated', got {backward!r}")
    if keep < 0 or truncate_after < 1:
        raise InputError(f"expected keep from 0 and truncate_after from 1, got {keep} and {truncate_after}")
    outputs = []
    replayed = len(segments) - keep if backward == "amrb" and torch.is_grad_enabled() else 0
    for t, segment in enumerate(segments):
        if backward == "truncated" and t > 0 and t % truncate_after == 0:
            memory = memory.detach()
        if t < replayed:
            memory, output = checkpoint(step, memory, *segment, use_reentrant=False, preserve_rng_state=draws)
        else:
            memory, output = step(memory, *segment)
        outputs.append(output)
    return memory, outputs


def bytes_kept(step: Step, memory: Tensor, segment: tuple[Any, ...]) -> int:
    """Bytes that one segment keeps for its backward pass, found by running it once; the random state stays as it was.

    Counted is every storage that autograd saves, once, but for parameters of the module that ``step`` belongs to, and
    what was there before.
    """
    owner = getattr(step, "__self__", step)
    known = {_storage(tensor) for tensor in (memory, *segment) if isinstance(tensor, Tensor)}
    if isinstance(owner, nn.Module):
        known |= {_storage(tensor) for tensor in (*owner.parameters(), *owner.buffers())}
    sizes: dict[int, int] = {}
    alive = []  # storages must not be freed and reused while they are counted

    def count(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in known:
            sizes[_storage(tensor)] = tensor.untyped_storage().nbytes()
            alive.append(tensor)
        return tensor

    devices = [memory.device] if memory.is_cuda else []
    with torch.random.fork_rng(devices), torch.enable_grad(), saved_tensors_hooks(count, lambda tensor: tensor):
        step(memory.detach().requires_grad_(), *segment)
    return sum(sizes.values())


def kinds(segments: Sequence[tuple[Any, ...]]) -> dict[Any, int]:
    """One segment of each kind: they keep the same where shapes agree and the same arguments are left out."""
    found: dict[Any, int] = {}
    for t, segment in enumerate(segments):
        found.setdefault(tuple((x.shape, x.dtype) if isinstance(x, Tensor) else x for x in segment), t)
    return found


def affordable(step: Step, memory: Tensor, segments: Sequence[tuple[Any, ...]], megabytes: float) -> int:
    """The largest number of segments that may keep their activations within a limit (``keep`` of `run_segments`).

    Counted are the activations of kept segments, those of the one that is replayed at a time, the stored memories, and
    a reserve of half a segment for what the backward pass holds for a moment; gradients of the parameters are not.

    Parameters
    ----------
    step, memory, segments
        As for `run_segments`. One segment of each kind (`kinds`) is run once to be measured.
    megabytes : float
        10^6 bytes.

    Raises
    ------
    InputError
        A limit below what replaying every segment takes.
    """
    one = max((bytes_kept(step, memory, segments[t]) for t in kinds(segments).values()), default=0)
    if one == 0:
        return len(segments)
    stored = len(segments) * memory.numel() * memory.element_size()
    room = megabytes * 1e6 - stored - RESERVE * one
    if room < one:
        least = math.ceil((stored + (1 + RESERVE) * one) / 1e5) / 10
        raise InputError(
            f"replay_mb: expected at least {least} for segments of this size (all replayed), got {megabytes:g}"
        )
    # Before the backward pass reaches a segment that is replayed, it has let go of all that were kept.
    return int(min(len(segments), room // one))


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
