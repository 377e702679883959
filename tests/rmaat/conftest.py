"""Laws, data and models that the tests of this room share."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.multiprocessing.spawn import spawn

from astro_sim.common.files import digest
from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.tasks.listops import ListOpsSettings
from rmaat.tasks.writer import prepare


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def laws(simulated, fitted) -> Laws:
    """The exponential law of the preset (tau = 6 cycles), without the two optional numbers."""
    return fitted(simulated("ltp", cycles=24, burn_in=3), draws=0)


@pytest.fixture(scope="session")
def laws_with_times(laws) -> Callable[[dict[str, float]], Laws]:
    """The same with given short-term time constants, s."""

    def make(times: dict[str, float]) -> Laws:
        numbers = {
            name: {"value": value, "stderr": None, "low": None, "high": None, "unit": "s", "origin": "stated"}
            for name, value in times.items()
        }
        document = {**laws.document.model_dump(mode="json"), "short_term": numbers}
        return Laws.from_json({**document, "digest": digest(document)})

    return make


@pytest.fixture(scope="session")
def other_laws(simulated, fitted) -> Laws:
    """A faster law: tau = 2 cycles."""
    return fitted(simulated("ltp", cycles=24, burn_in=3, tau_p_l=20.0), draws=0)


@pytest.fixture(scope="session")
def listops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ListOps folder of short trees."""
    out = tmp_path_factory.mktemp("data") / "listops"
    settings = ListOpsSettings(train=64, valid=16, test=16, min_length=10, max_length=60)
    prepare("listops", out, settings, seed=1)
    return out


@pytest.fixture
def config() -> RMAATConfig:
    """A model small enough for float64 and finite differences."""
    return RMAATConfig(
        vocabulary=16,
        classes=5,
        width=8,
        depth=2,
        heads=2,
        feedforward=12,
        segment_length=6,
        memory_tokens=3,
        match_parameters=False,
    )


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Three sequences of 27, 14 and 3 tokens: several segments, a shorter last one, one that is mostly padding."""
    generator = np.random.default_rng(0)
    tokens = torch.from_numpy(generator.integers(1, 16, size=(3, 27)))
    lengths = torch.tensor([27, 14, 3])
    for row, length in zip(tokens, lengths, strict=True):
        row[length:] = 0
    return tokens, lengths


@pytest.fixture(scope="session")
def start_ranks() -> Callable[..., None]:
    """Two processes that run ``work(rank, *arguments)``; the test fails if they do not end within ``patience`` s."""

    def start(work: Callable[..., None], arguments: tuple[Any, ...], patience: float) -> None:
        started = spawn(work, arguments, nprocs=2, join=False)
        assert started is not None
        end = time.monotonic() + patience
        try:
            while not started.join(timeout=max(0.0, end - time.monotonic())):
                if time.monotonic() > end:
                    pytest.fail(f"ranks did not finish within {patience:g} s")
        finally:
            processes: list[Any] = started.processes
            for process in processes:
                if process.is_alive():
                    process.kill()
                process.join()

    return start
