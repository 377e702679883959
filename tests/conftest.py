"""For all tests: properties draw the same examples every time, untimed; what costs is made once for all workers.

`simulated` and `fitted` give datasets and laws that the first worker who asks makes and keeps on disk; `shared` does so
with any file or folder. What they give is read-only: it belongs to every test that asks for the same.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

import astro_sim
from astro_sim.common import brian
from astro_sim.dataset import content_digest

settings.register_profile("rmaat", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("rmaat")

# What a shell starts in its background ignores Ctrl-C, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
COMPILER = "codegen.cpp.extra_compile_args_gcc"
brian.NUMERICAL = tuple(name for name in brian.NUMERICAL if name != COMPILER)  # runs leave this one as it is
_require_cache = brian._require_cache


def _compile_fast_and_apart() -> None:
    """When Brian2 is loaded: unoptimised, its pieces compile in a third of the time, and runs are short.

    It locks its cache while one process compiles, so each worker has one of its own.
    """
    _require_cache()
    brian._require_cache = _require_cache
    prefs = sys.modules["brian2"].prefs
    prefs[COMPILER] = ["-w", "-O0", "-g0"]
    if WORKER:
        prefs[brian.CACHE] = f"{prefs[brian.CACHE] or Path.home() / '.cython' / 'brian_extensions'}_{WORKER}"


brian._require_cache = _compile_fast_and_apart


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], Any]], Path]:
    """Give the path of what ``make(path)`` makes under a name, made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if WORKER else base) / "shared"
    folder.mkdir(exist_ok=True)

    def get(name: str, make: Callable[[Path], Any]) -> Path:
        path, done = folder / name, folder / f"{name}.done"
        with FileLock(folder / f"{name}.lock"):
            if not done.exists():
                make(path)
                done.touch()
        return path

    return get


def _digest(*question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True, default=str).encode()).hexdigest()[:16]


@pytest.fixture(scope="session")
def simulated(shared) -> Callable[..., Any]:
    """Give the dataset of ``astro_sim.simulate(experiment, model, seed, **settings)``, read from its file."""
    known: dict[str, Any] = {}

    def get(experiment: str, model: str | None = None, seed: int = 0, **settings: Any) -> Any:
        name = f"{experiment}-{_digest(model, seed, settings)}.nc"
        if name not in known:
            known[name] = astro_sim.read(
                shared(
                    name, lambda path: astro_sim.write(astro_sim.simulate(experiment, model, seed, **settings), path)
                )
            )
        return known[name]

    return get


@pytest.fixture(scope="session")
def fitted(shared) -> Callable[..., Any]:
    """Give the laws of ``bridge.fit_laws(datasets, **options)``, read from their file."""
    import bridge

    known: dict[str, Any] = {}

    def get(*datasets: Any, **options: Any) -> Any:
        name = f"laws-{_digest([content_digest(each) for each in datasets], options)}.json"
        if name not in known:
            path = shared(name, lambda path: bridge.fit_laws(list(datasets), **options).save(path))
            known[name] = bridge.Laws.load(path)
        return known[name]

    return get
