"""How the retention law acts on the memory between segments.

    scale        mem_{t+1} = RetentionFactor(t, T) mem'_{t+1}                        the paper's rule; T in advance
    consolidate  mem_{t+1} = mem_t + (delta_t / F(t)) (mem'_{t+1} - mem_t)            ours; needs the past only
    none         mem_{t+1} = mem'_{t+1}

After T segments "consolidate" holds sum_i RetentionFactor(i, T) mem'_{i+1}: the paper's weights without their
normaliser in advance, since delta_t / F(t) = RetentionFactor(t, t). Source of the first: RMAAT (arXiv 2601.00426).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from astro_sim.common.errors import InputError
from bridge.torch import Retention


def require_laws(rule: str, retention: Retention | None) -> None:
    """Raise `InputError` for a rule that needs laws, without laws."""
    if rule != "none" and retention is None:
        raise InputError(f'memory_rule: {rule!r} needs laws; give some, or choose "none"')


def factors(rule: str, retention: Retention | None, totals: Sequence[int], segments: int) -> Tensor:
    """Factor of every example and segment.

    Parameters
    ----------
    rule : {"scale", "consolidate", "none"}
    retention : bridge.torch.Retention or None
        May be None for the rule "none" alone.
    totals : sequence of int
        T of every example: its segments that are not only padding.
    segments : int
        Segments of the batch.

    Returns
    -------
    Tensor, (batch, segments), float64
        1 beyond an example's T, where `update` changes nothing anyway. Differentiable where the laws are trainable.

    Raises
    ------
    InputError
        A rule that needs laws, without laws.
    """
    require_laws(rule, retention)
    if rule == "none" or retention is None:
        return torch.ones(len(totals), segments, dtype=torch.float64)
    return retention.table(rule, totals, segments)


def update(rule: str, memory: Tensor, written: Tensor, factor: Tensor, active: Tensor | None = None) -> Tensor:
    """Next memory from the present one and the segment's output.

    Parameters
    ----------
    rule : {"scale", "consolidate", "none"}
    memory, written : Tensor, (batch, memory rows, width)
        mem_t and mem'_{t+1}.
    factor : Tensor, (batch,)
    active : Tensor of bool, (batch,), optional
        False where the segment is only padding: the memory stays.

    Returns
    -------
    Tensor, (batch, memory rows, width)
        mem_{t+1}.
    """
    factor = factor[:, None, None].to(written.dtype)
    if rule == "scale":
        after = factor * written
    elif rule == "consolidate":
        after = memory + factor * (written - memory)
    else:
        after = written.clone()  # a view would keep all rows of its segment in memory
    return after if active is None else torch.where(active[:, None, None], after, memory)
