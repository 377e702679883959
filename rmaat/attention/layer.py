"""The layer around astromorphic attention: projections, the short convolution, short-term plasticity, the gate."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from astro_sim.common.errors import InputError
from bridge.constants import Constants
from rmaat.attention.astromorphic import State, astromorphic, astromorphic_causal
from rmaat.attention.features import feature_map, wide
from rmaat.attention.mixer import TOKENS, LinearTimeAttention, Part, Parts, join_heads, only
from rmaat.attention.rule import PAPER, Rule, written
from rmaat.attention.traces import Sums, Traces, fading, short_term
from rmaat.checks import require_counts

PACE = 8.0  # bound on the logarithm by which a token may change a rate: what fades 3,000 times as fast is gone


class ShortTerm(NamedTuple):
    """Short-term plasticity of a layer.

    Attributes
    ----------
    time_constants : tuple of float
        In tokens, one a head.
    how : {"laws", "trainable", "adaptive"}
        As they are; moved by training; or changed by each token, too, by a linear function of its row.
    rotation : bool
        Turn phi(q) and what tokens write by their places.
    """

    time_constants: tuple[float, ...]
    how: Literal["laws", "trainable", "adaptive"] = "laws"
    rotation: bool = False


class Carried(NamedTuple):
    """What a layer hands from a segment to the next beside the memory rows; None where it has no such part."""

    traces: Traces | None
    inputs: Tensor | None  # the last ones of the convolution, (batch, taps - 1, width)


class Decoding(NamedTuple):
    """Where a causal layer stands within a segment."""

    plain: State | None = None  # without short-term plasticity
    memory: Sums | None = None
    tokens: Sums | None = None
    traces: Traces | None = None
    inputs: Tensor | None = None


class ShortConvolution(nn.Module):
    """Mixes each row with those just before it, a feature at a time; at first it hands on every row as it is.

    Parameters
    ----------
    width, taps : int
    """

    def __init__(self, width: int, taps: int) -> None:
        super().__init__()
        require_counts(1, width=width, taps=taps)
        self.taps = taps
        self.weight = nn.Parameter(pad(torch.ones(1, width), (0, 0, taps - 1, 0)))  # (taps, width)

    def forward(self, x: Tensor, before: Tensor, real: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Of rows, (batch, rows, width), after (batch, taps - 1, width) inputs; and the inputs that come before more.

        Rows that are not ``real`` (padding at the end) must be 0.
        """
        rows, joined = x.shape[1], torch.cat([before.to(x.dtype), x], dim=1)
        y = sum(self.weight[k].to(x.dtype) * joined[:, k : k + rows] for k in range(self.taps))
        assert isinstance(y, Tensor)
        if real is None:
            return y, joined[:, rows:]
        last = real.sum(1)[:, None] + torch.arange(self.taps - 1, device=x.device)
        return y, joined.gather(1, last[..., None].expand(-1, -1, x.shape[2]))


class AstromorphicAttention(Constants, LinearTimeAttention):
    """Multi-head astromorphic attention; the caller adds the residual.

    Parameters
    ----------
    width, heads : int
        ``width`` must be a multiple of ``heads``; each head has width / heads features in m and d_v.
    causal : bool
    rule : Rule
    short_term : ShortTerm, optional
        None: a token weighs the same however far back it is, as in the papers.
    gate : bool
        Normalise what each head read, and let the row gate it: silu(W x).
    taps : int
        Rows that a short convolution before the projections reads; 0 leaves it out. Memory rows skip it.

    Raises
    ------
    InputError
        A width that the heads do not divide; a sigmoid with causal attention or short-term plasticity; another number
        of time constants than heads, or one that is not above 0; rotation of heads of an odd width.
    """

    decay: Tensor

    def __init__(
        self,
        width: int,
        heads: int,
        causal: bool = False,
        rule: Rule = PAPER,
        short_term: ShortTerm | None = None,
        gate: bool = False,
        taps: int = 0,
    ) -> None:
        super().__init__(width, heads, causal)
        rule.check(causal)
        self.rule, self.short_term = rule, short_term
        self.shift = self.pace = None
        if short_term is not None:
            _check(short_term, width, heads, rule)
            if short_term.how == "trainable":
                self.shift = nn.Parameter(torch.zeros(heads))  # of the logarithms of the rates
            elif short_term.how == "adaptive":
                self.pace = nn.Linear(width, heads)
                nn.init.zeros_(self.pace.weight)
                nn.init.zeros_(self.pace.bias)
        self.gate = nn.Linear(width, width, bias=False) if gate else None
        self.norm = nn.LayerNorm(width // heads, elementwise_affine=False) if gate else None  # of each head
        require_counts(0, taps=taps)
        self.convolution = ShortConvolution(width, taps) if taps else None
        self.register_constants()

    def constants(self) -> dict[str, Tensor]:
        """The rates that the laws give, of a token, in float64: (heads, 1)."""
        if self.short_term is None:
            return {}
        return {"decay": 1.0 / torch.tensor(self.short_term.time_constants, dtype=torch.float64)[:, None]}

    def time_constants(self) -> Tensor | None:
        """In tokens, as training has left them, (heads,); of adaptive ones those of a row of zeros."""
        if self.short_term is None:
            return None
        changed = self.pace.bias if self.pace is not None else self.shift
        rates = self.decay[:, 0]
        return 1.0 / (rates if changed is None else rates * torch.exp(changed.detach().double()))

    def begin(self, batch: int) -> Carried:
        """See `Mixer.begin`."""
        like, traces = self.out.weight.detach(), None
        if self.short_term is not None:
            traces = Traces.none(batch, self.heads, self.width // self.heads, wide(like))
        taps = self.convolution.taps - 1 if self.convolution is not None else 0
        return Carried(traces, None if self.convolution is None else like.new_zeros(batch, taps, self.width))

    def forward(
        self, x: Tensor, mask: Tensor | None = None, shared: Tensor | None = None, rows: slice | None = None
    ) -> Tensor:
        """See `Mixer.forward`; ``shared`` is phi(R), and all rows are tokens."""
        self.check(x, mask)
        return self.segment(x, mask, shared, rows)[0]

    def segment(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        shared: Tensor | None = None,
        rows: slice | None = None,
        parts: Parts = TOKENS,
        carried: Carried | None = None,
    ) -> tuple[Tensor, Carried]:
        """See `Mixer.segment`."""
        self.check(x, mask)
        carried = self.begin(len(x)) if carried is None else carried
        x = only(x, mask)
        tokens = slice(parts.memory, x.shape[1] - parts.write)
        real = None if mask is None else mask[:, tokens]
        u, inputs = self._convolved(x, tokens, real, carried.inputs)
        if self.short_term is None:
            q, k, v = self.project(u, None if self.causal else rows)
            y, _ = self.attend(q, k, v, shared, mask, None)
            y = y[:, :, rows] if self.causal and rows is not None else y
            return self._finish(x if rows is None else x[:, rows], y), Carried(None, inputs)
        q, k, v = self.project(u)
        decay = self._decay(u[:, tokens])
        y, traces = short_term(
            q, k, v, shared, mask, self.rule, decay, carried.traces, parts, self.causal, self.short_term.rotation
        )
        if rows is not None:
            x, y = x[:, rows], y[:, :, rows]
        return self._finish(x, y), Carried(traces, inputs)

    def extend(
        self, x: Tensor, state: Decoding | None = None, shared: Tensor | None = None, part: Part = "tokens"
    ) -> tuple[Tensor, Decoding]:
        """See `Mixer.extend`."""
        self._require_causal()
        self.check(x)
        state = self._begun(len(x), None) if state is None else state
        u, inputs = x, state.inputs
        if part == "tokens":
            u, inputs = self._convolved(x, slice(None), None, inputs)
        q, k, v = self.project(u)
        if self.short_term is None:
            y, plain = self.attend(q, k, v, shared, None, state.plain)
            return self._finish(x, y), Decoding(plain=plain, inputs=inputs)
        memory, tokens, traces = state.memory, state.tokens, state.traces
        assert memory is not None
        assert tokens is not None
        assert traces is not None
        with torch.autocast(x.device.type, enabled=False):
            q = feature_map(wide(q))
            keys, write, v = written(k, v, shared, None)
            sums = Sums.over(keys, write, v, float(x.shape[1]))
            if part == "memory":
                memory = sums
                y = memory.read(q, self.rule)
            elif part == "write":
                y = (memory + tokens).read(q, self.rule)
            else:
                decay = self._decay(u).to(v.dtype)
                y, traces = fading(
                    q, keys, write, v, None, decay, memory, traces, self.rule, True, self.short_term.rotation
                )
                tokens = tokens + sums
        return self._finish(x, y), Decoding(None, memory, tokens, traces, inputs)

    def carried(self, state: Decoding) -> Carried:
        """See `Mixer.carried`."""
        return Carried(state.traces, state.inputs)

    def resume(self, carried: Carried) -> Decoding:
        """See `Mixer.resume`."""
        return self._begun(0, carried)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, shared: Tensor | None, mask: Tensor | None, state: State | None
    ) -> tuple[Tensor, State | None]:
        """See `LinearTimeAttention.attend`; without short-term plasticity."""
        if self.causal:
            return astromorphic_causal(q, k, v, shared, mask, self.rule, state=state)
        return astromorphic(q, k, v, shared, mask, self.rule), None

    def _begun(self, batch: int, carried: Carried | None) -> Decoding:
        """A segment of which no row was seen yet."""
        carried = self.begin(batch) if carried is None else carried
        if carried.traces is None:
            return Decoding(inputs=carried.inputs)
        nothing = Sums(torch.zeros_like(carried.traces.written), torch.zeros_like(carried.traces.keys), 0.0)
        return Decoding(None, nothing, nothing, carried.traces, carried.inputs)

    def _convolved(
        self, x: Tensor, tokens: slice, real: Tensor | None, before: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Rows with their tokens convolved, and the inputs that come before the next tokens."""
        if self.convolution is None or before is None:
            return x, before
        y, inputs = self.convolution(x[:, tokens], before, real)
        if y.shape[1] == x.shape[1]:
            return y, inputs
        return torch.cat([x[:, : tokens.start], y, x[:, tokens.stop :]], dim=1), inputs

    def _decay(self, tokens: Tensor) -> Tensor:
        """Rates, (heads, 1), or where tokens change them (batch, heads, tokens)."""
        if self.shift is not None:
            return self.decay * torch.exp(self.shift.double())[:, None]
        if self.pace is None:
            return self.decay
        with torch.autocast(tokens.device.type, enabled=False):
            pace = nn.functional.linear(wide(tokens), wide(self.pace.weight), wide(self.pace.bias))
            return self.decay.to(pace.dtype) * torch.exp(pace.clamp(-PACE, PACE)).transpose(1, 2)

    def _finish(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, h, rows, d_v) -> (B, rows, d) in the type of the rows x."""
        if self.gate is not None and self.norm is not None:
            return self._narrow(self.emit(silu(self.gate(x)) * join_heads(self.norm(y)).to(x.dtype), x), x)
        return self._narrow(self.emit(join_heads(y), x), x)


def _check(short_term: ShortTerm, width: int, heads: int, rule: Rule) -> None:
    times = short_term.time_constants
    if len(times) != heads or not all(0 < time < float("inf") for time in times):
        raise InputError(f"time_constants: expected {heads} finite numbers above 0, one a head, got {times}")
    if short_term.how not in ("laws", "trainable", "adaptive"):
        raise InputError(f"short_term: expected 'laws', 'trainable' or 'adaptive', got {short_term.how!r}")
    if rule.sigmoid:
        raise InputError("sigmoid: not with short-term plasticity, where every row has its own H")
    if short_term.rotation and width // heads % 2:
        raise InputError(
            f"rotation: expected an even number of features a head, got {width // heads} (of {heads} heads)"
        )
