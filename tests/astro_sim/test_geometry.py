"""Layouts, distances and the coupling that follows from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astro_sim.common.errors import InputError
from astro_sim.macro import geometry


def flat(T):
    return T.reshape(T.shape[0] ** 2, -1)


def layout(name, n=3):
    return geometry.positions(name, n, np.random.default_rng(4))


@pytest.mark.parametrize("name", geometry.LAYOUTS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_layouts_place_every_process(name, n):
    at = layout(name, n)
    assert at.shape[:2] == (n, n)
    assert at.ndim == 3
    assert len(np.unique(at.reshape(n * n, -1), axis=0)) == n * n  # no two in one place


@pytest.mark.parametrize("name", geometry.LAYOUTS)
def test_coupling_is_symmetric_without_self_term_and_normalised(name):
    T = flat(geometry.coupling(layout(name), 1.0, 0.7))
    np.testing.assert_array_equal(T, T.T)
    assert not np.diag(T).any()
    # nine terms of order 0.1 summed: some units in the last place
    assert T.sum(axis=1).max() == pytest.approx(0.7, rel=1e-14)


@given(at=arrays(float, (2, 2, 3), elements=st.floats(-5, 5)), scale=st.floats(0, 10), row_sum=st.floats(0, 100))
def test_coupling_of_any_positions_falls_with_distance(at, scale, row_sum):
    T, distance = flat(geometry.coupling(at, scale, row_sum)), flat(geometry.distances(at))
    np.testing.assert_array_equal(T, T.T)
    assert (T >= 0).all()
    assert T.sum(axis=1).max() <= row_sum * (1 + 1e-14)
    off = ~np.eye(4, dtype=bool)
    order = np.argsort(distance[off])
    assert (np.diff(T[off][order]) <= 0).all()


@pytest.mark.parametrize(("n", "row_sum", "radius"), [(3, 2.444, 2.85), (5, 4.077, 4.09), (8, 5.067, 5.09)])
def test_unnormalised_grids_grow_with_n(n, row_sum, radius):
    """The reason for normalising T.

    The figures 2.85, 4.09, 5.09 that go with this model are spectral radii of the kernel with its self term,
    1 + rho(T). Row sums without self term are those of exp(-distance) from the middle of the grid: for n = 3,
    four neighbours at 1 and four at sqrt(2), 4 (exp(-1) + exp(-sqrt(2))) = 2.444.
    """
    T = geometry.coupling(layout("grid", n), 1.0, 1.0)
    # Neighbours are one spacing apart: undo the normalisation by setting their entry to exp(-1).
    kernel = flat(T * (np.exp(-1.0) / T[0, 0, 0, 1]))
    assert kernel.sum(axis=1).max() == pytest.approx(row_sum, abs=0.0005)  # as many digits as stated
    assert 1 + np.linalg.eigvalsh(kernel).max() == pytest.approx(radius, abs=0.005)


@pytest.mark.parametrize("name", ["equidistant", "ring"])
def test_layouts_without_a_distinguished_place_have_equal_row_sums(name):
    sums = flat(geometry.coupling(layout(name), 1.0, 0.5)).sum(axis=1)
    np.testing.assert_allclose(sums, 0.5, rtol=1e-14)  # rounding of sines


@pytest.mark.parametrize("name", ["grid", "line", "clusters", "random"])
def test_other_layouts_have_unequal_row_sums(name):
    sums = flat(geometry.coupling(layout(name), 1.0, 0.5)).sum(axis=1)
    assert np.ptp(sums) > 0.05  # a tenth of the largest


def test_distances_are_euclidean():
    at = np.array([[[0.0, 0.0], [3.0, 4.0]], [[0.0, 1.0], [3.0, 0.0]]])
    assert geometry.distances(at)[0, 0].tolist() == [[0.0, 5.0], [1.0, 3.0]]
    assert geometry.distances(at)[0, 1, 1, 1] == 4.0


def test_neighbours_on_every_regular_layout_are_one_spacing_apart():
    for name in ("grid", "line", "ring", "equidistant", "clusters"):
        d = flat(geometry.distances(layout(name)))
        assert d[d > 0].min() == pytest.approx(1.0, rel=1e-14)


def test_one_process_has_nothing_to_couple_to():
    assert geometry.coupling(layout("grid", 1), 1.0, 0.5).item() == 0.0


def test_coupling_survives_a_kernel_close_to_underflow():
    T = flat(geometry.coupling(layout("grid"), 742.0, 0.5))  # exp(-742) is subnormal
    assert T.sum(axis=1).max() == pytest.approx(0.5, rel=1e-14)


def test_positions_are_accepted_flat_or_shaped():
    at = layout("random")
    np.testing.assert_array_equal(geometry.check_positions(at.reshape(9, 2), 3), at)
    np.testing.assert_array_equal(geometry.check_positions(at, 3), at)


@pytest.mark.parametrize("shape", [(), (9,), (8, 2), (3, 3), (9, 0), (3, 3, 0), (2, 3, 2), (0,)])
def test_positions_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match=r"positions: expected 9 rows of coordinates for n = 3, got shape \("):
        geometry.check_positions(np.zeros(shape), 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_must_be_finite(bad):
    at = layout("grid")
    at[0, 0, 0] = bad
    with pytest.raises(InputError, match="positions: expected finite numbers"):
        geometry.check_positions(at, 3)


def test_an_unknown_layout_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="unknown layout 'gird'; did you mean 'grid'"):
        layout("gird")
