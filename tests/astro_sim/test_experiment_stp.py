"""One cycle in several layouts: p^s follows the stimulus and shows where the processes lie."""

import numpy as np
import pytest

from astro_sim.experiments.shared import drive


def test_fast_calcium_rises_while_the_stimulus_is_on_and_decays_after(stp):
    p_s, time = stp["p_s"], stp["time"]
    on, off = p_s.sel(time=slice(0, 5)), p_s.sel(time=slice(5.5, 10))  # 0.5 s = tau_s for s to turn around
    assert (on.diff("time").isel(time=slice(1, None)) > 0).all()
    assert (off.diff("time") < 0).all()
    peak = time[p_s.mean(("post", "pre")).argmax("time")]
    assert ((peak >= 5.0) & (peak <= 5.5)).all()


@pytest.mark.parametrize("layout", ["equidistant", "ring"])
def test_equal_surroundings_give_uniform_fast_calcium(stp, layout):
    p_s = stp["p_s"].sel(layout=layout)
    assert np.ptp(p_s.values, axis=(1, 2)).max() < 1e-12  # rounding of the ring's sines


@pytest.mark.parametrize("layout", ["grid", "line", "clusters", "random"])
def test_unequal_surroundings_show_in_fast_calcium(stp, layout):
    p_s = stp["p_s"].sel(layout=layout)
    assert np.ptp(p_s.values, axis=(1, 2)).max() > 0.02  # of 0.28: measured 0.027 to 0.049


def test_the_middle_of_the_grid_gets_most(stp):
    peak = stp["p_s"].sel(layout="grid").max("time")
    assert peak.argmax(("post", "pre")) == {"post": 1, "pre": 1}


def test_layouts_share_the_input_so_that_only_positions_differ(stp):
    for name in ("input_pre", "input_post"):
        assert (stp[name] == stp[name].isel(layout=0)).all()
    assert (stp["x_pre"] == stp["x_pre"].isel(layout=0)).all()


def test_positions_of_layouts_with_few_axes_are_padded_with_zeros(stp):
    line = stp["position"].sel(layout="line")
    assert stp.sizes["axis"] == 9  # the simplex needs one axis a process
    assert line.isel(axis=0).values.ravel().tolist() == list(range(9))
    assert not line.isel(axis=slice(1, None)).any()


def test_drive_has_the_asked_mean_and_variation(rng):
    drawn = np.concatenate(drive(2.0, 20_000, 0.3, rng))
    assert (drawn > 0).all()
    # 40,000 draws: standard error 0.3 * 2 / 200 = 0.003 of the mean and about 0.0015 of the cv; four of each
    assert drawn.mean() == pytest.approx(2.0, abs=0.012)
    assert drawn.std() / drawn.mean() == pytest.approx(0.3, abs=0.006)


def test_drive_without_variation_is_the_amplitude_itself(rng):
    assert np.unique(drive(2.0, 5, 0.0, rng)).tolist() == [2.0]
