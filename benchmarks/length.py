"""What length costs: a training step a token at 4,096 and at 65,536 tokens, and a stream of a million tokens."""

import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

import astro_sim
import bridge
from benchmarks.registry import Benchmark
from rmaat.config import RMAATConfig
from rmaat.diagnostics import peak_extra_bytes
from rmaat.family import build_model
from rmaat.model import Model

BATCH, SEGMENT, REPEATS = 4, 512, 5
LENGTHS = (4_096, 16_384, 65_536)
STREAMED, AROUND = 1_000_000, 50  # tokens of the stream; segments over which it is looked at closely
CONFIG = RMAATConfig(
    vocabulary=257, classes=2, width=128, depth=2, heads=4, feedforward=256, segment_length=SEGMENT, memory_tokens=16,
    memory_rule="consolidate",
)  # fmt: skip


def _model() -> Model:
    torch.manual_seed(0)
    return build_model("rmaat", CONFIG, bridge.fit_laws([astro_sim.simulate("ltp", cycles=24, burn_in=3)]))


def _tokens(batch: int, length: int) -> torch.Tensor:
    return torch.randint(1, CONFIG.vocabulary, (batch, length), generator=torch.Generator().manual_seed(0))


def _step(model: Model, tokens: torch.Tensor) -> None:
    model.zero_grad(set_to_none=True)
    cross_entropy(model(tokens), torch.zeros(len(tokens), dtype=torch.int64)).backward()


def check() -> None:
    """A stream is the whole-sequence call."""
    model, tokens = _model().double().eval(), _tokens(2, 3 * SEGMENT)
    with torch.no_grad():
        stream = model.stream(2)
        for part in tokens.split(SEGMENT, dim=1):
            stream.push(part)
        if float((stream.logits() - model(tokens)).abs().max()) > 1e-12:
            raise RuntimeError("the stream is not the sequence; nothing to measure")


def measure() -> list[dict[str, Any]]:
    """A row a length, medians of interleaved steps; two rows of the stream, at its beginning and at its end."""
    model = _model()
    inputs = {length: _tokens(BATCH, length) for length in LENGTHS}
    seconds: dict[int, list[float]] = {length: [] for length in LENGTHS}
    _step(model, inputs[LENGTHS[0]])
    for _ in range(REPEATS):
        for length, tokens in inputs.items():
            started = time.process_time()
            _step(model, tokens)
            seconds[length].append(time.process_time() - started)
    each = {length: statistics.median(times) / (BATCH * length) * 1e6 for length, times in seconds.items()}
    rows = []
    for length, tokens in inputs.items():
        model.zero_grad(set_to_none=True)
        rows.append(
            {
                "what": f"training step, {length:,} tokens",
                "cpu_us_per_token": round(each[length], 2),
                "over 4,096": round(each[length] / each[LENGTHS[0]], 3),
                "extra_mb": round(peak_extra_bytes(partial(_step, model, tokens)) / 1e6, 1),
                "resident_growth_mb": None,
            }
        )
    return rows + _stream_rows(model.eval())


@torch.no_grad()
def _stream_rows(model: Model) -> list[dict[str, Any]]:
    stream, part = model.stream(1), _tokens(1, SEGMENT)
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
