"""AMRB's time and memory between full replay and BPTT: k segments keep their activations, or as many as a limit allows.

A step of BPTT is a forward and a backward pass; replay runs the forward pass of T - k segments again. If the forward
pass takes a share f of BPTT's step, AMRB takes at most 1 + f (1 - k / T) of it, and a little more for bookkeeping.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.amrb_memory import CONFIG
from benchmarks.registry import Benchmark
from rmaat.diagnostics import peak_extra_bytes
from rmaat.family import RMAAT

BATCH, REPEATS, ALLOWANCE = 4, 7, 0.06
KEPT = {8: (0, 1, 2, 4, 6, 8), 16: (0, 1, 2, 4, 8, 12, 16)}
LIMITS = (100.0, 200.0, 300.0)  # MB


def _model(**changes: Any) -> RMAAT:
    torch.manual_seed(0)
    return RMAAT(CONFIG.replace(**changes))


def _forward(model: RMAAT, tokens: Tensor) -> Tensor:
    model.zero_grad(set_to_none=True)
    return cross_entropy(model(tokens), torch.zeros(len(tokens), dtype=torch.int64))


def _step(model: RMAAT, tokens: Tensor) -> None:
    _forward(model, tokens).backward()


def _tokens(segments: int, length: int = CONFIG.segment_length) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, CONFIG.vocabulary, (BATCH, segments * length), generator=generator)


def _chosen(model: RMAAT) -> int:
    """How many segments the limit let the model keep, once it has made a step."""
    (keep,) = model.recurrent._kept.values()
    return keep


def check() -> None:
    """The gradients do not depend on how many segments are kept."""
    tokens, found = _tokens(3, 16), []
    for changes in ({"backward": "bptt"}, *({"kept_segments": k} for k in range(4)), {"replay_mb": 100.0}):
        model = _model(segment_length=16, **changes)
        _step(model, tokens)
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    if not all(torch.equal(a, b) for each in found[1:] for a, b in zip(found[0], each, strict=True)):
        raise RuntimeError("the gradients depend on what is kept; nothing to measure")


def _medians(works: dict[Any, Callable[[], object]]) -> dict[Any, float]:
    seconds: dict[Any, list[float]] = {key: [] for key in works}
    for repeat in range(REPEATS):
        order = list(works)
        for key in order[repeat:] + order[:repeat]:  # none is always first
            started = time.process_time()
            works[key]()
            seconds[key].append(time.process_time() - started)
    return {key: statistics.median(each) for key, each in seconds.items()}


def _row(segments: int, limit: float | None, kept: int, model: RMAAT, tokens: Tensor) -> dict[str, Any]:
    """Memory of one profiled step; the times are filled in later."""
    model.zero_grad(set_to_none=True)
    extra = peak_extra_bytes(partial(_step, model, tokens)) / 1e6
    gradients = sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6
    return {
        "segments": segments,
        "replay_mb": limit,
        "kept": kept,
        "amrb/bptt": None,
        "forward share": None,
        "bound": None,
        "time within bound": None,
        "extra_mb": round(extra, 1),
        "within replay_mb": None if limit is None else extra - gradients <= limit,
        "note": "the last segment is replayed too" if kept == 0 else "all kept, as BPTT" if kept == segments else "",
    }


def measure() -> list[dict[str, Any]]:
    """Times as medians of interleaved steps, memory from one profiled step each."""
    rows = []
    for segments, numbers in KEPT.items():
        tokens, bptt = _tokens(segments), _model(backward="bptt")
        models = {k: _model(kept_segments=k) for k in numbers}
        for model in (bptt, *models.values()):
            _step(model, tokens)  # warm-up
        works: dict[Any, Callable[[], object]] = {
            "bptt": partial(_step, bptt, tokens),
            "forward": partial(_forward, bptt, tokens),
        }
        seconds = _medians(works | {k: partial(_step, model, tokens) for k, model in models.items()})
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
            model = _model(replay_mb=limit)
            _step(model, tokens)
            rows.append(_row(segments, limit, _chosen(model), model, tokens))
    return rows


BENCHMARK = Benchmark(
    "RMAAT, batch 4, segments of 512: a step's CPU time over BPTT's and its peak extra tensor MB with k segments kept; "
    f"bound: 1 + forward share x (1 - k / segments) + {ALLOWANCE}",
    check,
    measure,
)
