"""Calcium against the rate of stimulation."""

import numpy as np
import pytest

import astro_sim

FAST = {"rates": [1.0, 3.0, 10.0], "n": 1, "coupling": 0.0}


def test_calcium_rises_with_the_rate():
    run = astro_sim.simulate("frequency")
    assert run["rate"].values.tolist() == list(range(1, 11))
    assert (run["calcium"].diff("rate") > 0).all()
    assert (run["calcium"] > 0).all()


def test_the_average_does_not_depend_on_how_finely_it_is_sampled():
    coarse, fine = (astro_sim.simulate("frequency", interval=h, **FAST)["calcium"] for h in (0.01, 0.001))
    # Trapezium on pulses that tau_p_s has smoothed, in a window short of whole periods by up to one interval
    np.testing.assert_allclose(coarse, fine, rtol=1e-4)


def test_peaks_and_events_of_single_pulses_and_of_fused_ones():
    run = astro_sim.simulate("frequency", rates=[0.5, 10.0, 50.0], n=1, coupling=0.0, amplitude=20.0)
    assert (run["calcium_peak"] > run["calcium"]).all()
    assert (run["calcium_peak"].diff("rate") > 0).all()
    # A pulse every 2 s rises above the level and falls back before the next; at 50 Hz pulses touch and nothing falls
    assert float(run["event_rate"].sel(rate=0.5).item()) == pytest.approx(0.5, abs=0.11)  # one more or less in 10 s
    assert not run["event_rate"].sel(rate=50.0).any()


def test_the_transient_is_left_out():
    short, long = (astro_sim.simulate("frequency", transient=t, **FAST)["calcium"] for t in (20.0, 40.0))
    np.testing.assert_allclose(short, long, rtol=1e-3)  # exp(-20 / 2.4), the slower mode of s and p^s
