r"""Linear attention: phi(q) . phi(k) in place of softmax's exponential, phi(x) = elu(x) + 1, so that sums are shared.

    H   = sum_n w_n phi(k_n) v_n^T       z = sum_n w_n phi(k_n)
    y_n = phi(q_n) H / (phi(q_n) . z)    0 where the denominator is 0

Causal: both sums run over rows up to n. Source: Katharopoulos et al. 2020 (arXiv 2006.16236). `linear_reference` is
this text as code. It is astromorphic attention without its astrocyte: no H_astro, alpha = 1, no scale.
"""

import torch
from torch import Tensor

from rmaat.attention.features import feature_map, reciprocal, wide
from rmaat.attention.mixer import LinearTimeAttention
from rmaat.attention.scan import causal_read
from rmaat.checks import require_mask

State = tuple[Tensor, Tensor]  # H (B, h, m, d_v) and z (B, h, 1, m) of the rows so far


def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    causal: bool = False,
    chunk: int = 64,
    state: State | None = None,
) -> tuple[Tensor, State]:
    """Linear attention, (batch, heads, rows, features) each.

    Parameters
    ----------
    q, k, v : Tensor
        When not causal, ``q`` may have other rows than ``k`` and ``v``.
    mask : Tensor of bool, (batch, rows), optional
        Of keys and values.
    causal : bool
    chunk : int
        Rows handled at once when causal.
    state : tuple of Tensor, optional
        H and z of the rows that came before these (causal).

    Returns
    -------
    y : Tensor
        In float32 at least whatever the autocast.
    state : tuple of Tensor
        H, (batch, heads, m, d_v), and z, (batch, heads, 1, m), with these rows in them.
    """
    with torch.autocast(q.device.type, enabled=False):
        q, k, v = wide(q), wide(k), wide(v)
        require_mask(mask, k.shape[0], k.shape[2])
        if mask is not None:
            w = mask[:, None, :, None]
            q = torch.where(w, q, 0.0) if q.shape == k.shape else q  # before phi: NaN has no way back
            k, v = torch.where(w, k, 0.0), torch.where(w, v, 0.0)
            keys = w * feature_map(k)
        else:
            keys = feature_map(k)
        queries = feature_map(q)
        if not causal:
            z = keys.sum(2, keepdim=True)  # (B, h, 1, m)
            h = keys.transpose(2, 3) @ v  # (B, h, m, d_v)
            return (queries @ h) * reciprocal(queries @ z.transpose(2, 3)), (h, z)
        h, z = (None, 0.0) if state is None else state
        total = z + keys.cumsum(2)  # (B, h, N, m)
        read, h = causal_read(queries, keys, v, chunk, h)
        return read * reciprocal((queries * total).sum(-1, keepdim=True)), (h, total[:, :, -1:])


def linear_reference(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, causal: bool = False) -> Tensor:
    """What `linear_attention` computes, from the matrix of all weights; (batch, heads, rows, features) each."""
    phi_q, phi_k = (torch.nn.functional.elu(part) + 1 for part in (q, k))
    weights = phi_q @ phi_k.transpose(-1, -2) * mask[:, None, None, :]
    weights = weights.tril() if causal else weights
    return weights @ v / weights.sum(-1, keepdim=True)


class LinearAttention(LinearTimeAttention):
    """Multi-head linear attention. Source: Katharopoulos et al. 2020."""

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, shared: Tensor | None, mask: Tensor | None, state: State | None
    ) -> tuple[Tensor, State]:
        """See `LinearTimeAttention.attend`; has no use for ``shared``."""
        return linear_attention(q, k, v, mask, self.causal, state=state)
