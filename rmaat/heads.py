"""From what an encoder makes of a sequence to what the task asks: readouts and heads.

Sums over rows and segments are formed in float32 at least: in half precision they would overflow.
"""

import torch
from torch import Tensor, nn

from rmaat.attention.features import wide


def mean_words(words: Tensor, real: Tensor | None) -> Tensor:
    """Mean over the rows that are real, (..., L, d) -> (..., d); 0 where there is none."""
    if real is None:
        return wide(words).mean(-2).to(words.dtype)
    total = torch.where(real[..., None], wide(words), 0.0).sum(-2)
    return (total / real.sum(-1, keepdim=True).clamp(min=1)).to(words.dtype)


def mean_segments(seen: Tensor, totals: Tensor | None) -> Tensor:
    """Mean over the segments of each example, (B, T, d) -> (B, d); ``totals`` is None where all have T."""
    if totals is None:
        return wide(seen).mean(1).to(seen.dtype)
    active = torch.arange(seen.shape[1], device=seen.device) < totals[:, None]
    return (torch.where(active[..., None], wide(seen), 0.0).sum(1) / totals[:, None]).to(seen.dtype)


def last_segment(seen: Tensor, totals: Tensor | None) -> Tensor:
    """What the last segment of each example gave, (B, T, d) -> (B, d)."""
    if totals is None:
        return seen[:, -1]
    return seen[torch.arange(len(seen), device=seen.device), totals - 1]


class ClassificationHead(nn.Sequential):
    """(B, d) -> logits (B, classes)."""

    def __init__(self, width: int, classes: int) -> None:
        # Rows cancel in a mean; the norm gives the head inputs of one size whatever their number.
        super().__init__(nn.LayerNorm(width), nn.Linear(width, classes))


class MatchingHead(nn.Module):
    """Two towers of one encoder, (B, 2, d) -> logits (B, classes), the same if the two are swapped.

    It reads u + v, |u - v| and u v (chosen; the code of LRA concatenates u and v, where the order matters).
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.layers = nn.Sequential(nn.Linear(3 * width, width), nn.GELU(), nn.Linear(width, classes))

    def forward(self, pairs: Tensor) -> Tensor:
        """(B, 2, d) -> (B, classes)."""
        u, v = self.norm(pairs).unbind(1)
        return self.layers(torch.cat([u + v, (u - v).abs(), u * v], dim=-1))
