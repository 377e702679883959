"""The training step that several benchmarks measure: the setting of one size, its bytes, and how steps are timed."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

import astro_sim
import bridge
from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.models.base import Model
from rmaat.models.registry import build_model

Key = TypeVar("Key", bound=Hashable)

BATCH, SEGMENT = 4, 512
CONFIG = RMAATConfig(
    vocabulary=257, classes=2, width=128, depth=2, heads=4, feedforward=256, segment_length=SEGMENT, memory_tokens=16,
    memory_rule="none", presynaptic_exponent=0.25, spatial_decay=1.0,
)  # fmt: skip


def laws() -> Laws:
    """The exponential law of the macro model's preset."""
    return bridge.fit_laws([astro_sim.simulate("ltp", cycles=24, burn_in=3)])


def rmaat(**changes: Any) -> Model:
    """RMAAT of that size, from a fixed seed."""
    torch.manual_seed(0)
    return build_model("rmaat", CONFIG.replace(**changes))


def random_bytes(length: int, batch: int = BATCH) -> Tensor:
    """The same random bytes each time, (batch, length)."""
    return torch.randint(1, CONFIG.vocabulary, (batch, length), generator=torch.Generator().manual_seed(0))


def forward(model: Model, tokens: Tensor) -> Tensor:
    """Gradients dropped, then the loss."""
    model.zero_grad(set_to_none=True)
    return cross_entropy(model(tokens), torch.zeros(len(tokens), dtype=torch.int64))


def train(model: Model, tokens: Tensor) -> None:
    """Forward and backward pass."""
    forward(model, tokens).backward()


def median_seconds(works: Mapping[Key, Callable[[], object]], repeats: int) -> dict[Key, float]:
    """CPU seconds of each, medians of interleaved runs, none of them always the first."""
    seconds: dict[Key, list[float]] = {key: [] for key in works}
    order = list(works)
    for repeat in range(repeats):
        start = repeat % len(order)
        for key in order[start:] + order[:start]:
            started = time.process_time()
            works[key]()
            seconds[key].append(time.process_time() - started)
    return {key: statistics.median(each) for key, each in seconds.items()}
