"""What is read off traces, on traces and trains whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim import observables


def test_events_of_a_sine():
    time = np.arange(0.0, 10.0 + 1e-9, 0.001)
    events = observables.calcium_events(time, np.sin(2 * np.pi * (time - 0.3))[:, None], 0.5)
    # Crosses 1/2 upwards a twelfth of the period after its zero, and stays above for a third of it. Linear crossings
    # on a grid of 1 ms are off by (2 pi dt)^2/8 of the slope: 5e-6 s
    assert events.count == [10]
    assert events.rate == pytest.approx([1.0])
    np.testing.assert_allclose(events.latency, 0.3 + 1 / 12, atol=1e-5)
    np.testing.assert_allclose(events.duration, 1 / 3, atol=1e-5)
    np.testing.assert_allclose(events.interval, 1.0, atol=1e-5)
    np.testing.assert_allclose(events.variation, 0.0, atol=1e-5)
    np.testing.assert_allclose(events.peak, 1.0, atol=5e-6)  # 1 - (2 pi dt/2)^2/2 at worst
    np.testing.assert_allclose(events.amplitude, 2.0, atol=1e-3)  # the first trough is cut off by the start: -0.95
    np.testing.assert_allclose(events.above, 1 / 3, atol=1e-3)


def test_what_was_not_measured_is_nan():
    time = np.arange(5.0)
    trace = np.array([[0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0]], float).T
    events = observables.calcium_events(time, trace, 0.5)
    np.testing.assert_array_equal(events.count, [0, 1, 1, 0, 2])
    np.testing.assert_array_equal(events.latency, [np.nan, 0.5, 2.5, np.nan, 0.5])
    np.testing.assert_array_equal(events.duration, [np.nan, 1.0, np.nan, np.nan, 1.0])  # third: cut off by the end
    np.testing.assert_array_equal(events.peak, [np.nan, 1.0, np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(events.amplitude, [np.nan, 1.0, np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(events.above, [0.0, 0.2, 0.4, 0.4, 0.4])
    np.testing.assert_array_equal(events.interval, [np.nan, np.nan, np.nan, np.nan, 2.0])
    np.testing.assert_array_equal(events.variation, [np.nan] * 5)
    assert set(events.variables("cell")) == {f"event_{name}" for name in vars(events)}


def test_a_transient_is_left_out_and_latency_runs_from_the_onset():
    time = np.arange(0.0, 10.0, 0.01)
    trace = (np.sin(2 * np.pi * time) * (time < 3.0) + 2 * np.sin(2 * np.pi * time) * (time >= 6.0))[:, None]
    events = observables.calcium_events(time, trace, 0.5, start=5.0, onset=4.0)
    assert events.count == [4]
    assert events.peak == pytest.approx([2.0], rel=1e-3)
    # 2 sin crosses 0.5 where sin is 1/4, two seconds and 0.0402 s after the onset
    assert events.latency == pytest.approx([2.0 + np.arcsin(0.25) / (2 * np.pi)], abs=1e-4)
    assert np.isnan(observables.calcium_events(time, trace, 0.5, onset=9.9).latency).all()


def test_a_height_is_measured_from_the_trough_before():
    time = np.arange(7.0)
    trace = np.array([[0.2, 1.0, 0.3, 0.1, 2.0, 0.0, 0.0]]).T
    events = observables.calcium_events(time, trace, 0.5)
    assert events.peak == pytest.approx([1.5])
    assert events.amplitude == pytest.approx([(0.8 + 1.9) / 2])


def test_variation_of_a_poisson_train_is_one(rng):
    times = np.cumsum(rng.exponential(size=20_000))
    # Standard error of a coefficient of variation of exponentials: 1/sqrt(n)
    assert observables.interval_variation(np.zeros(20_000), times, 2)[0] == pytest.approx(1.0, abs=4 / np.sqrt(20_000))
    assert np.isnan(observables.interval_variation(np.zeros(20_000), times, 2)[1])


def test_synchrony_is_one_for_equal_traces_and_falls_as_one_over_root_n(rng):
    trace = rng.standard_normal(1000)
    assert observables.synchrony(np.tile(trace[:, None], 7)) == pytest.approx(1.0, rel=1e-12)
    # Variance of a mean of 100 independent traces of 20,000 samples: 1/100, with relative error sqrt(2/20,000) = 1 %
    assert observables.synchrony(rng.standard_normal((20_000, 100))) == pytest.approx(0.1, rel=0.02)
    assert np.isnan(observables.synchrony(np.ones((10, 3))))


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 9.99)), max_size=50))
def test_spike_counts_lose_no_spike(spikes):
    indices, times = (np.array([each[k] for each in spikes], dtype=float) for k in (0, 1))
    binned = observables.spike_counts(indices, times, 4, np.arange(11.0))
    assert binned.shape == (10, 4)
    assert binned.sum() == len(spikes)
    np.testing.assert_array_equal(binned.sum(axis=0), np.bincount(indices.astype(int), minlength=4))


def test_the_steepest_fall_is_that_between_inputs():
    """Pulses onto an exponential of 3 s, and the same with a constant inflow, which falls more slowly; and nothing."""
    time = 0.1 * np.arange(400)
    pulsed, fed = np.zeros(400), np.ones(400)
    for k in range(399):
        pulsed[k + 1] = pulsed[k] * np.exp(-0.1 / 3.0) + (1.0 if k % 40 == 0 else 0.0)
        fed[k + 1] = 0.5 + (fed[k] - 0.5) * np.exp(-0.1 / 3.0)
    falls = observables.fall_time(time, np.stack([pulsed, fed, np.zeros(400)], axis=1))
    assert falls[0] == pytest.approx(3.0, rel=1e-12)
    assert falls[1] > 6.0 - 1e-9  # at first half of it is fed
    assert np.isnan(falls[2])
