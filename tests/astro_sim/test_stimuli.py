"""Protocols: edges, levels and how they are cut at sample times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_sim.macro.stimuli import pulse_train, square_wave

PRE, POST = np.array([1.0, 2.0]), np.array([3.0, 4.0])


def test_a_square_wave_is_on_then_off_in_every_cycle():
    wave = square_wave(2, 10.0, 0.3, PRE, POST)
    assert wave.edges.tolist() == [0.0, 3.0, 10.0, 13.0, 20.0]
    assert wave.pre.tolist() == [[1, 2], [0, 0], [1, 2], [0, 0]]
    assert wave.post.tolist() == [[3, 4], [0, 0], [3, 4], [0, 0]]
    assert wave.duration == 20.0


def test_full_duty_leaves_no_pause():
    wave = square_wave(3, 0.1, 1.0, PRE, POST)  # 0.1 and its multiples are rounded, the edges must still meet
    times, inputs, _ = wave.sampled(0.05)
    assert np.allclose(times, 0.05 * np.arange(7), rtol=0, atol=1e-9)
    assert (inputs == [1, 2, 3, 4]).all()


@given(cycles=st.integers(1, 6), tau=st.floats(0.05, 20), duty=st.floats(0.05, 0.95), share=st.floats(0.01, 1.5))
def test_sampling_changes_neither_the_input_nor_the_duration(cycles, tau, duty, share):
    wave = square_wave(cycles, tau, duty, PRE, POST)
    times, inputs, is_sample = wave.sampled(share * tau)
    assert (np.diff(times) > 0).all()
    # Times are rounded to nanoseconds
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(wave.duration, abs=1e-9)
    middle = 0.5 * (times[1:] + times[:-1])
    on = (middle % tau) < duty * tau
    np.testing.assert_array_equal(inputs, on[:, None] * np.concatenate([PRE, POST]))
    assert is_sample[0]
    assert is_sample[-1]


def test_samples_are_the_multiples_of_the_interval_and_the_end():
    times, _, is_sample = square_wave(1, 1.0, 0.25, PRE, POST).sampled(0.4)
    assert times[is_sample] == pytest.approx([0.0, 0.4, 0.8, 1.0], abs=1e-12)
    assert times == pytest.approx([0.0, 0.25, 0.4, 0.8, 1.0], abs=1e-12)


def test_an_edge_that_meets_a_sample_is_not_doubled():
    times, _, _ = square_wave(30, 0.1, 0.5, PRE, POST).sampled(0.05)
    assert len(times) == 61


@pytest.mark.parametrize("rate", [1.0, 3.0, 7.0, 10.0])
def test_a_pulse_train_has_the_asked_rate_and_width(rate):
    train = pulse_train(rate, 0.02, 4.0, PRE, POST)
    lengths = np.diff(train.edges)
    on = train.pre[:, 0] > 0
    assert on.sum() == 4 * rate
    assert lengths[on] == pytest.approx(0.02, rel=1e-12)  # rounding of multiples of 1/rate
    assert train.edges[:-1][on] == pytest.approx(np.arange(4 * rate) / rate, abs=1e-12)
