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

from typing import NamedTuple

import torch
from torch import Tensor

from rmaat.attention.features import feature_map, power, reciprocal, rotate, wide
from rmaat.attention.rule import Rule, scale
from rmaat.attention.scan import DecayedScan


class Parts(NamedTuple):
    """What the rows of a segment are: so many memory rows in front, tokens, and at the end so many that write."""

    memory: int = 0
    write: int = 0


class Traces(NamedTuple):
    """What is left of earlier tokens, faded as of the last of them."""

    written: Tensor  # S, (B, h, m, d_v)
    keys: Tensor  # a, (B, h, 1, m)
    count: Tensor  # c, (B, h, 1, 1)

    @classmethod
    def none(cls, batch: int, heads: int, features: int, like: Tensor) -> "Traces":
        """Before the first token."""
        return cls(*(like.new_zeros(batch, heads, *shape) for shape in ((features, features), (1, features), (1, 1))))


class Sums(NamedTuple):
    """Sums that do not fade: over memory rows, or over memory rows and the tokens of a segment."""

    written: Tensor  # (B, h, m, d_v)
    keys: Tensor  # (B, h, 1, m)
    count: Tensor | float  # (B, 1, 1, 1)

    def __add__(self, other: "Sums") -> "Sums":  # pyright: ignore[reportIncompatibleMethodOverride]
        return Sums(*(a + b for a, b in zip(self, other, strict=True)))

    @classmethod
    def over(cls, keys: Tensor, write: Tensor, values: Tensor, count: Tensor | float) -> "Sums":
        """Of rows (B, h, rows, .)."""
        return cls(write.transpose(-1, -2) @ values, keys.sum(-2, keepdim=True), count)

    def read(self, queries: Tensor, rule: Rule) -> Tensor:
        """What rows of queries (B, h, rows, m) make of it."""
        return divided(queries @ self.written, queries, self.keys, self.count, rule)


def divided(read: Tensor, queries: Tensor, keys: Tensor, count: Tensor | float, rule: Rule) -> Tensor:
    """f read / (queries . keys^alpha), the last step of every form."""
    factor = scale(rule, count)
    if rule.feedback:
        factor = factor * reciprocal((queries * power(keys, rule.exponent)).sum(-1, keepdim=True))
    return read * factor
