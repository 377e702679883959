"""Causal language modelling: each token predicted from those before it, and a prompt gone on from token by token."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from astro_sim.common.errors import InputError, brief
from rmaat.attention.features import wide
from rmaat.attention.mixer import Mixer, Part
from rmaat.checks import kind_of, require_counts
from rmaat.models.base import Model, evaluating
from rmaat.models.encoder import Link, SegmentEncoder, SequenceEncoder
from rmaat.models.segments import Segments


class LanguageModel(Model):
    """Predicts each token from all before it: within a segment by causal attention, across segments by the memory.

    The first token is predicted from the id 0, so every token of a sequence is.

    Parameters
    ----------
    name : str
    encoder : SegmentEncoder or SequenceEncoder
        Causal.
    """

    classifies = False
    carried = "last"  # the last token, (batch, 1), from which the first of the next segment is predicted

    def __init__(self, name: str, encoder: SegmentEncoder | SequenceEncoder) -> None:
        super().__init__(name, encoder)
        self.out = nn.Linear(self.config.width, self.config.vocabulary)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None, scores: bool = False) -> Tensor:
        """Predict.

        Parameters
        ----------
        tokens : Tensor of int64, (batch, length)
        lengths : Tensor of int64, (batch,), optional
            Real tokens of every row; the whole row by default. What lies beyond changes nothing before it.
        scores : bool
            Sums instead of logits: those of a segment are formed where the segment runs, and replayed with it, so that
            memory does not grow with tokens times vocabulary.

        Returns
        -------
        Tensor
            Logits (batch, length, vocabulary): at n, of the token at n, from those before it; without meaning where
            there is only padding. With ``scores``
            (batch, 2): surprise in nats, summed over the real tokens of a row, and how many of them were the likeliest.

        Raises
        ------
        InputError
            Ids out of range, another type or shape, lengths that do not fit.
        """
        lengths = self.check_tokens(tokens, lengths)
        longest = tokens.shape[1] if lengths is None else int(lengths.max())
        beyond, tokens = tokens.shape[1] - longest, tokens[:, :longest]  # padding for all
        cut = self.cut(tokens, lengths)
        inputs = pad(cut.tokens, (1, -1))  # 0, then all but the last
        if self.recurs:
            results = self._by_segments(cut, inputs, scores)
            if scores:
                return torch.stack(results).sum(0)
            logits = torch.cat(results, dim=1)[:, :longest]
        else:
            real = cut.all_real()
            logits = self.out(self.encoder(inputs, real))
            if scores:
                return score(logits, tokens, real)
        return pad(logits, (0, 0, 0, beyond))

    def loss(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Mean surprise a token, nats; divided by log 2 it is bits."""
        count = tokens.numel() if lengths is None else int(lengths.sum())
        return self(tokens, lengths, scores=True)[:, 0].sum() / count

    def segment(
        self,
        link: Link,
        inputs: Tensor,
        targets: Tensor | None,
        real: Tensor | None,
        factor: Tensor,
        active: Tensor | None,
        shared: Tensor | None,
    ) -> tuple[Link, Tensor]:
        """One segment: memory in, memory out, and scores (batch, 2), or logits where no targets are given."""
        after, _, rows = self.recurrent(link, inputs, real, factor, active, shared)
        assert rows is not None
        logits = self.out(rows)
        return after, logits if targets is None else score(logits, targets, real)

    def _by_segments(self, cut: Segments, inputs: Tensor, scores: bool) -> list[Tensor]:
        encoder = self.recurrent
        factor = encoder.factors(cut.counts, cut.count).to(inputs.device)
        shared = encoder.shared()
        steps = []
        for t in range(cut.count):
            span = cut.span(t)
            targets = cut.tokens[:, span] if scores else None
            steps.append((inputs[:, span], targets, cut.real(t), factor[:, t], cut.active(t), shared))
        _, outputs = encoder.carry(self.step, steps, len(inputs))
        return outputs

    def loss_and_hits(self, tokens: Tensor, lengths: Tensor, labels: Tensor, call: Any = None) -> tuple[Tensor, int]:
        """See `Model.loss_and_hits`: over tokens, which are their own labels."""
        return (call or self)(tokens, lengths, scores=True).sum(0), int(lengths.sum())

    def answers(self, lengths: Any) -> int:
        """See `Model.answers`: a token is one."""
        return int(lengths.sum())

    def merit(self, loss: float, accuracy: float) -> tuple[float, float]:
        """See `Model.merit`: the loss alone."""
        return 0.0, -loss

    def begin_carried(self, memory: Tensor) -> Tensor:
        """See `Model.begin_carried`."""
        return torch.zeros(len(memory), 1, dtype=torch.int64, device=memory.device)

    def advance(
        self, link: Link, carried: Tensor, tokens: Tensor, lengths: Tensor | None,
        real: Tensor | None, factor: Tensor, active: Tensor | None, shared: Tensor | None,
    ) -> tuple[Link, Tensor, Tensor | None]:  # fmt: skip
        """See `Model.advance`; it answers with logits of these tokens, (batch, length, vocabulary)."""
        inputs = torch.cat([carried, tokens[:, :-1]], dim=1)
        link, logits = self.segment(link, inputs, None, real, factor, active, shared)
        if lengths is None:
            return link, tokens[:, -1:], logits
        last = tokens.gather(1, (lengths - 1).clamp(min=0)[:, None])
        return link, last if active is None else torch.where(active[:, None], last, carried), logits

    def conclude(self, memory: Tensor, carried: Tensor, segments: Tensor) -> Tensor:
        """See `Model.conclude`."""
        raise InputError("logits: a language model gives them with each push")

    def carried_is_sound(self, carried: Tensor) -> tuple[Tensor, str]:
        """See `Model.carried_is_sound`."""
        high = self.config.vocabulary - 1
        return (carried >= 0) & (carried <= high), f"ids from 0 to {high}"

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor,
        count: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
        total: int | None = None,
    ) -> Tensor:
        """Go on from a prompt. What is held between tokens does not grow (but for softmax attention, by a segment).

        Parameters
        ----------
        prompt : Tensor of int64, (batch, length)
            Without padding, so all of one length. May be empty: (batch, 0).
        count : int
            Tokens to write.
        temperature : float
            0 takes the likeliest token each time.
        top_k : int, optional
            Draw among so many likeliest tokens only.
        seed : int, optional
            Of the draws; by default torch's own random state.
        total : int, optional
            T, where the memory rule needs it.

        Returns
        -------
        Tensor of int64, (batch, count)
            The id 0 is never drawn.

        Raises
        ------
        InputError
            A count below 1, a negative temperature, a top_k below 1, ids out of range or of padding, a rule that needs
            T without it.
        """
        numbers = isinstance(count, int) and isinstance(top_k, int | None) and isinstance(temperature, int | float)
        if not numbers or count < 1 or not 0 <= temperature < math.inf or (top_k is not None and top_k < 1):
            raise InputError(
                "expected whole numbers count and top_k from 1 and a finite temperature from 0, "
                f"got {brief(count)}, {brief(top_k)} and {brief(temperature)}"
            )
        if seed is not None and (not isinstance(seed, int) or not -(2**63) <= seed < 2**63):
            raise InputError(f"seed: expected a whole number of 64 bits, got {brief(seed)}")
        empty = isinstance(prompt, Tensor) and prompt.ndim == 2 and not prompt.shape[1]
        self.check_tokens(pad(prompt, (1, 0)) if empty else prompt, None)  # an empty prompt is one, too
        if (prompt == 0).any():
            raise InputError("prompt: holds the id 0, which is padding; expected prompts of one length without any")
        generator = None if seed is None else torch.Generator(prompt.device).manual_seed(seed)
        written = []
        with evaluating(self):
            decoder = Decoder(self, len(prompt), total)
            logits = decoder.feed(pad(prompt, (1, 0)))[:, -1]
            for n in range(count):
                written.append(_draw(logits, temperature, top_k, generator))
                if n + 1 < count:
                    logits = decoder.feed(written[-1])[:, -1]
        return torch.cat(written, dim=1)


class Decoder:
    """A language model at work a token at a time: what `LanguageModel.generate` holds.

    Parameters
    ----------
    model : LanguageModel
    batch : int
    total : int, optional
        T in segments, where the memory rule needs it.

    Raises
    ------
    InputError
        Another model, no rows, a rule that needs T without it, a T that is no number of segments.
    """

    def __init__(self, model: LanguageModel, batch: int, total: int | None = None) -> None:
        if not isinstance(model, LanguageModel):
            raise InputError(f"decoder: expected a language model, got {type(model).__name__}")
        require_counts(1, batch=batch)
        self.model, self.encoder, self.batch = model, model.encoder, batch
        self.place = 0  # tokens of the present segment, or of the sequence
        self.states: list[Any] = [None] * len(self.encoder.blocks)
        self._shared = self.encoder.shared()
        self._total, self.memory = None, None
        if isinstance(self.encoder, SegmentEncoder):
            self._total = self.encoder.announced(total, batch)
            link = self.encoder.begin(batch)
            self.memory = link.memory
            self._resume(link.layers)
            self.segments = torch.zeros(batch, dtype=torch.int64, device=self.memory.device)

    def feed(self, inputs: Tensor) -> Tensor:
        """Take further inputs, (batch, n) -> logits of what follows each, (batch, n, vocabulary).

        The ids themselves are not looked at: on a GPU that would hold up every token. Raises `InputError` for another
        shape or type, and beyond the last segment, or ``max_length``, of the model.
        """
        if not isinstance(inputs, Tensor) or inputs.ndim != 2 or inputs.dtype != torch.int64 or not inputs.numel():
            raise InputError(f"inputs: expected int64 of shape ({self.batch}, n), got {kind_of(inputs)}")
        if len(inputs) != self.batch:
            raise InputError(f"inputs: expected {self.batch} rows, got {len(inputs)}")
        size = self.model.config.segment_length if self.memory is not None else self.model.config.max_length
        results = []
        while inputs.shape[1]:
            if self.place == size:
                self._end_segment(size)
            now, inputs = inputs[:, : size - self.place], inputs[:, size - self.place :]
            results.append(self.model.out(self._take(now)))
            self.place += now.shape[1]
        return torch.cat(results, dim=1)

    def _take(self, tokens: Tensor) -> Tensor:
        """What becomes of tokens of one segment, (B, n) -> (B, n, d)."""
        first = 0
        if isinstance(self.encoder, SegmentEncoder) and self.memory is not None:
            first = self.model.config.memory_tokens
            if self.place == 0:  # a segment begins; one beyond T is refused here
                self._factor = self.encoder.factor_at(self.segments, self._total)
                self._extend(self.memory, 0, "memory")
        return self._extend(self.encoder.embed(tokens, self.place), first + self.place)

    def _end_segment(self, size: int) -> None:
        """Write, and begin the next."""
        if not isinstance(self.encoder, SegmentEncoder) or self.memory is None or self.encoder.write is None:
            raise InputError(f"tokens: the model {self.model.name!r} takes at most max_length = {size} of them")
        written = self._extend(self.memory + self.encoder.write, self.model.config.memory_tokens + size, "write")
        self.memory = self.encoder.updated(self.memory, written, self._factor)
        self.segments, self.place = self.segments + 1, 0
        carries = self.model.config.carry_traces
        self._resume([mixer.carried(state) for mixer, state in zip(self._mixers, self.states, strict=True)] * carries)

    def _resume(self, layers: Sequence[Any]) -> None:
        """Begin a segment with what the layers carry; with nothing of it, if that is nothing."""
        layers = layers or [mixer.begin(self.batch) for mixer in self._mixers]
        self.states = [mixer.resume(carried) for mixer, carried in zip(self._mixers, layers, strict=True)]

    @property
    def _mixers(self) -> list[Mixer]:
        return [block.attention for block in self.encoder.blocks]  # pyright: ignore[reportReturnType]

    def _extend(self, x: Tensor, start: int, part: Part = "tokens") -> Tensor:
        shared = None if self._shared is None else self._shared[:, start : start + x.shape[1]]
        for i, block in enumerate(self.encoder.blocks):
            x, self.states[i] = block.extend(x, self.states[i], shared, part)  # pyright: ignore[reportCallIssue]
        return x


def score(logits: Tensor, targets: Tensor, real: Tensor | None) -> Tensor:
    """Summed surprise in nats and number of likeliest tokens that were right, (batch, 2)."""
    surprise = cross_entropy(wide(logits).flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
    hits = (logits.detach().argmax(-1) == targets).to(surprise.dtype)
    both = torch.stack([surprise, hits], dim=-1)  # (B, L, 2)
    return (both if real is None else torch.where(real[..., None], both, 0.0)).sum(1)


def _draw(logits: Tensor, temperature: float, top_k: int | None, generator: Any) -> Tensor:
    """(B, V) -> (B, 1)."""
    logits = wide(logits).clone()
    logits[:, 0] = -torch.inf
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    if top_k is not None and top_k < logits.shape[1]:
        best = logits.topk(top_k, dim=-1)
        logits = torch.full_like(logits, -torch.inf).scatter(1, best.indices, best.values)
    # The largest at 0 before the division, which a small temperature would make overflow.
    logits = (logits - logits.amax(-1, keepdim=True)) / temperature
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)
