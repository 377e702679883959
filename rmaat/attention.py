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

Sources: RMAAT (arXiv 2601.00426), AT (arXiv 2312.10925). `astromorphic_reference` is this text as code.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from astro_sim.common.errors import InputError


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
    """

    exponent: float = 0.25
    m_scale: float | None = None
    sigmoid: bool = False


PAPER = Rule()


def feature_map(x: Tensor) -> Tensor:
    """elu(x) + 1 = exp(min(x, 0)) + max(x, 0), which unlike the left side is not 0 for very negative x."""
    return x.clamp(max=0).exp() + x.relu()


def astromorphic(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    relative: Tensor | None,
    mask: Tensor,
    rule: Rule,
    causal: bool = False,
    chunk: int = 64,
) -> Tensor:
    """Astromorphic attention in time linear in the number of rows.

    Parameters
    ----------
    q, k : Tensor, (batch, heads, rows, m)
    v : Tensor, (batch, heads, rows, d_v)
    relative : Tensor, (heads, rows, m), optional
        R; None leaves H_astro out.
    mask : Tensor of bool, (batch, rows)
        Rows that exist. What other rows hold does not matter, NaN included.
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
    if rule.sigmoid and causal:
        raise InputError("sigmoid: not with causal attention, where every row has its own H")
    with torch.autocast(q.device.type, enabled=False):
        q, k, v = (_wide(part) for part in (q, k, v))
        w = mask[:, None, :, None]  # (B, 1, N, 1)
        queries, keys, values = (torch.where(w, part, 0.0) for part in (q, k, v))  # before phi: NaN has no way back
        queries, keys = feature_map(queries), w * feature_map(keys)
        write = keys if relative is None else keys + w * feature_map(_wide(relative))
        if causal:
            count = mask.cumsum(1)[:, None, :, None]  # (B, 1, N, 1)
            total = keys.cumsum(2)  # (B, h, N, m)
            response = (queries * _power(total, rule.exponent)).sum(-1, keepdim=True)
            read = _causal_read(queries, write, values, chunk)
        else:
            count = mask.sum(1)[:, None, None, None]  # (B, 1, 1, 1)
            total = keys.sum(2, keepdim=True)  # (B, h, 1, m)
            response = queries @ _power(total, rule.exponent).transpose(2, 3)  # (B, h, N, 1)
            state = write.transpose(2, 3) @ values  # (B, h, m, d_v)
            if rule.sigmoid:
                divisor = rule.m_scale or count.clamp(min=1)
                state = torch.sigmoid(state / divisor) * divisor
            read = queries @ state
        count = count.clamp(min=1).to(read.dtype)
        factor = count ** (rule.exponent - 1.0) if rule.m_scale is None else 1.0 / rule.m_scale
        return _divide(factor * read, response)


def astromorphic_reference(
    q: Tensor, k: Tensor, v: Tensor, relative: Tensor | None, mask: Tensor, rule: Rule, causal: bool = False
) -> Tensor:
    """What `astromorphic` computes, row by row as the equations of this module say it."""
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
                if C > 0:
                    out[b, h, n] = f * (phi_q @ H) / C
    return out


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _power(x: Tensor, exponent: float) -> Tensor:
    """x^exponent, with gradient 0 at x = 0 where 0^alpha has an infinite one."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0) ** exponent, 0.0)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    """a / b, 0 where b is 0, with finite gradients."""
    nonzero = b != 0
    return torch.where(nonzero, a / torch.where(nonzero, b, 1.0), 0.0)


def _causal_read(queries: Tensor, write: Tensor, values: Tensor, chunk: int) -> Tensor:
    """sum_{j <= n} (queries_n . write_j) values_j: within a chunk by its small matrix, before it by the running H."""
    rows = queries.shape[2]
    short = -rows % chunk
    queries, write, values = (
        pad(part, (0, 0, 0, short)).unflatten(2, (-1, chunk)) for part in (queries, write, values)
    )  # (B, h, chunks, c, .)
    within = (queries @ write.transpose(-1, -2)).tril() @ values
    states = write.transpose(-1, -2) @ values  # (B, h, chunks, m, d_v)
    # A sum that leaves the chunk itself out from the start: taken off afterwards it would leave rounding of later rows.
    before = pad(states, (0, 0, 0, 0, 1, 0))[:, :, :-1].cumsum(2)
    return (within + queries @ before).flatten(2, 3)[:, :, :rows]


class RelativePosition(nn.Module):
    """Relative position R = W^T (W B W^T), learned through W; it depends on no token, so it is computed once a step.

    B is the exponential kernel exp(-decay |i - j|) among tokens, the identity on memory rows, and 0 between the two
    (chosen: memory rows have no place in the sequence). Source: RMAAT (arXiv 2601.00426).

    Parameters
    ----------
    heads, features : int
        Shape of W: (heads, features, rows).
    memory_rows, tokens : int
        Rows of a full segment; shorter ones use the first rows of R.
    decay : float
        Per token.
    """

    def __init__(self, heads: int, features: int, memory_rows: int, tokens: int, decay: float) -> None:
        super().__init__()
        rows = memory_rows + tokens
        self.memory_rows, self.decay = memory_rows, decay
        # R is cubic in W: this spread keeps its entries of order one.
        self.weight = nn.Parameter(torch.randn(heads, features, rows) * rows**-0.5)

    def forward(self) -> Tensor:
        """R, (heads, rows, features), in the weights' own precision whatever the autocast: it is cubic in them."""
        with torch.autocast(self.weight.device.type, enabled=False):
            w = self.weight.transpose(1, 2)  # (h, N, m)
            memory, tokens = w[:, : self.memory_rows], w[:, self.memory_rows :]
            smoothed = torch.cat([memory, exponential_kernel(tokens, self.decay)], dim=1)  # B W^T
            return w @ (self.weight @ smoothed)  # W^T D, D = W B W^T

    def reference(self) -> Tensor:
        """R through the N x N kernel."""
        rows = self.weight.shape[-1]
        position = torch.arange(rows, dtype=self.weight.dtype) - self.memory_rows
        base = torch.exp(-self.decay * (position[:, None] - position[None, :]).abs())
        token = position >= 0
        base = torch.where(token[:, None] & token[None, :], base, torch.eye(rows, dtype=base.dtype))
        return self.weight.transpose(1, 2) @ (self.weight @ base @ self.weight.transpose(1, 2))


def exponential_kernel(x: Tensor, decay: float) -> Tensor:
    """sum_j exp(-decay |i - j|) x_j along the last dimension but one, by doubling: O(N log N), no N x N matrix."""
    ahead, behind, reach = x, x, 1
    rows = x.shape[-2]
    while reach < rows:
        # After the step each side covers 2 * reach rows: exp(-decay (a + b)) = exp(-decay a) exp(-decay b).
        weight = math.exp(-decay * reach)
        behind = behind + weight * pad(behind[..., :-reach, :], (0, 0, reach, 0))
        ahead = ahead + weight * pad(ahead[..., reach:, :], (0, 0, 0, reach))
        reach *= 2
    return behind + ahead - x


class AstromorphicAttention(nn.Module):
    """Multi-head astromorphic attention; the caller adds the residual.

    Parameters
    ----------
    width, heads : int
        ``width`` must be a multiple of ``heads``; each head has width / heads features in m and d_v.
    rule : Rule
    causal : bool

    Raises
    ------
    InputError
        A width that the heads do not divide; a sigmoid with causal attention.
    """

    def __init__(self, width: int, heads: int, rule: Rule = PAPER, causal: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"width: expected a multiple of heads = {heads}, got {width}")
        if rule.sigmoid and causal:
            raise InputError("sigmoid: not with causal attention, where every row has its own H")
        self.heads, self.rule, self.causal = heads, rule, causal
        self.project = nn.Linear(width, 3 * width, bias=False)  # W_Q, W_K, W_V of all heads
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor, relative: Tensor | None = None) -> Tensor:
        """Attend.

        Parameters
        ----------
        x : Tensor, (batch, rows, width)
        mask : Tensor of bool, (batch, rows)
        relative : Tensor, (heads, rows, width / heads), optional

        Returns
        -------
        Tensor, (batch, rows, width)
        """
        q, k, v = self.project(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (B, h, N, m)
        y = astromorphic(q, k, v, relative, mask, self.rule, self.causal)
        return self.out(y.transpose(1, 2).flatten(2).to(x.dtype))
