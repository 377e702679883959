"""Astrocytic Memory Replay Back-propagation (AMRB), for any module of the form (memory, segment) -> (memory, output).

The forward pass keeps, of every segment, only what went into it: the memory and references to the segment's inputs.
The backward pass goes from the last segment to the first, runs each again from its stored memory with gradients on,
and hands the gradient of the memory on. In today's terms this is recomputation at segment boundaries, and it is done
with the standard means for it, `torch.utils.checkpoint` without re-entrance: the random state is restored before a
replay, so dropout draws the same masks, and the gradients are those of full back-propagation through time. So are the
buffers that a step changes, as BatchNorm does in training, and afterwards they are what the forward pass left. (Not
restored are generators of one's own, those of Python and NumPy, and what else a step changes outside of itself.)

A budget lies between the two: the ``keep`` most recent segments keep their activations, the others are replayed. With
0 every segment is replayed, with T none is; `affordable` finds the largest number that a memory limit allows.

>>> memory, outputs = run_segments(step, memory, segments, keep=2)
>>> memory, outputs = run_segments(step, memory, segments, keep=affordable(step, memory, segments, megabytes=200))

Source: RMAAT (arXiv 2601.00426).
"""

import inspect
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from types import CellType
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only
from torch.utils.checkpoint import checkpoint

from astro_sim.common.errors import InputError, brief
from bridge.constants import Constants

Backward = Literal["amrb", "bptt", "truncated"]
Memory = Any  # a tensor, or tensors in tuples, lists and dicts
Step = Callable[..., tuple[Memory, Any]]
Saved = dict[tuple[nn.Module, str], Tensor]

EMPTY = CellType()  # of a name that has no value yet
RESERVE = 0.5  # of what a segment keeps: for what operators of the backward pass hold for a moment


def run_segments(
    step: Step,
    memory: Memory,
    segments: Sequence[tuple[Any, ...]],
    backward: Backward = "amrb",
    keep: int = 1,
    truncate_after: int = 1,
    draws: bool = True,
) -> tuple[Memory, list[Any]]:
    """Carry a memory through segments.

    Parameters
    ----------
    step : callable
        ``step(memory, *segment) -> (memory, output)``. Inputs that need gradients must be arguments or parameters.
        What varies from segment to segment should be a tensor: a Python number would recompile a compiled step.
        Outputs stay in memory until the backward pass, so they should be small: a few numbers a row, not the tokens.
    memory : Tensor, or tensors in tuples, lists and dicts
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
    memory : as given
        mem_{T+1}.
    outputs : list
        One a segment.

    Raises
    ------
    InputError
        Another ``backward``, a negative ``keep``, a ``truncate_after`` below 1, segments that are no tuples, a step
        that does not return two things, or one that draws though ``draws`` says that it does not.
    """
    if backward not in ("amrb", "bptt", "truncated"):
        raise InputError(f"backward: expected 'amrb', 'bptt' or 'truncated', got {brief(backward)!r}")
    if not (isinstance(keep, int) and isinstance(truncate_after, int) and keep >= 0 and truncate_after >= 1):
        raise InputError(
            f"expected keep from 0 and truncate_after from 1, got {brief(keep)} and {brief(truncate_after)}"
        )
    if isinstance(segments, Tensor) or not all(isinstance(segment, tuple | list) for segment in segments):
        raise InputError("segments: expected a tuple of arguments for each, (x,) where there is one")
    outputs = []
    replayed = len(segments) - keep if backward == "amrb" and torch.is_grad_enabled() else 0
    replay = _Replay(step, draws)
    for t, segment in enumerate(segments):
        if backward == "truncated" and t > 0 and t % truncate_after == 0:
            memory = tree_map_only(Tensor, Tensor.detach, memory)
        found = replay(memory, segment) if t < replayed else step(memory, *segment)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise InputError(f"step: expected a memory and an output in return, got {type(found).__name__}")
        memory, output = found
        outputs.append(output)
    return memory, outputs


class _Replay:
    """Runs segments such that the backward pass runs them again, from the random state and the buffers of then."""

    def __init__(self, step: Step, draws: bool) -> None:
        self.step, self.draws = step, draws
        self._buffers: Saved | None = None  # those that the step changes; not known before the first segment

    def __call__(self, memory: Memory, segment: Sequence[Any]) -> tuple[Memory, Any]:
        then = {key: value.clone() for key, value in self._buffers_now().items()}
        around: dict[str, Any] = {"context_fn": lambda: (nullcontext(), _with_buffers(then))} if then else {}
        state = None if self.draws or torch.compiler.is_compiling() else _random_state(memory)
        found = checkpoint(self.step, memory, *segment, use_reentrant=False, preserve_rng_state=self.draws, **around)
        if state is not None and any(not torch.equal(a, b) for a, b in zip(state, _random_state(memory), strict=True)):
            raise InputError("draws: the step draws random numbers (dropout in training?); expected draws=True")
        if self._buffers is None:
            self._buffers = {
                key: then[key] for key, now in self._buffers_now().items() if not torch.equal(then[key], now)
            }
        for key in then.keys() - self._buffers.keys():
            del then[key]
        return found

    def _buffers_now(self) -> Saved:
        if self._buffers is None:
            return _changeable(self.step)
        return {(part, name): part.get_buffer(name) for part, name in self._buffers}


def _changeable(step: Step) -> Saved:
    """Buffers that a step may change: those of its modules in training, but for constants."""
    parts = [part for module in _modules(step) for part in module.modules()]
    return {
        (part, name): value
        for part in parts
        if part.training and not isinstance(part, Constants)
        for name, value in part.named_buffers(recurse=False)
    }


def _modules(step: Any, depth: int = 3) -> list[nn.Module]:
    """Modules that a step is, belongs to, or names, as far as that can be seen from outside."""
    if isinstance(step, nn.Module):
        return [step]
    if not depth:
        return []
    inside: list[Any] = []
    if isinstance(step, partial):
        inside = [step.func, *step.args, *step.keywords.values()]
    elif inspect.ismethod(step):
        owner = step.__self__
        inside = [owner] if isinstance(owner, nn.Module) else [owner, step.__func__]
    elif inspect.isfunction(step):
        named = (step.__globals__.get(name) for name in step.__code__.co_names)
        held = (cell.cell_contents for cell in step.__closure__ or () if cell != EMPTY)
        inside = [*(each for each in named if not inspect.ismodule(each)), *held]
    elif isinstance(step, list | tuple):
        inside = list(step)
    elif isinstance(step, dict):
        inside = list(step.values())
    elif not isinstance(step, type | Tensor) and hasattr(step, "__dict__"):
        inside = list(vars(step).values())
    return list(dict.fromkeys(module for each in inside for module in _modules(each, depth - 1)))


@contextmanager
def _with_buffers(values: Saved) -> Iterator[None]:
    """Modules with other buffers; afterwards they have their own again, untouched."""
    own = {(part, name): part.get_buffer(name) for part, name in values}
    try:
        for (part, name), value in values.items():
            part._buffers[name] = value.clone()
        yield
    finally:
        for (part, name), value in own.items():
            part._buffers[name] = value


def _random_state(memory: Memory) -> list[Tensor]:
    """Of the CPU, and of the GPUs that a memory is on; no device is waited for."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in _gpus(memory))]


def _gpus(memory: Memory) -> list[torch.device]:
    return list({leaf.device: None for leaf in tree_leaves(memory) if isinstance(leaf, Tensor) and leaf.is_cuda})


def bytes_kept(step: Step, memory: Memory, segment: tuple[Any, ...]) -> int:
    """Bytes that one segment keeps for its backward pass, found by running it once.

    Random state and buffers stay as they were. Counted is every storage that autograd saves, once, but for parameters
    of the modules that ``step`` belongs to or names, and what was there before.
    """
    known = {_storage(tensor) for tensor in tree_leaves((memory, *segment)) if isinstance(tensor, Tensor)}
    for module in _modules(step):
        known |= {_storage(tensor) for tensor in (*module.parameters(), *module.buffers())}
    sizes: dict[int, int] = {}
    alive = []  # storages must not be freed and reused while they are counted

    def count(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in known:
            sizes[_storage(tensor)] = tensor.untyped_storage().nbytes()
            alive.append(tensor)
        return tensor

    def leaf(tensor: Tensor) -> Tensor:
        return tensor.detach().requires_grad_(tensor.is_floating_point() or tensor.is_complex())

    with (
        torch.random.fork_rng(_gpus(memory)),
        _with_buffers(_changeable(step)),
        torch.enable_grad(),
        saved_tensors_hooks(count, lambda tensor: tensor),
    ):
        step(tree_map_only(Tensor, leaf, memory), *segment)
    return sum(sizes.values())


def kinds(segments: Sequence[tuple[Any, ...]]) -> dict[Any, int]:
    """One segment of each kind: they keep the same where shapes agree and the same arguments are left out."""
    found: dict[Any, int] = {}
    for t, segment in enumerate(segments):
        leaves, layout = tree_flatten(segment)
        found.setdefault((str(layout), tuple(map(_kind, leaves))), t)
    return found


def _kind(leaf: Any) -> Hashable:
    if isinstance(leaf, Tensor):
        return leaf.shape, leaf.dtype
    return leaf if isinstance(leaf, Hashable) else type(leaf)


def affordable(step: Step, memory: Memory, segments: Sequence[tuple[Any, ...]], megabytes: float) -> int:
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
        A limit that is no number above 0, or below what replaying every segment takes.
    """
    if not isinstance(megabytes, int | float) or not megabytes > 0:
        raise InputError(f"megabytes: expected a number above 0, got {brief(megabytes)}")
    one = max((bytes_kept(step, memory, segments[t]) for t in kinds(segments).values()), default=0)
    if one == 0:
        return len(segments)
    stored = len(segments) * sum(leaf.nbytes for leaf in tree_leaves(memory) if isinstance(leaf, Tensor))
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
