"""Knock-outs on the macro model: what is blocked does nothing, and the rest follows its own closed form."""

import numpy as np
import pytest

import astro_sim
from astro_sim.macro.equations import MacroState
from astro_sim.macro.geometry import positions
from astro_sim.macro.model import MacroModel
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.solver import integrate
from astro_sim.macro.stimuli import Stimulus, square_wave

ON = np.ones(3)
WAVE = square_wave(2, 10.0, 0.5, ON, 0.7 * ON)


def model(*knockouts, **parameters):
    p = MacroParameters(knockouts=knockouts, **parameters)
    return MacroModel(p, positions("grid", p.n, np.random.default_rng(0)))


def test_clamped_calcium_stays_at_zero():
    state = model("calcium").run(WAVE, 0.5).state
    assert not state.p_s.any()
    assert not state.p_l.any()
    assert (state.s[1:] > 0).all()


def test_without_calcium_facilitation_relaxes_exponentially_under_constant_activity():
    """s = theta theta / beta (1 - exp(-beta t / tau_s)): nothing comes back from the astrocyte."""
    m = model("calcium")
    n, x = 3, 0.8
    # Neurons so slow that their activity stays where it starts
    start = MacroState(np.full(n, x), np.full(n, x), *np.zeros((3, n, n)))
    still = Stimulus(np.array([0.0, 2.0]), np.zeros((1, n)), np.zeros((1, n)))
    slow = MacroModel(m.parameters.replace(tau_n=1e9), m.positions)
    run = slow.run(still, 0.25, start.pack())
    exact = np.tanh(x) ** 2 / 2.0 * -np.expm1(-2.0 * run.time / 0.5)
    # RK4: h rate = 0.02, error below 0.02^4 / 120 = 1.3e-9 of s; the neurons move by 2 s / 1e9 s
    np.testing.assert_allclose(run.state.s[:, 1, 2], exact, rtol=0, atol=5e-9)


def test_without_receptors_no_calcium_rises_and_what_is_there_decays_at_its_own_rate():
    m = model("receptors", coupling=0.0, gamma_l=0.7, tau_p_l=20.0)
    quiet = m.run(WAVE, 0.5).state
    assert not quiet.p_s.any()
    assert not quiet.p_l.any()
    start = MacroState(np.zeros(3), np.zeros(3), np.zeros((3, 3)), np.full((3, 3), 0.5), np.full((3, 3), 2.0))
    run = m.run(WAVE, 0.5, start.pack())
    for part, level, rate in ((run.state.p_s, 0.5, 2.0 / 2.0), (run.state.p_l, 2.0, 0.7 / 20.0)):
        exact = level * np.exp(-rate * run.time)
        # RK4 at h rate = 0.005: (h rate)^4 / 120 * rate t is below 1e-10
        np.testing.assert_allclose(part, np.broadcast_to(exact[:, None, None], part.shape), rtol=1e-9)


def test_without_gap_junctions_processes_are_as_without_coupling():
    blocked, apart = model("gap_junctions").run(WAVE, 0.5).state, model(coupling=0.0).run(WAVE, 0.5).state
    coupled = model().run(WAVE, 0.5).state
    for name in MacroState._fields:
        np.testing.assert_array_equal(getattr(blocked, name), getattr(apart, name))
    assert (coupled.p_s[-1] != blocked.p_s[-1]).all()


def test_without_gliotransmission_the_synapse_is_as_without_calcium():
    deaf, without = model("gliotransmission").run(WAVE, 0.5).state, model("calcium").run(WAVE, 0.5).state
    for name in ("x_pre", "x_post", "s"):
        np.testing.assert_array_equal(getattr(deaf, name), getattr(without, name))
    assert (deaf.p_s[1:] > 0).all()
    assert (model().run(WAVE, 0.5).state.s[-1] > deaf.s[-1]).all()


def test_calcium_is_conserved_on_a_graph_laplacian_and_deviations_decay_at_its_rate(rng):
    """psi linear, no leak, no input: T = 1 off the diagonal, -(N - 1) on it has eigenvalues 0 and -N."""
    n, processes, tau = 3, 9, 2.0
    p = MacroParameters(n=n, psi="linear", gamma_s=0.0, tau_p_s=tau, coupling=0.0, knockouts=("receptors",))
    laplacian = (np.ones((processes, processes)) - processes * np.eye(processes)).reshape(n, n, n, n)
    start = MacroState(np.zeros(n), np.zeros(n), np.zeros((n, n)), rng.uniform(0, 1, (n, n)), np.zeros((n, n)))
    times = np.linspace(0.0, 2.0, 9)
    packed = integrate(start.pack(), times, np.zeros((8, 2 * n)), laplacian, p)
    p_s = MacroState.unpack(packed, n).p_s
    total = p_s.sum(axis=(1, 2))
    # 400 steps, each with sums of nine products that cancel: 4 stages x 9 x 1e-16 of the total
    np.testing.assert_allclose(total, total[0], rtol=1e-13)
    deviation = p_s - total[0] / processes
    exact = deviation[0] * np.exp(-processes / tau * times)[:, None, None]
    # RK4: (h N / tau)^4 / 120 = 2e-9 of the rate, over N t / tau = 9 time constants
    np.testing.assert_allclose(deviation, exact, rtol=0, atol=1e-8)


@pytest.mark.parametrize("knockout", ["calcium", "receptors", "gap_junctions", "gliotransmission"])
def test_experiments_take_knock_outs(knockout):
    run = astro_sim.simulate("ltp", cycles=1, interval=1.0, knockouts=[knockout])
    assert f'"knockouts": ["{knockout}"]' in run.attrs["settings"]
    assert run["p_l"].any() == (knockout in ("gap_junctions", "gliotransmission"))
