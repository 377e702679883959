"""The training step that benchmarks measure: a model of one size, its bytes, one pass forward and back."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import astro_sim
import bridge
from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.models.base import Model
from rmaat.models.registry import build_model

BATCH, SEGMENT = 4, 512
CONFIG = RMAATConfig(
    vocabulary=257, classes=2, width=128, depth=2, heads=4, feedforward=256, segment_length=SEGMENT, memory_tokens=16,
    memory_rule="none", presynaptic_exponent=0.25, spatial_decay=1.0,
)  # fmt: skip


def laws() -> Laws:
    """The exponential law of the macro model's preset."""
    return bridge.fit_laws([astro_sim.simulate("ltp", cycles=24, burn_in=3)])


def build(name: str = "rmaat", laws: Laws | None = None, **changes: Any) -> Model:
    """A model of that size, from a fixed seed."""
    torch.manual_seed(0)
    return build_model(name, CONFIG.replace(**changes), laws)


def random_bytes(length: int, batch: int = BATCH) -> Tensor:
    """The same random bytes each time, (batch, length)."""
    return torch.randint(1, CONFIG.vocabulary, (batch, length), generator=torch.Generator().manual_seed(0))


def labels(tokens: Tensor) -> Tensor:
    """Class 0 for each sequence, (batch,)."""
    return torch.zeros(len(tokens), dtype=torch.int64)


def train(model: torch.nn.Module, tokens: Tensor) -> None:
    """Gradients dropped, then a forward and a backward pass."""
    model.zero_grad(set_to_none=True)
    cross_entropy(model(tokens), labels(tokens)).backward()


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    """Gradients that the last pass left, by the name of the parameter."""
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def same_gradients(one: torch.nn.Module, other: torch.nn.Module, tokens: Tensor) -> bool:
    """Whether one step leaves the same gradients in two models, bit for bit."""
    train(one, tokens)
    train(other, tokens)
    first, second = gradients(one), gradients(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
