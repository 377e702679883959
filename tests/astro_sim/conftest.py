import gc
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from astro_sim.common import brian
from astro_sim.experiments import user_file
from tests.astro_sim.own_experiment import LEAK

brian.load_brian2()  # before a test module imports it and with it its handler of interrupts


class Question(NamedTuple):
    """An experiment as one model runs it, and settings that make it short."""

    experiment: str
    model: str
    settings: dict


INTERPRETED = {"target": "numpy"}  # so short a run is over long before its code would be compiled
EVERY = [
    Question("stp", "macro", {"layouts": ["grid", "random"]}),
    Question("ltp", "macro", {"cycles": 2}),
    Question("spatial", "macro", {"n": 3}),
    Question("frequency", "macro", {"n": 1}),
    Question("associative", "macro", {"n": 4, "cues": 1, "duration": 1.0}),
    Question("stp", "biophysical", {**INTERPRETED, "start": 0.1, "intervals": [0.05]}),
    Question("ltp", "biophysical", {**INTERPRETED, "cycles": 2, "tau_cycle": 1.0, "repetitions": 2, "synapses": 2}),
    Question("spatial", "biophysical", {**INTERPRETED, "n": 3, "settle": 0.5, "active": 0.5, "after": 0.5}),
    Question(
        "frequency",
        "biophysical",
        {**INTERPRETED, "rates": [1.0, 5.0, 20.0], "repetitions": 1, "transient": 0.0, "window": 1.0},
    ),
    Question("calcium", "biophysical", {**INTERPRETED, "duration": 1.0}),
    Question("gliotransmission", "biophysical", {**INTERPRETED, "rates": [5.0, 20.0], "window": 1.0, "transient": 0.5}),
    Question("waves", "biophysical", {**INTERPRETED, "cells": 5, "duration": 5.0}),
    Question(
        "an",
        "biophysical",
        {**INTERPRETED, "duration": 1.0, "failure_time": 0.5, "healthy_window": 0.2, "failed_window": 0.2, "bin": 0.1},
    ),
    Question("network", "biophysical", {**INTERPRETED, "preset": "nine_synapses", "window": 0.1}),
]


def pytest_collection_finish() -> None:
    """Brian2 collects garbage after every run: what the imports left need not be searched each time."""
    gc.freeze()


@pytest.fixture(scope="session", params=EVERY, ids=lambda each: f"{each.experiment}-{each.model}")
def question(request):
    """Every experiment on every model that runs it, made short."""
    return request.param


@pytest.fixture(scope="session")
def dataset(question, simulated):
    """Its dataset; treat as read-only."""
    return simulated(question.experiment, question.model, seed=3, **question.settings)


@pytest.fixture(scope="session")
def ltp(simulated):
    """The experiment "ltp" as it comes; treat as read-only."""
    return simulated("ltp", seed=1)


@pytest.fixture(scope="session")
def stp(simulated):
    """The experiment "stp" in every layout; treat as read-only."""
    return simulated("stp", seed=1, layouts=["equidistant", "ring", "grid", "line", "clusters", "random"])


@pytest.fixture(scope="session")
def spatial(simulated):
    """The experiment "spatial" as it comes; treat as read-only."""
    return simulated("spatial")


@pytest.fixture
def rng():
    return np.random.default_rng(20240611)


@pytest.fixture
def leak(tmp_path, monkeypatch):
    """The file in the working folder, not yet run by this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(user_file.FILES, "_defined", {})
    path = Path("leak.py")
    path.write_text(LEAK)
    return path
