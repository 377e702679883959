"""One active synapse: its calcium reaches the others through the coupling, less with distance."""

import numpy as np
import pytest

import astro_sim


def by_distance(dataset):
    distance, peak = dataset["distance"].values.ravel().round(9), dataset["p_s_peak"].values.ravel()
    at = np.unique(distance)
    return at, np.array([peak[distance == d].mean() for d in at])


def test_the_response_falls_with_distance(spatial):
    distance, peak = by_distance(spatial)
    assert distance[0] == 0.0
    assert distance[-1] == pytest.approx(3 * np.sqrt(2), rel=1e-8)  # corner of 7 x 7; rounded to nine digits above
    assert (np.diff(peak) < 0).all()
    assert (peak > 0).all()


@pytest.mark.parametrize("row", [0, 1])
def test_the_response_falls_along_the_axes_of_the_grid(spatial, row):
    peak = spatial["p_s_peak"].values
    ray = peak[3, 3:] if row else peak[3:, 3]
    assert (np.diff(np.log(ray[1:])) < -0.5).all()


def test_a_steeper_kernel_gives_a_steeper_response(spatial):
    steep = astro_sim.simulate("spatial", scale=2.0)
    near, far = (lambda d, k: by_distance(d)[1][k]), -1
    assert near(steep, far) / near(steep, 1) < 0.1 * near(spatial, far) / near(spatial, 1)


def test_peaks_are_the_maxima_of_the_trace(spatial):
    np.testing.assert_array_equal(spatial["p_s_peak"], spatial["p_s"].max("time"))


def test_without_coupling_nothing_arrives_elsewhere():
    peak = astro_sim.simulate("spatial", coupling=0.0)["p_s_peak"].values
    assert peak[3, 3] > 0.1
    peak[3, 3] = 0.0
    assert not peak.any()


def test_distance_is_measured_from_the_active_synapse(spatial):
    offsets = np.hypot(*np.meshgrid(np.arange(-3, 4), np.arange(-3, 4), indexing="ij"))
    np.testing.assert_allclose(spatial["distance"], offsets, rtol=1e-15)
