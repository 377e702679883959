"""The registry and the harness: a benchmark gives rows, and speaks only if its check holds."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from astro_sim.common.errors import require_known
from astro_sim.common.files import versions, write_json
from astro_sim.common.machine import commit, processor

Key = TypeVar("Key", bound=Hashable)

SPEED = (
    "macro-solver", "simulate", "fit-speed", "amrb-memory", "model", "length", "throughput", "denormals",
)  # fmt: skip
STUDIES = (
    "ltp-curves", "interval-coverage", "family-selection", "law-sensitivity", "recall", "memory-rules", "enwik8",
    "listops-tables", "retrieval-words",
)  # fmt: skip
# The module of each benchmark, by the name that `rmaat bench` takes.
NAMES = {
    name: f"benchmarks.{folder}.{name.replace('-', '_')}"
    for folder, names in (("speed", SPEED), ("studies", STUDIES))
    for name in names
}
# Those that take an hour, or data of one's own, run only when they are asked for.
BY_NAME = ("recall", "memory-rules", "enwik8", "retrieval-words")


class Kept:
    """Parts of a long measurement, kept as they are done, so that an interrupted one goes on.

    Parameters
    ----------
    path : Path or None
        Results by key, a JSON line each; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path is not None and path.is_file() else []
        self.done: dict[str, Any] = dict(json.loads(line) for line in lines if line.endswith("]"))

    def __call__(self, key: str, work: Callable[[], Any]) -> Any:
        """The result of ``work``, from the file if it is there."""
        if key not in self.done:
            self.done[key] = work()
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a") as stream:
                    stream.write(json.dumps([key, self.done[key]]) + "\n")
        return self.done[key]


@dataclass(frozen=True)
class Benchmark:
    """A side-by-side measurement, or a study.

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


def require(holds: bool, otherwise: str) -> None:
    """Raise where a check does not hold, since then there is nothing to measure."""
    if not holds:
        raise RuntimeError(f"{otherwise}; nothing to measure")


def median_seconds(
    works: Mapping[Key, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.process_time
) -> dict[Key, float]:
    """Seconds of each work, medians of interleaved runs, so that a slow minute of the machine meets all.

    Parameters
    ----------
    works : mapping of callables
        None of them is always the first.
    repeats : int
    clock : callable
        CPU seconds of this process by default; `time.perf_counter` where other processes do the work.
    """
    seconds: dict[Key, list[float]] = {key: [] for key in works}
    order = list(works)
    for repeat in range(repeats):
        start = repeat % len(order)
        for key in order[start:] + order[:start]:
            started = clock()
            works[key]()
            seconds[key].append(clock() - started)
    return {key: statistics.median(values) for key, values in seconds.items()}


def run(names: Sequence[str], out: Path | None = None) -> list[dict[str, Any]]:
    """Run benchmarks, by default all but `BY_NAME`, and keep each with machine and commit as JSON in ``out``."""
    for name in names:
        require_known("benchmark", name, NAMES)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler otherwise prints a line a start and stop
    results = []
    for name in names or [name for name in NAMES if name not in BY_NAME]:
        benchmark: Benchmark = import_module(NAMES[name]).BENCHMARK
        benchmark.check()
        kept = Kept(out / f"{name}.parts.jsonl" if out is not None and benchmark.resumable else None)
        circumstances = _circumstances()
        rows = benchmark.measure(kept) if benchmark.resumable else benchmark.measure()
        result = {"name": name, "what": benchmark.what, **circumstances, "rows": rows}
        if out is not None:
            write_json(out / f"{name}.json", result)
        if kept.path is not None:
            kept.path.unlink(missing_ok=True)  # the measurement is whole
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
