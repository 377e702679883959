"""Calcium waves through gap junctions: they spread evenly, at a speed that the step does not decide, or not at all."""

import re

import numpy as np
import pytest

import astro_sim
from astro_sim.common.errors import InputError
from astro_sim.experiments import waves

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


def test_the_wave_spreads_evenly_to_both_sides(ring):
    onset = ring["onset"].values
    right, left = onset[8:], onset[6::-1]
    assert np.isfinite(right[:5]).all()
    # Both sides do the same sums but for the order of two terms
    np.testing.assert_allclose(right[:5], left[:5], rtol=1e-9)


def test_cells_are_reached_one_after_the_other(ring):
    assert (np.diff(ring["onset"].values[7:13]) > 5.0).all()
    assert ring["reach"] == 10
    assert ring["recruited"].sum() == 11
    assert not ring["recruited"].values[[0, 14]].any()


def test_hops_are_counted_around_the_ring(ring):
    np.testing.assert_array_equal(ring["hops"], np.abs(np.arange(15) - 7))
    np.testing.assert_allclose(ring["distance"], 67.0 * ring["hops"])


def test_the_speed_is_the_slope_of_the_front(ring):
    onset = ring["onset"].values[8:13]
    low, high = 1 / np.diff(onset).max(), 1 / np.diff(onset).min()
    assert low <= ring["speed"] <= high
    assert float(ring["speed_um"]) == pytest.approx(67.0 * float(ring["speed"]), rel=1e-12)


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


def test_waves_can_be_written_and_read(ring, tmp_path):
    astro_sim.write(ring, tmp_path / "waves.nc")
    assert astro_sim.read(tmp_path / "waves.nc").identical(ring)


def test_speed_of_a_straight_front():
    assert waves.speed(np.arange(1.0, 6.0), 4.0 * np.arange(1.0, 6.0)) == pytest.approx(0.25, rel=1e-12)


def test_speed_over_more_cells_than_have_their_pairs_compared():
    hops = np.arange(1.0, 5001.0)
    assert waves.speed(hops, 4.0 * hops) == pytest.approx(0.25, rel=1e-12)


def test_one_late_cell_does_not_move_the_speed():
    onset = 4.0 * np.arange(1.0, 12.0)
    onset[5] += 100.0
    assert waves.speed(np.arange(1.0, 12.0), onset) == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize(
    ("distance", "onset"),
    [
        ([1, 2], [3, 4]),
        ([1, 1, 1], [3, 4, 5]),
        ([1, 2, 3], [3, 3, 3]),
        ([1, 2, 3], [5, 4, 3]),  # from outside inwards
        ([1, 2, 3, 4, 5], [3, 3, 3, 3, 9]),  # all but one at once: a median slope of 0
    ],
)
def test_there_is_no_speed_without_a_front(distance, onset):
    assert np.isnan(waves.speed(np.array(distance, float), np.array(onset, float)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"edges": [[0, 20]]}, "edges: edge 0-20 names cell 20; expected 0 to 14"),
        ({"driven": 15}, "driven: expected 0 to 14, got 15"),
        ({"pulse": 60.0}, "pulse: expected at most the period, 50 s, got 60"),
        ({"interval": 0.03}, "interval: expected a whole number of steps of dt = 0.025 s, got 0.03 s"),
        ({"interval": 60.0}, "interval: expected at most half the duration, 50 s, got 60"),
        ({"knockouts": ("receptors",)}, "has no receptors to block"),
        ({"graph": "star"}, "graph: expected 'ring' or 'grid', got 'star'"),
        ({"dt": 0.2}, "dt: expected at most 0.147 s, where the solver turns unstable"),
    ],
)
def test_bad_input_is_refused(given, message):
    with pytest.raises(InputError, match=re.escape(message)):
        simulate(**given)
