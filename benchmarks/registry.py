"""The registry: a benchmark is a function that gives rows, and speaks only if its check holds."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from astro_sim.common.errors import require_known
from astro_sim.common.files import versions, write_json
from astro_sim.common.machine import commit, processor
from benchmarks.resume import Kept


@dataclass(frozen=True)
class Benchmark:
    """A side-by-side measurement.

    Attributes
    ----------
    what : str
        What is measured, in one line.
    check : callable
        Raises if the compared things do not compute the same.
    measure : callable
        Rows of the table, all with the same keys.
    resumable : bool
        It takes long: ``measure`` is handed a `Kept` for its parts, and goes on after an interruption.
    """

    what: str
    check: Callable[[], None]
    measure: Callable[..., list[dict[str, Any]]]
    resumable: bool = False


NAMES = {
    "macro-solver": "macro_solver",
    "simulate": "simulate",
    "ltp-curves": "ltp_curves",
    "interval-coverage": "interval_coverage",
    "family-selection": "family_selection",
    "law-sensitivity": "law_sensitivity",
    "fit-speed": "fit_speed",
    "amrb-memory": "amrb_memory",
    "replay-budget": "replay_budget",
    "model": "model",
    "profile": "profile_step",
    "length": "length",
    "throughput": "throughput",
    "denormals": "denormals",
    "accelerator": "accelerator",
    "recall": "recall",
    "memory-rules": "memory_rules",
    "enwik8": "enwik8",
    "listops-tables": "listops_tables",
    "retrieval-words": "retrieval_words",
}

BY_NAME = ("recall", "memory-rules", "enwik8", "accelerator", "retrieval-words")


def run(names: Sequence[str], out: Path | None = None) -> list[dict[str, Any]]:
    """Run benchmarks, with machine and commit, and keep each as JSON in ``out``.

    Without names, all but those that take an hour, a GPU or data of one's own (`BY_NAME`).
    """
    for name in names:
        require_known("benchmark", name, NAMES)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler otherwise prints a line a start and stop
    results = []
    for name in names or [name for name in NAMES if name not in BY_NAME]:
        benchmark: Benchmark = import_module(f"benchmarks.{NAMES[name]}").BENCHMARK
        benchmark.check()
        kept = Kept(out / f"{name}.parts.jsonl" if out is not None and benchmark.resumable else None)
        circumstances = _circumstances()
        rows = benchmark.measure(kept) if benchmark.resumable else benchmark.measure()
        result = {"name": name, "what": benchmark.what, **circumstances, "rows": rows}
        if out is not None:
            write_json(out / f"{name}.json", result)
            kept.forget()
        results.append(result)
    return results


def _circumstances() -> dict[str, Any]:
    import torch  # after KINETO_LOG_LEVEL is set

    return {
        "commit": commit(),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": processor(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
        },
        "versions": versions("rmaat", "numpy", "numba", "scipy", "Brian2", "torch"),
    }
