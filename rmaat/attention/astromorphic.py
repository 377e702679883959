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

import math
from typing import NamedTuple

import torch
from torch import Tensor

from astro_sim.common.errors import InputError
from rmaat.attention.features import feature_map, power, reciprocal, wide
from rmaat.attention.mixer import LinearTimeAttention
from rmaat.attention.scan import causal_read
from rmaat.checks import kind_of, require_mask


class Rule(NamedTuple):
    """The constants of astromorphic attention.

    Attributes
    ----------
    exponent : float
        alpha; the paper's 0.25 by default.
    m_scale : float or None
        Divisor m of the paper's normalisation; None: the mean form.
    sigmoid : bool
        Squash H as AT does; not with causal attention, where H differs from row to row.
    feedback : bool
        Divide by the calcium response, P = 1 / C.
    """

    exponent: float = 0.25
    m_scale: float | None = None
    sigmoid: bool = False
    feedback: bool = True

    def check(self, causal: bool) -> None:
        """Raise `InputError` for constants that cannot be, and for a sigmoid with causal attention."""
        if not math.isfinite(self.exponent):
            raise InputError(f"exponent: expected a finite number, got {self.exponent}")
        if self.m_scale is not None and not 0 < self.m_scale < math.inf:
            raise InputError(f"m_scale: expected a finite number above 0, got {self.m_scale}")
        if self.sigmoid and causal:
            raise InputError("sigmoid: not with causal attention, where every row has its own H")


class State(NamedTuple):
    """What causal attention carries from rows to later rows: of constant size."""

    h: Tensor  # sum of writes, (B, h, m, d_v)
    total: Tensor  # sum of phi(k), (B, h, 1, m)
    rows: int  # rows so far


PAPER = Rule()


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
        keys, write, v = _write(k, v, phi_r, mask)
        count = float(k.shape[2]) if mask is None else mask.sum(1)[:, None, None, None].clamp(min=1).to(v.dtype)
        state = write.transpose(2, 3) @ v  # H: (B, h, m, d_v)
        if rule.sigmoid:
            divisor = rule.m_scale or count
            state = torch.sigmoid(state / divisor) * divisor
        factor = _factor(rule, count)
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
        keys, write, v = _write(k, v, phi_r, mask)
        before, total, seen = (None, 0.0, 0) if state is None else state
        rows = k.shape[2]
        if mask is None:
            count = torch.arange(seen + 1, seen + rows + 1, device=v.device, dtype=v.dtype)[:, None]  # (N, 1)
        else:
            count = (seen + mask.cumsum(1))[:, None, :, None].clamp(min=1).to(v.dtype)  # (B, 1, N, 1)
        total = total + keys.cumsum(2)  # (B, h, N, m)
        read, after = causal_read(queries, write, v, chunk, before)
        factor = _factor(rule, count)
        if rule.feedback:
            factor = factor * reciprocal((queries * power(total, rule.exponent)).sum(-1, keepdim=True))
        return read * factor, State(after, total[:, :, -1:], seen + rows)


def _write(k: Tensor, v: Tensor, phi_r: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """phi(K), phi(K) + phi(R) and V, each 0 outside the mask."""
    k, v = wide(k), wide(v)
    if phi_r is not None and phi_r.shape != k.shape[1:]:  # which might spread over rows or heads
        raise InputError(f"shared: expected phi(R) of shape {tuple(k.shape[1:])}, got {kind_of(phi_r)}")
    if mask is None:
        keys = feature_map(k)
        return keys, keys if phi_r is None else keys + phi_r, v
    w = mask[:, None, :, None]  # (B, 1, N, 1)
    keys = w * feature_map(torch.where(w, k, 0.0))  # before phi: NaN has no way back
    # V is 0 outside the mask, so what would be written with it need not be.
    return keys, keys if phi_r is None else keys + phi_r, torch.where(w, v, 0.0)


def _factor(rule: Rule, count: Tensor | float) -> Tensor | float:
    """f / m; f is N^alpha where the response C is divided by, which grows so, and 1 where it is not."""
    if rule.m_scale is not None:
        return 1.0 / rule.m_scale
    return count ** ((rule.exponent if rule.feedback else 0.0) - 1.0)


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


class AstromorphicAttention(LinearTimeAttention):
    """Multi-head astromorphic attention; the caller adds the residual.

    Parameters
    ----------
    width, heads : int
        ``width`` must be a multiple of ``heads``; each head has width / heads features in m and d_v.
    causal : bool
    rule : Rule

    Raises
    ------
    InputError
        A width that the heads do not divide; a sigmoid with causal attention.
    """

    def __init__(self, width: int, heads: int, causal: bool = False, rule: Rule = PAPER) -> None:
        super().__init__(width, heads, causal)
        rule.check(causal)
        self.rule = rule

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, shared: Tensor | None, mask: Tensor | None, state: State | None
    ) -> tuple[Tensor, State | None]:
        """See `LinearTimeAttention.attend`."""
        if self.causal:
            return astromorphic_causal(q, k, v, shared, mask, self.rule, state=state)
        return astromorphic(q, k, v, shared, mask, self.rule), None
