"""Sequences that arrive a segment at a time, in constant memory.

(Laws that were perturbed to random weights have no closed form: under them a table of factors as long as the stream is
made anew for each segment.)
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_map_only, tree_unflatten

from astro_sim.common.errors import InputError, brief
from rmaat.checks import kind_of, require_counts
from rmaat.models.base import Model
from rmaat.models.encoder import Link
from rmaat.models.segments import check_lengths, real_places

HEARD = 1e-3  # share of a segment that enters the memory; below it a stream is said to have stopped listening
SMALL = 4096  # numbers of a parameter that tells models apart; larger ones would take too long to be read each time
# Settings that change nothing of what a stream computes.
IDLE = ("dropout", "backward", "kept_segments", "replay_mb", "truncate_after")


class StreamWarning(UserWarning):
    """A stream goes on and takes in nothing any more."""


class Stream:
    """A model at work on sequences that arrive a segment at a time.

    Held between segments: M memory rows and the traces of short-term plasticity, how many segments each row has seen
    and whether its sequence has ended, and what the model carries beside that: the (batch, width) that a head will
    read, or the last token of a language model. With gradients on, the graph behind them too, until `detach`.

    Parameters
    ----------
    model : Model
        One that recurs.
    batch : int
        Rows.
    total : int or Tensor of int64, (batch,), optional
        T of every row, in advance. The rule "scale" needs it, and so do laws that were reversed.
    warn : bool
        Whether to say, once, when a memory rule that fades leaves less than `HEARD` of a segment: now if ``total`` goes
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
        self.model, self.encoder, self.batch = model, model.recurrent, batch
        require_counts(1, batch=batch)
        self._total = self.encoder.announced(total, batch)
        self.link = self.encoder.begin(batch)
        self.carried = model.begin_carried(self.memory)
        device = self.memory.device
        self.segments = torch.zeros(batch, dtype=torch.int64, device=device)
        self.ended = torch.zeros(batch, dtype=torch.bool, device=device)
        self._warn = warn and self.encoder.rule.fades
        if self._warn and self._total is not None and self.encoder.retention is not None:
            heard = self.encoder.retention.heard(HEARD, int(self._total.max()))
            if heard is not None:
                self._say_deaf(heard, 3)

    @property
    def memory(self) -> Tensor:
        """mem_t, (batch, M, width)."""
        return self.link.memory

    def _say_deaf(self, heard: int, level: int) -> None:
        """Warn once; ``level`` counts the calls from here up to the user's."""
        self._warn = False
        retention = self.encoder.retention
        assert retention is not None
        warnings.warn(
            f"stream: after {heard} segments less than {HEARD:g} of a segment enters the memory (memory_rule "
            f"{self.encoder.rule.name!r}, {retention.laws.family.name} law); expected a reset before, a law that falls "
            "more slowly, or the rule 'none'",
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
                real = real_places(lengths, 0, tokens.shape[1])
                active = lengths > 0
        counts = torch.full_like(self.segments, tokens.shape[1]) if lengths is None else lengths
        if (again := self.ended & (counts > 0)).any():
            raise InputError(
                f"tokens: the sequence of row {int(again.int().argmax())} ended with a segment of fewer than {size} "
                "tokens; expected full segments up to the last one, or a reset of the row"
            )
        factor = self.encoder.factor_at(self.segments, self._total, active)
        if self._warn and (deaf := (factor < HEARD) & (counts > 0)).any():
            self._say_deaf(int(self.segments[deaf].min()), 3)
        self.link, self.carried, logits = self.model.advance(
            self.link, self.carried, tokens, lengths, real, factor, active, self.encoder.shared()
        )
        self.segments = self.segments + (1 if active is None else active.long())
        self.ended = self.ended | ((counts > 0) & (counts < size))
        return logits

    def logits(self) -> Tensor:
        """Classes of what was seen so far, (batch, classes): those of the whole-sequence call.

        Raises
        ------
        InputError
            A language model; rows that have seen nothing, or another number of segments than T.
        """
        counts = self.segments.tolist()
        if self.model.classifies and min(counts) < 1:
            raise InputError(f"logits: row {counts.index(0)} has seen no segment yet")
        if self.model.classifies and self._total is not None and counts != (totals := self._total.tolist()):
            row = next(i for i in range(self.batch) if counts[i] != totals[i])
            raise InputError(f"T: row {row} was announced with {totals[row]} segments and has seen {counts[row]}")
        return self.model.conclude(self.memory, self.carried, self.segments)

    def detach(self) -> Self:
        """Cut the gradient here (truncated back-propagation through time)."""
        self.link, self.carried = tree_map_only(Tensor, Tensor.detach, (self.link, self.carried))
        return self

    def reset(self, rows: Tensor | None = None, total: int | Tensor | None = None) -> Self:
        """Begin again, in the rows where ``rows`` (bool, (batch,)) holds; in all by default.

        ``total`` gives their new T; without it the old one stays. Raises `InputError` for rows of another shape, and
        for a T for some rows alone where the others have none.
        """
        chosen = torch.ones(self.batch, dtype=torch.bool) if rows is None else rows
        if not isinstance(chosen, Tensor) or chosen.shape != (self.batch,) or chosen.dtype != torch.bool:
            raise InputError(f"rows: expected bool of shape ({self.batch},), got {kind_of(chosen)}")
        chosen = chosen.to(self.segments.device)
        if total is not None:
            new = self.encoder.announced(total, self.batch)
            if new is None or (self._total is None and not chosen.all()):
                raise InputError("total: the other rows have no T; expected it for all rows or for none")
            self._total = new if self._total is None else torch.where(chosen, new, self._total)
        self.link = tree_map(
            lambda new, old: (
                torch.where(chosen.reshape(-1, *[1] * (old.ndim - 1)), new, old) if isinstance(old, Tensor) else old
            ),
            self.encoder.begin(self.batch),
            self.link,
        )
        self.carried = torch.where(chosen[:, None], 0, self.carried)
        self.segments = torch.where(chosen, 0, self.segments)
        self.ended = self.ended & ~chosen
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """What is held, as tensors without gradient; fit for safetensors."""
        state = {
            **dict(zip(self._names, self._tensors(self.link), strict=True)),
            "segments": self.segments,
            self.model.carried: self.carried,
            "ended": self.ended,
        }
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
            given = state[name]
            if not isinstance(given, Tensor) or given.shape != value.shape or given.dtype != value.dtype:
                raise InputError(f"state: {name} is {kind_of(given)}, expected {kind_of(value)}")
        if not torch.equal(state["model"].cpu(), own["model"]):
            raise InputError(
                "state: of another model (its settings, its laws or its weights are not those of this one)"
            )
        parts = {name: value.to(self.segments.device) for name, value in state.items() if name != "model"}
        self._require_sound(parts)
        leaves, layout = tree_flatten(self.link)
        given = iter([parts[name] for name in self._names])
        self.link = tree_unflatten([next(given) if isinstance(leaf, Tensor) else leaf for leaf in leaves], layout)
        self.segments, self.ended = parts["segments"], parts["ended"]
        self.carried, self._total = parts[self.model.carried], parts.get("total")
        return self

    @property
    def _names(self) -> list[str]:
        """Of the tensors of the link, in a state."""
        return ["memory", *(f"traces.{k}" for k in range(len(self._tensors(self.link)) - 1))]

    @staticmethod
    def _tensors(link: Link) -> list[Tensor]:
        return [leaf for leaf in tree_leaves(link) if isinstance(leaf, Tensor)]

    def _require_sound(self, state: Mapping[str, Tensor]) -> None:
        """Raise `InputError` for values that no stream has."""
        segments = state["segments"]
        total = state.get("total", segments.clamp(min=1))
        for name, (holds, expected) in {
            "segments": (segments >= 0, "counts from 0"),
            **{name: (state[name].isfinite(), "finite numbers") for name in self._names},
            self.model.carried: self.model.carried_is_sound(state[self.model.carried]),
            "ended": (~state["ended"] | (segments > 0), "no end before a first segment"),
            "total": ((total >= 1) & (total >= segments), "T from 1, and no more segments than T"),
        }.items():
            if not holds.all():
                raise InputError(f"state: {name}: expected {expected}")


def identity(model: Model) -> Tensor:
    """What tells a model from others, uint8 (32,): of its name, settings, laws and small parameters, SHA-256."""
    settings = {name: value for name, value in model.config.model_dump(mode="json").items() if name not in IDLE}
    laws = None if model.retention is None else model.retention.laws.digest
    digest = hashlib.sha256(json.dumps([model.name, settings, laws], sort_keys=True).encode())
    always = (model.recurrent.memory, model.recurrent.write)
    for name, value in model.named_parameters():
        if value.numel() <= SMALL or any(value is parameter for parameter in always):
            tensor = getattr(value, "full_tensor", lambda value=value: value)()  # of a sharded one
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return torch.from_numpy(np.frombuffer(digest.digest(), dtype=np.uint8).copy())
