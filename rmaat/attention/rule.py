"""The constants of astromorphic attention, and what its forms share."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from astro_sim.common.errors import InputError
from rmaat.attention.features import feature_map, wide
from rmaat.checks import kind_of


class Rule(NamedTuple):
    """The constants of astromorphic attention.

    Attributes
    ----------
    exponent : float
        alpha; the paper's 0.25 by default.
    m_scale : float or None
        Divisor m of the paper's normalisation; None: the mean form.
    sigmoid : bool
        Squash H as AT does; not with causal attention, where H differs from row to row.
    feedback : bool
        Divide by the calcium response, P = 1 / C.
    """

    exponent: float = 0.25
    m_scale: float | None = None
    sigmoid: bool = False
    feedback: bool = True

    def check(self, causal: bool) -> None:
        """Raise `InputError` for constants that cannot be, and for a sigmoid with causal attention."""
        if not math.isfinite(self.exponent):
            raise InputError(f"exponent: expected a finite number, got {self.exponent}")
        if self.m_scale is not None and not 0 < self.m_scale < math.inf:
            raise InputError(f"m_scale: expected a finite number above 0, got {self.m_scale}")
        if self.sigmoid and causal:
            raise InputError("sigmoid: not with causal attention, where every row has its own H")


PAPER = Rule()


def written(k: Tensor, v: Tensor, phi_r: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """phi(K), phi(K) + phi(R) and V, each 0 outside the mask."""
    k, v = wide(k), wide(v)
    if phi_r is not None and phi_r.shape != k.shape[1:]:  # which might spread over rows or heads
        raise InputError(f"shared: expected phi(R) of shape {tuple(k.shape[1:])}, got {kind_of(phi_r)}")
    if mask is None:
        keys = feature_map(k)
        return keys, keys if phi_r is None else keys + phi_r, v
    w = mask[:, None, :, None]  # (B, 1, N, 1)
    keys = w * feature_map(torch.where(w, k, 0.0))  # before phi: NaN has no way back
    # V is 0 outside the mask, so what would be written with it need not be.
    return keys, keys if phi_r is None else keys + phi_r, torch.where(w, v, 0.0)


def factor_of(rule: Rule, count: Tensor | float) -> Tensor | float:
    """f / m; f is N^alpha where the response C is divided by, which grows so, and 1 where it is not."""
    if rule.m_scale is not None:
        return 1.0 / rule.m_scale
    return count ** ((rule.exponent if rule.feedback else 0.0) - 1.0)
