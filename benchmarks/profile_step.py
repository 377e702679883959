"""Where the time of a training step goes: operators of RMAAT by their own CPU time, eager, BPTT and AMRB."""

from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.registry import Benchmark
from benchmarks.training_step import SEGMENT, random_bytes, rmaat, train

GROUPS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "copies and joins": ("aten::copy_", "aten::cat"),
    "feature map (exp, clamp, relu)": (
        "aten::exp_", "aten::clamp", "aten::clamp_min", "aten::relu", "_FeatureMap", "_FeatureMapBackward",
    ),
    "GELU": ("aten::gelu", "aten::gelu_backward"),
    "LayerNorm": ("aten::native_layer_norm", "aten::native_layer_norm_backward"),
    "sums and products by element": ("aten::add", "aten::add_", "aten::mul", "aten::sum", "aten::div", "aten::pow"),
}  # fmt: skip
REST = "all else (views, dispatch, autograd, embedding)"
REPEATS = 5


def shares(backward: str) -> dict[str, float]:
    """Share of the CPU time of steps that each group of operators takes itself."""
    model, tokens = rmaat(backward=backward), random_bytes(8 * SEGMENT)
    train(model, tokens)
    with profile(activities=[ProfilerActivity.CPU]) as record:
        for _ in range(REPEATS):
            train(model, tokens)
    own = {event.key: event.self_cpu_time_total for event in record.key_averages()}
    total = sum(own.values())
    found = {group: sum(own.get(name, 0.0) for name in names) / total for group, names in GROUPS.items()}
    return {**found, REST: 1.0 - sum(found.values())}


def check() -> None:
    """No operator is counted twice."""
    names = [name for group in GROUPS.values() for name in group]
    if len(names) != len(set(names)):
        raise RuntimeError("an operator stands in two groups")


def measure() -> list[dict[str, Any]]:
    """A row a group of operators."""
    found = {backward: shares(backward) for backward in ("bptt", "amrb")}
    return [
        {"where": group, **{backward: round(found[backward][group], 3) for backward in found}}
        for group in (*GROUPS, REST)
    ]


BENCHMARK = Benchmark(
    "share of CPU time in a training step of RMAAT, batch 4 x 4096, segments of 512, width 128, depth 2", check, measure
)
