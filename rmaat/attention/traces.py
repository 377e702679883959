r"""Short-term plasticity in astromorphic attention: what a token writes fades with each token that follows.

One head, M memory rows, then tokens n = 1 .. L, and in causal models rows that write the memory; phi(x) = elu(x) + 1:

    S_n = l_n S_{n-1} + (phi(k_n) + phi(r_n)) v_n^T     a_n = l_n a_{n-1} + phi(k_n)     c_n = l_n c_{n-1} + 1
    y_n = f phi(q_n) (S_M + S_n) / phi(q_n) . (a_M + a_n)^alpha                          0 where that is 0

S_M = sum (phi(k) + phi(r)) v^T and a_M = sum phi(k) are of the memory rows, which do not fade: their place is no time.
l_n = exp(-rate_n), and the rate is 1 / (time constant in tokens): of the head, or of the head and the token. For the
normalisation "mean" f = (M + c_n)^(alpha - 1), for "paper" 1 / m_scale, as in `rmaat.attention.astromorphic`. Padding
neither writes nor fades anything. S, a and c at the end of a segment are what the next one begins with, if they are
carried; in the first they are 0.

Not causal: S, a and c from both ends, the own term once, then the power and the division. The weight of token j at an
earlier n is the product of l_n .. l_{j-1}, which is what the same sums give in reversed order.

Memory rows, and rows that write the memory, read without fading: all memory rows and all tokens of the segment, of
which the memory rows of a causal segment see none. Tokens alone write S, a and c.

With rotation, phi(q_n) and phi(k_j) + phi(r_j) are turned by their places in the sum over tokens, and there alone. What
is carried is turned back as seen from its last token, so that places begin anew with each segment.

`short_term_reference` is this text as code. Source of the equations: ours; that synaptic resources fade so, Tsodyks and
Markram 1997.
"""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from astro_sim.common.errors import InputError
from rmaat.attention.features import feature_map, power, reciprocal, wide
from rmaat.attention.mixer import TOKENS, Parts
from rmaat.attention.position import rotate
from rmaat.attention.rule import Rule, factor_of, written
from rmaat.attention.scan import DecayedScan
from rmaat.checks import require_mask


class Traces(NamedTuple):
    """What is left of earlier tokens, faded as of the last of them."""

    written: Tensor  # S, (B, h, m, d_v)
    keys: Tensor  # a, (B, h, 1, m)
    number: Tensor  # c, (B, h, 1, 1)

    @classmethod
    def none(cls, batch: int, heads: int, features: int, like: Tensor) -> "Traces":
        """Before the first token."""
        return cls(*(like.new_zeros(batch, heads, *shape) for shape in ((features, features), (1, features), (1, 1))))


class Sums(NamedTuple):
    """Sums that do not fade: over memory rows, or over memory rows and the tokens of a segment."""

    written: Tensor  # (B, h, m, d_v)
    keys: Tensor  # (B, h, 1, m)
    number: Tensor | float  # of rows, (B, 1, 1, 1)

    def __add__(self, other: "Sums") -> "Sums":  # pyright: ignore[reportIncompatibleMethodOverride]
        return Sums(self.written + other.written, self.keys + other.keys, self.number + other.number)

    @classmethod
    def over(cls, keys: Tensor, write: Tensor, values: Tensor, number: Tensor | float) -> "Sums":
        """Of so many rows (B, h, rows, .)."""
        return cls(write.transpose(-1, -2) @ values, keys.sum(-2, keepdim=True), number)

    def read(self, queries: Tensor, rule: Rule) -> Tensor:
        """What rows of queries (B, h, rows, m) make of it."""
        return divided(queries @ self.written, queries, self.keys, self.number, rule)


def divided(read: Tensor, queries: Tensor, keys: Tensor, count: Tensor | float, rule: Rule) -> Tensor:
    """f read / (queries . keys^alpha), the last step of every form."""
    factor = factor_of(rule, count)
    if rule.feedback:
        factor = factor * reciprocal((queries * power(keys, rule.exponent)).sum(-1, keepdim=True))
    return read * factor


def fading(
    q: Tensor,
    keys: Tensor,
    write: Tensor,
    values: Tensor,
    real: Tensor | None,
    decay: Tensor,
    memory: Sums,
    traces: Traces,
    rule: Rule,
    causal: bool,
    rotation: bool = False,
    chunk: int = 64,
) -> tuple[Tensor, Traces]:
    """What tokens make of memory and of the tokens around them, and the traces that they leave.

    Parameters
    ----------
    q, keys, write : Tensor, (batch, heads, tokens, m)
        phi(Q), phi(K) and phi(K) + phi(R), `rmaat.attention.rule.written`.
    values : Tensor, (batch, heads, tokens, d_v)
    real : Tensor of bool, (batch, tokens), optional
        False on padding.
    decay : Tensor, (heads, 1) or (batch, heads, tokens)
        Rate of a head, or of a token and head.
    memory : Sums
        Of the memory rows.
    traces : Traces
        Of earlier segments.
    rule : Rule
    causal, rotation : bool
    chunk : int
        Tokens handled at once.

    Returns
    -------
    y : Tensor, (batch, heads, tokens, d_v)
    traces : Traces
    """
    tokens = q.shape[-2]
    ones = keys.new_ones(*keys.shape[:-1], 1)
    if real is not None:
        ones, decay = ones * real[:, None, :, None], decay * real[:, None]
    scan = DecayedScan(decay, tokens, chunk, both=not causal)
    turned, turned_write = q, write
    if rotation:
        places = torch.arange(tokens, device=q.device) if real is None else (real.cumsum(1) - 1)[:, None]
        turned, turned_write = rotate(q, places), rotate(write, places)
    read, after = scan.read(turned, turned_write, values, traces.written)
    if rotation:  # as seen from the last token
        count = torch.tensor(tokens, device=q.device) if real is None else real.sum(1)[:, None, None]
        after = rotate(after.transpose(-1, -2), -count).transpose(-1, -2)
    both = torch.cat([keys, ones], dim=-1), torch.cat([traces.keys, traces.number], dim=-1)
    sums, left = scan.sums(*both)
    y = divided(q @ memory.written + read, q, memory.keys + sums[..., :-1], memory.number + sums[..., -1:], rule)
    return y, Traces(after, left[..., :-1], left[..., -1:])


def short_term(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    phi_r: Tensor | None,
    mask: Tensor | None,
    rule: Rule,
    decay: Tensor,
    traces: Traces | None = None,
    parts: Parts = TOKENS,
    causal: bool = False,
    rotation: bool = False,
    chunk: int = 64,
) -> tuple[Tensor, Traces]:
    """Astromorphic attention with short-term plasticity, over all rows of a segment.

    Parameters
    ----------
    q, k : Tensor, (batch, heads, rows, m)
    v : Tensor, (batch, heads, rows, d_v)
    phi_r : Tensor, (heads, rows, m), optional
        phi(R); None leaves H_astro out.
    mask : Tensor of bool, (batch, rows), optional
        Rows that exist; all by default. What other rows hold does not matter, NaN included.
    rule : Rule
        Without its sigmoid.
    decay : Tensor, (heads, 1) or (batch, heads, tokens)
        Rate of a head, or of a token and head: 1 / (time constant in tokens).
    traces : Traces, optional
        Of earlier segments; nothing by default.
    parts : Parts
        How many rows are memory, and how many write it; the others are tokens, and there is one at least.
    causal : bool
        Token n sees tokens up to n.
    rotation : bool
    chunk : int

    Returns
    -------
    y : Tensor, (batch, heads, rows, d_v)
        In float32 at least whatever the autocast. Rows outside the mask hold finite values without meaning.
    traces : Traces
        As of the last token.
    """
    if rule.sigmoid:
        raise InputError("sigmoid: not with short-term plasticity, where every row has its own H")
    with torch.autocast(q.device.type, enabled=False):
        q = wide(q)
        require_mask(mask, k.shape[0], k.shape[2])
        q = feature_map(q if mask is None else torch.where(mask[:, None, :, None], q, 0.0))
        keys, write, v = written(k, v, phi_r, mask)
        first, last = parts.memory, k.shape[2] - parts.write
        memory, tokens = (
            Sums.over(keys[:, :, span], write[:, :, span], v[:, :, span], _number(mask, span, v))
            for span in (slice(first), slice(first, last))
        )
        if traces is None:
            traces = Traces.none(k.shape[0], k.shape[1], k.shape[3], v)
        span, real = slice(first, last), None if mask is None else mask[:, first:last]
        y, after = fading(
            q[:, :, span], keys[:, :, span], write[:, :, span], v[:, :, span], real, decay.to(v.dtype), memory, traces,
            rule, causal, rotation, chunk,
        )  # fmt: skip
        everything = memory + tokens
        seen = [(memory if causal else everything).read(q[:, :, :first], rule)] if first else []
        wrote = [everything.read(q[:, :, last:], rule)] if parts.write else []
        return torch.cat([*seen, y, *wrote], dim=2), after


def _number(mask: Tensor | None, span: slice, like: Tensor) -> Tensor | float:
    """How many rows of a stretch there are: of each example where some are left out."""
    if mask is None:
        return float(len(range(like.shape[2])[span]))
    return mask[:, span].sum(1)[:, None, None, None].to(like.dtype)


def short_term_reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    relative: Tensor | None,
    mask: Tensor,
    rule: Rule,
    decay: Tensor,
    traces: Traces | None = None,
    parts: Parts = TOKENS,
    causal: bool = False,
    rotation: bool = False,
) -> tuple[Tensor, Traces]:
    """What `short_term` computes, row by row as the equations of this module say it.

    ``relative`` is R itself, (heads, rows, m), and ``decay`` (batch, heads, tokens); the others as there.
    """
    batch, heads, rows, m = q.shape
    first, last = parts.memory, rows - parts.write
    phi_q, phi_k = (torch.nn.functional.elu(x) + 1 for x in (q, k))
    phi_r = torch.zeros(heads, rows, m, dtype=q.dtype) if relative is None else torch.nn.functional.elu(relative) + 1
    out = torch.zeros(batch, heads, rows, v.shape[-1], dtype=q.dtype)
    left = Traces.none(batch, heads, m, v) if traces is None else Traces(*(part.clone() for part in traces))
    theta = 10_000.0 ** (-torch.arange(m // 2, dtype=torch.float64) / (m // 2)) * rotation

    def turned(x: Tensor, place: int) -> Tensor:
        """(m, ...), turned by a place."""
        x = x.unflatten(0, (2, -1))
        angle = (place * theta).to(x.dtype).reshape(-1, *[1] * (x.ndim - 2))
        return torch.cat([x[0] * angle.cos() - x[1] * angle.sin(), x[0] * angle.sin() + x[1] * angle.cos()])

    def result(query: Tensor, read: Tensor, a: Tensor, c: Tensor | float) -> Tensor:
        f = c ** ((rule.exponent if rule.feedback else 0.0) - 1.0) if rule.m_scale is None else 1.0 / rule.m_scale
        below = query @ a**rule.exponent if rule.feedback else 1.0
        return f * read / below if below else torch.zeros_like(read)

    for b, h in itertools.product(range(batch), range(heads)):
        key, write = phi_k[b, h], phi_k[b, h] + phi_r[h]
        memory, real, writing = (
            [n for n in span if mask[b, n]] for span in (range(first), range(first, last), range(last, rows))
        )
        step = {n: torch.exp(-decay[b, h, n - first]) for n in real}

        def summed(of: list[int]) -> tuple[Tensor, Tensor, int]:
            S = sum((torch.outer(write[j], v[b, h, j]) for j in of), torch.zeros(m, v.shape[-1], dtype=q.dtype))  # noqa: B023
            return S, key[of].sum(0), len(of)  # noqa: B023

        S_M, a_M, M = summed(memory)
        for n in [*memory, *writing]:
            S, a, c = summed(memory if causal and n < first else memory + real)
            out[b, h, n] = result(phi_q[b, h, n], phi_q[b, h, n] @ S, a, c) if c else 0.0
        S, a, c = left.written[b, h], left.keys[b, h, 0], left.number[b, h, 0, 0]
        for i, n in enumerate(real):
            faded = torch.stack([step[at] for at in real[: i + 1]]).prod()
            query = turned(phi_q[b, h, n], i)
            read, a_n, c_n = phi_q[b, h, n] @ S_M + faded * query @ S, a_M + faded * a, M + faded * c
            for j, other in enumerate(real):
                if causal and j > i:
                    continue
                between = real[j + 1 : i + 1] if j <= i else real[i:j]
                weight = torch.stack([step[at] for at in between]).prod() if between else 1.0
                read = read + weight * (query @ turned(write[other], j)) * v[b, h, other]
                a_n, c_n = a_n + weight * key[other], c_n + weight
            out[b, h, n] = result(phi_q[b, h, n], read, a_n, c_n)
        for n in real:
            S = turned(step[n] * S + torch.outer(write[n], v[b, h, n]), -1)
            a, c = step[n] * a + key[n], step[n] * c + 1.0
        left.written[b, h], left.keys[b, h, 0], left.number[b, h, 0, 0] = S, a, c
    return out, left
