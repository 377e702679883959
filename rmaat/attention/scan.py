"""Sums over rows that come earlier, in linear or nearly linear time and without a Python loop over rows."""

import math
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
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
        self.step = self._chunks(decay.expand(*decay.shape[:-1], rows)[..., None])[..., 0]  # (..., J, c)
        # Where rows see both ways, autograd finds the gradient of the rates; else it follows from what is read.
        self.plain = both and self.step.requires_grad
        with nullcontext() if self.plain else torch.no_grad():
            up_to = self.step.cumsum(-1)
            before = up_to - self.step
            self.total = up_to[..., -1:]  # of a chunk, (..., J, 1)
            self.from_start, self.to_end = (torch.exp(-part)[..., None] for part in (up_to, self.total - up_to))
            self.to_start, self.from_end = (torch.exp(-part)[..., None] for part in (before, self.total - before))
            a, b = (part[..., :1, :] if uniform else part for part in (up_to, before))  # one matrix does for all
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
        if before is None:
            before = values.new_zeros(*values.shape[:-2], write.shape[-1], values.shape[-1])
        queries, write, values = (self._chunks(part) for part in (queries, write, values))  # (..., J, c, .)
        forward = self.read_chunks if self.plain else partial(_Read.apply, self)
        read, after = forward(queries, write, values, before, self.step)[:2]
        return read.flatten(-3, -2)[..., : self.rows, :], after

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
        before = torch.zeros_like(x[..., :1, :]) if before is None else before
        forward = self.sum_chunks if self.plain else partial(_Sums.apply, self)
        sums, after = forward(self._chunks(x), before, self.step)
        return sums.flatten(-3, -2)[..., : self.rows, :], after

    def read_chunks(
        self, q: Tensor, w: Tensor, v: Tensor, before: Tensor, _: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """`read` of chunks, (..., J, c, .); also what stands at the start of each, and what comes after each."""
        read = ((q @ w.mT) * self.within) @ v
        earlier, after = self.carry((w * self.to_end).mT @ v, before)  # (..., J, m, d_v)
        read = read + (q * self.from_start) @ earlier
        if not self.both:
            return read, after, earlier, None
        later = self.carry_back((w * self.to_start).mT @ v)
        return read + (q * self.from_end) @ later, after, earlier, later

    def sum_chunks(self, x: Tensor, before: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        """`sums` of chunks, (..., J, c, f)."""
        earlier, after = self.carry((x * self.to_end).sum(-2, keepdim=True), before)
        sums = self.within @ x + self.from_start * earlier
        if self.both:
            sums = sums + self.from_end * self.carry_back((x * self.to_start).sum(-2, keepdim=True))
        return sums, after

    def carry(self, states: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Of what each chunk adds by its end, (..., J, m, d_v): what stands at the start of each, and at the end."""
        flat = torch.cat([before.unsqueeze(-3), states], dim=-3).flatten(-2)  # (..., J + 1, m * d_v)
        sums = decayed_sums(flat, pad(self.total, (0, 0, 1, 0))).unflatten(-1, states.shape[-2:])
        return sums[..., :-1, :, :], sums[..., -1, :, :]

    def carry_back(self, states: Tensor, last: Tensor | None = None) -> Tensor:
        """Of what each chunk adds as seen from its start: what the later ones give at the end of each, with ``last``.

        With ``last``, what stands at the end of all, there is an entry more: what all give at the start of the first.
        """
        if last is None:
            sums = decayed_sums(states.flatten(-2).flip(-2), self.total.flip(-2)).flip(-2)
            return pad(sums[..., 1:, :], (0, 0, 0, 1)).unflatten(-1, states.shape[-2:])
        flat = torch.cat([states, last.unsqueeze(-3)], dim=-3).flatten(-2).flip(-2)
        return decayed_sums(flat, pad(self.total.flip(-2), (0, 0, 1, 0))).flip(-2).unflatten(-1, states.shape[-2:])

    def step_gradient(self, by_row: Tensor, at_end: Tensor) -> Tensor:
        """Gradient of the rates, of causal sums.

        Every product that is read has the weight exp(D_j - D_n), D the sum of the rates so far: what is read at n gives
        the gradient of -D_n, what was written at j that of D_j, and what is left at the end that of the last one.
        """
        flat = by_row.flatten(-2)
        flat = torch.cat([flat[..., :-1], flat[..., -1:] - at_end[..., None]], dim=-1)
        return flat.flip(-1).cumsum(-1).flip(-1).unflatten(-1, by_row.shape[-2:]).sum_to_size(self.step.shape)

    def _chunks(self, x: Tensor) -> Tensor:
        """(..., rows, f) -> (..., J, c, f), with rows of 0 at the end."""
        return pad(x, (0, 0, 0, -self.rows % self.chunk)).unflatten(-2, (-1, self.chunk))


class _Read(torch.autograd.Function):
    """`DecayedScan.read_chunks` that keeps no product of a chunk's rows for the backward pass."""

    @staticmethod
    def forward(ctx: Any, scan: DecayedScan, *parts: Tensor) -> tuple[Tensor, Tensor]:
        read, after, earlier, later = scan.read_chunks(*parts)
        ctx.scan, ctx.both = scan, later is not None
        ctx.save_for_backward(*parts[:3], after, earlier, *([] if later is None else [later]))
        return read, after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (dy, dafter), scan = grads, ctx.scan
        q, w, v, after, earlier, *later = ctx.saved_tensors
        products = (dy @ v.mT) * scan.within
        dq, dw = products @ w, products.mT @ q
        dv = ((q @ w.mT) * scan.within).mT @ dy
        dq = dq + (dy @ earlier.mT) * scan.from_start
        back = scan.carry_back((q * scan.from_start).mT @ dy, dafter)
        at_end = back[..., 1:, :, :]
        dw = dw + (v @ at_end.mT) * scan.to_end
        dv = dv + (w * scan.to_end) @ at_end
        if ctx.both:
            dq = dq + (dy @ later[0].mT) * scan.from_end
            at_start, _ = scan.carry((q * scan.from_end).mT @ dy, torch.zeros_like(dafter))
            dw = dw + (v @ at_start.mT) * scan.to_start
            dv = dv + (w * scan.to_start) @ at_start
        dstep = None
        if ctx.needs_input_grad[5]:
            dstep = scan.step_gradient((w * dw).sum(-1) - (q * dq).sum(-1), (after * dafter).sum((-2, -1)))
        return None, dq, dw, dv, back[..., 0, :, :], dstep


class _Sums(torch.autograd.Function):
    """`DecayedScan.sum_chunks`, with the gradient of the rates from what was summed."""

    @staticmethod
    def forward(ctx: Any, scan: DecayedScan, *parts: Tensor) -> tuple[Tensor, Tensor]:
        sums, after = scan.sum_chunks(*parts)
        ctx.scan = scan
        ctx.save_for_backward(*((parts[0], sums, after) if ctx.needs_input_grad[3] else ()))
        return sums, after

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (dy, dafter), scan = grads, ctx.scan
        back = scan.carry_back((dy * scan.from_start).sum(-2, keepdim=True), dafter)
        dx = scan.within.mT @ dy + scan.to_end * back[..., 1:, :, :]
        if scan.both:
            dx = (
                dx + scan.to_start * scan.carry((dy * scan.from_end).sum(-2, keepdim=True), torch.zeros_like(dafter))[0]
            )
        dstep = None
        if ctx.needs_input_grad[3]:
            x, sums, after = ctx.saved_tensors
            dstep = scan.step_gradient((x * dx).sum(-1) - (sums * dy).sum(-1), (after * dafter).sum((-2, -1)))
        return None, dx, back[..., 0, :, :], dstep


def exponential_kernel(x: Tensor, decay: float) -> Tensor:
    """sum_j exp(-decay |i - j|) x_j along the last dimension but one: O(N log N), no N x N matrix."""
    ahead = decayed_sums(x.flip(-2), decay).flip(-2)
    return decayed_sums(x, decay) + ahead - x
