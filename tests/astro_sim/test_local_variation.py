"""Local variation of spike trains whose answer is known."""

import numpy as np
import pytest

from astro_sim.observables import local_variation


def test_a_regular_train_has_none():
    times = np.tile(0.25 * np.arange(20), 2)  # steps that binary numbers hold exactly
    np.testing.assert_array_equal(local_variation(np.repeat([0, 1], 20), times, 2), 0.0)


def test_a_poisson_train_has_one(rng):
    found = local_variation(np.zeros(20_000), np.cumsum(rng.exponential(1.0, 20_000)), 1)
    # A term is 2 |2 U - 1|, U uniform: variance 1/3. Terms that share an interval correlate, at most doubling that
    assert found[0] == pytest.approx(1.0, abs=4 * np.sqrt(2 / 3 / 20_000))


def test_a_short_poisson_recording_is_not_biased(rng):
    """8 s at 0.8 Hz: what the coefficient of variation gets wrong by a quarter."""
    neurons = 4000
    counts = rng.poisson(0.8 * 8.0, neurons)
    found = local_variation(np.repeat(np.arange(neurons), counts), rng.uniform(0, 8, counts.sum()), neurons)
    measured = found[np.isfinite(found)]
    assert len(measured) == (counts >= 6).sum() > 1000
    # Four terms or more each, correlated as above
    assert measured.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 3 / 4 / len(measured)))


def test_a_slow_change_of_rate_adds_nothing(rng):
    # The rate grows tenfold over 20,000 spikes; the coefficient of variation of these intervals is 1.47
    interval = rng.exponential(1.0, 20_000) / np.linspace(1.0, 10.0, 20_000)
    found = local_variation(np.zeros(20_000), np.cumsum(interval), 1)
    assert found[0] == pytest.approx(1.0, abs=4 * np.sqrt(2 / 3 / 20_000))
    assert interval.std() / interval.mean() > 1.4


def test_alternating_intervals_by_hand_in_any_order(rng):
    times = np.cumsum([0.0, 1, 3, 1, 3, 1])
    mixed = rng.permutation(6)
    # Every pair is 2 |3 - 1|/(3 + 1)
    np.testing.assert_allclose(local_variation(np.zeros(6), times[mixed], 1), 1.0, rtol=1e-15)


def test_neurons_with_few_intervals_are_not_measured():
    times = np.concatenate([np.arange(5.0), np.arange(6.0), [1.0]])
    found = local_variation(np.repeat([0, 1, 3], [5, 6, 1]), times, 4)
    np.testing.assert_array_equal(np.isnan(found), [True, False, True, True])
    np.testing.assert_array_equal(np.isnan(local_variation([], [], 2)), True)
    assert local_variation(np.zeros(3), np.arange(3.0), 1, fewest=2)[0] == 0.0
