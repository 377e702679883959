"""Where noise enters, and which family: chosen on evidence, to be overruled by name."""

import numpy as np
import pytest

from bridge.curves import Curve
from bridge.families import FAMILIES
from bridge.families.parametric import EXPONENTIAL, STRETCHED
from bridge.fitting import NOISES, fit_curve
from bridge.intervals import bootstrap, noisy_curve
from bridge.selection import compare

CYCLES = 24


def curve_of(rise, count=1):
    levels = np.broadcast_to(np.r_[0.0, rise], (count, 1, CYCLES + 1))
    return Curve(levels.copy(), {"synapse": count}, 10.0, "1")


def exact(family, **values):
    return family.level(np.arange(1, CYCLES + 1), values)


@pytest.mark.parametrize(("noise", "fewest"), [("levels", 95), ("dynamics", 70)])
def test_the_place_of_noise_is_found_under_the_right_family(noise, fewest):
    """Of 100 curves with 2 % noise. Measured of 200: 200 and 164; by chance 100."""
    rng, right = np.random.default_rng(3), 0
    for _ in range(100):
        rise = noisy_curve(EXPONENTIAL, {"tau": 6.0}, 1.0, 0.02, CYCLES, noise, rng)
        right += min(NOISES, key=lambda each: fit_curve(rise, EXPONENTIAL, each).aicc) == noise
    assert right >= fewest  # less three standard errors of 100


def test_without_noise_it_is_read_as_that_of_samples():
    found = compare(curve_of(exact(STRETCHED, tau=6.0, b=0.7)))
    assert {attempt.fit.noise for attempt in found.attempts} == {"levels"}
    assert found.noise_origin == "no noise to place"


@pytest.mark.parametrize(("noise", "persistence"), [("levels", 0.0), ("dynamics", np.exp(-1 / 6))])
@pytest.mark.parametrize("cycles", [6, 24])
def test_replicates_show_where_noise_enters_even_in_six_cycles(noise, persistence, cycles):
    rng = np.random.default_rng(11)
    rises = [noisy_curve(EXPONENTIAL, {"tau": 6.0}, 1.0, 0.05, cycles, noise, rng) for _ in range(60)]
    curve = Curve(np.pad(rises, ((0, 0), (1, 0)))[:, None], {"repetition": 60}, 10.0, "1")
    # 60 x 6 pairs: a standard error of 0.05 at most, and a little less than the truth for the mean taken off.
    assert curve.persistence == pytest.approx(persistence, abs=0.2)
    found = compare(curve)
    assert found.attempts[0].fit.noise == noise
    assert found.noise_origin.startswith("deviations of 60 replicates from their mean persist by")


def test_without_replicates_the_evidence_is_the_criterion_and_a_wish_overrules_it(rng):
    curve = curve_of(noisy_curve(EXPONENTIAL, {"tau": 6.0}, 1.0, 0.02, CYCLES, "levels", rng))
    assert curve.persistence is None
    assert compare(curve).noise_origin.startswith("lowest AICc")
    found = compare(curve, noise="dynamics")
    assert (found.attempts[0].fit.noise, found.noise_origin) == ("dynamics", "stated")


@pytest.mark.parametrize("name", [*FAMILIES, "spline"])
def test_a_family_asked_for_comes_first_and_the_others_stand_beside_it(name):
    attempts = compare(curve_of(exact(EXPONENTIAL, tau=5.0)), name, "levels").attempts
    assert attempts[0].fit.family.name == name
    assert {each.fit.family.name for each in attempts} == {*FAMILIES, name}


@pytest.mark.parametrize("noise", NOISES)
def test_noisy_curves_have_the_law_and_the_noise_that_was_asked_for(noise):
    rng = np.random.default_rng(0)
    A, deviation, values = 2.0, 0.02, {"tau": 6.0}
    curves = np.array([noisy_curve(EXPONENTIAL, values, A, deviation, CYCLES, noise, rng) for _ in range(4000)])
    level, kept = EXPONENTIAL.level(np.arange(1, CYCLES + 1), values), np.exp(-1.0 / 6.0)
    # An error made k cycles ago has shrunk to kept^k of itself.
    grown = 1.0 if noise == "levels" else np.sqrt(np.cumsum(kept ** (2 * np.arange(CYCLES))))
    # standard errors of 4,000 curves: 1.6 % of the deviation for a mean, 1.1 % for a deviation; four of each
    np.testing.assert_allclose(curves.mean(0), A * level, rtol=0, atol=4 * 0.016 * deviation * np.max(grown))
    np.testing.assert_allclose(curves.std(0), deviation * grown * np.ones(CYCLES), rtol=4 * 0.011)


def test_the_bootstrap_draws_replicates_or_simulates_and_leaves_noise_free_curves_alone():
    rng = np.random.default_rng(5)
    rise = exact(EXPONENTIAL, tau=6.0)
    assert bootstrap(curve_of(rise), fit_curve(rise, EXPONENTIAL), count=3) is None
    noisy = rise + 0.02 * rng.standard_normal(CYCLES)
    alone = bootstrap(curve_of(noisy), fit_curve(noisy, EXPONENTIAL), count=50)
    assert alone.method == "curves simulated from the fit, noise in the levels"
    assert {name: len(column) for name, column in alone.values.items()} == {"tau": 50, "amplitude": 50}
    apart = np.concatenate([np.zeros((20, 1)), rise + 0.05 * rng.standard_normal((20, CYCLES))], axis=1)[:, None]
    curve = Curve(apart, {"repetition": 20}, 10.0, "1")
    drawn = bootstrap(curve, fit_curve(curve.rise, EXPONENTIAL, spread=curve.spread()), count=100)
    assert drawn.method == "replicates drawn with replacement (20 of repetition)"
    again = bootstrap(curve, fit_curve(curve.rise, EXPONENTIAL, spread=curve.spread()), count=100)
    assert drawn == again
    low, high = np.quantile(drawn.values["tau"], [0.005, 0.995])
    assert low < 6.0 < high
