r"""Astromorphic attention: linear-time attention whose read is normalised by a presynaptic state.

One head, rows x_1 .. x_N (memory rows first, then tokens), mask w in {0, 1}, phi(x) = elu(x) + 1:

    k, q, v = W_K x, W_Q x, W_V x                    R: relative position, `RelativePosition`
    H   = sum_n w_n (phi(k_n) + phi(r_n)) v_n^T      write: Hebbian, neuron and astrocyte parts together
    g   = (sum_n w_n phi(k_n))^alpha                 presynaptic state
    C_n = phi(q_n) . g                               read: calcium response
    y_n = f phi(q_n) act(H / m) / C_n                0 where C_n = 0

with (m, f) = (N, N^alpha) for the normalisation "mean", where N counts the rows that the mask leaves, and (m_scale, 1)
for "paper"; act is the identity, or AT's sigmoid. The paper's literal form grows as N^(1 - alpha) with the length; the
mean form does not, and is the same thing at any fixed N up to a constant. Causal: all sums run over rows up to n.
Without the feedback factor P = 1 / C, y_n = phi(q_n) act(H / m).

Sources: RMAAT (arXiv 2601.00426), AT (arXiv 2312.10925). `astromorphic_reference` is this text as code.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rmaat.attention.features import feature_map, power, reciprocal, wide
from rmaat.attention.rule import Rule, factor_of, written
from rmaat.attention.scan import causal_read
from rmaat.checks import require_mask


class State(NamedTuple):
    """What causal attention carries from rows to later rows: of constant size."""

    h: Tensor  # sum of writes, (B, h, m, d_v)
    total: Tensor  # sum of phi(k), (B, h, 1, m)
    rows: int  # rows so far


def astromorphic(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    phi_r: Tensor | None,
    mask: Tensor | None,
    rule: Rule,
    causal: bool = False,
    chunk: int = 64,
) -> Tensor:
    """Astromorphic attention in time linear in the number of rows.

    Parameters
    ----------
    q, k : Tensor, (batch, heads, rows, m)
        When not causal, ``q`` may have other rows than ``k`` and ``v``.
    v : Tensor, (batch, heads, rows, d_v)
    phi_r : Tensor, (heads, rows, m), optional
        phi(R); None leaves H_astro out.
    mask : Tensor of bool, (batch, rows), optional
        Rows that exist; all by default. What other rows hold does not matter, NaN included.
    rule : Rule
    causal : bool
        Row n sees rows up to n.
    chunk : int
        Rows handled at once when causal.

    Returns
    -------
    Tensor, (batch, heads, rows, d_v)
        y, in float32 at least whatever the autocast. Rows outside the mask hold finite values without meaning.
    """
    rule.check(causal)
    if causal:
        return astromorphic_causal(q, k, v, phi_r, mask, rule, chunk)[0]
    with torch.autocast(q.device.type, enabled=False):
        q = wide(q)
        require_mask(mask, k.shape[0], k.shape[2])
        if mask is not None and q.shape[2] == k.shape[2]:
            q = torch.where(mask[:, None, :, None], q, 0.0)
        queries = feature_map(q)
        keys, write, v = written(k, v, phi_r, mask)
        count = float(k.shape[2]) if mask is None else mask.sum(1)[:, None, None, None].clamp(min=1).to(v.dtype)
        state = write.transpose(2, 3) @ v  # H: (B, h, m, d_v)
        if rule.sigmoid:
            divisor = rule.m_scale or count
            state = torch.sigmoid(state / divisor) * divisor
        factor = factor_of(rule, count)
        if rule.feedback:
            g = power(keys.sum(2, keepdim=True), rule.exponent)  # (B, h, 1, m)
            factor = factor * reciprocal(queries @ g.transpose(2, 3))  # (B, h, N, 1)
        return (queries @ state) * factor


def astromorphic_causal(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    phi_r: Tensor | None,
    mask: Tensor | None,
    rule: Rule,
    chunk: int = 64,
    state: State | None = None,
) -> tuple[Tensor, State]:
    """The causal form, from the state that earlier rows left to the state with these rows in it.

    Parameters
    ----------
    q, k, v, phi_r, mask, rule, chunk
        As for `astromorphic`.
    state : State, optional
        Of rows that came before these.

    Returns
    -------
    y : Tensor, (batch, heads, rows, d_v)
    state : State
    """
    with torch.autocast(q.device.type, enabled=False):
        q = wide(q)
        require_mask(mask, k.shape[0], k.shape[2])
        queries = feature_map(q if mask is None else torch.where(mask[:, None, :, None], q, 0.0))
        keys, write, v = written(k, v, phi_r, mask)
        before, total, seen = (None, 0.0, 0) if state is None else state
        rows = k.shape[2]
        if mask is None:
            count = torch.arange(seen + 1, seen + rows + 1, device=v.device, dtype=v.dtype)[:, None]  # (N, 1)
        else:
            count = (seen + mask.cumsum(1))[:, None, :, None].clamp(min=1).to(v.dtype)  # (B, 1, N, 1)
        total = total + keys.cumsum(2)  # (B, h, N, m)
        read, after = causal_read(queries, write, v, chunk, before)
        factor = factor_of(rule, count)
        if rule.feedback:
            factor = factor * reciprocal((queries * power(total, rule.exponent)).sum(-1, keepdim=True))
        return read * factor, State(after, total[:, :, -1:], seen + rows)


def astromorphic_reference(
    q: Tensor, k: Tensor, v: Tensor, relative: Tensor | None, mask: Tensor, rule: Rule, causal: bool = False
) -> Tensor:
    """What `astromorphic` computes, row by row as the equations of this module say it.

    ``relative`` is R itself, (heads, rows, m); the others have the shapes that `astromorphic` takes.
    """
    batch, heads, rows, _ = q.shape
    out = torch.zeros(batch, heads, rows, v.shape[-1], dtype=q.dtype)
    for b in range(batch):
        for h in range(heads):
            for n in range(rows):
                seen = [j for j in range(n + 1 if causal else rows) if mask[b, j]]
                if not seen or not mask[b, n]:
                    continue
                phi_k = torch.nn.functional.elu(k[b, h, seen]) + 1
                phi_q = torch.nn.functional.elu(q[b, h, n]) + 1
                phi_r = torch.zeros_like(phi_k) if relative is None else torch.nn.functional.elu(relative[h, seen]) + 1
                H = torch.stack([torch.outer(phi_k[i] + phi_r[i], v[b, h, j]) for i, j in enumerate(seen)]).sum(0)
                g = phi_k.sum(0) ** rule.exponent
                C = phi_q @ g
                m, f = (len(seen), len(seen) ** rule.exponent) if rule.m_scale is None else (rule.m_scale, 1.0)
                H = torch.sigmoid(H / m) if rule.sigmoid else H / m
                if not rule.feedback:
                    out[b, h, n] = phi_q @ H
                elif C > 0:
                    out[b, h, n] = f * (phi_q @ H) / C
    return out
