"""Cycles of stimulation: p^l accumulates and saturates, with the increments of a linear filter."""

import numpy as np
import pytest

import astro_sim


def increments(dataset):
    return np.diff(dataset["p_l_cycle"].mean(("post", "pre")).values)


def ratios(dataset):
    delta = increments(dataset)
    return delta[1:] / delta[:-1]


Q = np.exp(-10.0 / 60.0)  # exp(-tau_cycle gamma_l / tau_p_l) of the preset


def test_slow_calcium_accumulates_from_cycle_to_cycle(ltp):
    assert ltp.sizes["cycle"] == 7
    assert not ltp["p_l_cycle"].isel(cycle=0).any()
    assert (ltp["p_l_cycle"].diff("cycle") > 0).all()


def test_ends_of_cycles_agree_with_the_trace(ltp):
    ends = ltp["p_l"].sel(time=10.0 * ltp["cycle"].values, method="nearest", tolerance=1e-9)
    # The trace is sampled more often and so cut into other steps: solver error, (dt/tau_n)^4/120 = 1e-6 of a
    # neuron's transient, and far less of p^l
    np.testing.assert_allclose(ends.values, ltp["p_l_cycle"].values, rtol=1e-8)


@pytest.mark.parametrize("setting", [{}, {"gamma_l": 2.0}, {"tau_cycle": 5.0}, {"n": 2, "layout": "line", "duty": 0.2}])
def test_after_burn_in_increments_fall_geometrically_whatever_the_set_up(setting):
    run = astro_sim.simulate("ltp", cycles=12, burn_in=20, seed=3, **setting)
    q = np.exp(-setting.get("tau_cycle", 10.0) * setting.get("gamma_l", 1.0) / 60.0)
    # 1e-3 is asked for; burn-in of 20 cycles leaves rounding of increments down to e^-4 of the level
    np.testing.assert_allclose(ratios(run), q, rtol=1e-9)


def test_without_burn_in_ratios_start_higher_and_tend_to_q():
    gap = np.abs(ratios(astro_sim.simulate("ltp", cycles=12)) / Q - 1)
    assert gap[0] > 5e-3  # s builds up from rest in the first cycle
    assert (np.diff(gap[:4]) < 0).all()
    assert gap[4] < 1e-9


def test_the_bounded_variant_misses_the_linear_rate():
    run = astro_sim.simulate("ltp", cycles=12, burn_in=20, ltp_dynamics="bounded")
    assert (ratios(run) < Q * (1 - 1e-2)).all()  # its rate is gamma + kappa(s): faster, so a smaller ratio


def test_only_the_bounded_variant_depends_on_the_size_of_the_input():
    def first(**setting):
        return ratios(astro_sim.simulate("ltp", cycles=3, burn_in=20, drive_cv=0.0, **setting))[0]

    assert first(amplitude=2.0) == pytest.approx(first(amplitude=0.5), rel=1e-9)
    bounded = {"ltp_dynamics": "bounded"}
    assert first(amplitude=2.0, **bounded) < (1 - 1e-2) * first(amplitude=0.5, **bounded)


def test_burn_in_starts_from_the_periodic_state_with_ltp_at_zero():
    run = astro_sim.simulate("ltp", cycles=2, burn_in=20)
    start, end = run.sel(time=0.0), run.sel(time=10.0, method="nearest")
    assert not start["p_l"].any()
    np.testing.assert_allclose(start["s"].values, end["s"].values, rtol=1e-9)
    assert (start["s"] > 0).all()


def test_cycles_until_saturation():
    run = astro_sim.simulate("ltp", cycles="saturation", interval=10.0)
    delta = increments(run)
    # 1 % of the first increment is reached after log(100) * 6 = 28 cycles; counts double from 16
    assert len(delta) == 32
    assert delta[-1] <= 0.01 * delta.max()
    assert delta[15] > 0.01 * delta.max()


def test_saturation_tolerance_decides_how_far():
    runs = [
        astro_sim.simulate("ltp", cycles="saturation", saturation_tolerance=tolerance, interval=10.0)
        for tolerance in (0.1, 0.001)
    ]
    assert [run.sizes["cycle"] for run in runs] == [17, 65]


def test_given_positions_replace_the_layout():
    at = [[float(i), float(j)] for i in range(3) for j in range(3)]
    given, named = astro_sim.simulate("ltp", positions=at), astro_sim.simulate("ltp", layout="grid")
    for name in named.variables:
        np.testing.assert_array_equal(given[name].values, named[name].values)


def test_seeds_vary_the_drive_and_only_where_it_varies():
    def curve(seed, cv):
        return astro_sim.simulate("ltp", cycles=1, drive_cv=cv, seed=seed)["p_l_cycle"].values

    assert (curve(1, 0.1)[1] != curve(2, 0.1)[1]).all()
    np.testing.assert_array_equal(curve(1, 0.1), curve(1, 0.1))
    np.testing.assert_array_equal(curve(1, 0.0), curve(2, 0.0))
