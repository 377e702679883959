"""Release of a terminal: Tsodyks and Markram's closed forms and where synapses switch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from astro_sim.biophysical import synapse

ANY = {"U_0": st.floats(0.02, 0.98), "Omega_f": st.floats(0.1, 20.0), "Omega_d": st.floats(0.1, 20.0)}


def test_where_published_constants_switch():
    assert synapse.switching_probability(3.33, 2.0) == pytest.approx(0.375, abs=5e-4)
    assert synapse.switching_probability(3.33, 2.0, "poisson") == pytest.approx(0.324, abs=5e-4)


@given(Omega_f=ANY["Omega_f"], Omega_d=ANY["Omega_d"])
def test_the_poisson_switch_is_where_the_second_spike_releases_as_much_on_average(Omega_f, Omega_d):
    u = synapse.switching_probability(Omega_f, Omega_d, "poisson")

    def gain(gap):
        second = (u + u * (1 - u) * np.exp(-Omega_f * gap)) * (1 - u * np.exp(-Omega_d * gap))
        return second - u

    total, error = quad(gain, 0, np.inf)
    assert abs(total) < 1e-7 + 10 * error
    assert 0 < u < synapse.switching_probability(Omega_f, Omega_d)


@given(**ANY)
def test_release_grows_up_to_the_limiting_rate_and_falls_beyond(U_0, Omega_f, Omega_d):
    at = synapse.limiting_rate(U_0, Omega_f, Omega_d)
    release = [synapse.mean_field_release(max(f, 1e-6), U_0, Omega_f, Omega_d) for f in (0.7 * at, at, 1.3 * at + 0.1)]
    assert release[1] >= release[0] * (1 - 1e-12)
    assert release[1] > release[2]
    assert (at > 0) == (synapse.switching_probability(Omega_f, Omega_d) > U_0)


@given(rate=st.floats(0.01, 200.0), **ANY)
def test_the_mean_field_closed_form_is_a_steady_state_of_the_averaged_equations(rate, U_0, Omega_f, Omega_d):
    r = synapse.mean_field_release(rate, U_0, Omega_f, Omega_d)
    u = U_0 * rate / (Omega_f + U_0 * rate)  # just before a spike
    after = u + U_0 * (1 - u)
    x = r / after
    assert abs(-Omega_f * u + U_0 * (1 - u) * rate) < 1e-9 * rate
    assert abs(Omega_d * (1 - x) - after * x * rate) < 1e-9 * max(rate, Omega_d)


@given(interval=st.floats(1e-3, 10.0), **ANY)
def test_the_periodic_closed_form_is_a_fixed_point_of_the_map(interval, U_0, Omega_f, Omega_d):
    r = synapse.periodic_release(interval, U_0, Omega_f, Omega_d)
    u = U_0 / (1 - (1 - U_0) * np.exp(-interval * Omega_f))
    x = r / u
    assert 0 < x <= 1
    np.testing.assert_allclose(1 - (1 - x * (1 - u)) * np.exp(-interval * Omega_d), x, rtol=1e-9)


def test_periodic_steady_state_at_ten_milliseconds():
    assert synapse.periodic_release(0.01, 0.6, 3.33, 2.0) == pytest.approx(0.0198, abs=5e-5)


ANY = {"U_0": st.floats(0.02, 0.98), "Omega_f": st.floats(0.1, 20.0), "Omega_d": st.floats(0.1, 20.0)}
