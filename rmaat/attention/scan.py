"""Sums over rows that come earlier, in linear or nearly linear time and without a Python loop over rows."""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad


def causal_read(
    queries: Tensor, write: Tensor, values: Tensor, chunk: int, before: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """sum_{j <= n} (queries_n . write_j) values_j: within a chunk by its small matrix, before it by the running sum.

    Parameters
    ----------
    queries, write : Tensor, (..., rows, m)
    values : Tensor, (..., rows, d_v)
    chunk : int
        Rows whose products among themselves are formed at once.
    before : Tensor, (..., m, d_v), optional
        sum of write_j^T values_j over rows that came before these.

    Returns
    -------
    read : Tensor, (..., rows, d_v)
    after : Tensor, (..., m, d_v)
        ``before`` with these rows in it.
    """
    rows = queries.shape[-2]
    short = -rows % chunk
    queries, write, values = (
        pad(part, (0, 0, 0, short)).unflatten(-2, (-1, chunk)) for part in (queries, write, values)
    )  # (..., chunks, c, .)
    within = (queries @ write.transpose(-1, -2)).tril() @ values
    states = write.transpose(-1, -2) @ values  # (..., chunks, m, d_v)
    first = torch.zeros_like(states[..., :1, :, :]) if before is None else before.unsqueeze(-3)
    # A sum that leaves the chunk itself out from the start: taken off afterwards it would leave rounding of later rows.
    running = torch.cat([first, states], dim=-3).cumsum(-3)  # (..., chunks + 1, m, d_v)
    read = within + queries @ running[..., :-1, :, :]
    return read.flatten(-3, -2)[..., :rows, :], running[..., -1, :, :]


def decayed_sums(x: Tensor, decay: float | Tensor) -> Tensor:
    """sum_{j <= n} exp(-decay (n - j)) x_j along the last dimension but one, by doubling: O(N log N).

    Parameters
    ----------
    x : Tensor, (..., rows, features)
    decay : float or Tensor
        Per row; a tensor must broadcast against ``x``.
    """
    reach, rows = 1, x.shape[-2]
    while reach < rows:
        # After the step the sum covers 2 * reach rows: exp(-decay (a + b)) = exp(-decay a) exp(-decay b).
        weight = torch.exp(-decay * reach) if isinstance(decay, Tensor) else math.exp(-decay * reach)
        x = x + weight * pad(x[..., :-reach, :], (0, 0, reach, 0))
        reach *= 2
    return x


def exponential_kernel(x: Tensor, decay: float) -> Tensor:
    """sum_j exp(-decay |i - j|) x_j along the last dimension but one: O(N log N), no N x N matrix."""
    ahead = decayed_sums(x.flip(-2), decay).flip(-2)
    return decayed_sums(x, decay) + ahead - x
