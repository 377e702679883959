"""The reference equations against the formulas written out index by index."""

import numpy as np
import pytest

from astro_sim.macro.equations import NON_LINEARITIES, MacroState, derivative, rest
from astro_sim.macro.parameters import MacroParameters


def random_state(rng, n):
    return MacroState(rng.normal(size=n), rng.normal(size=n), *rng.normal(size=(3, n, n)))


@pytest.mark.parametrize("dynamics", ["linear", "bounded"])
def test_derivative_is_the_published_system_written_out_index_by_index(dynamics, rng):
    n = 3
    constants = {"lambda_": 0.7, "beta": 1.9, "gamma_s": 2.2, "gamma_l": 0.8, "b": 0.1, "c": -0.2, "d": 0.3}
    times = {"tau_n": 0.05, "tau_s": 0.4, "tau_p_s": 2.5, "tau_p_l": 40.0}
    shapes = {"phi": "tanh", "g": "softsign", "theta": "rectified", "psi": "linear", "kappa": "softsign"}
    p = MacroParameters(n=n, **constants, **times, **shapes, ltp_dynamics=dynamics)
    x, y, s, ps, pl = random_state(rng, n)
    into_x, into_y, T = rng.normal(size=n), rng.normal(size=n), rng.normal(size=(n, n, n, n))

    def soft(v):
        return v / (1 + abs(v))

    def rect(v):
        return max(np.tanh(v), 0.0)

    got = derivative(MacroState(x, y, s, ps, pl), into_x, into_y, T, p)
    for k in range(n):
        assert got.x_pre[k] == pytest.approx((-0.7 * x[k] + 0.1 + into_x[k]) / 0.05, rel=1e-13)
        synaptic = sum(soft(s[k, j]) * np.tanh(x[j]) for j in range(n))
        assert got.x_post[k] == pytest.approx((-0.7 * y[k] + synaptic + 0.1 + into_y[k]) / 0.05, rel=1e-13)
    for i in range(n):
        for j in range(n):
            ds = -1.9 * s[i, j] + rect(y[i]) * rect(x[j]) + ps[i, j] - 0.2
            spread = sum(T[i, j, k, m] * ps[k, m] for k in range(n) for m in range(n))
            dps = -2.2 * ps[i, j] + spread + soft(s[i, j]) + 0.3
            ceiling = 1 - pl[i, j] if dynamics == "bounded" else 1.0
            dpl = -0.8 * pl[i, j] + soft(s[i, j]) * ceiling
            # rel 1e-12: sums of up to nine terms of order one, in another order
            assert got.s[i, j] == pytest.approx(ds / 0.4, rel=1e-12, abs=1e-13)
            assert got.p_s[i, j] == pytest.approx(dps / 2.5, rel=1e-12, abs=1e-13)
            assert got.p_l[i, j] == pytest.approx(dpl / 40.0, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize(("n", "states"), [(1, 5), (3, 33), (7, 161)])
def test_a_network_has_2n_plus_3n_squared_states(n, states):
    assert rest(n).pack().size == states == 2 * n + 3 * n**2


def test_rest_is_a_fixed_point_when_nothing_drives_it():
    p = MacroParameters()
    still = derivative(rest(3), np.zeros(3), np.zeros(3), np.ones((3, 3, 3, 3)), p)
    assert not still.pack().any()


def test_unpack_undoes_pack_and_keeps_leading_axes(rng):
    states = [random_state(rng, 2) for _ in range(3)]
    stacked = MacroState.unpack(np.stack([state.pack() for state in states]), 2)
    for k, state in enumerate(states):
        for name in MacroState._fields:
            np.testing.assert_array_equal(getattr(stacked, name)[k], getattr(state, name))


@pytest.mark.parametrize("name", NON_LINEARITIES)
def test_non_linearities_vanish_at_rest_with_right_hand_slope_one(name):
    f, h = NON_LINEARITIES[name], 1e-6
    assert f(np.array(0.0)) == 0.0
    # softsign's second derivative is -2 at 0+, so the difference quotient is off by h
    assert f(np.array(h)) / h == pytest.approx(1.0, abs=2 * h)


@pytest.mark.parametrize("name", NON_LINEARITIES)
def test_non_linearities_never_fall(name):
    assert (np.diff(NON_LINEARITIES[name](np.linspace(-4, 4, 401))) >= 0).all()


def test_rectified_is_silent_below_zero():
    assert NON_LINEARITIES["rectified"](np.array([-3.0, -1e-9])).tolist() == [0.0, 0.0]
