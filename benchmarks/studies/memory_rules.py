"""ListOps under the three memory rules, three seeds each: does the rule matter where the task hardly needs memory?

The data, model and training of `rmaat demo`; only the rule and the seed differ.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from astro_sim.common.settings import parse_assignments
from benchmarks.registry import Benchmark, Kept, require
from benchmarks.speed.step import laws
from rmaat.cli.demo import DATA, TRAINING
from rmaat.tasks import storage
from rmaat.tasks.listops import ListOpsSettings
from rmaat.training.evaluation import evaluate
from rmaat.training.run import train

RULES, SEEDS = ("scale", "consolidate", "none"), (0, 1, 2)


def run(rule: str, seed: int, data: Path) -> dict[str, Any]:
    """Train and measure one model."""
    settings = {**parse_assignments(TRAINING), "seed": seed, "memory_rule": rule, "validate_every": 50}
    with tempfile.TemporaryDirectory() as folder:
        record = train("listops", data, laws(), Path(folder) / "run", settings=settings)
        result = evaluate(Path(folder) / "run")
    valid = {row["step"]: round(row["accuracy"], 3) for row in record.metrics if row["split"] == "valid"}
    return {
        "rule": rule,
        "seed": seed,
        "accuracy": round(result["accuracy"], 4),
        "majority": round(result["majority"], 4),
        "first symbol": round(result["first_symbol"], 4),
        "valid": valid,
    }


def check() -> None:
    """Nothing is compared but the rule: the demo's settings leave it, and the seed, open."""
    decided = {"memory_rule", "seed"} & set(parse_assignments(TRAINING))
    require(not decided, f"the demo's settings decide {decided}, which is compared")


def measure(kept: Kept) -> list[dict[str, Any]]:
    """A row a run; the data are generated once."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "listops"
        storage.prepare("listops", data, ListOpsSettings(**parse_assignments(DATA)), seed=0)
        return [kept(f"{rule} {seed}", partial(run, rule, seed, data)) for seed in SEEDS for rule in RULES]


BENCHMARK = Benchmark("ListOps as in the demo: test accuracy on 1,000 trees", check, measure, resumable=True)
