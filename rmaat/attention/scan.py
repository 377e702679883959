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
    """Sums over rows so far, which fade: y_n = exp(-decay_n) y_{n-1} + x_n, along the last dimension but one.

    By doubling, O(N log N).

    Parameters
    ----------
    x : Tensor, (..., rows, features)
    decay : float or Tensor
        Of a row; a tensor (..., rows or 1, 1) must broadcast against ``x``.
    """
    reach, rows = 1, x.shape[-2]
    if isinstance(decay, Tensor):
        decay = decay.expand(*decay.shape[:-2], rows, 1)
    while reach < rows:
        # After the step the sum covers 2 * reach rows, and so does ``decay``.
        weight = torch.exp(-decay) if isinstance(decay, Tensor) else math.exp(-decay)
        x = x + weight * pad(x[..., :-reach, :], (0, 0, reach, 0))
        decay = decay + (pad(decay[..., :-reach, :], (0, 0, reach, 0)) if isinstance(decay, Tensor) else decay)
        reach *= 2
    return x


class DecayedScan:
    """Sums over rows in which what a row adds fades with every row that follows, a head at its own rate.

    The weight of row j at row n >= j is exp(-(decay_{j+1} + .. + decay_n)). In chunks: within one by its matrix of
    weights, from chunk to chunk by the sums at their ends.

    Parameters
    ----------
    decay : Tensor, (..., rows or 1)
        What everything before a row fades by when the row comes, at least 0; 0 where a row is only padding.
    rows : int
    chunk : int
        Rows handled at once.
    both : bool
        Rows see those after them, too. There the weight of row j at n < j is exp(-(decay_n + .. + decay_{j-1})).
    """

    def __init__(self, decay: Tensor, rows: int, chunk: int = 64, both: bool = False) -> None:
        self.rows, self.chunk, self.both = rows, chunk, both
        uniform = decay.shape[-1] == 1
        step = self._chunks(decay.expand(*decay.shape[:-1], rows)[..., None])[..., 0]  # (..., J, c)
        up_to = step.cumsum(-1)
        before = up_to - step
        self.total = up_to[..., -1:]  # of a chunk, (..., J, 1)
        self.from_start, self.to_end = (torch.exp(-part)[..., None] for part in (up_to, self.total - up_to))
        self.to_start, self.from_end = (torch.exp(-part)[..., None] for part in (before, self.total - before))
        a, b = (part[..., :1, :] if uniform else part for part in (up_to, before))  # one matrix does for all chunks
        later = torch.ones(chunk, chunk, dtype=torch.bool, device=decay.device).triu(1)
        gap = (a[..., :, None] - a[..., None, :]).masked_fill(later, math.inf)
        if both:
            gap = torch.where(later, b[..., None, :] - b[..., :, None], gap)
        self.within = torch.exp(-gap)  # (..., J or 1, c, c)

    def read(
        self, queries: Tensor, write: Tensor, values: Tensor, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """sum_j weight_nj (queries_n . write_j) values_j.

        Parameters
        ----------
        queries, write : Tensor, (..., rows, m)
        values : Tensor, (..., rows, d_v)
        before : Tensor, (..., m, d_v), optional
            Sum of write_j^T values_j over rows that came before these, faded as of the last of them.

        Returns
        -------
        read : Tensor, (..., rows, d_v)
        after : Tensor, (..., m, d_v)
            ``before`` with these rows in it, faded as of the last of these.
        """
        queries, write, values = (self._chunks(part) for part in (queries, write, values))  # (..., J, c, .)
        read = ((queries @ write.transpose(-1, -2)) * self.within) @ values
        states = (write * self.to_end).transpose(-1, -2) @ values  # (..., J, m, d_v)
        earlier, after = self._carry(states, before)
        read = read + (queries * self.from_start) @ earlier
        if self.both:
            states = (write * self.to_start).transpose(-1, -2) @ values
            read = read + (queries * self.from_end) @ self._carry_back(states)
        return self._rows(read), after

    def sums(self, x: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """sum_j weight_nj x_j.

        Parameters
        ----------
        x : Tensor, (..., rows, features)
        before : Tensor, (..., 1, features), optional
            Of rows that came before these, faded as of the last of them.

        Returns
        -------
        sums : Tensor, (..., rows, features)
        after : Tensor, (..., 1, features)
        """
        x = self._chunks(x)
        earlier, after = self._carry((x * self.to_end).sum(-2, keepdim=True), before)
        sums = self.within @ x + self.from_start * earlier
        if self.both:
            sums = sums + self.from_end * self._carry_back((x * self.to_start).sum(-2, keepdim=True))
        return self._rows(sums), after

    def _chunks(self, x: Tensor) -> Tensor:
        """(..., rows, f) -> (..., J, c, f), with rows of 0 at the end."""
        return pad(x, (0, 0, 0, -self.rows % self.chunk)).unflatten(-2, (-1, self.chunk))

    def _rows(self, x: Tensor) -> Tensor:
        return x.flatten(-3, -2)[..., : self.rows, :]

    def _carry(self, states: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """Of what each chunk adds by its end: what stands at the start of each, and after the last."""
        first = torch.zeros_like(states[..., :1, :, :]) if before is None else before.unsqueeze(-3)
        flat = torch.cat([first, states], dim=-3).flatten(-2)  # (..., J + 1, m * d_v)
        sums = decayed_sums(flat, pad(self.total, (0, 0, 1, 0))).unflatten(-1, states.shape[-2:])
        return sums[..., :-1, :, :], sums[..., -1, :, :]

    def _carry_back(self, states: Tensor) -> Tensor:
        """Of what each chunk adds as seen from its start: what the later ones give at the end of each."""
        sums = decayed_sums(states.flatten(-2).flip(-2), self.total.flip(-2)).flip(-2)
        return pad(sums[..., 1:, :], (0, 0, 0, 1)).unflatten(-1, states.shape[-2:])


def exponential_kernel(x: Tensor, decay: float) -> Tensor:
    """sum_j exp(-decay |i - j|) x_j along the last dimension but one: O(N log N), no N x N matrix."""
    ahead = decayed_sums(x.flip(-2), decay).flip(-2)
    return decayed_sums(x, decay) + ahead - x
