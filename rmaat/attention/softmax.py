"""Softmax attention: y_n = sum_j softmax_j(q_n . k_j / sqrt(m)) v_j over rows that exist, and up to n when causal.

Source: Vaswani et al. 2017. Computed by torch's scaled_dot_product_attention, which has fused forms on every device.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from rmaat.attention.mixer import Mixer, Part, Projection, join_heads, only

State = tuple[Tensor, Tensor]  # keys and values of the rows so far, (B, h, rows, m) each


def softmax_reference(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, causal: bool = False) -> Tensor:
    """Softmax attention from the matrix of all weights; (batch, heads, rows, features) each, mask (batch, rows)."""
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(-1) @ v


class SoftmaxAttention(Mixer):
    """Multi-head softmax attention."""

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__(width, heads, causal)
        self.project = Projection(width, heads)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, shared: Tensor | None = None, rows: slice | None = None
    ) -> Tensor:
        """See `Mixer.forward`."""
        self.check(x, mask)
        q, k, v = self.project(only(x, mask), rows)
        seen = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, N)
        if not self.causal:
            y = scaled_dot_product_attention(q, k, v, seen)
        elif seen is None and rows is None:
            y = scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            n = x.shape[1]
            allowed = torch.ones(n, n, dtype=torch.bool, device=x.device).tril()
            if seen is not None:  # a row always sees itself, so that rows outside the mask stay finite
                allowed = (allowed & seen) | torch.eye(n, dtype=torch.bool, device=x.device)
            y = scaled_dot_product_attention(q, k, v, allowed if rows is None else allowed[..., rows, :])
        return self.out(join_heads(y))

    def extend(
        self, x: Tensor, state: State | None = None, shared: Tensor | None = None, part: Part = "tokens"
    ) -> tuple[Tensor, State]:
        """See `Mixer.extend`; the state grows by a key and a value a row."""
        self._require_causal()
        self.check(x)
        q, k, v = self.project(x)
        if state is not None:
            k, v = torch.cat([state[0], k], dim=2), torch.cat([state[1], v], dim=2)
        earlier = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=x.device).tril(k.shape[2] - q.shape[2])
        return self.out(join_heads(scaled_dot_product_attention(q, k, v, earlier))), (k, v)
