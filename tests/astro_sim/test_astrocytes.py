"""Coupled astrocytes: graphs, and Brian2's solution held against scipy's of the same equations, written out again."""

import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from astro_sim.biophysical import astrocytes
from astro_sim.biophysical.engine import Session, values
from astro_sim.biophysical.process import set_states
from astro_sim.common.errors import InputError

pytestmark = pytest.mark.biology


def parameters(**given):
    return astrocytes.AstrocyteNetworkParameters(**{"kinetics": "chi", "F_ex": 0.09, "target": "numpy", **given})


def simulated(graph, start, duration, interval=1.0, **given):
    """C, I and J_coupling, (time, cell), from IP3 ``start``."""
    p = parameters(**given)
    with Session(p, seed=0) as session:
        cells = astrocytes.build_astrocytes(session, p, graph)
        set_states(cells, C=0.05, I=start)
        traces = session.record(cells, ["C", "I", "J_coupling"], interval)
        session.run(duration, [cells])
        return values(traces, "C", "uM"), values(traces, "I", "uM"), values(traces, "J_coupling", "uM/s")


def outside(graph, start, duration, p):
    """The same cells by scipy: C and I at the end. Symbols as in the equations, s and uM."""
    n = graph.cells
    S = np.zeros((n, n))
    S[graph.edges[:, 0], graph.edges[:, 1]] = graph.strength
    S += S.T

    def flow(F, d):
        return -F / 2 * (1 + np.tanh((np.abs(d) - p.I_Theta) / p.omega_I)) * np.sign(d)

    def derivative(_, y):
        C, h, I = y.reshape(3, n)  # noqa: E741
        m = I / (I + p.d_1) * C / (C + p.d_5)
        Q_2 = p.d_2 * (I + p.d_1) / (I + p.d_3)
        pump = p.O_P * C**2 / (C**2 + p.K_P**2)
        dC = (p.Omega_C * m**3 * h**3 + p.Omega_L) * (p.C_T - (1 + p.rho_A) * C) - pump
        dh = p.O_2 * (Q_2 - (Q_2 + C) * h)
        made = p.O_delta / (1 + I / p.kappa_delta) * C**2 / (C**2 + p.K_delta**2)
        lost = p.O_3K * C**4 / (C**4 + p.K_D**4) * I / (I + p.K_3K) + p.Omega_5P * I
        coupling = (S * flow(p.F, I[:, None] - I[None, :])).sum(axis=1)
        return np.concatenate([dC, dh, made - lost + flow(p.F_ex, I) + coupling])

    y = np.concatenate([np.full(n, 0.05), np.full(n, 0.9), start])
    # Steps below the tanh's passage: a relaxation at F_ex/omega_I would take 0.5 s to cross its width
    end = solve_ivp(derivative, (0, duration), y, method="RK45", rtol=1e-9, atol=1e-10, max_step=0.1).y[:, -1]
    return end[:n], end[2 * n :]


@pytest.fixture(scope="module")
def pair():
    """Two cells, one full of IP3, at three steps: C and I at 20 s."""
    start = np.array([1.5, 0.1])
    return {dt: [x[-1] for x in simulated(astrocytes.ring(2), start, 20.0, dt=dt)[:2]] for dt in (0.02, 0.01, 0.005)}


def test_two_coupled_cells_agree_with_scipy(pair):
    C, IP3 = outside(astrocytes.ring(2), np.array([1.5, 0.1]), 20.0, parameters())
    for name, truth, index in (("C", C, 0), ("I", IP3, 1)):
        error = [np.abs(pair[dt][index] - truth).max() for dt in (0.02, 0.01, 0.005)]
        extrapolated = 2 * pair[0.005][index] - pair[0.01][index]
        # The held sum has order 1, so extrapolation removes the leading error; what is left is of order dt^2, about
        # the square of the relative error
        assert np.abs(extrapolated - truth).max() < 0.05 * error[2], name
        assert error[2] < 5e-3


def test_the_held_sum_converges_with_order_one(pair):
    C, _ = outside(astrocytes.ring(2), np.array([1.5, 0.1]), 20.0, parameters())
    error = [np.abs(pair[dt][0] - C).max() for dt in (0.02, 0.01, 0.005)]
    orders = np.log2(np.divide(error[:-1], error[1:]))
    # The next order shows at these steps: 10 % of the order
    np.testing.assert_allclose(orders, 1.0, atol=0.1)


def test_what_leaves_one_cell_enters_another():
    graph = astrocytes.neighbours(astrocytes.grid_positions(9, 1.0), 1.5)
    start = np.linspace(0.0, 2.0, 9)
    _, _, J = simulated(graph, start, 5.0, dt=0.01)
    assert np.abs(J).max() > 0.09
    np.testing.assert_allclose(J.sum(axis=1), 0.0, atol=1e-15)  # rounding of sums of 0.1


def test_blocked_gap_junctions_carry_nothing():
    graph, start = astrocytes.ring(3), np.array([1.5, 0.1, 0.1])
    blocked = simulated(graph, start, 5.0, dt=0.01, knockouts=("gap_junctions",))
    alone = simulated(astrocytes.given_graph([], 3), start, 5.0, dt=0.01)
    assert not blocked[2].any()
    np.testing.assert_array_equal(blocked[1], alone[1])


def test_a_calcium_knock_out_clamps_calcium():
    C, IP3, _ = simulated(astrocytes.ring(3), np.array([1.5, 0.1, 0.1]), 5.0, dt=0.01, knockouts=("calcium",))
    np.testing.assert_allclose(C, 0.05, rtol=1e-15)
    assert np.ptp(IP3[:, 1]) > 0.01


def test_a_strength_scales_a_junction():
    graph = astrocytes.given_graph([(0, 1)], 2, strength=np.array([0.25]))
    _, _, J = simulated(graph, np.array([2.0, 0.1]), 0.02, dt=0.01, interval=0.01)
    # On its plateau a junction carries strength * F, but for 1 - tanh(1.6/0.05) < 1e-27; of the first step
    np.testing.assert_allclose(J[1], [-0.25 * 0.09, 0.25 * 0.09], rtol=1e-12)


@pytest.mark.parametrize("cells", [1, 2, 3, 50])
def test_rings(cells):
    graph = astrocytes.ring(cells)
    assert len(graph.edges) == {1: 0, 2: 1}.get(cells, cells)
    assert graph.hops(0).max() == cells // 2


def test_neighbours_on_a_grid():
    graph = astrocytes.neighbours(astrocytes.grid_positions(9, 50.0), 75.0)
    assert np.bincount(graph.edges.ravel())[4] == 8  # a diagonal is 71 um long
    assert len(astrocytes.neighbours(astrocytes.grid_positions(9, 67.0), 75.0).edges) == 12


def test_a_radius_of_the_spacing_joins_nobody():
    assert not len(astrocytes.neighbours(astrocytes.grid_positions(16, 0.1), 0.1).edges)


def test_a_grid_whose_last_column_is_short():
    at = astrocytes.grid_positions(7, 2.0)
    assert len(np.unique(at, axis=0)) == 7
    np.testing.assert_array_equal(at[-1], [6.0, 0.0])


def test_strength_falls_exponentially_with_distance():
    graph = astrocytes.decaying(np.array([[0.0], [1.0], [3.0]]), scale=2.0)
    np.testing.assert_allclose(graph.strength, np.exp([-2.0, -6.0, -4.0]), rtol=1e-15)
    assert graph.largest_sum == pytest.approx(np.exp(-2.0) + np.exp(-4.0), rel=1e-15)


def test_there_is_no_way_between_parts_of_a_graph():
    np.testing.assert_array_equal(astrocytes.given_graph([(0, 1)], 3).hops(0), [0, 1, np.inf])


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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kinetics": "li_rinzel"}, "kinetics: expected chi or g_chi, got li_rinzel"),
        ({"knockouts": ("receptors",)}, "a network of astrocytes without synapses has no receptors to block"),
        ({"knockouts": ("gliotransmission",)}, "has no gliotransmission to block"),
        ({"F": -1.0}, "F: expected greater than or equal to 0 (uM/s), got -1.0"),
    ],
)
def test_bad_parameters_are_refused(given, message):
    with pytest.raises(InputError, match=re.escape(message)):
        parameters(**given)


def test_a_step_beyond_the_stability_of_the_junctions_is_refused():
    p = parameters(dt=0.05, F=10.0)
    message = re.escape("dt: expected at most 0.005 s, where the solver turns unstable (gap junctions)")
    with Session(p, seed=0) as session, pytest.raises(InputError, match=message):
        astrocytes.build_astrocytes(session, p, astrocytes.ring(3))
