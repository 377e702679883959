"""A model, whole: an encoder, a readout, a head.

`rmaat.family` builds all of them by name, RMAAT among them; `rmaat.language` has the one that predicts each next token.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from astro_sim.common.errors import InputError, brief
from bridge.torch import Retention, restore_constants
from rmaat.amrb import Step
from rmaat.checks import kind_of, refuse_tracing
from rmaat.encoder import SegmentEncoder, SequenceEncoder
from rmaat.heads import ClassificationHead, MatchingHead, last_segment, mean_segments, mean_words
from rmaat.pretrained import Pretrained

if TYPE_CHECKING:
    from rmaat.streaming import Stream


class Model(Pretrained, nn.Module):
    """What all models have: a name, a configuration that is filled in, an encoder.

    Attributes
    ----------
    name : str
        In the family.
    config : RMAATConfig
    encoder : SegmentEncoder or SequenceEncoder
    """

    def __init__(self, name: str, encoder: SegmentEncoder | SequenceEncoder) -> None:
        super().__init__()
        self.name, self.config, self.encoder = name, encoder.config, encoder
        self._compiled: Step | None = None
        self._whole = False

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of any module; a model that was made on the meta device gets its constants, too, with ``assign``.

        Raises `InputError`, before anything is changed, for what `state_dict` gave of a model with other laws.
        """
        about = getattr(state_dict, "_metadata", {})
        for name, part in self.named_modules():
            if isinstance(part, Retention):
                part.require_own(about.get(name, {}))
        found = super().load_state_dict(state_dict, strict, assign)
        restore_constants(self, self.encoder.embedding.weight.device)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Without compiled code, which no copy and no other process can take over; there the model runs plainly."""
        return {**self.__dict__, "_compiled": None}

    def segment(self, *arguments: Any, **named: Any) -> tuple[Tensor, Tensor]:
        """One segment, of the form that `rmaat.amrb` carries a memory through: the memory is its first argument."""
        raise NotImplementedError

    def compile_segments(self, whole: bool = False, **options: Any) -> Self:
        """Hand the step of a segment to `torch.compile`; it is compiled once for each shape. Returns the model.

        With ``whole`` the last segment is padded to the length of the others, so that there is one shape whatever the
        length of a sequence. Of a model without segments the encoder is compiled, as torch does it.

        With torch's own ``dynamic=None``, code for any shape follows a second one, and the replay of a segment could
        meet other code than its forward pass did, which the checkpoint refuses.
        """
        if isinstance(self.encoder, SegmentEncoder):
            self._whole = whole
            self._compiled = torch.compile(type(self).segment, **{"dynamic": False, **options})
        else:
            self.encoder.compile(**options)
        return self

    @property
    def step(self) -> Step:
        """The step of a segment, compiled if `compile_segments` was called."""
        return self.segment if self._compiled is None else self._compiled_segment

    def _compiled_segment(self, *arguments: Any) -> tuple[Tensor, Tensor]:
        assert self._compiled is not None
        # Strides of a slice tell the length of the whole, and there would be code for each. Copied here, inside of
        # what is replayed, the copies are not held.
        return self._compiled(self, *(x.contiguous() if isinstance(x, Tensor) else x for x in arguments))

    def stream(self, batch: int = 1, total: int | Tensor | None = None) -> "Stream":
        """Sequences that arrive a segment at a time; see `rmaat.streaming.Stream`."""
        from rmaat.streaming import Stream

        return Stream(self, batch, total)

    def cut(self, tokens: Tensor, lengths: Tensor | None) -> "Cut":
        """How a batch falls into segments."""
        return Cut(tokens, lengths, self.config.segment_length, self._whole)

    @property
    def retention(self) -> Retention | None:
        """The laws that act on the memory, if there is one."""
        return self.encoder.retention if isinstance(self.encoder, SegmentEncoder) else None

    @property
    def recurrent(self) -> SegmentEncoder:
        """The encoder, of a model that recurs over segments; others raise `InputError`."""
        if not isinstance(self.encoder, SegmentEncoder):
            raise InputError(f"the model {self.name!r} has no segments and no memory")
        return self.encoder

    def __dir__(self) -> list[str]:
        """What the model has, for those that look at all of it, as torch.jit does."""
        names = list(super().__dir__())
        return names if isinstance(self.encoder, SegmentEncoder) else [name for name in names if name != "recurrent"]

    def check_tokens(self, tokens: Tensor, lengths: Tensor | None) -> Tensor | None:
        """Refuse ids out of range and lengths that do not fit; lengths where some are short, else None."""
        refuse_tracing()
        if not isinstance(tokens, Tensor) or tokens.ndim != 2 or tokens.dtype != torch.int64 or not tokens.numel():
            raise InputError(f"tokens: expected int64 of shape (batch, length), got {kind_of(tokens)}")
        table = self.encoder.embedding
        # A part that accelerate moves has its own hook, which moves the tokens, too.
        if tokens.device != table.weight.device and not hasattr(table, "_hf_hook"):
            raise InputError(f"tokens: are on {tokens.device}, expected {table.weight.device}, where the model is")
        low, high = (int(value) for value in tokens.aminmax())
        if low < 0 or high >= self.config.vocabulary:
            raise InputError(f"tokens: expected ids from 0 to {self.config.vocabulary - 1}, got {low} to {high}")
        if lengths is None:
            return None
        lengths = check_lengths(lengths, tokens, 1)
        return None if int(lengths.min()) == tokens.shape[1] else lengths


def check_lengths(lengths: Tensor, tokens: Tensor, least: int) -> Tensor:
    """``lengths`` as int64 beside ``tokens``, or `InputError`: another shape, no whole numbers, or out of range."""
    longest, count = tokens.shape[-1], tokens.shape[:-1].numel()
    what = f"lengths: expected {count} whole numbers from {least} to {longest}, got"
    if not isinstance(lengths, Tensor):
        raise InputError(f"{what} {brief(lengths)}")
    whole = not (lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool)
    if lengths.shape != tokens.shape[:-1] or not whole or int(lengths.min()) < least or int(lengths.max()) > longest:
        raise InputError(f"{what} {brief(lengths.tolist())}")
    return lengths.to(tokens.device, torch.int64)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, and every part of it afterwards in the mode it was in."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def real_rows(lengths: Tensor, start: int, stop: int) -> Tensor:
    """Which of the places ``start`` .. ``stop`` - 1 hold tokens, (batch, places)."""
    return torch.arange(start, stop, device=lengths.device) < lengths[:, None]


class Cut:
    """How a batch falls into segments.

    Parameters
    ----------
    tokens : Tensor, (batch, length)
    lengths : Tensor, (batch,), or None
    size : int
        Tokens of a segment.
    whole : bool
        Whether the last segment is padded to the size of the others, so that all have one shape.

    Attributes
    ----------
    segments : int
        T of the longest example.
    totals : Tensor, (batch,), or None
        T of every example; None where all are alike.
    counts : list of int
        The same as numbers.
    """

    def __init__(self, tokens: Tensor, lengths: Tensor | None, size: int, whole: bool = False) -> None:
        if whole and (missing := -tokens.shape[1] % size):
            lengths = tokens.new_full((len(tokens),), tokens.shape[1]) if lengths is None else lengths
            tokens = pad(tokens, (0, missing))
        self.tokens, self.lengths, self.size = tokens, lengths, size
        known = [tokens.shape[1]] * len(tokens) if lengths is None else lengths.tolist()
        self.shortest = min(known)
        self.counts = [-(-length // size) for length in known]
        self.segments = max(self.counts)
        alike = min(self.counts) == self.segments
        self.totals = None if alike else torch.tensor(self.counts, device=tokens.device)

    def span(self, t: int) -> slice:
        """Places of segment ``t`` (from 0) in the sequence."""
        return slice(t * self.size, min((t + 1) * self.size, self.tokens.shape[1]))

    def real(self, t: int) -> Tensor | None:
        """Which tokens of segment ``t`` are not padding, (batch, length); None: all."""
        span = self.span(t)
        if self.lengths is None or self.shortest >= span.stop:
            return None
        return real_rows(self.lengths, span.start, span.stop)

    def all_real(self) -> Tensor | None:
        """Which tokens are not padding, (batch, length); None: all."""
        return None if self.lengths is None else real_rows(self.lengths, 0, self.tokens.shape[1])

    def active(self, t: int) -> Tensor | None:
        """Which examples have a segment ``t``, (batch,); None: all."""
        return None if self.totals is None or t < min(self.counts) else t < self.totals


class SequenceClassifier(Model):
    """Classifies token sequences, or pairs of them (``head="match"``).

    Parameters
    ----------
    name : str
    encoder : SegmentEncoder or SequenceEncoder
    """

    def __init__(self, name: str, encoder: SegmentEncoder | SequenceEncoder) -> None:
        super().__init__(name, encoder)
        c = self.config
        assert c.classes is not None  # checked by the configuration
        if c.readout == "memory" and not isinstance(encoder, SegmentEncoder):
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
        if self.config.head == "match":
            if not isinstance(tokens, Tensor) or tokens.ndim != 3 or tokens.shape[1] != 2:
                got = tuple(tokens.shape) if isinstance(tokens, Tensor) else kind_of(tokens)
                raise InputError(f"tokens: expected pairs, (batch, 2, length), got {got}")
            flat_lengths = None if lengths is None else check_lengths(lengths, tokens, 1).flatten()
            flat = self.features(tokens.flatten(0, 1), flat_lengths)
            return self.head(flat.unflatten(0, (-1, 2)))
        return self.head(self.features(tokens, lengths))

    def features(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """What the head reads, (batch, width)."""
        lengths = self.check_tokens(tokens, lengths)
        tokens = tokens if lengths is None else tokens[:, : int(lengths.max())]  # what lies beyond is padding for all
        cut = self.cut(tokens, lengths)
        seen = self._recurrent(cut) if isinstance(self.encoder, SegmentEncoder) else self._at_once(cut)
        return (mean_segments if self.config.readout == "mean" else last_segment)(seen, cut.totals)

    def segment(
        self,
        memory: Tensor,
        tokens: Tensor,
        real: Tensor | None,
        factor: Tensor,
        active: Tensor | None,
        shared: Tensor | None,
        wanted: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """One segment: memory in, memory out, and the (batch, width) that the head may see.

        Parameters are those of `SegmentEncoder.forward`; where the readout has no use for this segment (not
        ``wanted``), zeros stand in for it.
        """
        c = self.config
        words = wanted and c.readout != "memory"
        after, written, rows = self.recurrent(memory, tokens, real, factor, active, shared, words)
        if not wanted:
            return after, after.new_zeros(len(after), c.width)
        if rows is None:
            # "scale" shrinks what it hands on, towards 0 in long sequences; the head reads it before that.
            return after, mean_words(after if c.memory_rule == "consolidate" else written, None)
        return after, mean_words(rows, real)

    def _recurrent(self, cut: Cut) -> Tensor:
        """(B, T, d), a segment at a time."""
        encoder, tokens = self.recurrent, cut.tokens
        factor = encoder.factors(cut.counts, cut.segments).to(tokens.device)
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
            for t in range(cut.segments)
        ]
        _, outputs = encoder.carry(self.step, steps, len(tokens))
        return torch.stack(outputs, dim=1)

    def _at_once(self, cut: Cut) -> Tensor:
        """(B, T, d) from all tokens together: the mean of each segment's."""
        encoder, tokens = self.encoder, cut.tokens
        real = cut.all_real()
        words = encoder(tokens, real)  # (B, L, d)
        spans = [cut.span(t) for t in range(cut.segments)]
        return torch.stack([mean_words(words[:, s], None if real is None else real[:, s]) for s in spans], dim=1)
