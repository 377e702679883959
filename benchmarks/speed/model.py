"""One training step of our models and of other packages' models: same bytes, width, depth, readout and loss."""

import time
import warnings
from functools import partial
from importlib.metadata import version
from typing import Any

import torch

from benchmarks.registry import Benchmark, median_seconds, require
from benchmarks.speed import peers
from benchmarks.speed.peers import LENGTH, Row
from benchmarks.speed.step import build, gradients, random_bytes, same_gradients, train
from rmaat.models.diagnostics import peak_extra_bytes
from rmaat.models.registry import MEMBERS

REPEATS, SLOW, SLOW_REPEATS = 5, 3.0, 2
RECURRENT = ("rmt", "rlt", "rmaat")


def ours(name: str, compiled: bool = False, **changes: Any) -> peers.Built:
    """One of our models and its step."""
    model = build(name, max_length=LENGTH, readout="mean", match_parameters=False, **changes)
    model = model.compile_segments() if compiled else model
    return model, partial(train, model)


def our_rows() -> list[Row]:
    """Models over whole sequences; those that recur under both ways back; what is compiled."""
    rows = [Row(name, partial(ours, name)) for name, member in MEMBERS.items() if not member.recurrent]
    rows += [
        Row(name, partial(ours, name, backward=backward), backward, backward)
        for name in RECURRENT
        for backward in ("amrb", "bptt")
    ]
    four, note = partial(ours, "rmaat", kept_segments=4), "kept_segments = 4; beside rmt with 1"
    rows.append(Row("rmaat", four, "amrb, 4 kept", "amrb", note=note))
    both = "amrb, compiled"
    rows += [
        Row(name, partial(ours, name, compiled=True), both, both, note="compile_segments()")
        for name in ("rmt", "rmaat")
    ]
    return rows


def check() -> None:
    """AMRB and BPTT give the same gradients, bit for bit, in every model that recurs."""
    for name in RECURRENT:
        amrb, bptt = (ours(name, segment_length=16, backward=backward)[0] for backward in ("amrb", "bptt"))
        require(same_gradients(amrb, bptt, random_bytes(48)), f"{name}: AMRB and BPTT differ")


def measure() -> list[dict[str, Any]]:
    """CPU seconds as medians of interleaved steps; tensor MB from a profiled step."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # packages call what torch and Python have deprecated
        return _measure()


def _measure() -> list[dict[str, Any]]:
    rows, tokens = [*our_rows(), *peers.rows()], random_bytes(LENGTH)
    remarks = peers.remarks({row.package for row in rows})
    steps, numbers, extra, slow = {}, {}, {}, set()
    for row in rows:
        torch.manual_seed(0)
        model, step = row.build()
        step(tokens)  # warm-up
        numbers[row.key] = sum(gradient.numel() for gradient in gradients(model).values())
        started = time.process_time()
        step(tokens)
        if time.process_time() - started > SLOW:
            slow.add(row.key)
        model.zero_grad(set_to_none=True)
        steps[row.key] = partial(step, tokens)
        extra[row.key] = peak_extra_bytes(steps[row.key]) / 1e6
        model.zero_grad(set_to_none=True)
    cpu = median_seconds(steps, SLOW_REPEATS)
    cpu |= median_seconds({key: step for key, step in steps.items() if key not in slow}, REPEATS)
    return [
        {
            "model": row.model if row.package is None else f"{row.model} ({row.package} {version(row.package)})",
            "backward": row.backward,
            "parameters": numbers[row.key],
            "cpu_s": round(cpu[row.key], 3),
            "times faster than full attention": round(cpu["transformer, -"] / cpu[row.key], 2),
            "times faster than rmt, same backward": (
                None if row.beside is None else round(cpu[f"rmt, {row.beside}"] / cpu[row.key], 2)
            ),
            "extra_mb": round(extra[row.key], 1),
            "note": row.note + remarks.get(row.key, ""),
        }
        for row in rows
    ]


BENCHMARK = Benchmark(
    "one training step, batch 4, 4096 bytes (8 segments of 512), width 128, depth 2, 4 heads, feedforward 256, 16 "
    "memory tokens: CPU seconds, peak extra tensor MB",
    check,
    measure,
)
