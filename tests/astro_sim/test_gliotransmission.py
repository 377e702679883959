"""The tripartite synapse against Tsodyks and Markram's closed forms and converged values of the published model."""

import numpy as np
import pytest

import astro_sim
from astro_sim.biophysical import process
from astro_sim.biophysical.engine import Session

pytestmark = pytest.mark.biology


def stp(**settings):
    return astro_sim.simulate("stp", "biophysical", **settings)


@pytest.fixture(scope="module")
def test_train():
    return stp(protocol="test")


def test_open_loop_modulation_of_the_first_three_releases(test_train):
    r = test_train["r_S"].isel(train=0)
    np.testing.assert_allclose(r.sel(modulation="none")[:3], [0.600, 0.367, 0.154], atol=5e-4)  # given to 1e-3
    np.testing.assert_allclose(r.sel(modulation="strong")[:3], [0.0467, 0.0810, 0.1025], atol=5e-5)  # given to 1e-4
    # 60 parts per million: what the published constants give in closed form, less the unbinding during the pulse
    assert float(r.sel(modulation="weak")[0]) == pytest.approx(0.1436, abs=1.5e-4)


def test_halving_the_step_moves_release_by_less_than_half_a_percent(test_train):
    finer = stp(protocol="test", dt=5e-4)
    np.testing.assert_allclose(test_train["r_S"], finer["r_S"], rtol=5e-3)


def test_the_step_that_the_published_example_takes_is_too_long_for_it():
    weak = {"protocol": "test", "modulations": ["weak"], "method": "euler"}
    first = {dt: float(stp(dt=dt, **weak)["r_S"][0, 0, 0]) for dt in (1e-3, 1e-4)}
    # Euler at 1 ms is 3 % off where 0.5 % is asked for, at 0.1 ms it is not. Published value at 1 ms: 0.1392, whose
    # spikes act a step later than ours
    assert first[1e-3] == pytest.approx(0.1392, abs=5e-4)
    assert first[1e-4] == pytest.approx(0.1431, abs=5e-5)
    assert abs(first[1e-3] / 0.1436 - 1) > 0.02
    assert abs(first[1e-4] / 0.1436 - 1) < 0.005


def test_a_release_needs_an_upward_crossing():
    p = process.ProcessParameters(knockouts=["calcium"], target="numpy")
    with Session(p, 0) as session:
        units = process.build_units(session, p, 2)
        process.set_states(units, C=[0.4, 0.6])
        releases = session.record_spikes(units)
        session.run(2.0, [units])
        assert len(releases.t_[:]) == 0


def small(**settings):
    given = {"rates": [1.0, 10.0], "window": 20.0, "transient": 5.0, "repetitions": 1, **settings}
    return astro_sim.simulate("gliotransmission", "biophysical", **given)


def test_open_loop_gliotransmission_depresses_release_and_alpha_turns_it_round():
    run = small(U_0_stars=[0.15], alphas=[0.0, 1.0], train="regular")
    none, opened = (run["r_S_mean"].sel(modulation=each, rate=1.0) for each in ("none", "open"))
    assert (opened.sel(alpha=0.0) < none.sel(alpha=0.0)).all()
    assert (opened.sel(alpha=1.0) > none.sel(alpha=1.0)).all()
    # Open loop: one astrocyte a unit, all driven alike, whatever the synapse does
    assert np.ptp(run["C_mean"].sel(modulation="open").values) == 0.0
    assert not run["Gamma_S_mean"].sel(modulation="none").any()


def test_poisson_trains_rise_below_their_switch_and_fall_above():
    run = astro_sim.simulate(
        "gliotransmission", "biophysical", rates=[0.1, 0.5], modulations=["none"], U_0_stars=[0.15, 0.45],
        repetitions=60, window=100.0, transient=2.0, seed=3,
    )  # fmt: skip
    r, spikes = run["r_S_mean"].squeeze(drop=True), run["spike_count"].squeeze(drop=True)
    mean = (r.fillna(0.0) * spikes).sum("repetition") / spikes.sum("repetition")
    change = (mean.sel(rate=0.5) - mean.sel(rate=0.1)).rename(None)
    for u in (0.15, 0.45):
        # First order in the rate, from the integral behind the switch; the second order is of relative size rate/Omega
        slope = u * ((1 - u) / 3.33 - u / 2.0 - u * (1 - u) / 5.33)
        found = float(change.sel(U_0_star=u))
        assert np.sign(found) == np.sign(slope) == np.sign(0.324 - u)
        # Release of a spike differs by 0.04 (0.15) or 0.08 (0.45) between spikes, of which 600 are at 0.1 Hz
        assert found == pytest.approx(0.4 * slope, abs=0.25 * abs(0.4 * slope) + 2 * 0.08 / np.sqrt(600))


def test_knocked_out_gliotransmission_leaves_release_alone():
    with_, without = small(seed=4), small(seed=4, knockouts=["gliotransmission"])
    none = with_["r_S_mean"].sel(modulation="none")
    for modulation in ("none", "open", "closed"):
        assert not without["Gamma_S_mean"].sel(modulation=modulation).any()
    np.testing.assert_array_equal(none, without["r_S_mean"].sel(modulation="none"))


def test_a_closed_loop_is_moved_by_the_spikes_before_the_test():
    run = stp(intervals=[0.05], modulations=["none", "closed"])
    assert float(run["Gamma_S_test"].sel(modulation="closed").item()) > 0.3
    assert float(run["glio_count"].sel(modulation="closed").item()) >= 1
    one = run["paired_pulse_ratio"].isel(train=0)
    assert float(one.sel(modulation="none")) == pytest.approx(0.612, abs=5e-4)
    assert float(one.sel(modulation="closed")) > 1  # as after weak and strong modulation
