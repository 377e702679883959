r"""Places of rows: relative position, and the rotation of features.

Relative position is R = W^T (W B W^T), learned through W, in O(N m log N) and without an N x N matrix.

Source: RMAAT (arXiv 2601.00426).
"""

import math

import torch
from torch import Tensor, nn

from astro_sim.common.errors import InputError
from rmaat.attention.features import feature_map, wide
from rmaat.attention.scan import exponential_kernel
from rmaat.checks import refuse_tracing, require_counts


class RelativePosition(nn.Module):
    """Relative position of the rows of a segment; it depends on no token, so it is computed once a step.

    Rows are ``memory_rows`` (read), tokens, ``write_rows``. B is the exponential kernel exp(-decay |i - j|) among
    tokens, the identity on memory rows, and 0 between the two (chosen: memory rows have no place in the sequence).

    Parameters
    ----------
    heads, features : int
        Shape of W: (heads, features, rows).
    memory_rows, tokens, write_rows : int
        Rows of a full segment; a shorter one leaves tokens out at the end.
    decay : float
        Per token.

    Raises
    ------
    InputError
        No heads, features or rows, or a decay that is negative or not finite.
    """

    def __init__(
        self, heads: int, features: int, memory_rows: int, tokens: int, decay: float, write_rows: int = 0
    ) -> None:
        super().__init__()
        require_counts(1, heads=heads, features=features)
        require_counts(0, memory_rows=memory_rows, tokens=tokens, write_rows=write_rows)
        if not 0 <= decay < math.inf:
            raise InputError(f"decay: expected a finite number from 0, got {decay}")
        rows = memory_rows + tokens + write_rows
        require_counts(1, rows=rows)
        self.memory_rows, self.tokens, self.decay = memory_rows, tokens, decay
        # R is cubic in W: this spread keeps its entries of order one.
        self.weight = nn.Parameter(torch.randn(heads, features, rows) * rows**-0.5)

    def forward(self) -> Tensor:
        """R, (heads, rows, features), at least in float32 whatever the autocast: it is cubic in the weights."""
        refuse_tracing()
        with torch.autocast(self.weight.device.type, enabled=False):
            weight = wide(self.weight)
            w = weight.transpose(1, 2)  # (h, N, m)
            end = self.memory_rows + self.tokens
            read, tokens, write = w[:, : self.memory_rows], w[:, self.memory_rows : end], w[:, end:]
            smoothed = torch.cat([read, exponential_kernel(tokens, self.decay), write], dim=1)  # B W^T
            return w @ (weight @ smoothed)  # W^T D, D = W B W^T

    def features(self) -> Tensor:
        """phi(R): what `AstromorphicAttention` takes."""
        return feature_map(self())

    def reference(self) -> Tensor:
        """R through the N x N kernel."""
        rows = self.weight.shape[-1]
        position = torch.arange(rows, dtype=self.weight.dtype) - self.memory_rows
        base = torch.exp(-self.decay * (position[:, None] - position[None, :]).abs())
        token = (position >= 0) & (position < self.tokens)
        base = torch.where(token[:, None] & token[None, :], base, torch.eye(rows, dtype=base.dtype))
        return self.weight.transpose(1, 2) @ (self.weight @ base @ self.weight.transpose(1, 2))


def rotate(x: Tensor, places: Tensor) -> Tensor:
    """Turn pairs of features, the first half with the second: theta_j = 10000^(-2 j / m) a place.

    Parameters
    ----------
    x : Tensor, (..., rows, m)
        m even.
    places : Tensor, (..., rows or 1)
        Whole numbers of either sign.

    Source: Su et al. 2021 (arXiv 2104.09864).
    """
    half = x.shape[-1] // 2
    theta = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float64) / half)
    angle = places.double()[..., None] * theta
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
