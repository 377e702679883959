"""AMRB's time and memory between full replay and BPTT: k segments keep their activations, or as many as a limit allows.

A step of BPTT is a forward and a backward pass; replay runs the forward pass of T - k segments again. If the forward
pass takes a share f of BPTT's step, AMRB takes at most 1 + f (1 - k / T) of it, and a little more for bookkeeping.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.registry import Benchmark
from benchmarks.training_step import SEGMENT, forward, median_seconds, random_bytes, rmaat, train
from rmaat.models.base import Model
from rmaat.models.diagnostics import peak_extra_bytes

REPEATS, ALLOWANCE = 7, 0.06
KEPT = {8: (0, 1, 2, 4, 6, 8), 16: (0, 1, 2, 4, 8, 12, 16)}
LIMITS = (100.0, 200.0, 300.0)  # MB


def _chosen(model: Model) -> int:
    """How many segments the limit let the model keep, once it has made a step."""
    (keep,) = model.recurrent._kept.values()
    return keep


def check() -> None:
    """The gradients do not depend on how many segments are kept."""
    tokens, found = random_bytes(48), []
    for changes in ({"backward": "bptt"}, *({"kept_segments": k} for k in range(4)), {"replay_mb": 100.0}):
        model = rmaat(segment_length=16, **changes)
        train(model, tokens)
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    if not all(torch.equal(a, b) for each in found[1:] for a, b in zip(found[0], each, strict=True)):
        raise RuntimeError("the gradients depend on what is kept; nothing to measure")


def _row(segments: int, limit: float | None, kept: int, model: Model, tokens: Tensor) -> dict[str, Any]:
    """Memory of one profiled step; the times are filled in later."""
    model.zero_grad(set_to_none=True)
    extra = peak_extra_bytes(partial(train, model, tokens)) / 1e6
    return {
        "segments": segments,
        "replay_mb": limit,
        "kept": kept,
        "amrb/bptt": None,
        "forward share": None,
        "bound": None,
        "time within bound": None,
        "extra_mb": round(extra, 1),
        "within replay_mb": None if limit is None else extra <= limit,
        "note": "the last segment is replayed too" if kept == 0 else "all kept, as BPTT" if kept == segments else "",
    }


def measure() -> list[dict[str, Any]]:
    """Times as medians of interleaved steps, memory from one profiled step each."""
    rows = []
    for segments, numbers in KEPT.items():
        tokens, bptt = random_bytes(segments * SEGMENT), rmaat(backward="bptt")
        models = {k: rmaat(kept_segments=k) for k in numbers}
        for model in (bptt, *models.values()):
            train(model, tokens)  # warm-up
        works = {"bptt": partial(train, bptt, tokens), "forward": partial(forward, bptt, tokens)}
        seconds = median_seconds({**works, **{k: partial(train, m, tokens) for k, m in models.items()}}, REPEATS)
        share = seconds["forward"] / seconds["bptt"]
        for k, model in models.items():
            ratio, bound = seconds[k] / seconds["bptt"], 1 + share * (1 - k / segments) + ALLOWANCE
            rows.append(
                _row(segments, None, k, model, tokens)
                | {
                    "amrb/bptt": round(ratio, 3),
                    "forward share": round(share, 3),
                    "bound": round(bound, 3),
                    "time within bound": ratio <= bound,
                }
            )
        for limit in LIMITS:
            model = rmaat(replay_mb=limit)
            train(model, tokens)
            rows.append(_row(segments, limit, _chosen(model), model, tokens))
    return rows


BENCHMARK = Benchmark(
    "RMAAT, batch 4, segments of 512: a step's CPU time over BPTT's and its peak extra tensor MB with k segments kept; "
    f"bound: 1 + forward share x (1 - k / segments) + {ALLOWANCE}",
    check,
    measure,
)
