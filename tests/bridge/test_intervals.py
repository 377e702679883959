"""Intervals against a scan of the residuals, how often they hold the truth, and draws of what else a law could be."""

import numpy as np
import pytest
from scipy import stats

from bridge.curves import Curve
from bridge.families.parametric import EXPONENTIAL, STRETCHED
from bridge.fitting import NOISES, fit_curve
from bridge.intervals import bootstrap, noisy_curve, profile_interval

CYCLES = 24
T = np.arange(1, CYCLES + 1)


def test_the_ends_are_where_the_best_curve_is_just_refused(rng):
    rise = 0.3 * (EXPONENTIAL.level(T, {"tau": 6.0}) + 0.01 * rng.standard_normal(24))
    fit = fit_curve(rise, EXPONENTIAL)

    def smallest(tau):  # the amplitude is linear: its best value in closed form
        level = EXPONENTIAL.level(T, {"tau": tau})
        return np.sum((rise - level * (rise @ level) / (level @ level)) ** 2)

    allowed = 1 + stats.t.ppf(0.975, 22) ** 2 / 22
    for end in profile_interval(rise, fit, "tau"):
        # the root is found to 1e-5 of log tau, where the ratio changes by some 10 a unit
        assert smallest(end) / smallest(fit.values["tau"]) == pytest.approx(allowed, abs=1e-3)


def test_with_little_noise_it_is_the_symmetric_interval(rng):
    rise = EXPONENTIAL.level(T, {"tau": 6.0}) + 0.002 * rng.standard_normal(24)
    fit = fit_curve(rise, EXPONENTIAL)
    low, high = profile_interval(rise, fit, "tau")
    # curvature of third order: the half width itself, under 1 %
    assert low == pytest.approx(fit.parameters["tau"].low, rel=1e-4)
    assert high == pytest.approx(fit.parameters["tau"].high, rel=1e-4)
    for end, estimate in zip(
        profile_interval(rise, fit, "amplitude"), (fit.amplitude.low, fit.amplitude.high), strict=True
    ):
        assert end == pytest.approx(estimate, rel=1e-4)


def test_what_the_data_leave_open_ends_at_the_bound(rng):
    rise = EXPONENTIAL.level(np.arange(1, 7), {"tau": 30.0}) * (1 + 0.05 * rng.standard_normal(6))
    low, high = profile_interval(rise, fit_curve(rise, EXPONENTIAL), "tau")
    assert high == pytest.approx(1e5, rel=1e-9)
    assert 1 < low < 30


def test_an_unknown_parameter_is_a_key_error(rng):
    rise = EXPONENTIAL.level(T, {"tau": 6.0}) + 0.01 * rng.standard_normal(24)
    with pytest.raises(KeyError, match="b"):
        profile_interval(rise, fit_curve(rise, EXPONENTIAL), "b")


@pytest.mark.parametrize(
    ("family", "truth"),
    [
        (EXPONENTIAL, {"tau": 6.0}),
        pytest.param(STRETCHED, {"tau": 6.0, "b": 0.7}, marks=pytest.mark.slow),
        pytest.param(STRETCHED, {"tau": 6.0, "b": 1.3}, marks=pytest.mark.slow),
    ],
    ids=["exponential", "stretched-concave", "stretched-convex"],
)
def test_intervals_hold_the_truth_as_often_as_they_say(family, truth):
    """1,000 curves with noise of 1 %: by chance the share lies within 0.95 +- 0.021 in 99.7 of 100 cases."""
    rng = np.random.default_rng(1)
    level = family.level(np.arange(1, 25), truth)
    held = dict.fromkeys(truth, 0)
    for _ in range(1000):
        fit = fit_curve(level + 0.01 * rng.standard_normal(24), family)
        for name, value in truth.items():
            held[name] += fit.parameters[name].low <= value <= fit.parameters[name].high
    # measured: tau 0.939; tau and b 0.959; tau 0.952, b 0.953
    for name, count in held.items():
        assert 930 <= count <= 970, name


def single(rise):
    """The curve of one replicate."""
    return Curve(np.append(0.0, rise)[None, None], {"synapse": 1}, 10.0, "1")


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
    rise = EXPONENTIAL.level(T, {"tau": 6.0})
    assert bootstrap(single(rise), fit_curve(rise, EXPONENTIAL), count=3) is None
    noisy = rise + 0.02 * rng.standard_normal(CYCLES)
    alone = bootstrap(single(noisy), fit_curve(noisy, EXPONENTIAL), count=50)
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
