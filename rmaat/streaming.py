"""Sequences that arrive a segment or a token at a time, in constant memory.

(Laws that were perturbed to random weights have no closed form: under them a table of factors as long as the stream is
made anew for each segment.)
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from astro_sim.common.errors import InputError, brief
from rmaat.attention.features import wide
from rmaat.checks import kind_of
from rmaat.encoder import SegmentEncoder
from rmaat.language import LanguageModel
from rmaat.model import Model, SequenceClassifier, check_lengths, real_rows

HEARD = 1e-3  # share of a segment that enters the memory; below it a stream is said to have stopped listening
SMALL = 4096  # numbers of a parameter that tells models apart; larger ones would take too long to be read each time
# Settings that change nothing of what a stream computes.
IDLE = ("dropout", "backward", "kept_segments", "replay_mb", "truncate_after")


class StreamWarning(UserWarning):
    """A stream goes on and takes in nothing any more."""


class Stream:
    """A model at work on sequences that arrive a segment at a time; `Model.stream` makes one.

    Held between segments: M memory rows, how many segments each row has seen and whether its sequence has ended, and
    the (batch, width) that the head will read (of a language model: the last token). With gradients on, the graph
    behind them too, until `detach`.

    Parameters
    ----------
    model : Model
        One that recurs.
    batch : int
        Rows.
    total : int or Tensor of int64, (batch,), optional
        T of every row, in advance. The rule "scale" needs it, and so do laws that were reversed.
    warn : bool
        Whether to say, once, when the rule "consolidate" leaves less than `HEARD` of a segment: now if ``total`` goes
        so far, else with the push that does.

    Raises
    ------
    InputError
        A model without segments, pairs, a rule that needs T without it, a T that is no number of segments.

    Warns
    -----
    StreamWarning
    """

    def __init__(self, model: Model, batch: int = 1, total: int | Tensor | None = None, warn: bool = True) -> None:
        encoder = model.recurrent
        if model.config.head == "match":
            raise InputError("stream: pairs have two streams; expected the head classify or language")
        _require_batch(batch)
        self.model, self.encoder, self.batch = model, encoder, batch
        self._total = _totals(encoder, total, batch)
        self.memory = encoder.begin(batch)
        device = self.memory.device
        self.segments = torch.zeros(batch, dtype=torch.int64, device=device)
        self.seen = wide(torch.zeros(batch, model.config.width, dtype=self.memory.dtype, device=device))  # a sum
        self.last = torch.zeros(batch, 1, dtype=torch.int64, device=device)
        self.ended = torch.zeros(batch, dtype=torch.bool, device=device)
        self._warn = warn and model.config.memory_rule == "consolidate"
        if self._warn and self._total is not None and encoder.retention is not None:
            heard = encoder.retention.heard(HEARD, int(self._total.max()))
            if heard is not None:
                self._say_deaf(heard, 4)

    def _say_deaf(self, heard: int, level: int) -> None:
        """Warn once; ``level`` counts the calls from here up to the user's."""
        self._warn = False
        retention = self.encoder.retention
        assert retention is not None
        warnings.warn(
            f"stream: after {heard} segments less than {HEARD:g} of a segment enters the memory (memory_rule "
            f"'consolidate', {retention.laws.family.name} law); expected a reset before, a law that falls more slowly, "
            "or the rule 'none'",
            StreamWarning,
            stacklevel=level,
        )

    def push(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor | None:
        """Take the next segment of every row.

        Parameters
        ----------
        tokens : Tensor of int64, (batch, length)
            At most ``segment_length``; fewer where a sequence ends, which then takes no more until its `reset`.
        lengths : Tensor of int64, (batch,), optional
            Real tokens of every row, 0 where it has none this time.

        Returns
        -------
        Tensor, (batch, length, vocabulary), or None
            Logits of these tokens, of a language model.

        Raises
        ------
        InputError
            Ids out of range, a segment that is too long or of another batch, more segments than T, tokens for a row
            whose last segment was not a full one.
        """
        active, real, size = None, None, self.model.config.segment_length
        self.model.check_tokens(tokens, None)
        if len(tokens) != self.batch:
            raise InputError(f"tokens: expected {self.batch} rows, got {len(tokens)}")
        if tokens.shape[1] > size:
            raise InputError(f"segment: expected at most {size} tokens, got {tokens.shape[1]}")
        if lengths is not None:
            lengths = check_lengths(lengths, tokens, 0)
            if int(lengths.min()) < tokens.shape[1]:
                real = real_rows(lengths, 0, tokens.shape[1])
                active = lengths > 0
        counts = torch.full_like(self.segments, tokens.shape[1]) if lengths is None else lengths
        if (again := self.ended & (counts > 0)).any():
            raise InputError(
                f"tokens: the sequence of row {int(again.int().argmax())} ended with a segment of fewer than {size} "
                "tokens; expected full segments up to the last one, or a reset of the row"
            )
        factor = factor_at(self.encoder, self.segments, self._total, active)
        if self._warn and (deaf := (factor < HEARD) & (counts > 0)).any():
            self._say_deaf(int(self.segments[deaf].min()), 3)
        shared = self.encoder.shared()
        now = torch.ones_like(self.segments) if active is None else active.long()
        logits = None
        if isinstance(self.model, LanguageModel):
            inputs = torch.cat([self.last, tokens[:, :-1]], dim=1)
            memory, logits = self.model.segment(self.memory, inputs, None, real, factor, active, shared)
            end = None if lengths is None else (lengths - 1).clamp(min=0)[:, None]
            last = tokens[:, -1:] if end is None else tokens.gather(1, end)
            self.last = torch.where(now[:, None] > 0, last, self.last)
        else:
            memory, seen = self.model.segment(self.memory, tokens, real, factor, active, shared)
            seen = self.seen + seen if self.model.config.readout == "mean" else seen.to(self.seen.dtype)
            self.seen = torch.where(now[:, None] > 0, seen, self.seen)
        self.memory, self.segments = memory, self.segments + now
        self.ended = self.ended | ((counts > 0) & (counts < size))
        return logits

    def logits(self) -> Tensor:
        """Classes of what was seen so far, (batch, classes): those of the whole-sequence call.

        Raises
        ------
        InputError
            A language model; rows that have seen nothing, or another number of segments than T.
        """
        if not isinstance(self.model, SequenceClassifier):
            raise InputError("logits: a language model gives them with each push")
        counts = self.segments.tolist()
        if min(counts) < 1:
            raise InputError(f"logits: row {counts.index(0)} has seen no segment yet")
        if self._total is not None and counts != (totals := self._total.tolist()):
            row = next(i for i in range(self.batch) if counts[i] != totals[i])
            raise InputError(f"T: row {row} was announced with {totals[row]} segments and has seen {counts[row]}")
        seen = self.seen / self.segments[:, None] if self.model.config.readout == "mean" else self.seen
        return self.model.head(seen.to(self.memory.dtype))

    def detach(self) -> Self:
        """Cut the gradient here (truncated back-propagation through time)."""
        self.memory, self.seen = self.memory.detach(), self.seen.detach()
        return self

    def reset(self, rows: Tensor | None = None, total: int | Tensor | None = None) -> Self:
        """Begin again, in the rows where ``rows`` (bool, (batch,)) holds; in all by default.

        ``total`` gives their new T; without it the old one stays. Raises `InputError` for rows of another shape, and
        for a T for some rows alone where the others have none.
        """
        device = self.segments.device
        chosen = torch.ones(self.batch, dtype=torch.bool) if rows is None else rows
        if not isinstance(chosen, Tensor) or chosen.shape != (self.batch,) or chosen.dtype != torch.bool:
            raise InputError(f"rows: expected bool of shape ({self.batch},), got {kind_of(chosen)}")
        chosen = chosen.to(device)
        if total is not None:
            new = _totals(self.encoder, total, self.batch)
            if new is None or (self._total is None and not chosen.all()):
                raise InputError("total: the other rows have no T; expected it for all rows or for none")
            self._total = new if self._total is None else torch.where(chosen, new, self._total)
        self.memory = torch.where(chosen[:, None, None], self.encoder.begin(self.batch), self.memory)
        self.segments, self.seen, self.last = (
            torch.where(chosen.view(-1, *[1] * (part.ndim - 1)), 0, part)
            for part in (self.segments, self.seen, self.last)
        )
        self.ended = self.ended & ~chosen
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """What is held, as tensors without gradient; fit for safetensors."""
        state = {name: getattr(self, name) for name in ("memory", "segments", "seen", "last", "ended")}
        if self._total is not None:
            state["total"] = self._total
        return {**{name: value.detach().clone() for name, value in state.items()}, "model": identity(self.model)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Self:
        """Go on where another stream of this model stood.

        Raises
        ------
        InputError
            Parts that are missing, unknown, or of another shape; a state of another model, or of no stream.
        """
        own = self.state_dict()
        if not isinstance(state, Mapping) or state.keys() != own.keys():
            got = ", ".join(sorted(map(str, state))) if isinstance(state, Mapping) else type(state).__name__
            raise InputError(f"state: expected {', '.join(sorted(own))}, got {brief(got)}")
        for name, value in own.items():
            found = state[name]
            if not isinstance(found, Tensor) or found.shape != value.shape or found.dtype != value.dtype:
                raise InputError(f"state: {name} is {kind_of(found)}, expected {kind_of(value)}")
        if not torch.equal(state["model"].cpu(), own["model"]):
            raise InputError(
                "state: of another model (its settings, its laws or its weights are not those of this one)"
            )
        device = self.segments.device
        parts = {name: value.to(device) for name, value in state.items() if name != "model"}
        self._require_sound(parts)
        self.memory, self.segments, self.seen, self.last, self.ended = (
            parts[name] for name in ("memory", "segments", "seen", "last", "ended")
        )
        self._total = parts.get("total")
        return self

    def _require_sound(self, state: Mapping[str, Tensor]) -> None:
        """Raise `InputError` for values that no stream has."""
        segments, last, high = state["segments"], state["last"], self.model.config.vocabulary - 1
        total = state.get("total", segments.clamp(min=1))
        for name, holds, what in (
            ("segments", segments >= 0, "counts from 0"),
            ("last", (last >= 0) & (last <= high), f"ids from 0 to {high}"),
            ("memory", state["memory"].isfinite(), "finite numbers"),
            ("seen", state["seen"].isfinite(), "finite numbers"),
            ("ended", ~state["ended"] | (segments > 0), "no end before a first segment"),
            ("total", (total >= 1) & (total >= segments), "T from 1, and no more segments than T"),
        ):
            if not holds.all():
                raise InputError(f"state: {name}: expected {what}")


def identity(model: Model) -> Tensor:
    """What tells a model from others, uint8 (32,): of its name, settings, laws and small parameters, SHA-256."""
    settings = {name: value for name, value in model.config.model_dump(mode="json").items() if name not in IDLE}
    laws = None if model.retention is None else model.retention.laws.digest
    found = hashlib.sha256(json.dumps([model.name, settings, laws], sort_keys=True).encode())
    always = (model.recurrent.memory, model.recurrent.write)
    for name, value in model.named_parameters():
        if value.numel() <= SMALL or any(value is each for each in always):
            whole = getattr(value, "full_tensor", lambda value=value: value)()  # of a sharded one
            found.update(name.encode())
            found.update(whole.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return torch.from_numpy(np.frombuffer(found.digest(), dtype=np.uint8).copy())


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
        _require_batch(batch)
        self.model, self.encoder, self.batch = model, model.encoder, batch
        self.place = 0  # tokens of the present segment, or of the sequence
        self.states: list[Any] = [None] * len(self.encoder.blocks)
        shared = self.encoder.shared()
        self._shared = shared
        self._total, self.memory = None, None
        if isinstance(self.encoder, SegmentEncoder):
            self._total = _totals(self.encoder, total, batch)
            self.memory = self.encoder.begin(batch)
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
                self._turn(size)
            now, inputs = inputs[:, : size - self.place], inputs[:, size - self.place :]
            results.append(self.model.out(self._words(now)))
            self.place += now.shape[1]
        return torch.cat(results, dim=1)

    def _words(self, now: Tensor) -> Tensor:
        first = 0
        if isinstance(self.encoder, SegmentEncoder) and self.memory is not None:
            first = self.model.config.memory_tokens
            if self.place == 0:  # a segment begins; one beyond T is refused here
                self._factor = factor_at(self.encoder, self.segments, self._total, None)
                self._extend(self.memory, 0)
        return self._extend(self.encoder.words(now, self.place), first + self.place)

    def _turn(self, size: int) -> None:
        """The end of a segment: write, and begin the next."""
        if not isinstance(self.encoder, SegmentEncoder) or self.memory is None or self.encoder.write is None:
            raise InputError(f"tokens: the model {self.model.name!r} takes at most max_length = {size} of them")
        m = self.model.config.memory_tokens
        written = self._extend(self.memory + self.encoder.write, m + size)
        self.memory = self.encoder.updated(self.memory, written, self._factor)
        self.segments = self.segments + 1
        self.states, self.place = [None] * len(self.states), 0

    def _extend(self, x: Tensor, start: int) -> Tensor:
        shared = None if self._shared is None else self._shared[:, start : start + x.shape[1]]
        for i, block in enumerate(self.encoder.blocks):
            x, self.states[i] = block.extend(x, self.states[i], shared)  # pyright: ignore[reportCallIssue]
        return x


def factor_at(encoder: SegmentEncoder, segments: Tensor, total: Tensor | None, active: Tensor | None) -> Tensor:
    """Factor of the segment that each row takes next, (batch,), float64.

    Raises
    ------
    InputError
        A row that has already seen its T segments.
    """
    if total is not None:
        over = segments >= total if active is None else (segments >= total) & active
        if over.any():
            row = int(over.int().argmax())
            count = int(total[row])
            raise InputError(f"T: row {row} was announced with {count} segments, and this is number {count + 1}")
    if encoder.config.memory_rule == "none" or encoder.retention is None:
        return torch.ones(len(segments), dtype=torch.float64, device=segments.device)
    if total is None:
        return encoder.retention.online_at(segments + 1)
    table = encoder.factors(total.tolist(), int(total.max())).to(segments.device)
    return table.gather(1, torch.minimum(segments, total - 1)[:, None])[:, 0]


def _require_batch(batch: Any) -> None:
    if not isinstance(batch, int) or batch < 1:
        raise InputError(f"batch: expected at least 1, got {brief(batch)}")


def _totals(encoder: SegmentEncoder, total: int | Tensor | None, batch: int) -> Tensor | None:
    rule, device = encoder.config.memory_rule, encoder.memory.device
    reversed_laws = rule == "consolidate" and encoder.retention is not None and encoder.retention.laws.needs_total
    if total is None:
        if rule == "scale" or reversed_laws:
            why = "reversed laws need" if reversed_laws else "the memory rule 'scale' needs"
            raise InputError(f"T: {why} the number of segments in advance; expected total")
        return None
    if not isinstance(total, int | Tensor) or (isinstance(total, Tensor) and not total.numel()):
        raise InputError(f"T: expected a whole number of segments from 1, got {brief(total)}")
    counts = torch.as_tensor(total, device=device)
    if counts.is_floating_point() or counts.dtype == torch.bool or int(counts.min()) < 1:
        raise InputError(f"T: expected a whole number of segments from 1, got {brief(total)}")
    if counts.ndim and counts.shape != (batch,):
        raise InputError(f"T: expected one number or {batch} of them, got shape {tuple(counts.shape)}")
    return counts.to(torch.int64).expand(batch).clone()
