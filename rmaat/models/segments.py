"""How a batch falls into segments, and which of its places hold tokens."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from astro_sim.common.errors import InputError, brief


class Segments:
    """A batch of sequences, cut into segments.

    Parameters
    ----------
    tokens : Tensor, (batch, length)
    lengths : Tensor, (batch,), or None
    size : int
        Tokens of a segment.
    even : bool
        Whether the last segment is padded to the size of the others, so that all have one shape.

    Attributes
    ----------
    count : int
        T of the longest example.
    totals : Tensor, (batch,), or None
        T of every example; None where all are alike.
    counts : list of int
        The same as numbers.
    """

    def __init__(self, tokens: Tensor, lengths: Tensor | None, size: int, even: bool = False) -> None:
        if even and (missing := -tokens.shape[1] % size):
            lengths = tokens.new_full((len(tokens),), tokens.shape[1]) if lengths is None else lengths
            tokens = pad(tokens, (0, missing))
        self.tokens, self.lengths, self.size = tokens, lengths, size
        known = [tokens.shape[1]] * len(tokens) if lengths is None else lengths.tolist()
        self.shortest = min(known)
        self.counts = [-(-length // size) for length in known]
        self.count = max(self.counts)
        alike = min(self.counts) == self.count
        self.totals = None if alike else torch.tensor(self.counts, device=tokens.device)

    def span(self, t: int) -> slice:
        """Places of segment ``t`` (from 0) in the sequence."""
        return slice(t * self.size, min((t + 1) * self.size, self.tokens.shape[1]))

    def real(self, t: int) -> Tensor | None:
        """Which tokens of segment ``t`` are not padding, (batch, length); None: all."""
        span = self.span(t)
        if self.lengths is None or self.shortest >= span.stop:
            return None
        return real_places(self.lengths, span.start, span.stop)

    def all_real(self) -> Tensor | None:
        """Which tokens are not padding, (batch, length); None: all."""
        return None if self.lengths is None else real_places(self.lengths, 0, self.tokens.shape[1])

    def active(self, t: int) -> Tensor | None:
        """Which examples have a segment ``t``, (batch,); None: all."""
        return None if self.totals is None or t < min(self.counts) else t < self.totals


def real_places(lengths: Tensor, start: int, stop: int) -> Tensor:
    """Which of the places ``start`` .. ``stop`` - 1 hold tokens, (batch, places)."""
    return torch.arange(start, stop, device=lengths.device) < lengths[:, None]


def check_lengths(lengths: Tensor, tokens: Tensor, least: int) -> Tensor:
    """``lengths`` as int64 beside ``tokens``, or `InputError`: another shape, no whole numbers, or out of range."""
    longest, count = tokens.shape[-1], tokens.shape[:-1].numel()
    expected = f"lengths: expected {count} whole numbers from {least} to {longest}, got"
    if not isinstance(lengths, Tensor):
        raise InputError(f"{expected} {brief(lengths)}")
    integral = not (lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool)
    if lengths.shape != tokens.shape[:-1] or not integral or int(lengths.min()) < least or int(lengths.max()) > longest:
        raise InputError(f"{expected} {brief(lengths.tolist())}")
    return lengths.to(tokens.device, torch.int64)
