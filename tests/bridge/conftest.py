import copy
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bridge
import bridge.families
from astro_sim.dataset import describe
from bridge.laws import Laws
from bridge.schema import Number

LAWS = Path(__file__).parent / "laws"


@pytest.fixture
def rng():
    return np.random.default_rng(20240612)


@pytest.fixture(scope="session")
def ltp_dataset():
    """Make an "ltp" dataset around a given curve (p_0, p_1, ...), the same at every synapse."""

    def make(curve):
        levels = np.broadcast_to(np.asarray(curve, dtype=float)[:, None, None], (len(curve), 2, 2))
        synapse = ("post", "pre")
        dataset = xr.Dataset(
            {
                "p_l_cycle": (("cycle", *synapse), levels),
                "p_l": (("time", *synapse), levels),
                "tau_cycle": ((), 10.0),
            },
            {"cycle": np.arange(len(curve)), "time": 10.0 * np.arange(len(curve))},
        )
        return describe(dataset, "ltp", "macro", 0, {"made": "by a test"})

    return make


@pytest.fixture(scope="session")
def stated():
    """Make laws of any family with given parameters, as if they had been fitted."""
    plain = Laws.load(LAWS / "valid" / "exponential.json").document

    def make(name, values, knots=()):
        family = bridge.families.get(name, knots)
        numbers = {
            p.name: Number(value=values[p.name], stderr=None, low=None, high=None, unit=p.unit, origin="stated")
            for p in family.parameters
        }
        law = plain.retention.model_copy(
            update={
                "family": name,
                "knots": list(knots),
                "parameters": numbers,
                "concave": family.concave(values),
                "draws": None,
            }
        )
        return Laws(plain.model_copy(update={"retention": law}))

    return make


@pytest.fixture(scope="session")
def spatial_dataset():
    """Make a "spatial" dataset of given distances and peaks (post, pre)."""

    def make(distance, peak):
        dims = ("post", "pre")
        return describe(xr.Dataset({"distance": (dims, distance), "p_s_peak": (dims, peak)}), "spatial", "macro", 0, {})

    return make


@pytest.fixture(scope="session")
def frequency_dataset():
    """Make a "frequency" dataset of given rates and calcium."""

    def make(rate, calcium):
        variable = (("rate", "post", "pre"), np.asarray(calcium, dtype=float)[:, None, None])
        return describe(xr.Dataset({"calcium": variable}, {"rate": rate}), "frequency", "macro", 0, {})

    return make


@pytest.fixture(scope="session")
def simulated(simulated):
    """One simulated dataset of each kind that laws are fitted to; treat as read-only."""
    return {
        "ltp": simulated("ltp", cycles=24, burn_in=20),
        "spatial": simulated("spatial"),
        "frequency": simulated("frequency", n=1),
    }


@pytest.fixture
def document():
    """Parsed JSON of a valid laws file, to be changed at will."""
    return copy.deepcopy(json.loads((LAWS / "valid" / "stretched.json").read_text()))
