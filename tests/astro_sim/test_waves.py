"""Calcium waves through gap junctions: they spread evenly, at a speed that the step does not decide, or not at all."""

import numpy as np
import pytest

import astro_sim

pytestmark = pytest.mark.biology


def simulate(**given):
    return astro_sim.simulate("waves", model="biophysical", **{"cells": 15, "duration": 100.0, **given})


@pytest.fixture(scope="module")
def ring():
    """15 cells for 100 s; number 7 is driven."""
    return simulate()


@pytest.fixture(scope="module")
def grid():
    """5 x 5 cells for 50 s; number 12 is driven."""
    return simulate(preset="grid", cells=25, duration=50.0)


def test_half_the_step_moves_onset_and_speed_by_less_than_half_a_percent(ring):
    # The requirement on the default step; order 1 (test_astrocytes.py) makes the change the error of the finer run
    half = simulate(dt=0.0125)
    np.testing.assert_allclose(half["onset"], ring["onset"], rtol=5e-3)
    np.testing.assert_allclose(half["speed"], ring["speed"], rtol=5e-3)


def test_the_threshold_hardly_matters(ring):
    # Calcium rises within 0.5 s, cells follow one another by 15 s
    np.testing.assert_allclose(simulate(threshold=0.5)["speed"], ring["speed"], rtol=0.5 / 15)


def test_no_wave_without_gap_junctions():
    blocked = simulate(knockouts=("gap_junctions",))
    assert blocked["reach"] == 0
    assert blocked["recruited"].values[7] == 1
    assert np.isnan(blocked["speed"])


def test_no_wave_without_a_drive():
    assert not simulate(bias=0.0)["recruited"].any()


def test_no_wave_without_calcium():
    clamped = simulate(knockouts=("calcium",))
    assert not clamped["C"].any()
    assert clamped["I"].max() > 0.1


def test_the_grid_wave_has_the_symmetry_of_the_grid(grid):
    onset = grid["onset"].values.reshape(5, 5)
    assert grid["reach"] == 24
    # A turned grid sums the same four flows in another order
    np.testing.assert_allclose(np.rot90(onset), onset, rtol=1e-9)


def test_the_grid_stays_silent_without_a_drive():
    assert not simulate(preset="grid", cells=25, duration=50.0, bias=0.0)["recruited"].any()


def test_given_edges_replace_the_graph(ring):
    pairs = [[each, (each + 1) % 15] for each in range(15)]
    given = simulate(edges=pairs)
    np.testing.assert_array_equal(given["hops"], ring["hops"])
    # The order of the edges decides the order of the sums
    np.testing.assert_allclose(given["onset"], ring["onset"], rtol=1e-9)
    assert "distance" not in given


def test_a_cut_stops_the_wave():
    cut = simulate(edges=[[each, each + 1] for each in range(14) if each != 8])
    assert np.isfinite(cut["onset"].values[[7, 8]]).all()
    assert np.isnan(cut["onset"].values[9:]).all()
    assert np.isinf(cut["hops"].values[9:]).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_noise():
    def calcium(seed):
        return simulate(cells=3, duration=10.0, noise=0.5, seed=seed)["C"].values

    one = calcium(1)
    assert one.tobytes() == calcium(1).tobytes()
    assert (one != calcium(2)).any()


def test_a_noise_knock_out_leaves_no_noise():
    quiet = simulate(cells=3, duration=10.0, noise=0.5, knockouts=("noise",))
    np.testing.assert_array_equal(quiet["C"], simulate(cells=3, duration=10.0)["C"])
