"""ListOps under the three memory rules, three seeds each: does the rule matter where the task hardly needs memory?

A small model of the defaults, by a curriculum of short beginnings; only the rule and the seed differ.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.registry import Benchmark, Kept, require
from benchmarks.speed.step import laws
from rmaat.tasks.listops import ListOpsSettings
from rmaat.tasks.writer import prepare
from rmaat.training.evaluation import evaluate
from rmaat.training.run import train

RULES, SEEDS = ("scale", "consolidate", "none"), (0, 1, 2)
DATA = ListOpsSettings(train=8000, valid=500, test=1000)
TRAINING = {
    "steps": 350, "learning_rate": 4e-3, "curriculum": [1, 1, 2, 4, 8], "curriculum_steps": 50,
    "validate_every": 50, "validate_examples": 500, "checkpoint_every": 100,
}  # fmt: skip


def run(rule: str, seed: int, data: Path) -> dict[str, Any]:
    """Train and measure one model."""
    settings = {**TRAINING, "seed": seed, "memory_rule": rule}
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
    """Nothing is compared but the rule: the settings leave it, and the seed, open."""
    decided = {"memory_rule", "seed"} & set(TRAINING)
    require(not decided, f"the settings decide {decided}, which is compared")


def measure(kept: Kept) -> list[dict[str, Any]]:
    """A row a run; the data are generated once."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "listops"
        prepare("listops", data, DATA, seed=0)
        return [kept(f"{rule} {seed}", partial(run, rule, seed, data)) for seed in SEEDS for rule in RULES]


BENCHMARK = Benchmark("ListOps with a curriculum: test accuracy on 1,000 trees", check, measure, resumable=True)
