"""A training step while numbers too small for a normal float32 are computed with, and while they are taken for 0.

AT squashes H / m with a sigmoid. As relative position and values grow in training the sigmoid saturates, and its
gradients then hold many such numbers. Fresh weights are brought into that state by scaling; RMAAT, which does not
squash H, is measured with the same.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.registry import Benchmark, median_seconds
from benchmarks.speed.step import build, gradients, random_bytes, train
from rmaat.attention import AstromorphicAttention
from rmaat.models.base import Model
from rmaat.training.processes import denormals_dropped

MODELS, REPEATS = ("at", "rmaat"), 7
SCALES = {"fresh": (1.0, 1.0), "grown": (8.0, 30.0)}  # of W of relative position, and of W_V
WIDTH, LENGTH, BATCH = 64, 1024, 16
TOKENS = random_bytes(LENGTH, BATCH)


def scaled(name: str, position: float, values: float) -> Model:
    """A model whose W of relative position and W_V are so many times as large as when it was made."""
    model = build(
        name, width=WIDTH, heads=2, feedforward=2 * WIDTH, segment_length=256, max_length=LENGTH, memory_tokens=8,
        readout="mean", backward="bptt",
    )  # fmt: skip
    assert model.encoder.relative is not None
    with torch.no_grad():
        model.encoder.relative.weight.mul_(position)
        for part in model.modules():
            if isinstance(part, AstromorphicAttention):
                part.project.weight[-WIDTH:].mul_(values)
    return model


def dropped(work: Callable[[], None]) -> None:
    """Run with denormal numbers taken for 0."""
    with denormals_dropped():
        work()


def check() -> None:
    """Gradients are the same either way, to what float32 resolves."""
    for name in MODELS:
        model = scaled(name, *SCALES["grown"])
        step = partial(train, model, TOKENS[:2])
        step()
        kept = gradients(model)
        dropped(step)
        torch.testing.assert_close(gradients(model), kept, rtol=1e-5, atol=1e-12)


def measure() -> list[dict[str, Any]]:
    """A row for each model and state of its weights."""
    torch.set_num_threads(1)
    rows = []
    for name in MODELS:
        for weights, scales in SCALES.items():
            step = partial(train, scaled(name, *scales), TOKENS)
            seconds = median_seconds({"kept": step, "dropped": partial(dropped, step)}, REPEATS)
            rows.append(
                {
                    "model": name,
                    "weights": weights,
                    "CPU s, denormals kept": round(seconds["kept"], 3),
                    "dropped": round(seconds["dropped"], 3),
                    "times as long": round(seconds["kept"] / seconds["dropped"], 2),
                }
            )
    return rows


BENCHMARK = Benchmark("A training step with denormal numbers kept and dropped, 16 x 1,024 tokens", check, measure)
