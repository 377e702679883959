"""From tokens to features: segments that a memory links, or the whole sequence at once."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm
from torch.nn.modules.dropout import _DropoutNd

from astro_sim.common.errors import InputError, brief
from bridge.constants import Constants
from bridge.laws import Laws
from bridge.retention import Retention
from rmaat.amrb import Step, affordable, kinds, run_segments
from rmaat.attention import AstromorphicAttention, Mixer, RelativePosition
from rmaat.attention.features import wide
from rmaat.attention.mixer import TOKENS, Part, Parts
from rmaat.config import RMAATConfig
from rmaat.models.memory import RULES

MakeMixer = Callable[[], Mixer]


class Link(NamedTuple):
    """What a segment hands to the next: all that AMRB and streams hold of what came before."""

    memory: Tensor  # mem_t, (batch, M, width)
    layers: tuple[Any, ...]  # what each mixer hands on (`Mixer.segment`); empty if nothing is carried beside the memory


def sinusoids(length: int, width: int) -> Tensor:
    """Sinusoidal positions, (length, width). Source: Vaswani et al. 2017."""
    even = torch.arange(0, width, 2, dtype=torch.float32)  # whatever torch's default type is when a model is made
    angle = torch.arange(length)[:, None] * torch.exp(even * (-math.log(10_000.0) / width))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


class Block(nn.Module):
    """A mixer and a feed-forward part, each followed by residual and LayerNorm.

    Post-norm is the paper's, and needed: LayerNorm ignores the scale of its input, so a block that began with one
    would not see the retention factor on the memory rows.
    """

    def __init__(self, mixer: Mixer, config: RMAATConfig) -> None:
        super().__init__()
        self.attention = mixer
        mixer.wide_result = True
        self.norm_attention = nn.LayerNorm(config.width)
        self.feedforward = nn.Sequential(
            nn.Linear(config.width, config.feedforward),
            nn.GELU(),
            nn.Linear(config.feedforward, config.width),
        )
        self.norm_feedforward = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None,
        shared: Tensor | None,
        rows: slice | None = None,
        parts: Parts = TOKENS,
        carried: Any = None,
    ) -> tuple[Tensor, Any]:
        """(B, N, d) -> (B, wanted rows, d), and what the mixer hands on (`Mixer.segment`)."""
        y, carried = self.attention.segment(
            x, mask, shared, rows, parts, self.attention.begin(len(x)) if carried is None else carried
        )
        return self._finish(x if rows is None else x[:, rows], y), carried

    def extend(self, x: Tensor, state: Any, shared: Tensor | None, part: Part = "tokens") -> tuple[Tensor, Any]:
        """Rows that follow those which made ``state``, as `Mixer.extend`."""
        y, state = self.attention.extend(x, state, shared, part)
        return self._finish(x, y), state

    def _finish(self, x: Tensor, y: Tensor) -> Tensor:
        rows = x + self.dropout(y)
        norm = self.norm_attention
        if rows.dtype == norm.weight.dtype:
            x = norm(rows)
        else:  # in float16, where the mixer's result is wide
            x = layer_norm(rows, norm.normalized_shape, wide(norm.weight), wide(norm.bias), norm.eps).to(x.dtype)
        return self.norm_feedforward(x + self.dropout(self.feedforward(x)))


class Encoder(Constants):
    """What both kinds of encoder have: embedding, positions, blocks, and where relative position is used, W."""

    positions: Tensor

    def __init__(self, config: RMAATConfig, make_mixer: MakeMixer, length: int, memory_rows: int = 0) -> None:
        super().__init__()
        self.config, self.length = config, length
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.register_constants()
        mixers = [make_mixer() for _ in range(config.depth)]
        self.relative = None
        if config.relative_position and isinstance(mixers[0], AstromorphicAttention):
            assert config.spatial_decay is not None  # the family filled it
            self.relative = RelativePosition(
                config.heads,
                config.width // config.heads,
                memory_rows,
                length,
                config.spatial_decay,
                write_rows=memory_rows if config.causal else 0,
            )
        self.blocks = nn.ModuleList(Block(mixer, config) for mixer in mixers)
        self.dropout = nn.Dropout(config.dropout)

    def constants(self) -> dict[str, Tensor]:
        """The positions, in float32."""
        return {"positions": sinusoids(self.length, self.config.width)}

    def shared(self) -> Tensor | None:
        """phi(R), (heads, rows, width / heads): holds no token, so it is computed once a step."""
        return None if self.relative is None else self.relative.features()

    def embed(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Embedded tokens with their positions, (B, L) -> (B, L, d)."""
        rows = self.embedding(tokens)
        return self.dropout(rows + self.positions[start : start + tokens.shape[1]].to(rows.dtype))


class SegmentEncoder(Encoder):
    """A sequence cut into segments, which memory rows link.

    Bidirectional, the rows of a segment are [mem_t, tokens], and mem'_{t+1} is what becomes of the memory rows. Causal
    rows cannot see what follows them, so there the rows are [mem_t, tokens, mem_t + w], w learned, and mem'_{t+1} is
    what becomes of the last ones.

    Parameters
    ----------
    config : RMAATConfig
        Filled in by the family.
    make_mixer : callable
        Makes the mixer of a block.
    laws : Laws, optional
        Give the factors of memory rules that use laws.

    Raises
    ------
    InputError
        A memory rule that needs laws, without laws.
    """

    def __init__(self, config: RMAATConfig, make_mixer: MakeMixer, laws: Laws | None) -> None:
        super().__init__(config, make_mixer, config.segment_length, config.memory_tokens)
        self.retention = None if laws is None else Retention(laws, config.trainable_laws)
        self.rule = RULES[str(config.memory_rule)]  # the registry filled it
        self.rule.require_laws(self.retention)  # now, not in the first step
        # mem_1: unit rows, as after a block
        self.memory = nn.Parameter(torch.randn(config.memory_tokens, config.width))
        self.write = nn.Parameter(torch.zeros(config.memory_tokens, config.width)) if config.causal else None
        self.parts = Parts(config.memory_tokens, config.memory_tokens if config.causal else 0)
        self._kept: dict[Any, int] = {}

    def begin(self, batch: int) -> Link:
        """mem_1, and traces of nothing."""
        layers = tuple(block.attention.begin(batch) for block in self.blocks) if self.config.carry_traces else ()  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
        return Link(self.memory.expand(batch, -1, -1), layers)

    def factors(self, totals: Sequence[int], segments: int) -> Tensor:
        """Factor of every example and segment, (batch, segments); `MemoryRule.factors`."""
        return self.rule.factors(self.retention, totals, segments)

    def factor_at(self, seen: Tensor, total: Tensor | None, active: Tensor | None = None) -> Tensor:
        """Factor of the segment that each row takes after ``seen`` others, (batch,), float64.

        Raises
        ------
        InputError
            A row, of those that are ``active``, that has already seen its T segments.
        """
        if total is not None:
            over = seen >= total if active is None else (seen >= total) & active
            if over.any():
                row = int(over.int().argmax())
                most = int(total[row])
                raise InputError(f"T: row {row} was announced with {most} segments, and this is number {most + 1}")
        return self.rule.factor_at(self.retention, seen, total)

    def announced(self, total: Any, batch: int) -> Tensor | None:
        """T of every row of a stream, (batch,), as it was given: a number, a tensor, or None.

        Raises
        ------
        InputError
            None where the memory rule needs T, or no number of segments.
        """
        if total is None:
            if (needs := self.rule.needs_total(self.retention)) is not None:
                raise InputError(f"T: {needs} the number of segments in advance; expected total")
            return None
        if not isinstance(total, int | Tensor) or (isinstance(total, Tensor) and not total.numel()):
            raise InputError(f"T: expected a whole number of segments from 1, got {brief(total)}")
        counts = torch.as_tensor(total, device=self.memory.device)
        if counts.is_floating_point() or counts.dtype == torch.bool or int(counts.min()) < 1:
            raise InputError(f"T: expected a whole number of segments from 1, got {brief(total)}")
        if counts.ndim and counts.shape != (batch,):
            raise InputError(f"T: expected one number or {batch} of them, got shape {tuple(counts.shape)}")
        return counts.to(torch.int64).expand(batch).clone()

    def forward(
        self,
        link: Link,
        tokens: Tensor,
        real: Tensor | None,
        factor: Tensor,
        active: Tensor | None,
        shared: Tensor | None,
        rows: bool = True,
    ) -> tuple[Link, Tensor, Tensor | None]:
        """One segment.

        Parameters
        ----------
        link : Link
            mem_t, and what the layers carry.
        tokens : Tensor of int64, (batch, length)
            At most ``segment_length`` of them.
        real : Tensor of bool, (batch, length), optional
            False on padding; by default there is none.
        factor : Tensor, (batch,)
            Of the memory rule.
        active : Tensor of bool, (batch,), optional
            False where the segment is only padding; by default nowhere.
        shared : Tensor, (heads, rows, width / heads), or None
            What `shared` gave.
        rows : bool
            Whether what becomes of the tokens is wanted; if not, the last block leaves it out.

        Returns
        -------
        link : Link
            mem_{t+1}, and what the layers carry.
        written : Tensor, (batch, M, width)
            mem'_{t+1}, before the memory rule.
        rows : Tensor, (batch, length, width), or None
            What has become of the tokens.
        """
        c, (batch, length) = self.config, tokens.shape
        if length > c.segment_length:
            raise InputError(f"segment: expected at most {c.segment_length} tokens, got {length}")
        m, memory = c.memory_tokens, link.memory
        joined = [memory, self.embed(tokens)]
        if self.write is not None:
            joined.append(memory + self.write)
        x = torch.cat(joined, dim=1)  # (B, M + L, d), causal (B, M + L + M, d)
        mask = None
        if real is not None:
            ones = real.new_ones(batch, m)
            mask = torch.cat([ones, real] if self.write is None else [ones, real, ones], dim=1)
        shared = self.of_rows(shared, length)
        memory_rows = slice(m) if self.write is None else slice(m + length, None)
        before, layers, last = link.layers or (None,) * c.depth, [], len(self.blocks) - 1
        for i, block in enumerate(self.blocks):
            wanted = None if rows or i < last else memory_rows
            x, handed_on = block(x, mask, shared, wanted, self.parts, before[i])
            layers.append(handed_on)
        written = x[:, memory_rows] if rows else x
        after = Link(self.updated(memory, written, factor, active), tuple(layers) if link.layers else ())
        return after, written, x[:, m : m + length] if rows else None

    def updated(self, memory: Tensor, written: Tensor, factor: Tensor, active: Tensor | None = None) -> Tensor:
        """mem_{t+1} by the memory rule, (batch, M, d); rows that are not ``active`` keep what they have."""
        after = self.rule.update(memory, written, factor[:, None, None].to(written.dtype))
        return after if active is None else torch.where(active[:, None, None], after, memory)

    def of_rows(self, shared: Tensor | None, length: int) -> Tensor | None:
        """The rows of ``shared`` that a segment of ``length`` tokens has."""
        m = self.config.memory_tokens
        if shared is None or length == self.config.segment_length:
            return shared
        short = shared[:, : m + length]
        return short if self.write is None else torch.cat([short, shared[:, -m:]], dim=1)

    def carry(self, step: Step, segments: Sequence[tuple[Any, ...]], batch: int) -> tuple[Link, list[Tensor]]:
        """Run ``step`` over segments from mem_1 on, by the backward setting of the configuration."""
        c, link = self.config, self.begin(batch)
        keep = 1 if c.kept_segments is None else c.kept_segments
        if c.replay_mb is not None and c.backward == "amrb" and torch.is_grad_enabled():
            kind = (len(segments), frozenset(kinds(segments)), link.memory.dtype,
                    torch.is_autocast_enabled(link.memory.device.type), self.training)  # fmt: skip
            if kind not in self._kept:
                self._kept[kind] = affordable(step, link, segments, c.replay_mb)
            keep = self._kept[kind]
        # Whatever the configuration says: somebody may have changed a part, or put it in training alone.
        draws = any(isinstance(part, _DropoutNd) and part.training and part.p > 0 for part in self.modules())
        return run_segments(step, link, segments, c.backward, keep, c.truncate_after, draws)


class SequenceEncoder(Encoder):
    """The whole sequence at once, without memory: the encoder of the models that do not recur."""

    def __init__(self, config: RMAATConfig, make_mixer: MakeMixer) -> None:
        super().__init__(config, make_mixer, config.max_length)

    def forward(self, tokens: Tensor, real: Tensor | None = None) -> Tensor:
        """(B, L) -> (B, L, d).

        Raises
        ------
        InputError
            More than ``max_length`` tokens.
        """
        length = tokens.shape[1]
        if length > self.config.max_length:
            raise InputError(f"tokens: expected at most max_length = {self.config.max_length} of them, got {length}")
        shared = self.shared()
        shared = None if shared is None else shared[:, :length]
        x = self.embed(tokens)
        for block in self.blocks:
            x, _ = block(x, real, shared)
        return x
