"""What length costs: a training step a token at 4,096 and at 65,536 tokens, and a stream of a million tokens."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.registry import Benchmark, median_seconds, require
from benchmarks.speed.step import BATCH, SEGMENT, build, laws, random_bytes, train
from rmaat.models.base import Model
from rmaat.models.diagnostics import peak_extra_bytes
from rmaat.models.streaming import Stream

REPEATS = 5
LENGTHS = (4_096, 16_384, 65_536)
STREAMED, AROUND = 1_000_000, 50  # tokens of the stream; segments over which it is looked at closely


def check() -> None:
    """A stream is the whole-sequence call."""
    model, tokens = build(laws=laws(), memory_rule="consolidate").double().eval(), random_bytes(3 * SEGMENT, 2)
    with torch.no_grad():
        stream = Stream(model, 2)
        for segment in tokens.split(SEGMENT, dim=1):
            stream.push(segment)
        difference = float((stream.logits() - model(tokens)).abs().max())
    require(difference <= 1e-12, "the stream is not the sequence")


def _row(what: str, seconds: float, over: float | None, extra: float, grown: float | None = None) -> dict[str, Any]:
    return {
        "what": what,
        "cpu_us_per_token": round(seconds * 1e6, 2),
        "over 4,096": None if over is None else round(seconds / over, 3),
        "extra_mb": round(extra / 1e6, 1),
        "resident_growth_mb": None if grown is None else round(grown / 1e6, 2),
    }


def measure() -> list[dict[str, Any]]:
    """A row a length, medians of interleaved steps; two rows of the stream, at its beginning and at its end."""
    model = build(laws=laws(), memory_rule="consolidate")
    steps = {length: partial(train, model, random_bytes(length)) for length in LENGTHS}
    steps[LENGTHS[0]]()  # warm-up
    seconds = {n: taken / (BATCH * n) for n, taken in median_seconds(steps, REPEATS).items()}
    rows = []
    for length, step in steps.items():
        model.zero_grad(set_to_none=True)
        extra = peak_extra_bytes(step)
        rows.append(_row(f"training step, {length:,} tokens", seconds[length], seconds[LENGTHS[0]], extra))
    return rows + _stream_rows(model.eval())


@torch.no_grad()
def _stream_rows(model: Model) -> list[dict[str, Any]]:
    stream, segment = Stream(model, 1), random_bytes(SEGMENT, 1)
    count = STREAMED // SEGMENT + 1

    def push(times: int) -> None:
        for _ in range(times):
            stream.push(segment)

    def look(what: str, grown: float | None) -> dict[str, Any]:
        started = time.process_time()
        push(AROUND)
        seconds = (time.process_time() - started) / (AROUND * SEGMENT)
        return _row(what, seconds, None, peak_extra_bytes(partial(push, AROUND)), grown)

    push(AROUND)
    first = look(f"stream, after {AROUND} segments", None)
    before = _resident()
    push(count - 5 * AROUND)
    return [first, look(f"stream, up to {count * SEGMENT:,} tokens", _resident() - before)]


def _resident() -> int:
    """Resident bytes of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


BENCHMARK = Benchmark(
    f"RMAAT, segments of {SEGMENT}, width 128, depth 2, AMRB; training at batch {BATCH}, the stream at batch 1",
    check,
    measure,
)
