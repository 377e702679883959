"""Increments and factors against 60-digit arithmetic and closed forms: levels are never subtracted."""

import mpmath
import numpy as np
import pytest

from bridge.families.parametric import EXPONENTIAL, STRETCHED


def exact_increments(cycles, tau, b=1.0):
    """F(t) - F(t - 1), subtracted in 60 digits."""
    with mpmath.workdps(60 + int(2 * (cycles / tau) ** b)):
        survival = [mpmath.exp(-((mpmath.mpf(t) / mpmath.mpf(tau)) ** mpmath.mpf(b))) for t in range(cycles + 1)]
        return [survival[t - 1] - survival[t] for t in range(1, cycles + 1)]


@pytest.mark.parametrize("tau", [0.3, 1.0, 3.0, 6.0, 97.0, 1e5])
def test_exponential_increments_equal_high_precision_differences(tau):
    cycles = min(150, int(700 * tau))
    exact = np.array([float(d) for d in exact_increments(cycles, tau)])
    # logarithms up to 700 are rounded: 700 * 2e-16
    np.testing.assert_allclose(np.exp(EXPONENTIAL.log_increments(cycles, {"tau": tau})), exact, rtol=1e-12)


@pytest.mark.parametrize("tau", [0.3, 6.0, 1e5])
@pytest.mark.parametrize("b", [0.05, 0.6, 1.0, 1.4, 3.0])
def test_stretched_increments_equal_high_precision_differences(tau, b):
    cycles = min(150, max(1, int(tau * 700 ** (1 / b)))) if b > 0.3 else 150
    exact = np.array([float(d) for d in exact_increments(cycles, tau, b)])
    got = np.exp(STRETCHED.log_increments(cycles, {"tau": tau, "b": b}))
    # as above; the power is rounded too, b times
    np.testing.assert_allclose(got, exact, rtol=3e-12)


def test_increments_live_on_where_float_levels_have_merged():
    level = EXPONENTIAL.level(np.array([109.0, 110.0]), {"tau": 3.0})
    assert level[1] - level[0] == 0.0  # the reason for computing increments from logarithms
    got = np.exp(EXPONENTIAL.log_increments(110, {"tau": 3.0}))[-1]
    assert got > 0
    assert got == pytest.approx(float(exact_increments(110, 3.0)[-1]), rel=1e-12)


@pytest.mark.parametrize("tau", [0.5, 3.0, 6.0, 200.0, 1e5, 1e9])
@pytest.mark.parametrize("total", [1, 2, 6, 16, 100, 1000])
def test_exponential_retention_is_its_closed_form(tau, total):
    """RetentionFactor(t, T) = (1 - q) q^(t - 1) / (1 - q^T), q = exp(-1 / tau)."""
    with mpmath.workdps(60):
        q = mpmath.exp(-1 / mpmath.mpf(tau))
        exact = np.array([float((1 - q) * q ** (t - 1) / (1 - q**total)) for t in range(1, total + 1)])
    got = EXPONENTIAL.retention(total, {"tau": tau})
    normal = exact > 1e-300  # below, doubles have fewer digits, and from t = 745 tau on none
    np.testing.assert_allclose(got[normal], exact[normal], rtol=1e-12)
    np.testing.assert_allclose(got[~normal], exact[~normal], rtol=0, atol=1e-300)


@pytest.mark.parametrize("total", [1, 7, 1000])
def test_an_infinitely_slow_law_keeps_every_segment_alike(total):
    got = EXPONENTIAL.retention(total, {"tau": 1e15})
    np.testing.assert_allclose(got, 1.0 / total, rtol=1e-12)  # next term T / (2 tau) = 5e-13


def test_the_papers_sixteen_segments_of_six_cycles():
    """q = exp(-1/6): RetentionFactor(1, 16) = 0.165 (worked out by hand, three digits)."""
    assert EXPONENTIAL.retention(16, {"tau": 6.0})[0] == pytest.approx(0.165, abs=0.0005)
