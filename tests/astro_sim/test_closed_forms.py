"""What can be said with pen and paper: decoupled processes, and p^l under constant facilitation."""

import numpy as np
import pytest

from astro_sim.macro.equations import NON_LINEARITIES, MacroState
from astro_sim.macro.geometry import positions
from astro_sim.macro.model import MacroModel
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.stimuli import Stimulus, square_wave

ON = np.ones(3)


def model(layout="grid", seed=0, **parameters):
    p = MacroParameters(**parameters)
    return MacroModel(p, positions(layout, p.n, np.random.default_rng(seed)))


def constant(duration):
    return Stimulus(np.array([0.0, duration]), ON[None], ON[None])


def test_without_coupling_positions_do_not_matter():
    wave = square_wave(2, 10.0, 0.5, ON, 0.5 * ON)
    one, other = (model("random", seed, coupling=0.0).run(wave, 1.0) for seed in (1, 2))
    for a, b in zip(one.state, other.state, strict=True):
        np.testing.assert_array_equal(a, b)
    one, other = (model("random", seed).run(wave, 1.0) for seed in (1, 2))
    assert (one.state.p_s[-1] != other.state.p_s[-1]).any()


def test_without_coupling_another_neurons_drive_does_not_matter():
    # Postsynaptic neuron 2 touches the synapses (2, .) alone, unless calcium spreads.
    full, less = square_wave(1, 10.0, 0.5, ON, ON), square_wave(1, 10.0, 0.5, ON, np.array([1.0, 1.0, 0.0]))
    alone = model(coupling=0.0)
    a, b = alone.run(full, 1.0).state, alone.run(less, 1.0).state
    for name in ("s", "p_s", "p_l"):
        np.testing.assert_array_equal(getattr(a, name)[:, :2], getattr(b, name)[:, :2])
        assert (getattr(a, name)[-1, 2] != getattr(b, name)[-1, 2]).all()
    a, b = model().run(full, 1.0).state, model().run(less, 1.0).state
    assert (a.p_s[-1, :2] > b.p_s[-1, :2]).all()


def test_without_coupling_calcium_stays_where_it_is():
    start = MacroState(np.zeros(3), np.zeros(3), *np.zeros((3, 3, 3)))
    start.p_s[1, 1] = 1.0
    silence = Stimulus(np.array([0.0, 5.0]), np.zeros((1, 3)), np.zeros((1, 3)))
    elsewhere = np.ones((3, 3), bool)
    elsewhere[1, 1] = False
    alone = model(coupling=0.0).run(silence, 1.0, start.pack()).state
    assert not alone.p_s[:, elsewhere].any()
    assert (model().run(silence, 1.0, start.pack()).state.p_s[1:, elsewhere] > 0).all()


@pytest.mark.parametrize("kappa", NON_LINEARITIES)
@pytest.mark.parametrize("dynamics", ["linear", "bounded"])
def test_ltp_relaxes_exponentially_under_constant_facilitation(dynamics, kappa):
    """p^l = kappa(s) / r (1 - exp(-r t / tau_p^l)) where r = gamma^l, or gamma^l + kappa(s) if bounded."""
    m = model(ltp_dynamics=dynamics, kappa=kappa, gamma_l=0.7, tau_p_l=20.0)
    # 200 s bring s and p^s to rest under the input: the slowest of their modes decays at 0.2 / s or faster
    settled = m.run(constant(200.0), 200.0, hold_ltp=True).final
    run = m.run(constant(60.0), 5.0, start=settled)
    s = MacroState.unpack(settled, 3).s
    np.testing.assert_allclose(run.state.s, np.broadcast_to(s, run.state.s.shape), rtol=1e-12)
    drive = NON_LINEARITIES[kappa](s)
    rate = 0.7 + drive if dynamics == "bounded" else 0.7
    exact = drive / rate * -np.expm1(-rate * run.time[:, None, None] / 20.0)
    # RK4 on this one rate errs by (dt r / tau)^4 = 1e-15 a step; what is left is how constant s is
    np.testing.assert_allclose(run.state.p_l, exact, rtol=1e-10)


def test_a_lone_process_under_constant_input_reaches_the_balance_of_its_equation():
    p = MacroParameters(n=1)
    run = MacroModel(p, np.zeros((1, 1, 2))).run(Stimulus(np.array([0.0, 200.0]), ON[:1, None], ON[:1, None]), 200.0)
    x, y, s, p_s, _ = (part[-1].item() for part in run.state)
    # 200 s are 100 time constants of the slowest of these four
    assert x == pytest.approx(1.0, rel=1e-12)
    assert y == pytest.approx(1.0 + np.tanh(s) * np.tanh(1.0), rel=1e-12)
    assert 2.0 * s == pytest.approx(np.tanh(x) * np.tanh(y) + np.tanh(p_s), rel=1e-12)
    assert 2.0 * p_s == pytest.approx(np.tanh(s), rel=1e-12)
