"""The model that classifies: a readout takes what an encoder makes of a sequence, a head makes logits of it.

Sums over rows and segments are formed in float32 at least: in half precision they would overflow.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from astro_sim.common.errors import InputError
from rmaat.attention.features import wide
from rmaat.checks import kind_of
from rmaat.models.base import Model
from rmaat.models.encoder import Link, SegmentEncoder, SequenceEncoder
from rmaat.models.segments import Segments, check_lengths


def mean_rows(rows: Tensor, real: Tensor | None) -> Tensor:
    """Mean over the rows that are real, (..., L, d) -> (..., d); 0 where there is none."""
    if real is None:
        return wide(rows).mean(-2).to(rows.dtype)
    total = torch.where(real[..., None], wide(rows), 0.0).sum(-2)
    return (total / real.sum(-1, keepdim=True).clamp(min=1)).to(rows.dtype)


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


class SequenceClassifier(Model):
    """Classifies token sequences, or pairs of them (``head="match"``).

    Parameters
    ----------
    name : str
    encoder : SegmentEncoder or SequenceEncoder
    """

    classifies = True
    carried = "seen"  # what the head will read, (batch, width): a sum over segments, or of the last one

    def __init__(self, name: str, encoder: SegmentEncoder | SequenceEncoder) -> None:
        super().__init__(name, encoder)
        c = self.config
        assert c.classes is not None  # checked by the configuration
        if c.readout == "memory" and not self.recurs:
            raise InputError(f"readout: 'memory' needs a model with memory, and {name!r} has none")
        kind = MatchingHead if c.head == "match" else ClassificationHead
        self.head = kind(c.width, c.classes)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Classify.

        Parameters
        ----------
        tokens : Tensor of int64, (batch, length); for pairs (batch, 2, length)
            0 is padding; any length.
        lengths : Tensor of int64, (batch,); for pairs (batch, 2); optional
            Real tokens of every row; the whole row by default. What lies beyond changes nothing.

        Returns
        -------
        Tensor, (batch, classes)
            Logits.

        Raises
        ------
        InputError
            Ids out of range, another type or shape, lengths that do not fit.
        """
        if self.config.head != "match":
            return self.head(self.features(tokens, lengths))
        if not isinstance(tokens, Tensor) or tokens.ndim != 3 or tokens.shape[1] != 2:
            got = tuple(tokens.shape) if isinstance(tokens, Tensor) else kind_of(tokens)
            raise InputError(f"tokens: expected pairs, (batch, 2, length), got {got}")
        flat_lengths = None if lengths is None else check_lengths(lengths, tokens, 1).flatten()
        features = self.features(tokens.flatten(0, 1), flat_lengths)
        return self.head(features.unflatten(0, (-1, 2)))

    def features(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """What the head reads, (batch, width)."""
        lengths = self.check_tokens(tokens, lengths)
        tokens = tokens if lengths is None else tokens[:, : int(lengths.max())]  # what lies beyond is padding for all
        cut = self.cut(tokens, lengths)
        seen = self._by_segments(cut) if self.recurs else self._at_once(cut)  # (B, T, d)
        return (mean_segments if self.config.readout == "mean" else last_segment)(seen, cut.totals)

    def segment(
        self,
        link: Link,
        tokens: Tensor,
        real: Tensor | None,
        factor: Tensor,
        active: Tensor | None,
        shared: Tensor | None,
        wanted: bool = True,
    ) -> tuple[Link, Tensor]:
        """One segment: memory in, memory out, and the (batch, width) that the head may see.

        Parameters are those of `SegmentEncoder.forward`; where the readout has no use for this segment (not
        ``wanted``), zeros stand in for it.
        """
        encoder, reads_rows = self.recurrent, wanted and self.config.readout != "memory"
        after, written, rows = encoder(link, tokens, real, factor, active, shared, reads_rows)
        if not wanted:
            return after, after.memory.new_zeros(len(tokens), self.config.width)
        if rows is None:
            return after, mean_rows(encoder.rule.readable(after.memory, written), None)
        return after, mean_rows(rows, real)

    def _by_segments(self, cut: Segments) -> Tensor:
        """(B, T, d), a segment at a time."""
        encoder, tokens = self.recurrent, cut.tokens
        factor = encoder.factors(cut.counts, cut.count).to(tokens.device)
        shared = encoder.shared()
        ends = set(cut.counts)  # the readouts "last" and "memory" read where an example ends
        steps = [
            (
                tokens[:, cut.span(t)],
                cut.real(t),
                factor[:, t],
                cut.active(t),
                shared,
                self.config.readout == "mean" or t + 1 in ends,
            )
            for t in range(cut.count)
        ]
        _, outputs = encoder.carry(self.step, steps, len(tokens))
        return torch.stack(outputs, dim=1)

    def _at_once(self, cut: Segments) -> Tensor:
        """(B, T, d) from all tokens together: the mean of each segment's."""
        real = cut.all_real()
        rows = self.encoder(cut.tokens, real)  # (B, L, d)
        spans = [cut.span(t) for t in range(cut.count)]
        return torch.stack([mean_rows(rows[:, s], None if real is None else real[:, s]) for s in spans], dim=1)

    def loss_and_hits(self, tokens: Tensor, lengths: Tensor, labels: Tensor, call: Any = None) -> tuple[Tensor, int]:
        """See `Model.loss_and_hits`: over examples."""
        logits = (call or self)(tokens, lengths)
        hits = (logits.detach().argmax(-1) == labels).sum()
        return torch.stack([cross_entropy(logits, labels, reduction="sum"), hits]), len(labels)

    def answers(self, lengths: Any) -> int:
        """See `Model.answers`: an example has one."""
        return len(lengths)

    def merit(self, loss: float, accuracy: float) -> tuple[float, float]:
        """See `Model.merit`: accuracy, then loss."""
        return accuracy, -loss

    def begin_carried(self, memory: Tensor) -> Tensor:
        """See `Model.begin_carried`."""
        if self.config.head == "match":
            raise InputError("stream: pairs have two streams; expected the head classify or language")
        return wide(torch.zeros(len(memory), self.config.width, dtype=memory.dtype, device=memory.device))

    def advance(
        self, link: Link, carried: Tensor, tokens: Tensor, lengths: Tensor | None,
        real: Tensor | None, factor: Tensor, active: Tensor | None, shared: Tensor | None,
    ) -> tuple[Link, Tensor, Tensor | None]:  # fmt: skip
        """See `Model.advance`; it answers at the end alone."""
        link, seen = self.segment(link, tokens, real, factor, active, shared)
        after = carried + seen if self.config.readout == "mean" else seen.to(carried.dtype)
        return link, after if active is None else torch.where(active[:, None], after, carried), None

    def conclude(self, memory: Tensor, carried: Tensor, segments: Tensor) -> Tensor:
        """See `Model.conclude`."""
        seen = carried / segments[:, None] if self.config.readout == "mean" else carried
        return self.head(seen.to(memory.dtype))

    def carried_is_sound(self, carried: Tensor) -> tuple[Tensor, str]:
        """See `Model.carried_is_sound`."""
        return carried.isfinite(), "finite numbers"
