"""The family on a GPU: tokens a second and peak memory of a training step in bf16 with torch.compile, at 4K to 64K."""

import time
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from astro_sim.common.errors import InputError
from benchmarks.registry import Benchmark
from rmaat.config import RMAATConfig
from rmaat.models.base import Model
from rmaat.models.registry import build_model

MODELS = (
    ("transformer", "-"), ("linear-transformer", "-"), ("retnet", "-"), ("rmt", "amrb"), ("rmt", "bptt"),
    ("rlt", "amrb"), ("rlt", "bptt"), ("rmaat", "amrb"), ("rmaat", "bptt"),
)  # fmt: skip
LENGTHS, BATCH, WARMUP, REPEATS = (4_096, 16_384, 65_536), 4, 3, 10
CONFIG = RMAATConfig(
    vocabulary=257, classes=2, width=512, depth=4, heads=8, feedforward=2048, segment_length=1024, memory_tokens=32,
    memory_rule="none", presynaptic_exponent=0.25, spatial_decay=1.0, match_parameters=False,
)  # fmt: skip


def step(model: Model, tokens: torch.Tensor) -> None:
    """One training step under autocast to bfloat16, without the optimiser."""
    model.zero_grad(set_to_none=True)
    with torch.autocast(tokens.device.type, dtype=torch.bfloat16):
        loss = cross_entropy(model(tokens).float(), torch.zeros(len(tokens), dtype=torch.int64, device=tokens.device))
    loss.backward()


def prepared(name: str, backward: str, length: int, config: RMAATConfig, device: str) -> Model:
    """A model on its device, compiled as far as it can be: its segment, or the whole of it."""
    torch.manual_seed(0)
    how = {} if backward == "-" else {"backward": backward}
    model = build_model(name, config.replace(max_length=length, **how)).to(device)
    if backward == "-":
        model.encoder.compile()
    else:
        model.compile_segments()
    return model


def check() -> None:
    """There is a GPU."""
    if not torch.cuda.is_available():
        raise InputError("bench accelerator: no CUDA device here")


def measure() -> list[dict[str, Any]]:
    """A row a model and length; "out of memory" where it is."""
    rows = []
    for length in LENGTHS:
        tokens = torch.randint(1, CONFIG.vocabulary, (BATCH, length), device="cuda")
        for name, backward in MODELS:
            row: dict[str, Any] = {"model": name, "backward": backward, "tokens": length}
            try:
                model = prepared(name, backward, length, CONFIG, "cuda")
                for _ in range(WARMUP):
                    step(model, tokens)
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats()
                before, started = torch.cuda.memory_allocated(), time.perf_counter()
                for _ in range(REPEATS):
                    step(model, tokens)
                torch.cuda.synchronize()
                seconds = (time.perf_counter() - started) / REPEATS
                peak = (torch.cuda.max_memory_allocated() - before) / 1e6
                row |= {"tokens_per_s": round(BATCH * length / seconds), "extra_mb": round(peak, 1), "note": ""}
            except torch.cuda.OutOfMemoryError:
                row |= {"tokens_per_s": None, "extra_mb": None, "note": "out of memory"}
            rows.append({**row, "device": torch.cuda.get_device_name()})
            torch.cuda.empty_cache()
    return rows


BENCHMARK = Benchmark(
    f"a training step in bf16, compiled, width {CONFIG.width}, depth {CONFIG.depth}, batch {BATCH}, on one CUDA device",
    check,
    measure,
)
