r"""RetNet's retention: linear attention without normaliser, its weights falling with distance, a rate for each head.

    S_n = gamma S_{n-1} + k_n^T v_n        y_n = q_n S_n        gamma_h = 1 - 2^(-5 - h),  h = 0 .. heads - 1

Queries and keys are rotated by their positions (theta_j = 10000^(-2 j / m)), keys scaled by m^(-1/2); each head is
normalised, gated by swish(W_G x), and projected. Not causal: y_n = sum_j gamma^|n - j| (q_n . k_j) v_j, which is ours.

Source: Sun et al. 2023 (arXiv 2307.08621). `retention_reference` is this text as code.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from astro_sim.common.errors import InputError
from bridge.constants import Constants
from rmaat.attention.features import wide
from rmaat.attention.mixer import Mixer, Part, Projection, join_heads, only
from rmaat.attention.position import rotate
from rmaat.attention.scan import DecayedScan

State = tuple[Tensor, int]  # S (B, h, m, d_v) after the rows so far, and their number


def decays(heads: int) -> Tensor:
    """-log gamma of every head, (heads,)."""
    return -torch.log1p(-(2.0 ** (-5.0 - torch.arange(heads, dtype=torch.float64))))


def retention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    decay: Tensor,
    causal: bool = True,
    chunk: int = 64,
    before: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Retention in chunks.

    Parameters
    ----------
    q, k, v : Tensor, (batch, heads, rows, features)
    decay : Tensor, (heads,)
        -log gamma.
    causal : bool
        Row n sees rows up to n.
    chunk : int
    before : Tensor, (batch, heads, m, d_v), optional
        S after the rows that came before.

    Returns
    -------
    y : Tensor, (batch, heads, rows, d_v)
    after : Tensor, (batch, heads, m, d_v)
    """
    scan = DecayedScan(decay.to(q.dtype)[:, None], q.shape[2], chunk, both=not causal)
    return scan.read(q, k, v, before)


def retention_reference(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, mask: Tensor, causal: bool) -> Tensor:
    """Retention from the matrix of all weights; (batch, heads, rows, m) each, decay (heads,), mask (batch, rows)."""
    place = torch.arange(q.shape[2], dtype=q.dtype)
    distance = (place[:, None] - place[None, :]).abs()
    weights = (q @ k.transpose(-1, -2)) * torch.exp(-decay.to(q.dtype)[:, None, None] * distance)
    weights = weights * mask[:, None, None, :]
    return (weights.tril() if causal else weights) @ v


class RetNetAttention(Constants, Mixer):
    """Multi-scale retention with its gate.

    Raises
    ------
    InputError
        Heads of an odd width: features are rotated in pairs.
    """

    decay: Tensor

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__(width, heads, causal)
        if width // heads % 2:
            raise InputError(
                f"width: expected an even number of features a head, got {width // heads} (of {heads} heads)"
            )
        self.project = Projection(width, heads)
        self.gate = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width // heads, elementwise_affine=False)  # of each head
        self.out = nn.Linear(width, width)
        self.register_constants()

    def constants(self) -> dict[str, Tensor]:
        """The rates of the heads, in float64: gamma is near 1."""
        return {"decay": decays(self.heads)}

    def forward(
        self, x: Tensor, mask: Tensor | None = None, shared: Tensor | None = None, rows: slice | None = None
    ) -> Tensor:
        """See `Mixer.forward`."""
        self.check(x, mask)
        x = only(x, mask)
        q, k, v = self._project(x, 0)
        with torch.autocast(x.device.type, enabled=False):
            y, _ = retention(q, k, v, self.decay, self.causal)
        if rows is not None:
            x, y = x[:, rows], y[:, :, rows]
        return self._finish(x, y)

    def extend(
        self, x: Tensor, state: State | None = None, shared: Tensor | None = None, part: Part = "tokens"
    ) -> tuple[Tensor, State]:
        """See `Mixer.extend`."""
        self._require_causal()
        self.check(x)
        before, start = (None, 0) if state is None else state
        q, k, v = self._project(x, start)
        with torch.autocast(x.device.type, enabled=False):
            y, after = retention(q, k, v, self.decay, before=before)
        return self._finish(x, y), (after, start + x.shape[1])

    def _project(self, x: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (wide(part) for part in self.project(x))
        places = torch.arange(start, start + q.shape[2], device=q.device)
        return rotate(q, places), rotate(k, places) * k.shape[-1] ** -0.5, v

    def _finish(self, x: Tensor, y: Tensor) -> Tensor:
        return self.out(silu(self.gate(x)) * join_heads(self.norm(y)).to(x.dtype))
