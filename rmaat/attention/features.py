"""The feature map of linear attention, and sums that a mask or a zero would spoil."""

from typing import Any

import torch
from torch import Tensor


class _FeatureMap(torch.autograd.Function):
    """Keeps the result alone for the backward pass, which the product behind it needs anyway."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clamp(max=0).exp_().add_(x.relu())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return grads[0] * y.clamp(max=1)  # exp(x) = y up to 0, and 1 above, where y > 1


def feature_map(x: Tensor) -> Tensor:
    """phi(x) = elu(x) + 1 = exp(min(x, 0)) + max(x, 0), which unlike the left side is not 0 for very negative x."""
    return _FeatureMap.apply(x)  # pyright: ignore[reportReturnType]


def wide(x: Tensor) -> Tensor:
    """At least float32: sums over a thousand rows are too much for half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def power(x: Tensor, exponent: float) -> Tensor:
    """x^exponent, with gradient 0 at x = 0 where 0^alpha has an infinite one."""
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0) ** exponent, 0.0)


def reciprocal(x: Tensor) -> Tensor:
    """1 / x; 0 where x is 0, or so small that the slope 1 / x^2 would overflow (1e-19 in float32)."""
    nonzero = x.abs() >= torch.finfo(x.dtype).tiny ** 0.5
    return torch.where(nonzero, 1.0 / torch.where(nonzero, x, 1.0), 0.0)
