import numpy as np
import pytest

import astro_sim


@pytest.fixture(scope="session")
def ltp():
    """The experiment "ltp" as it comes; treat as read-only."""
    return astro_sim.simulate("ltp", seed=1)


@pytest.fixture(scope="session")
def stp():
    """The experiment "stp" in every layout; treat as read-only."""
    layouts = ["equidistant", "ring", "grid", "line", "clusters", "random"]
    return astro_sim.simulate("stp", layouts=layouts, seed=1)


@pytest.fixture(scope="session")
def spatial():
    """The experiment "spatial" as it comes; treat as read-only."""
    return astro_sim.simulate("spatial")


@pytest.fixture
def rng():
    return np.random.default_rng(20240611)
