"""RMAAT, whole: embedding, segments with memory rows, astromorphic blocks, retention between segments, a head."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from astro_sim.common.errors import InputError, did_you_mean
from bridge.laws import Laws
from bridge.torch import Retention
from rmaat.amrb import run_segments
from rmaat.attention import AstromorphicAttention, RelativePosition, Rule
from rmaat.config import RMAATConfig
from rmaat.memory import factors, update


def sinusoids(length: int, width: int) -> Tensor:
    """Sinusoidal positions, (length, width). Source: Vaswani et al. 2017."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angle = torch.arange(length)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


class Block(nn.Module):
    """Attention and feed-forward, each followed by residual and LayerNorm.

    Post-norm is the paper's, and needed: LayerNorm ignores the scale of its input, so a block that began with one
    would not see the retention factor on the memory rows.
    """

    def __init__(self, config: RMAATConfig, rule: Rule) -> None:
        super().__init__()
        self.attention = AstromorphicAttention(config.width, config.heads, rule)
        self.norm_attention = nn.LayerNorm(config.width)
        self.feedforward = nn.Sequential(
            nn.Linear(config.width, config.feedforward),
            nn.GELU(),
            nn.Linear(config.feedforward, config.width),
        )
        self.norm_feedforward = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor, relative: Tensor | None) -> Tensor:
        """(B, N, d) -> (B, N, d)."""
        x = self.norm_attention(x + self.dropout(self.attention(x, mask, relative)))
        return self.norm_feedforward(x + self.dropout(self.feedforward(x)))


class RMAAT(nn.Module):
    """Recurrent Memory Augmented Astromorphic Transformer, as a classifier of token sequences.

    Parameters
    ----------
    config : RMAATConfig
    laws : Laws, optional
        Give the retention factors and, where the config leaves them open, exponent and decay. The memory rules
        "scale" and "consolidate" need them.

    Raises
    ------
    InputError
        A memory rule that needs laws, without laws.

    Source: RMAAT (arXiv 2601.00426).
    """

    def __init__(self, config: RMAATConfig, laws: Laws | None = None) -> None:
        super().__init__()
        self.config = config = config.with_laws(laws)
        self.retention = None if laws is None else Retention(laws, config.trainable_laws)
        factors(
            config.memory_rule, self.retention, [1], 1
        )  # refuses a rule without its laws now, not in the first step
        assert isinstance(config.presynaptic_exponent, float)  # with_laws filled both
        assert config.spatial_decay is not None
        rule = Rule(
            exponent=config.presynaptic_exponent,
            m_scale=config.m_scale if config.normalisation == "paper" else None,
            sigmoid=config.sigmoid,
        )
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.positions: Tensor
        self.register_buffer("positions", sinusoids(config.segment_length, config.width), persistent=False)
        self.memory = nn.Parameter(
            torch.randn(config.memory_tokens, config.width)
        )  # mem_1; unit rows, as after a block
        self.relative = (
            RelativePosition(
                config.heads,
                config.width // config.heads,
                config.memory_tokens,
                config.segment_length,
                config.spatial_decay,
            )
            if config.relative_position
            else None
        )
        self.blocks = nn.ModuleList(Block(config, rule) for _ in range(config.depth))
        self.dropout = nn.Dropout(config.dropout)
        # Rows cancel in a mean; the norm gives the head inputs of one size whatever their number.
        self.head = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, config.classes))

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Classify.

        Parameters
        ----------
        tokens : Tensor of int64, (batch, length)
            0 is padding; any length.
        lengths : Tensor of int64, (batch,), optional
            Real tokens of every row; the whole row by default. What lies beyond changes nothing.

        Returns
        -------
        Tensor, (batch, classes)
            Logits.
        """
        c = self.config
        lengths = self._check(tokens, lengths)
        batch, size = len(tokens), c.segment_length
        totals = (lengths + size - 1) // size  # T of every example
        segments = int(totals.max())
        factor = factors(c.memory_rule, self.retention, totals.tolist(), segments).to(tokens.device)
        real = torch.arange(segments * size, device=tokens.device) < lengths[:, None]  # (B, L)
        relative = None if self.relative is None else self.relative()  # (h, N, m), once a step
        steps = []
        for t in range(segments):
            span = slice(t * size, min((t + 1) * size, tokens.shape[1]))
            steps.append((tokens[:, span], real[:, span], factor[:, t], t < totals, relative))
        memory = self.memory.expand(batch, -1, -1)
        _, outputs = run_segments(self.segment, memory, steps, c.backward, c.kept_segments)
        seen = torch.stack(outputs, dim=1)  # (B, T, d)
        if c.readout == "mean":
            active = torch.arange(segments, device=tokens.device) < totals[:, None]
            features = (seen * active[..., None]).sum(1) / totals[:, None]
        else:
            features = seen[torch.arange(batch, device=tokens.device), totals - 1]
        return self.head(features)

    def segment(
        self,
        memory: Tensor,
        tokens: Tensor,
        real: Tensor,
        factor: Tensor,
        active: Tensor,
        relative: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """One segment: memory in, memory out, and the (B, d) that the head may see.

        Parameters
        ----------
        memory : Tensor, (batch, memory rows, width)
        tokens : Tensor of int64, (batch, length)
            At most ``segment_length`` of them.
        real : Tensor of bool, (batch, length)
            False on padding.
        factor : Tensor, (batch,)
            Of the memory rule.
        active : Tensor of bool, (batch,)
            False where the segment is only padding.
        relative : Tensor, (heads, rows, width / heads), or None
        """
        c = self.config
        if tokens.shape[1] > c.segment_length:
            raise InputError(f"segment: expected at most {c.segment_length} tokens, got {tokens.shape[1]}")
        m = c.memory_tokens
        words = self.dropout(self.embedding(tokens) + self.positions[: tokens.shape[1]])  # (B, L, d)
        x = torch.cat([memory, words], dim=1)  # (B, M + L, d)
        mask = torch.cat([real.new_ones(len(tokens), m), real], dim=1)  # (B, M + L)
        relative = None if relative is None else relative[:, : x.shape[1]]
        for block in self.blocks:
            x = block(x, mask, relative)
        written, words = x[:, :m], x[:, m:]
        after = update(c.memory_rule, memory, written, factor, active)
        if c.readout == "memory":
            # "scale" shrinks what it hands on, towards 0 in long sequences; the head reads it before that.
            seen = (after if c.memory_rule == "consolidate" else written).mean(1)
        else:
            seen = torch.where(real[..., None], words, 0.0).sum(1) / real.sum(1, keepdim=True).clamp(min=1)
        return after, seen

    def _check(self, tokens: Tensor, lengths: Tensor | None) -> Tensor:
        if tokens.ndim != 2 or tokens.shape[1] < 1 or tokens.dtype != torch.int64:
            raise InputError(
                f"tokens: expected int64 of shape (batch, length), got {tokens.dtype} {tuple(tokens.shape)}"
            )
        low, high = int(tokens.min()), int(tokens.max())
        if low < 0 or high >= self.config.vocabulary:
            raise InputError(f"tokens: expected ids from 0 to {self.config.vocabulary - 1}, got {low} to {high}")
        if lengths is None:
            return torch.full((len(tokens),), tokens.shape[1], device=tokens.device)
        if lengths.shape != tokens.shape[:1] or int(lengths.min()) < 1 or int(lengths.max()) > tokens.shape[1]:
            raise InputError(
                f"lengths: expected {len(tokens)} numbers from 1 to {tokens.shape[1]}, got {lengths.tolist()}"
            )
        return lengths.to(tokens.device)


MODELS: dict[str, Callable[[RMAATConfig, Laws | None], nn.Module]] = {"rmaat": RMAAT}


def build_model(name: str, config: RMAATConfig, laws: Laws | None = None) -> nn.Module:
    """Build a model of the family by name; an unknown one raises `InputError` with the nearest name."""
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}; {did_you_mean(name, MODELS)}")
    return MODELS[name](config, laws)
