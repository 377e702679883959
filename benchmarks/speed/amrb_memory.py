"""AMRB against BPTT: peak extra memory and time of one training step, as the number of segments grows."""

from functools import partial
from typing import Any

from benchmarks.registry import Benchmark, median_seconds, require
from benchmarks.speed.step import SEGMENT, build, random_bytes, same_gradients, train
from rmaat.models.diagnostics import peak_extra_bytes

REPEATS = 5
SEGMENTS = (1, 4, 8, 16, 32, 64, 128)
BPTT_UP_TO = 32  # beyond, it would need gigabytes
REFERENCE = 16  # segments at which growth is 1


def check() -> None:
    """Both give the same gradients, bit for bit."""
    amrb, bptt = (build(backward=backward, segment_length=16) for backward in ("amrb", "bptt"))
    require(same_gradients(amrb, bptt, random_bytes(48)), "AMRB and BPTT differ")


def measure() -> list[dict[str, Any]]:
    """Bytes from one profiled step each; seconds as medians of interleaved steps."""
    rows = []
    for segments in SEGMENTS:
        tokens = random_bytes(segments * SEGMENT)
        both = segments <= BPTT_UP_TO
        models = {backward: build(backward=backward) for backward in (("amrb", "bptt") if both else ("amrb",))}
        steps = {backward: partial(train, model, tokens) for backward, model in models.items()}
        peaks = {}
        for backward, step in steps.items():
            step()  # warm-up
            models[backward].zero_grad(set_to_none=True)
            peaks[backward] = peak_extra_bytes(step)
        seconds = median_seconds(steps, REPEATS)
        rows.append(
            {
                "segments": segments,
                "bptt_mb": round(peaks["bptt"] / 1e6, 1) if both else None,
                "amrb_mb": round(peaks["amrb"] / 1e6, 1),
                "bptt/amrb": round(peaks["bptt"] / peaks["amrb"], 2) if both else None,
                "bptt_cpu_s": round(seconds["bptt"], 3) if both else None,
                "amrb_cpu_s": round(seconds["amrb"], 3),
                "amrb/bptt": round(seconds["amrb"] / seconds["bptt"], 2) if both else None,
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
