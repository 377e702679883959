"""What length costs: a training step a token at 4,096 and at 65,536 tokens, and a stream of a million tokens."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.registry import Benchmark
from benchmarks.training_step import BATCH, CONFIG, SEGMENT, laws, median_seconds, random_bytes, train
from rmaat.models.base import Model
from rmaat.models.diagnostics import peak_extra_bytes
from rmaat.models.registry import build_model
from rmaat.models.streaming import Stream

REPEATS = 5
LENGTHS = (4_096, 16_384, 65_536)
STREAMED, AROUND = 1_000_000, 50  # tokens of the stream; segments over which it is looked at closely


def _model() -> Model:
    torch.manual_seed(0)
    return build_model("rmaat", CONFIG.replace(memory_rule="consolidate"), laws())


def check() -> None:
    """A stream is the whole-sequence call."""
    model, tokens = _model().double().eval(), random_bytes(3 * SEGMENT, 2)
    with torch.no_grad():
        stream = Stream(model, 2)
        for part in tokens.split(SEGMENT, dim=1):
            stream.push(part)
        if float((stream.logits() - model(tokens)).abs().max()) > 1e-12:
            raise RuntimeError("the stream is not the sequence; nothing to measure")


def measure() -> list[dict[str, Any]]:
    """A row a length, medians of interleaved steps; two rows of the stream, at its beginning and at its end."""
    model = _model()
    inputs = {length: random_bytes(length) for length in LENGTHS}
    train(model, inputs[LENGTHS[0]])
    seconds = median_seconds({n: partial(train, model, tokens) for n, tokens in inputs.items()}, REPEATS)
    each = {length: each / (BATCH * length) * 1e6 for length, each in seconds.items()}
    rows = []
    for length, tokens in inputs.items():
        model.zero_grad(set_to_none=True)
        rows.append(
            {
                "what": f"training step, {length:,} tokens",
                "cpu_us_per_token": round(each[length], 2),
                "over 4,096": round(each[length] / each[LENGTHS[0]], 3),
                "extra_mb": round(peak_extra_bytes(partial(train, model, tokens)) / 1e6, 1),
                "resident_growth_mb": None,
            }
        )
    return rows + _stream_rows(model.eval())


@torch.no_grad()
def _stream_rows(model: Model) -> list[dict[str, Any]]:
    stream, part = Stream(model, 1), random_bytes(SEGMENT, 1)
    segments = STREAMED // SEGMENT + 1

    def push(count: int) -> None:
        for _ in range(count):
            stream.push(part)

    def look(what: str, resident: float | None) -> dict[str, Any]:
        started = time.process_time()
        push(AROUND)
        each = (time.process_time() - started) / (AROUND * SEGMENT) * 1e6
        peak = peak_extra_bytes(partial(push, AROUND)) / 1e6
        return {
            "what": what,
            "cpu_us_per_token": round(each, 2),
            "over 4,096": None,
            "extra_mb": round(peak, 1),
            "resident_growth_mb": resident,
        }

    push(AROUND)
    rows = [look(f"stream, after {AROUND} segments", None)]
    before = _resident()
    push(segments - 5 * AROUND)
    after = _resident()
    rows.append(look(f"stream, up to {segments * SEGMENT:,} tokens", round((after - before) / 1e6, 2)))
    return rows


def _resident() -> int:
    """Resident bytes of this process (Linux)."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096


BENCHMARK = Benchmark(
    f"RMAAT, segments of {SEGMENT}, width 128, depth 2, AMRB; training at batch {BATCH}, the stream at batch 1",
    check,
    measure,
)
