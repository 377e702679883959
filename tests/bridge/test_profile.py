"""Profile-likelihood intervals against a scan of the residuals themselves."""

import numpy as np
import pytest
from scipy import stats

from bridge.families.parametric import EXPONENTIAL
from bridge.fitting import fit_curve
from bridge.intervals import profile_interval

T = np.arange(1, 25)


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
