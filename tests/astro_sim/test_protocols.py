"""Spike trains on the grid."""

import numpy as np
import pytest

from astro_sim.biophysical import protocols
from astro_sim.common.errors import InputError


def test_poisson_trains_have_their_rate_and_lie_on_the_grid(rng):
    rates = np.array([0.0, 0.5, 20.0, 400.0])
    indices, times = protocols.poisson_trains(rates, 10.0, 210.0, 1e-3, rng)
    counts = np.bincount(indices.astype(int), minlength=4)
    expected = rates * 200.0
    # Binomial in 200,000 steps; four standard deviations, seeded
    assert (np.abs(counts - expected) <= 4 * np.sqrt(expected * (1 - rates * 1e-3))).all()
    steps = times / 1e-3
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)  # rounding of times of 2e5 steps
    assert times.min() >= 10.0
    assert times.max() < 210.0
    for source in range(4):
        assert (np.diff(times[indices == source]) > 0.5e-3).all()  # no two spikes in a step


def test_intervals_are_geometric(rng):
    _, times = protocols.poisson_trains(np.array([100.0]), 0.0, 500.0, 1e-3, rng)
    gaps = np.diff(times)
    # p = 0.1 a step: mean 10 ms, variation sqrt(1 - p); 50,000 intervals
    assert gaps.mean() == pytest.approx(0.01, rel=4 * np.sqrt(0.9 / 50_000))
    assert gaps.std() / gaps.mean() == pytest.approx(np.sqrt(0.9), rel=0.02)


def test_a_step_a_spike_is_the_highest_rate(rng):
    _, times = protocols.poisson_trains(np.array([1000.0]), 0.0, 1.0, 1e-3, rng)
    assert len(times) == 1000
    with pytest.raises(InputError, match="rate: expected at most 1/dt = 1000 Hz, got 1001 Hz"):
        protocols.poisson_trains(np.array([1001.0]), 0.0, 1.0, 1e-3, rng)
    with pytest.raises(InputError, match=r"1e\+09 spikes; expected at most 2e\+07"):
        protocols.poisson_trains(np.array([1000.0]), 0.0, 1e6, 1e-3, rng)


def test_regular_trains_and_trains_for_all():
    indices, times = protocols.regular_trains(np.array([2.0, 0.0, 5.0]), 1.0, 2.0)
    assert indices.tolist() == [0, 0, 2, 2, 2, 2, 2]
    np.testing.assert_allclose(times, [1.0, 1.5, 1.0, 1.2, 1.4, 1.6, 1.8], rtol=1e-15)
    indices, times = protocols.same_for_all(np.array([0.1, 0.2]), 3)
    assert indices.tolist() == [0, 0, 1, 1, 2, 2]
    assert times.tolist() == [0.1, 0.2] * 3
