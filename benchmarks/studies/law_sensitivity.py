"""Which biology the law depends on: Morris' elasticities of both models' laws."""

from typing import Any

import bridge
from benchmarks.registry import Benchmark, require
from bridge.exploration.sensitivity import Sensitivity, design, effects

TOTAL = 16
# The biophysical model is varied in fewer runs of fewer repetitions: 44 of 5 trains each.
STUDIES: dict[str, tuple[str, dict[str, Any]]] = {
    "macro, bounded": ("macro", {"size": 20}),
    "biophysical, depressing": ("biophysical", {"size": 4, "repetitions": 5, "preset": "depressing"}),
}


def study(name: str) -> Sensitivity:
    """One of `STUDIES`."""
    model, settings = STUDIES[name]
    return bridge.sensitivity(model, total=TOTAL, **settings)


def check() -> None:
    """Of x^2 / y the elasticities are 2 and -1."""
    ranges = {"x": (1.0, 3.0), "y": (0.5, 4.0)}
    logs, _ = design(ranges, "morris", 4, seed=0)
    elasticities = {e.parameter: e.mean for e in effects(ranges, "morris", logs, {"first": logs @ [2.0, -1.0]}, seed=0)}
    right = all(abs((elasticities[name] or 0.0) - true) <= 1e-9 for name, true in (("x", 2.0), ("y", -1.0)))
    require(right, f"elasticities of x^2 / y: expected 2 and -1, got {elasticities}")


def measure() -> list[dict[str, Any]]:
    """A row a study, output and parameter."""
    rows = []
    for name in STUDIES:
        result = study(name)
        rows += [
            {
                "curve": name,
                "law": result.family,
                "runs": result.runs,
                "failed": result.failed,
                "output": effect.output,
                "parameter": effect.parameter,
                "mean elasticity": None if effect.mean is None else round(effect.mean, 3),
                "mean size": None if effect.size is None else round(effect.size, 3),
                "spread": None if effect.spread is None else round(effect.spread, 3),
                "half width of size": round(effect.confidence, 3),
            }
            for effect in result.effects
        ]
    return rows


BENCHMARK = Benchmark(
    f"per cent by which RetentionFactor(1, {TOTAL}), that of the last of {TOTAL}, and the amplitude follow 1 % more",
    check,
    measure,
)
