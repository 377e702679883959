r"""Relative position R = W^T (W B W^T), learned through W, in O(N m log N) and without an N x N matrix.

Source: RMAAT (arXiv 2601.00426).
"""

import torch
from torch import Tensor, nn

from rmaat.attention.features import feature_map
from rmaat.attention.scan import exponential_kernel


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
    """

    def __init__(
        self, heads: int, features: int, memory_rows: int, tokens: int, decay: float, write_rows: int = 0
    ) -> None:
        super().__init__()
        rows = memory_rows + tokens + write_rows
        self.memory_rows, self.tokens, self.decay = memory_rows, tokens, decay
        # R is cubic in W: this spread keeps its entries of order one.
        self.weight = nn.Parameter(torch.randn(heads, features, rows) * rows**-0.5)

    def forward(self) -> Tensor:
        """R, (heads, rows, features), in the weights' own precision whatever the autocast: it is cubic in them."""
        with torch.autocast(self.weight.device.type, enabled=False):
            w = self.weight.transpose(1, 2)  # (h, N, m)
            end = self.memory_rows + self.tokens
            read, tokens, write = w[:, : self.memory_rows], w[:, self.memory_rows : end], w[:, end:]
            smoothed = torch.cat([read, exponential_kernel(tokens, self.decay), write], dim=1)  # B W^T
            return w @ (self.weight @ smoothed)  # W^T D, D = W B W^T

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
