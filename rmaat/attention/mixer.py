"""What all variants have in common, so that a block need not know which one it holds."""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from astro_sim.common.errors import InputError
from rmaat.attention.features import wide
from rmaat.checks import kind_of, refuse_tracing, require_counts, require_mask

Part = Literal["memory", "tokens", "write"]  # of a segment: memory rows, tokens, and rows that write the memory


class Parts(NamedTuple):
    """What the rows of a segment are: so many memory rows in front, tokens, and at the end so many that write."""

    memory: int = 0
    write: int = 0


TOKENS = Parts()  # all rows are


class Mixer(nn.Module):
    """Mixes the rows of a sequence; the caller adds the residual.

    Parameters
    ----------
    width, heads : int
        ``width`` must be a multiple of ``heads``.
    causal : bool
        Row n sees rows up to n.

    Attributes
    ----------
    wide_result : bool
        Leave the result of rows in float16 in float32: it may be larger than float16 holds, and whoever adds it to
        something and divides by the size of the sum, as a block does, needs it before it is rounded. Off by default.
    """

    out: nn.Linear  # what all variants end with

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        require_counts(1, width=width, heads=heads)
        if width % heads:
            raise InputError(f"width: expected a multiple of heads = {heads}, got {width}")
        self.width, self.heads, self.causal = width, heads, causal
        self.wide_result = False

    def forward(
        self, x: Tensor, mask: Tensor | None = None, shared: Tensor | None = None, rows: slice | None = None
    ) -> Tensor:
        """Mix all rows at once.

        Parameters
        ----------
        x : Tensor, (batch, rows, width)
        mask : Tensor of bool, (batch, rows), optional
            Rows that exist; all of them by default. What other rows hold does not matter, NaN included.
        shared : Tensor, (heads, rows, width / heads), optional
            What astromorphic attention takes from relative position; the other variants have no use for it.
        rows : slice, optional
            Rows whose result is wanted; all of them by default.

        Returns
        -------
        Tensor, (batch, wanted rows, width)
            Rows outside the mask hold finite values without meaning.
        """
        raise NotImplementedError

    def begin(self, batch: int) -> Any:
        """What `segment` is handed with the first segment of a sequence; nothing, of most variants."""
        return ()

    def segment(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        shared: Tensor | None = None,
        rows: slice | None = None,
        parts: Parts = TOKENS,
        carried: Any = (),
    ) -> tuple[Tensor, Any]:
        """Mix all rows of a segment.

        Parameters
        ----------
        x, mask, shared, rows
            As of `forward`.
        parts : Parts
            How many rows are memory, and how many write it.
        carried : object
            What the segment before handed on, of constant size.

        Returns
        -------
        y : Tensor, (batch, wanted rows, width)
        carried : object
            For the next segment.
        """
        return self(x, mask, shared, rows), carried

    def carried(self, state: Any) -> Any:
        """What `segment` would have handed on, had it seen the rows that made ``state``."""
        return ()

    def resume(self, carried: Any) -> Any:
        """The state to begin a segment with, after one that handed on ``carried``."""
        return None

    def extend(
        self, x: Tensor, state: Any = None, shared: Tensor | None = None, part: Part = "tokens"
    ) -> tuple[Tensor, Any]:
        """Mix rows that follow those which made ``state``, causal variants only.

        Parameters
        ----------
        x : Tensor, (batch, rows, width)
        state : object, optional
            What an earlier call returned; None before the first row. Of constant size, except softmax attention's.
        shared : Tensor, (heads, rows, width / heads), optional
            Of these rows.
        part : {"memory", "tokens", "write"}
            What these rows are in a segment; of consequence where tokens fade.

        Returns
        -------
        y : Tensor, (batch, rows, width)
            What `forward` gives for these rows, had it been handed all of them.
        state : object
        """
        raise NotImplementedError

    def time_constants(self) -> Tensor | None:
        """In how many tokens what a token writes has fallen to 1/e, (heads,); None where it does not fade."""
        return None

    def check(self, x: Tensor, mask: Tensor | None = None) -> None:
        """Raise `InputError` for rows that are none of this mixer's, or a mask that is none of theirs."""
        refuse_tracing()
        if not isinstance(x, Tensor) or x.ndim != 3 or x.shape[-1] != self.width or not x.numel():
            raise InputError(f"rows: expected shape (batch, rows, {self.width}), each from 1, got {kind_of(x)}")
        wanted = self.out.weight.dtype
        if x.dtype != wanted and not torch.is_autocast_enabled(x.device.type):
            raise InputError(f"rows: expected {wanted}, which the weights have, got {x.dtype}")
        require_mask(mask, *x.shape[:2])

    def emit(self, y: Tensor, x: Tensor) -> Tensor:
        """Project what was mixed out of the rows x; where products are formed in float16, in float32 nevertheless."""
        device = x.device.type
        under = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16
        if not under and x.dtype != torch.float16:
            return self.out(y.to(x.dtype))
        with torch.autocast(device, enabled=False):
            return nn.functional.linear(wide(y), wide(self.out.weight), wide(self.out.bias))

    def _narrow(self, y: Tensor, x: Tensor) -> Tensor:
        """The result in the type of the rows, unless it is to stay wide."""
        return y if self.wide_result or y.dtype == x.dtype or x.dtype != torch.float16 else y.to(x.dtype)

    def _require_causal(self) -> None:
        if not self.causal:
            raise InputError(f"{type(self).__name__}: only a causal one can go on row by row")


def only(x: Tensor, mask: Tensor | None) -> Tensor:
    """Rows that exist; 0 in place of others, so that no NaN of theirs reaches a weight's gradient."""
    return x if mask is None else torch.where(mask[..., None], x, 0.0)


def split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """(B, N, parts * width) -> ``parts`` tensors (B, heads, N, width / heads)."""
    return x.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def join_heads(x: Tensor) -> Tensor:
    """(B, heads, N, m) -> (B, N, heads * m)."""
    return x.transpose(1, 2).flatten(2)


class Projection(nn.Module):
    """W_Q, W_K and W_V of all heads in one matrix, without bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.weight = nn.Parameter(nn.Linear(width, 3 * width, bias=False).weight.detach())

    def forward(self, x: Tensor, rows: slice | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, d) -> q of the wanted rows, k and v of all: each (B, heads, rows, d / heads)."""
        linear = nn.functional.linear
        if rows is None:
            q, k, v = split_heads(linear(x, self.weight), 3, self.heads)
        else:
            width = x.shape[-1]
            (q,) = split_heads(linear(x[:, rows], self.weight[:width]), 1, self.heads)
            k, v = split_heads(linear(x, self.weight[width:]), 2, self.heads)
        return q, k, v


class LinearTimeAttention(Mixer):
    """What linear and astromorphic attention share: projections, heads, and sums that rows can be added to."""

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__(width, heads, causal)
        self.project = Projection(width, heads)
        self.out = nn.Linear(width, width)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, shared: Tensor | None, mask: Tensor | None, state: Any
    ) -> tuple[Tensor, Any]:
        """Heads' result (batch, heads, rows, d_v), and the state with these rows in it (causal)."""
        raise NotImplementedError

    def forward(
        self, x: Tensor, mask: Tensor | None = None, shared: Tensor | None = None, rows: slice | None = None
    ) -> Tensor:
        """See `Mixer.forward`; ``shared`` is phi(R)."""
        self.check(x, mask)
        q, k, v = self.project(only(x, mask), None if self.causal else rows)
        y, _ = self.attend(q, k, v, shared, mask, None)
        y = y[:, :, rows] if self.causal and rows is not None else y
        return self._narrow(self.emit(join_heads(y), x), x)

    def extend(
        self, x: Tensor, state: Any = None, shared: Tensor | None = None, part: Part = "tokens"
    ) -> tuple[Tensor, Any]:
        """See `Mixer.extend`."""
        self._require_causal()
        self.check(x)
        q, k, v = self.project(x)
        y, state = self.attend(q, k, v, shared, None, state)
        return self._narrow(self.emit(join_heads(y), x), x), state
