"""Who is joined to whom, and how fast what spreads there goes: graphs, wiring and fronts, without a network."""

import re

import numpy as np
import pytest

from astro_sim.biophysical import astrocytes, plasticity, wiring
from astro_sim.common.errors import InputError
from astro_sim.experiments import network, waves
from astro_sim.stability import REAL_LIMITS, require_stable


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kinetics": "li_rinzel"}, "kinetics: expected chi or g_chi, got li_rinzel"),
        ({"knockouts": ("receptors",)}, "knockouts: a network of astrocytes without synapses has no receptors to"),
        ({"knockouts": ("gliotransmission",)}, "knockouts: a network of astrocytes without synapses has no gliotr"),
    ],
)
def test_bad_parameters_are_refused(given, message):
    with pytest.raises(InputError, match=f"^{message}"):
        astrocytes.AstrocyteNetworkParameters(**given)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([(0, 1), (2, 3)], "edges: edge 2-3 names cell 3; expected 0 to 2"),
        ([(-1, 1)], "edges: edge -1-1 names cell -1; expected 0 to 2"),
        ([(0, 1), (2, 2)], "edges: edge 2-2 joins a cell to itself"),
        ([(0, 1), (1, 0)], "edges: edge 1-0 is given twice"),
        ([(0, 1, 2)], "edges: expected pairs of cells, got (0, 1, 2)"),
    ],
)
def test_bad_graphs_are_refused(edges, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        astrocytes.given_graph(edges, 3)


def test_there_is_no_way_between_parts_of_a_graph():
    np.testing.assert_array_equal(astrocytes.given_graph([(0, 1)], 3).hops(0), [0, 1, np.inf])


def test_strength_falls_exponentially_with_distance():
    graph = astrocytes.decaying(np.array([[0.0], [1.0], [3.0]]), scale=2.0)
    np.testing.assert_allclose(graph.strength, np.exp([-2.0, -6.0, -4.0]), rtol=1e-15)
    assert graph.largest_sum == pytest.approx(np.exp(-2.0) + np.exp(-4.0), rel=1e-15)


def test_a_grid_whose_last_column_is_short():
    at = astrocytes.grid_positions(7, 2.0)
    assert len(np.unique(at, axis=0)) == 7
    np.testing.assert_array_equal(at[-1], [6.0, 0.0])


def test_a_radius_of_the_spacing_joins_nobody():
    assert not len(astrocytes.neighbours(astrocytes.grid_positions(16, 0.1), 0.1).edges)


def test_neighbours_on_a_grid():
    graph = astrocytes.neighbours(astrocytes.grid_positions(9, 50.0), 75.0)
    assert np.bincount(graph.edges.ravel())[4] == 8  # a diagonal is 71 um long
    assert len(astrocytes.neighbours(astrocytes.grid_positions(9, 67.0), 75.0).edges) == 12


@pytest.mark.parametrize("cells", [1, 2, 3, 50])
def test_rings(cells):
    graph = astrocytes.ring(cells)
    assert len(graph.edges) == {1: 0, 2: 1}.get(cells, cells)
    assert graph.hops(0).max() == cells // 2


def test_a_given_graph_joins_the_astrocytes(rng):
    settings = network.NetworkSettings(excitatory=40, inhibitory=10, astrocytes=36, edges=((0, 8), (3, 1)))
    np.testing.assert_array_equal(settings.wire(rng).graph.edges, [[0, 8], [3, 1]])


def test_a_window_begins_with_what_happens_at_its_edge():
    starts, dt = 0.1 * np.arange(3), 1e-4
    at = np.array([0.1 - dt, np.nextafter(0.1, 0), np.nextafter(0.1, 1), 0.2, 0.3])
    assert network.which(starts, at, dt).tolist() == [0, 1, 1, 2, 2]
    means = network.by_window(starts, np.array([0.0, 0.05, 0.1]), np.array([1.0, 3.0, 5.0]), dt)
    np.testing.assert_array_equal(means, [2.0, 5.0, np.nan])


def test_weights_keep_the_published_mean_input():
    settings = network.NetworkSettings()
    assert settings.weights() == (4.0, 4.0)
    assert network.NetworkSettings(excitatory=3200, inhibitory=800).weights() == (1.0, 1.0)
    assert network.NetworkSettings(scale_weights=False).weights() == (1.0, 1.0)
    assert network.NetworkSettings(configuration="synapses", n=4).weights() == (40.0, 1.0)


def test_nine_synapses_have_nine_processes():
    at = np.array(list(np.ndindex(3, 3)), dtype=float).reshape(3, 3, 2)
    wired = wiring.one_process_each(at, 1.0)
    assert wired.graph.cells == len(wired.to_sites) == 9
    np.testing.assert_array_equal(wired.synapses_at, 1)
    np.testing.assert_array_equal(wired.neuron_at, np.repeat(np.arange(3), 3))
    np.testing.assert_array_equal(wired.to_sites[:, 0], np.tile(np.arange(3), 3))


def test_every_neuron_lies_under_the_nearest_astrocyte(rng):
    wired = wiring.recurrent(100, 25, (0.1, 0.1), 100, 67.0, 75.0, None, rng)
    np.testing.assert_array_equal(np.sort(wired.astrocyte_at[:100]), np.arange(100))
    assert len(wired.graph.edges) == 180  # 10 x 10, four neighbours
    assert wired.synapses_at.sum() == len(wired.to_sites)


def test_connections_have_their_chance(rng):
    pairs = wiring.bernoulli(300, 400, 0.1, rng)
    # Five standard deviations of the binomial
    assert abs(len(pairs) - 12_000) < 5 * np.sqrt(120_000 * 0.1 * 0.9)
    assert len(np.unique(pairs, axis=0)) == len(pairs)


def test_as_many_places_as_spikes_on_their_way():
    at = np.zeros(6), np.array([0.0, 0.001, 0.002, 0.003, 0.004, 0.1])
    assert plasticity.slots(at, 0.014, 0.001) == 8
    assert plasticity.slots(at, 0.003, 0.001) == 4
    assert plasticity.slots((np.arange(6), at[1]), 0.014, 0.001) == 4  # one a synapse
    with pytest.raises(InputError, match="D, post_delay: more than 64 spikes within 0.1 s; expected fewer"):
        plasticity.slots((np.zeros(80), 0.001 * np.arange(80)), 0.1, 0.001)


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


def test_one_late_cell_does_not_move_the_speed():
    onset = 4.0 * np.arange(1.0, 12.0)
    onset[5] += 100.0
    assert waves.speed(np.arange(1.0, 12.0), onset) == pytest.approx(0.25, rel=1e-12)


def test_speed_over_more_cells_than_have_their_pairs_compared():
    hops = np.arange(1.0, 5001.0)
    assert waves.speed(hops, 4.0 * hops) == pytest.approx(0.25, rel=1e-12)


def test_speed_of_a_straight_front():
    assert waves.speed(np.arange(1.0, 6.0), 4.0 * np.arange(1.0, 6.0)) == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize("method", REAL_LIMITS)
def test_the_longest_step_depends_on_the_method(method):
    longest = {"rk4": 2.78, "rk2": 2.0, "euler": 2.0}[method] / 5.0
    require_stable(longest * 0.999, {"slow": 1.0, "fast": 5.0, "none": 0.0}, method)
    message = f"step: expected at most {longest:.3g} s, where the solver turns unstable (fast), got 1 s"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        require_stable(1.0, {"slow": 1.0, "fast": 5.0}, method, "step")
