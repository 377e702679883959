"""The tripartite synapse against Tsodyks and Markram's closed forms and converged values of the published model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

import astro_sim
from astro_sim.biophysical import process, synapse
from astro_sim.biophysical.engine import Session, values
from astro_sim.common.errors import InputError

pytestmark = pytest.mark.biology

P = process.ProcessParameters()
ANY = {"U_0": st.floats(0.02, 0.98), "Omega_f": st.floats(0.1, 20.0), "Omega_d": st.floats(0.1, 20.0)}


def test_periodic_steady_state_at_ten_milliseconds():
    assert synapse.periodic_release(0.01, 0.6, 3.33, 2.0) == pytest.approx(0.0198, abs=5e-5)


@given(interval=st.floats(1e-3, 10.0), **ANY)
def test_the_periodic_closed_form_is_a_fixed_point_of_the_map(interval, U_0, Omega_f, Omega_d):
    r = synapse.periodic_release(interval, U_0, Omega_f, Omega_d)
    u = U_0 / (1 - (1 - U_0) * np.exp(-interval * Omega_f))
    x = r / u
    assert 0 < x <= 1
    np.testing.assert_allclose(1 - (1 - x * (1 - u)) * np.exp(-interval * Omega_d), x, rtol=1e-9)


@given(rate=st.floats(0.01, 200.0), **ANY)
def test_the_mean_field_closed_form_is_a_steady_state_of_the_averaged_equations(rate, U_0, Omega_f, Omega_d):
    r = synapse.mean_field_release(rate, U_0, Omega_f, Omega_d)
    u = U_0 * rate / (Omega_f + U_0 * rate)  # just before a spike
    after = u + U_0 * (1 - u)
    x = r / after
    assert abs(-Omega_f * u + U_0 * (1 - u) * rate) < 1e-9 * rate
    assert abs(Omega_d * (1 - x) - after * x * rate) < 1e-9 * max(rate, Omega_d)


@given(**ANY)
def test_release_grows_up_to_the_limiting_rate_and_falls_beyond(U_0, Omega_f, Omega_d):
    at = synapse.limiting_rate(U_0, Omega_f, Omega_d)
    release = [synapse.mean_field_release(max(f, 1e-6), U_0, Omega_f, Omega_d) for f in (0.7 * at, at, 1.3 * at + 0.1)]
    assert release[1] >= release[0] * (1 - 1e-12)
    assert release[1] > release[2]
    assert (at > 0) == (synapse.switching_probability(Omega_f, Omega_d) > U_0)


@given(Omega_f=ANY["Omega_f"], Omega_d=ANY["Omega_d"])
def test_the_poisson_switch_is_where_the_second_spike_releases_as_much_on_average(Omega_f, Omega_d):
    u = synapse.switching_probability(Omega_f, Omega_d, "poisson")

    def gain(gap):
        second = (u + u * (1 - u) * np.exp(-Omega_f * gap)) * (1 - u * np.exp(-Omega_d * gap))
        return second - u

    total, error = quad(gain, 0, np.inf)
    assert abs(total) < 1e-7 + 10 * error
    assert 0 < u < synapse.switching_probability(Omega_f, Omega_d)


def test_where_published_constants_switch():
    assert synapse.switching_probability(3.33, 2.0) == pytest.approx(0.375, abs=5e-4)
    assert synapse.switching_probability(3.33, 2.0, "poisson") == pytest.approx(0.324, abs=5e-4)


def stp(**settings):
    return astro_sim.simulate("stp", "biophysical", **settings)


def brief(**settings):
    """A few seconds at most: over before the code would be compiled."""
    return stp(target="numpy", **settings)


def test_a_tetanus_ends_in_the_periodic_steady_state():
    run = brief(protocol="tetanus", start=1.0, modulations=["none"], tetanus_spikes=300)
    last = float(run["r_S"].isel(spike=-1).item())
    # The solver's own error: 1e-9 at 1 ms (fourth order, rates up to 3.33/s); 3 s leave e^-(2*3)... of the transient of
    # x_S, whose multiplier a spike is (1 - u) e^(-D Omega_d), so nothing
    assert last == pytest.approx(synapse.periodic_release(0.01, 0.6, 3.33, 2.0), rel=1e-7)


def test_paired_pulses_follow_the_closed_form():
    intervals = [0.01, 0.05, 0.2, 1.0]
    run = brief(intervals=intervals, start=1.0, modulations=["none"])
    d = np.array(intervals)
    u = 0.6 + 0.6 * 0.4 * np.exp(-3.33 * d)
    expected = u * (1 - 0.6 * np.exp(-2.0 * d)) / 0.6
    np.testing.assert_allclose(run["paired_pulse_ratio"].isel(modulation=0).values, expected, rtol=1e-7)
    assert expected[1] == pytest.approx(0.612, abs=5e-4)


@pytest.fixture(scope="module")
def test_train():
    return stp(protocol="test")


@pytest.mark.slow
def test_open_loop_modulation_of_the_first_three_releases(test_train):
    r = test_train["r_S"].isel(train=0)
    np.testing.assert_allclose(r.sel(modulation="none")[:3], [0.600, 0.367, 0.154], atol=5e-4)  # given to 1e-3
    np.testing.assert_allclose(r.sel(modulation="strong")[:3], [0.0467, 0.0810, 0.1025], atol=5e-5)  # given to 1e-4
    # 60 parts per million: what the published constants give in closed form, less the unbinding during the pulse
    assert float(r.sel(modulation="weak")[0]) == pytest.approx(0.1436, abs=1.5e-4)


@pytest.mark.slow
def test_halving_the_step_moves_release_by_less_than_half_a_percent(test_train):
    finer = stp(protocol="test", dt=5e-4)
    np.testing.assert_allclose(test_train["r_S"], finer["r_S"], rtol=5e-3)


@pytest.mark.slow
def test_the_step_that_the_published_example_takes_is_too_long_for_it():
    weak = {"protocol": "test", "modulations": ["weak"], "method": "euler"}
    first = {dt: float(stp(dt=dt, **weak)["r_S"][0, 0, 0]) for dt in (1e-3, 1e-4)}
    # Euler at 1 ms is 3 % off where 0.5 % is asked for, at 0.1 ms it is not. Published value at 1 ms: 0.1392, whose
    # spikes act a step later than ours
    assert first[1e-3] == pytest.approx(0.1392, abs=5e-4)
    assert first[1e-4] == pytest.approx(0.1431, abs=5e-5)
    assert abs(first[1e-3] / 0.1436 - 1) > 0.02
    assert abs(first[1e-4] / 0.1436 - 1) < 0.005


@pytest.mark.slow
def test_one_release_binds_what_the_closed_form_says_and_unbinds_in_two_minutes():
    p = process.ProcessParameters()
    with Session(p, 0) as session:
        units = process.build_units(session, p, 1)
        process.force_releases(session, session.spikes("release", 1, np.zeros(1), np.array([1.0])), units)
        traces = session.record(units, ["Gamma_S", "x_A", "G_A"], 0.001)
        session.run(121.2, [units])
        time, gamma = traces.t_[:], values(traces, "Gamma_S", "1")[:, 0]
        x_a, g_a = values(traces, "x_A", "1")[:, 0], values(traces, "G_A", "uM")[:, 0]
    assert p.peak == pytest.approx(78.0, rel=1e-12)
    assert g_a.max() == pytest.approx(78.0 * np.exp(-60 * 0.001), rel=1e-6)  # first sample after the release
    # Its peak is where binding has fallen to unbinding, some 0.1 s later; that long at 0.5/min takes 1e-3 off
    assert gamma.max() == pytest.approx(1 - np.exp(-1.5 * 78 / 60), rel=1.2e-3)
    assert 1 - np.exp(-1.5 * 78 / 60) == pytest.approx(0.8577, abs=1e-4)
    late = time > 1.2
    rate = np.polyfit(time[late], np.log(gamma[late]), 1)[0]
    assert -1 / rate == pytest.approx(120.0, rel=1e-5)  # the pulse's own tail, e^-12 at 1.2 s
    np.testing.assert_allclose(x_a[late], 1 - 0.6 * np.exp(-0.6 * (time[late] - 1.0)), rtol=1e-8)


def test_a_release_needs_an_upward_crossing():
    p = process.ProcessParameters(knockouts=["calcium"], target="numpy")
    with Session(p, 0) as session:
        units = process.build_units(session, p, 2)
        process.set_states(units, C=[0.4, 0.6])
        releases = session.record_spikes(units)
        session.run(2.0, [units])
        assert len(releases.t_[:]) == 0


def test_a_unit_follows_an_independent_solver_between_events():
    run = brief(modulations=["strong"], intervals=[0.5], start=0.5, interval=0.01)
    p = P

    def slope(_, y):
        c, i, h, gamma = y
        m = i / (i + p.d_1) * c / (c + p.d_5)
        q = p.d_2 * (i + p.d_1) / (i + p.d_3)
        drive = -p.F_ex / 2 * (1 + np.tanh((abs(i - 1.25) - p.I_Theta) / p.omega_I)) * np.sign(i - 1.25)
        plc = p.O_delta / (1 + i / p.kappa_delta) * c**2 / (c**2 + p.K_delta**2)
        away = p.O_3K * c**4 / (c**4 + p.K_D**4) * i / (i + p.K_3K) + p.Omega_5P * i
        return [
            (p.Omega_C * (m * h) ** 3 + p.Omega_L) * (p.C_T - (1 + p.rho_A) * c) - p.O_P * c**2 / (c**2 + p.K_P**2),
            plc - away + drive + p.O_beta * gamma,
            p.O_2 * (q - (q + c) * h),
            -p.Omega_N * (1 + p.zeta * c / (c + p.K_KC)) * gamma,
        ]

    time = run["time"].values[run["time"].values <= 1.0]
    other = solve_ivp(slope, (0, 1.0), [0, 0.4, 0.9, 0], "RK45", time, rtol=1e-9, atol=1e-12, max_step=0.01)
    for name, column in (("C", 0), ("I", 1)):
        found = run[name].sel(modulation="strong", train=0).values[: len(time)]
        # The drive's threshold is sharp; at 0.5 ms the simulation differs from this one by 1e-6 less
        np.testing.assert_allclose(found, other.y[column], rtol=0, atol=2e-5)


def small(**settings):
    given = {"rates": [1.0, 10.0], "window": 20.0, "transient": 5.0, "repetitions": 1, **settings}
    return astro_sim.simulate("gliotransmission", "biophysical", **given)


@pytest.mark.slow
def test_open_loop_gliotransmission_depresses_release_and_alpha_turns_it_round():
    run = small(U_0_stars=[0.15], alphas=[0.0, 1.0], train="regular")
    none, opened = (run["r_S_mean"].sel(modulation=each, rate=1.0) for each in ("none", "open"))
    assert (opened.sel(alpha=0.0) < none.sel(alpha=0.0)).all()
    assert (opened.sel(alpha=1.0) > none.sel(alpha=1.0)).all()
    # Open loop: one astrocyte a unit, all driven alike, whatever the synapse does
    assert np.ptp(run["C_mean"].sel(modulation="open").values) == 0.0
    assert not run["Gamma_S_mean"].sel(modulation="none").any()


def test_regular_trains_without_gliotransmission_release_the_closed_form():
    run = small(train="regular", modulations=["none"], rates=[5.0, 20.0], window=2.0, target="numpy")
    expected = [synapse.periodic_release(1 / rate, 0.6, 3.33, 2.0) for rate in (5.0, 20.0)]
    # After 5 s of transient the multiplier a spike, (1 - u) e^(-D Omega_d) < 0.3, has left nothing
    np.testing.assert_allclose(run["r_S_mean"].squeeze(drop=True).values, expected, rtol=1e-7)


@pytest.mark.slow
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


@pytest.mark.slow
def test_knocked_out_gliotransmission_leaves_release_alone():
    with_, without = small(seed=4), small(seed=4, knockouts=["gliotransmission"])
    none = with_["r_S_mean"].sel(modulation="none")
    for modulation in ("none", "open", "closed"):
        assert not without["Gamma_S_mean"].sel(modulation=modulation).any()
    np.testing.assert_array_equal(none, without["r_S_mean"].sel(modulation="none"))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_dataset():
    one, two, other = small(seed=5), small(seed=5), small(seed=6)
    assert one.identical(two)
    assert not np.array_equal(one["r_S_mean"], other["r_S_mean"])


@pytest.mark.slow
def test_a_closed_loop_is_moved_by_the_spikes_before_the_test():
    run = stp(intervals=[0.05], modulations=["none", "closed"])
    assert float(run["Gamma_S_test"].sel(modulation="closed").item()) > 0.3
    assert float(run["glio_count"].sel(modulation="closed").item()) >= 1
    one = run["paired_pulse_ratio"].isel(train=0)
    assert float(one.sel(modulation="none")) == pytest.approx(0.612, abs=5e-4)
    assert float(one.sel(modulation="closed")) > 1  # as after weak and strong modulation


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"intervals": [0.0004]}, "intervals: expected spikes at least a step of dt = 0.001 s apart"),
        ({"protocol": "tetanus", "tetanus_rate": 2000.0}, "tetanus_rate: expected spikes at least a step"),
        (
            {"protocol": "theta_burst", "burst_spikes": 30},
            "burst_rate: expected bursts that end before the next begins",
        ),
        ({"knockouts": ["receptors"]}, "knockouts: stp with modulation none, weak, strong has no receptors to block"),
        ({"modulations": ["none"], "knockouts": ["gliotransmission"]}, "knockouts: stp with modulation none has no"),
    ],
)
def test_wrong_use_of_stp_is_told(settings, message):
    with pytest.raises(InputError, match=message):
        stp(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"modulations": ["open"], "knockouts": ["receptors"]},
            "knockouts: gliotransmission with modulation open has no",
        ),
        ({"window": 1e-9}, "interval: expected at most half of the window, 5e-10 s, got 0.1"),
        ({"rates": [1.0, 1.0]}, r"rates: expected different ones, got \(1.0, 1.0\)"),
        ({"rates": [0.0, 1.0]}, "rates: expected rates above 0 Hz, got 0"),
        ({"rates": [1.0, 2000.0]}, "rate: expected at most 1/dt = 1000 Hz, got 2000 Hz"),
        ({"U_0_stars": [1.5]}, r"U_0_stars: expected probabilities from 0 to 1, got \(1.5,\)"),
        ({"modulations": ["half"]}, "modulations.0: expected 'none', 'open' or 'closed', got 'half'"),
        ({"preset": "swich"}, "preset: unknown 'swich'; did you mean 'switch'"),
    ],
)
def test_wrong_use_is_told(settings, message):
    with pytest.raises(InputError, match=message):
        small(**settings)
