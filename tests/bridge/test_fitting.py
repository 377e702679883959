"""Fits: exact data give the truth back, noise gives honest intervals, failure is reported."""

import numpy as np
import pytest
from scipy import stats

from bridge.families import FAMILIES
from bridge.families.parametric import EXPONENTIAL, HILL, STRETCHED
from bridge.fitting import NOISES, fit_curve, fit_slope


def curve(family, cycles, **values):
    return family.level(np.arange(1, cycles + 1), values)


@pytest.mark.parametrize("cycles", [6, 24, 200])
@pytest.mark.parametrize("tau", [0.5, 2.0, 6.0, 15.0])
def test_exact_exponential_data_give_tau_back(tau, cycles):
    fit = fit_curve(0.24 * curve(EXPONENTIAL, cycles, tau=tau), EXPONENTIAL)
    assert fit.converged
    # The optimiser stops at a relative step of 1e-13; rounding of levels is magnified by tau / cycles at most
    assert fit.values["tau"] == pytest.approx(tau, rel=1e-9)
    assert fit.amplitude.value == pytest.approx(0.24, rel=1e-9)


def test_six_cycles_of_a_time_constant_of_six_give_six_and_not_less():
    """Far from the end of the curve, where dividing by the last sample would give 2.8."""
    fit = fit_curve(curve(EXPONENTIAL, 6, tau=6.0), EXPONENTIAL)
    assert fit.values["tau"] == pytest.approx(6.0, rel=1e-9)
    assert fit.amplitude.value == pytest.approx(1.0, rel=1e-9)
    assert EXPONENTIAL.retention(16, fit.values)[0] == pytest.approx(0.165, abs=0.0005)


@pytest.mark.parametrize("b", [0.4, 0.6, 1.0, 2.5])
@pytest.mark.parametrize("tau", [2.0, 6.0])
def test_exact_stretched_data_give_tau_and_b_back(tau, b):
    fit = fit_curve(3.0 * curve(STRETCHED, 24, tau=tau, b=b), STRETCHED)
    assert fit.converged
    assert fit.values == pytest.approx({"tau": tau, "b": b}, rel=1e-7)  # flatter than the exponential's valley
    assert fit.amplitude.value == pytest.approx(3.0, rel=1e-7)


def test_scale_does_not_matter(rng):
    noisy = curve(EXPONENTIAL, 24, tau=6.0) + 0.01 * rng.standard_normal(24)
    one, other = fit_curve(noisy, EXPONENTIAL), fit_curve(1e-6 * noisy, EXPONENTIAL)
    assert other.values == pytest.approx(one.values, rel=1e-9)
    assert other.aicc == pytest.approx(one.aicc, rel=1e-9)
    assert other.amplitude.value == pytest.approx(1e-6 * one.amplitude.value, rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_what_is_reported_follows_from_the_residuals(family, rng):
    rise = 0.5 * curve(EXPONENTIAL, 24, tau=6.0) + 0.005 * rng.standard_normal(24)
    fit = fit_curve(rise, family)
    t = np.arange(1, 25)
    np.testing.assert_allclose(rise - fit.amplitude.value * family.level(t, fit.values), fit.residuals, atol=1e-14)
    rss, tss = np.sum(fit.residuals**2), np.sum((rise - rise.mean()) ** 2)
    assert fit.r_squared == pytest.approx(1 - rss / tss, rel=1e-12)
    # Burnham and Anderson (2002): n log(rss / n) + 2 k + 2 k (k + 1) / (n - k - 1), of data scaled to a
    # largest value of 1; k counts the amplitude and the variance
    n, k = 24, len(family.parameters) + 2
    scaled = rss / np.abs(rise).max() ** 2
    assert fit.aicc == pytest.approx(n * np.log(scaled / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1), rel=1e-12)


def test_intervals_are_students_on_the_logarithm(rng):
    rise = curve(EXPONENTIAL, 24, tau=6.0) + 0.01 * rng.standard_normal(24)
    fit = fit_curve(rise, EXPONENTIAL)
    # Linearised by hand: covariance s^2 (J'J)^-1 in (log A, log tau)
    t, A, tau = np.arange(1, 25), fit.amplitude.value, fit.values["tau"]
    jacobian = np.column_stack([A * -np.expm1(-t / tau), -A * np.exp(-t / tau) * t / tau])
    covariance = np.sum(fit.residuals**2) / 22 * np.linalg.inv(jacobian.T @ jacobian)
    half = stats.t.ppf(0.975, 22) * np.sqrt(covariance[1, 1])
    found = fit.parameters["tau"]
    # the optimiser's Jacobian is by differences of step 1e-8
    assert found.low == pytest.approx(tau * np.exp(-half), rel=1e-6)
    assert found.high == pytest.approx(tau * np.exp(half), rel=1e-6)
    assert found.stderr == pytest.approx(tau * np.sqrt(covariance[1, 1]), rel=1e-5)


@pytest.mark.parametrize(
    "rise",
    [
        np.arange(1.0, 25.0),  # straight: no end in sight
        np.arange(1.0, 25.0) ** 2,  # bent upwards
        np.r_[np.zeros(12), np.ones(12)],  # a step
        np.ones(24),  # flat at once
        -np.arange(1.0, 25.0),  # falling
    ],
    ids=["straight", "convex", "step", "flat", "falling"],
)
def test_a_fit_that_ends_at_a_bound_is_reported_and_claims_no_interval(rise):
    fit = fit_curve(rise, EXPONENTIAL)
    assert not fit.converged
    assert np.isfinite(fit.values["tau"])
    for estimate in (fit.parameters["tau"], fit.amplitude):
        assert np.isnan([estimate.stderr, estimate.low, estimate.high]).all()


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(
    ("family", "rise"),
    [
        (STRETCHED, np.arange(1.0, 25.0) ** 2),  # the start of a saturation at infinity
        (STRETCHED, np.arange(1.0, 25.0) ** 1.5),
        (HILL, np.arange(1.0, 25.0) ** 2),
        (STRETCHED, np.r_[np.zeros(12), np.ones(12)]),
    ],
    ids=["convex", "bent", "convex-hill", "step"],
)
def test_families_with_a_shape_report_their_failures_too(family, rise, noise):
    """Where residuals vanish along a valley to a bound, it does not matter how far the optimiser walked in it."""
    assert not fit_curve(rise, family, noise).converged


def test_five_cycles_leave_no_aicc_for_two_parameters():
    rise = curve(EXPONENTIAL, 5, tau=3.0)
    assert np.isfinite(fit_curve(rise, EXPONENTIAL).aicc)
    assert fit_curve(rise, STRETCHED).aicc == np.inf


def test_slope_of_an_exact_line():
    estimate, r_squared = fit_slope(np.array([0.0, 1.0, 3.0]), np.array([1.0, 0.5, -0.5]))
    assert estimate.value == pytest.approx(-0.5, rel=1e-14)
    assert r_squared == pytest.approx(1.0, rel=1e-14)
    assert estimate.high - estimate.low == pytest.approx(0.0, abs=1e-6)  # linregress takes the root of 1 - r^2


def test_slope_intervals_are_the_textbooks(rng):
    x = np.linspace(0, 5, 12)
    y = 2.0 - 0.7 * x + 0.1 * rng.standard_normal(12)
    estimate, r_squared = fit_slope(x, y)
    slope, offset = np.polyfit(x, y, 1)
    left = y - slope * x - offset
    stderr = np.sqrt(np.sum(left**2) / 10 / np.sum((x - x.mean()) ** 2))
    assert estimate.value == pytest.approx(slope, rel=1e-10)
    assert estimate.stderr == pytest.approx(stderr, rel=1e-10)
    assert estimate.low == pytest.approx(slope - 2.228139 * stderr, rel=1e-6)  # t table, 10 degrees, 0.975
    assert estimate.high == pytest.approx(slope + 2.228139 * stderr, rel=1e-6)
    assert r_squared == pytest.approx(1 - np.sum(left**2) / np.sum((y - y.mean()) ** 2), rel=1e-10)
