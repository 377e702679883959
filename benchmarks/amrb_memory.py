"""AMRB against BPTT: peak extra memory and time of one training step, as the number of segments grows."""

import statistics
import time
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from benchmarks.registry import Benchmark
from rmaat.config import RMAATConfig
from rmaat.diagnostics import peak_extra_bytes
from rmaat.family import RMAAT

BATCH, REPEATS = 4, 5
SEGMENTS = (1, 4, 8, 16, 32, 64, 128)
BPTT_UP_TO = 32  # beyond, it would need gigabytes
REFERENCE = 16  # segments at which growth is 1
CONFIG = RMAATConfig(
    vocabulary=257, classes=2, width=128, depth=2, heads=4, feedforward=256, segment_length=512, memory_tokens=16,
    memory_rule="none", presynaptic_exponent=0.25, spatial_decay=1.0,
)  # fmt: skip


def _model(backward: str, **changes: Any) -> RMAAT:
    torch.manual_seed(0)
    return RMAAT(CONFIG.replace(backward=backward, **changes))


def _step(model: RMAAT, tokens: torch.Tensor) -> None:
    model.zero_grad(set_to_none=True)
    cross_entropy(model(tokens), torch.zeros(len(tokens), dtype=torch.int64)).backward()


def _tokens(segments: int, length: int = CONFIG.segment_length) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, CONFIG.vocabulary, (BATCH, segments * length), generator=generator)


def check() -> None:
    """Both give the same gradients, bit for bit."""
    small = {"segment_length": 16}
    tokens = _tokens(3, 16)
    models = [_model(backward, **small) for backward in ("amrb", "bptt")]
    for model in models:
        _step(model, tokens)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        if not torch.equal(a.grad, b.grad):  # pyright: ignore[reportArgumentType]
            raise RuntimeError("AMRB and BPTT differ; nothing to measure")


def measure() -> list[dict[str, Any]]:
    """Bytes from one profiled step each; seconds as medians of interleaved steps."""
    rows = []
    for segments in SEGMENTS:
        tokens = _tokens(segments)
        both = segments <= BPTT_UP_TO
        models = {backward: _model(backward) for backward in (("amrb", "bptt") if both else ("amrb",))}
        peaks, seconds = {}, {backward: [] for backward in models}
        for backward, model in models.items():
            _step(model, tokens)  # warm-up
            model.zero_grad(set_to_none=True)
            peaks[backward] = peak_extra_bytes(partial(_step, model, tokens))
        for _ in range(REPEATS):
            for backward, model in models.items():
                started = time.process_time()
                _step(model, tokens)
                seconds[backward].append(time.process_time() - started)
        medians = {backward: statistics.median(times) for backward, times in seconds.items()}
        rows.append(
            {
                "segments": segments,
                "bptt_mb": round(peaks["bptt"] / 1e6, 1) if both else None,
                "amrb_mb": round(peaks["amrb"] / 1e6, 1),
                "bptt/amrb": round(peaks["bptt"] / peaks["amrb"], 2) if both else None,
                "bptt_cpu_s": round(medians["bptt"], 3) if both else None,
                "amrb_cpu_s": round(medians["amrb"], 3),
                "amrb/bptt": round(medians["amrb"] / medians["bptt"], 2) if both else None,
            }
        )
    (reference,) = (row["amrb_mb"] for row in rows if row["segments"] == REFERENCE)
    for row in rows:
        row["amrb growth from 16"] = round(row["amrb_mb"] / reference, 3)
    return rows


BENCHMARK = Benchmark(
    "one training step of RMAAT, batch 4, segments of 512, width 128, depth 2: peak extra tensor MB and CPU seconds",
    check,
    measure,
)
