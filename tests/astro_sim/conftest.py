import gc
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from astro_sim.common import brian
from astro_sim.experiments import user_file
from astro_sim.sweeps import work
from tests.astro_sim.own_experiment import LEAK

brian.load_brian2()  # before a test module imports it and with it its handler of interrupts


class Question(NamedTuple):
    """An experiment as one model runs it, and settings that make it short."""

    experiment: str
    model: str
    settings: dict


INTERPRETED = {"target": "numpy"}  # so short a run is over long before its code would be compiled
REGULAR = {"trains": "regular", "PR_0": 1.0, "K_AG": 0.0, "failed": 0}  # every spike is one of the neuron too
EVERY = [
    Question("stp", "macro", {"layouts": ["grid", "random"]}),
    Question("ltp", "macro", {"cycles": 2}),
    Question("spatial", "macro", {"n": 3}),
    Question("frequency", "macro", {"n": 1}),
    Question("associative", "macro", {"n": 4, "cues": 1, "duration": 1.0}),
    Question("stp", "biophysical", {"start": 0.1, "intervals": [0.05]}),
    Question(
        "ltp",
        "biophysical",
        {"cycles": 5, "tau_cycle": 0.5, "interval": 0.1, "tau_rho": 5.0, "repetitions": 1, "synapses": 4},
    ),
    Question("spatial", "biophysical", {"n": 3, "settle": 0.5, "active": 2.0, "after": 1.5}),
    Question("frequency", "biophysical", {"rates": [1, 5, 20], "repetitions": 1, "transient": 0.5, "window": 1.0}),
    Question("calcium", "biophysical", {"duration": 1.0}),
    Question("gliotransmission", "biophysical", {"rates": [5.0, 20.0], "window": 1.0, "transient": 0.5}),
    Question("waves", "biophysical", {"cells": 5, "duration": 45.0}),
    Question(
        "an",
        "biophysical",
        {**REGULAR, "duration": 2.0, "failure_time": 1.0, "healthy_window": 0.5, "failed_window": 0.5, "bin": 0.5},
    ),
    Question(
        "network",
        "biophysical",
        {"excitatory": 40, "inhibitory": 10, "astrocytes": 36, "p_e": 0.2, "p_i": 0.5, "I_ex": 200.0, "window": 0.1,
         "factors": [1.0, 1.2], "interval": 0.01},
    ),
]  # fmt: skip
EVERY = [each._replace(settings={**INTERPRETED, **each.settings} if each.model == "biophysical" else each.settings)
         for each in EVERY]  # fmt: skip


def pytest_collection_finish() -> None:
    """Brian2 collects garbage after every run: what the imports left need not be searched each time."""
    gc.freeze()


def named(question: Question) -> str:
    return f"{question.experiment}-{question.model}"


@pytest.fixture(
    scope="session",
    params=[pytest.param(each, marks=[pytest.mark.biology] if each.model == "biophysical" else []) for each in EVERY],
    ids=named,
)
def question(request):
    """Every experiment on every model that runs it, made short."""
    return request.param


@pytest.fixture(scope="session")
def dataset(question, simulated):
    """Its dataset; treat as read-only."""
    return simulated(question.experiment, question.model, seed=3, **question.settings)


@pytest.fixture(scope="session")
def short(simulated):
    """Give the dataset of an experiment on Brian2 as it stands in `EVERY`; treat as read-only."""
    asked = {each.experiment: each.settings for each in EVERY if each.model == "biophysical"}
    return lambda experiment: simulated(experiment, "biophysical", seed=3, **asked[experiment])


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
def leak(tmp_path, monkeypatch, request):
    """The file in the working folder, not yet run by this process; it is swept here, or `in_processes` where asked."""
    monkeypatch.chdir(tmp_path)
    if "in_processes" not in request.fixturenames:
        monkeypatch.setattr(work, "COMPILED", ("macro", "leak"))
    monkeypatch.setattr(user_file.FILES, "_defined", {})
    path = Path("leak.py")
    path.write_text(LEAK)
    return path


@pytest.fixture
def in_processes():
    """Sweeps of `leak` run in processes of their own, which takes a second for each."""
