"""Astrocytic Memory Replay Back-propagation (AMRB), for any module of the form (memory, segment) -> (memory, output).

The forward pass keeps, of every segment, only what went into it: the memory and references to the segment's inputs.
The backward pass goes from the last segment to the first, runs each again from its stored memory with gradients on,
and hands the gradient of the memory on. In today's terms this is recomputation at segment boundaries, and it is done
with the standard means for it, `torch.utils.checkpoint` without re-entrance: the random state is restored before a
replay, so dropout draws the same masks, and the gradients are those of full back-propagation through time.

Source: RMAAT (arXiv 2601.00426).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Backward = Literal["amrb", "bptt", "truncated"]
Step = Callable[..., tuple[Tensor, Tensor]]


def run_segments(
    step: Step,
    memory: Tensor,
    segments: Sequence[tuple[Any, ...]],
    backward: Backward = "amrb",
    keep: int = 1,
) -> tuple[Tensor, list[Tensor]]:
    """Carry a memory through segments.

    Parameters
    ----------
    step : callable
        ``step(memory, *segment) -> (memory, output)``. Inputs that need gradients must be arguments or parameters.
        What varies from segment to segment should be a tensor: a Python number would recompile a compiled step.
    memory : Tensor
        mem_1.
    segments : sequence of tuple
        Arguments of each step after the memory.
    backward : {"amrb", "bptt", "truncated"}
        Replay segments, keep all their activations, or also cut the gradient between segments.
    keep : int
        AMRB: the ``keep`` most recent segments keep their activations; the others are replayed. The last one's are
        needed at once, so 1 costs no more memory than 0.

    Returns
    -------
    memory : Tensor
        mem_{T+1}.
    outputs : list of Tensor
        One a segment.
    """
    outputs = []
    replayed = len(segments) - keep if backward == "amrb" and torch.is_grad_enabled() else 0
    for t, segment in enumerate(segments):
        if backward == "truncated" and t > 0:
            memory = memory.detach()
        if t < replayed:
            memory, output = checkpoint(step, memory, *segment, use_reentrant=False, preserve_rng_state=True)
        else:
            memory, output = step(memory, *segment)
        outputs.append(output)
    return memory, outputs
