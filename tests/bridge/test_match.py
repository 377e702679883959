"""From a law to the simulation nearest to it."""

import numpy as np
import pytest

import astro_sim
import bridge
from astro_sim.common.errors import InputError

SETTINGS = {"cycles": 12, "dt": 0.05, "totals": [4, 8]}
BOUNDS = {"tau_p_l": (20.0, 120.0)}


@pytest.fixture(scope="module")
def target():
    """Of the bounded model with another time constant."""
    run = astro_sim.simulate("ltp", cycles=12, burn_in=3, dt=0.05, ltp_dynamics="bounded", tau_p_l=40.0)
    return bridge.fit_laws([run], "exponential", draws=0)


@pytest.fixture(scope="module")
def found(target):
    return bridge.match(target, bounds=BOUNDS, **SETTINGS)


def test_the_time_constant_that_made_the_law_is_found(found, target):
    # The target is a fit, 1e-3 from its curve at most (its residuals); tau_p_l follows in proportion.
    assert found.parameters["tau_p_l"] == pytest.approx(40.0, rel=0.01)
    assert found.distance < 1e-3 < found.before
    assert found.distance == np.mean([*found.distances.values()])
    assert [*found.distances] == [4, 8]
    assert found.at_end == ()
    assert found.failed == 0
    # The dataset is the simulation itself: a law fitted to it is that near.
    near = bridge.fit_laws([found.dataset], "exponential", draws=0)
    assert 0.5 * np.abs(near.retention(8) - target.retention(8)).sum() < 2e-3


def test_the_end_of_a_range_is_told(target):
    found = bridge.match(target, bounds={"tau_p_l": (50.0, 120.0)}, **SETTINGS)
    assert found.at_end == ("tau_p_l",)
    assert found.parameters["tau_p_l"] == pytest.approx(50.0, rel=0.02)
    assert 0 < found.distance < found.before


def test_a_law_out_of_reach_leaves_its_distance(target):
    """No simulation forgets the last segment first."""
    found = bridge.match(target.perturbed("reversed"), bounds=BOUNDS, generations=3, **SETTINGS)
    assert found.distance > 0.2


def test_the_same_seed_finds_the_same(found, target):
    again = bridge.match(target, bounds=BOUNDS, **SETTINGS)
    assert again.parameters == found.parameters
    assert again.runs == found.runs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "micro"}, "unknown model 'micro' of ltp"),
        ({"totals": []}, "totals: expected numbers of segments from 2"),
        ({"totals": [1]}, "totals: expected numbers of segments from 2"),
        ({"totals": [13]}, "totals: expected at most the 12 simulated cycles, got 13"),
        ({"generations": -1}, "generations: expected a whole number from 0, got -1"),
        ({"bounds": {"tau": (1.0, 2.0)}}, "unknown parameter 'tau' to vary"),
        ({"ltp_dynamics": "linear"}, "in closed form"),
        ({"bounds": {"tau_s": (0.01, 0.02)}, "dt": 0.1, "generations": 0}, "none of 6 simulations gave a law"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_cannot_be_searched_is_refused(target, arguments, message):
    with pytest.raises(InputError, match=message):
        bridge.match(target, **{**SETTINGS, "bounds": BOUNDS, **arguments})
