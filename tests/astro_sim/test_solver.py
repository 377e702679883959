"""The compiled solver against scipy's adaptive integrator, a matrix exponential and its own order."""

import time

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from astro_sim.macro import geometry, solver
from astro_sim.macro.equations import NON_LINEARITIES, MacroState, derivative
from astro_sim.macro.geometry import coupling
from astro_sim.macro.model import MacroModel
from astro_sim.macro.parameters import KNOCKOUTS, MacroParameters
from astro_sim.macro.solver import Problem, integrate, integrate_many
from astro_sim.macro.stimuli import square_wave

N = 2
TIMES = np.array([0.0, 0.4, 0.55, 1.3])  # stretches of unequal length, none a multiple of dt


def scipys(start, times, inputs, T, p):
    """Reference `derivative`, stretch by stretch, so that no edge of the input lies inside a step."""
    out = [start]
    for k, u in enumerate(inputs):

        def slope(_, y, u=u):
            return derivative(MacroState.unpack(y, p.n), u[: p.n], u[p.n :], T, p).pack()

        span = (times[k], times[k + 1])
        found = solve_ivp(slope, span, out[-1], method="DOP853", rtol=1e-11, atol=1e-13)
        out.append(found.y[:, -1])
    return np.array(out)


def random_problem(rng):
    T = coupling(rng.uniform(0, 2, size=(N, N, 2)), 1.3, 0.8)
    return 0.5 * rng.normal(size=2 * N + 3 * N**2), rng.normal(size=(len(TIMES) - 1, 2 * N)), T


def compare(p, rng):
    start, inputs, T = random_problem(rng)
    got = integrate(start, TIMES, inputs, T, p)
    # A kink costs order in the one step that holds it. Measured: 3e-11 smooth, 7e-10 with softsign (second
    # derivative jumps at 0), 4e-9 with rectified (its first does).
    used = {p.phi, p.g, p.theta, p.psi, p.kappa}
    atol = 2e-8 if "rectified" in used else 3e-9 if "softsign" in used else 1e-10
    np.testing.assert_allclose(got, scipys(start, TIMES, inputs, T, p), rtol=0, atol=atol)


@pytest.mark.parametrize("dynamics", ["linear", "bounded"])
@pytest.mark.parametrize("name", NON_LINEARITIES)
def test_solver_equals_scipy_for_every_non_linearity(name, dynamics, rng):
    one = dict.fromkeys(("phi", "g", "theta", "psi", "kappa"), name)
    compare(MacroParameters(n=N, dt=0.00025, b=0.1, c=0.05, d=-0.1, ltp_dynamics=dynamics, **one), rng)


@pytest.mark.parametrize("turn", range(4))
def test_solver_equals_scipy_when_every_role_has_another_non_linearity(turn, rng):
    names = np.roll([*NON_LINEARITIES, "tanh"], turn)  # four rotations put every shape in most roles
    roles = dict(zip(("phi", "g", "theta", "psi", "kappa"), map(str, names), strict=True))
    leaks = {"lambda_": 1.2, "beta": 1.7, "gamma_s": 2.3, "gamma_l": 0.6, "tau_p_l": 3.0}
    compare(MacroParameters(n=N, dt=0.00025, **leaks, **roles), rng)


@pytest.mark.parametrize(("method", "order"), [("rk4", 4.0), ("euler", 1.0)])
def test_solver_has_the_order_of_its_method_between_edges(method, order, rng):
    start, inputs, T = random_problem(rng)
    times = np.array([0.0, 0.8, 1.6])  # multiples of every dt below, so that the steps halve exactly
    p = MacroParameters(n=N, tau_n=0.2, method=method)
    exact = scipys(start, times, inputs[:2], T, p)
    errors = []
    for dt in (0.02, 0.01, 0.005):
        got = integrate(start, times, inputs[:2], T, p.replace(dt=dt))
        errors.append(np.abs(got - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    # The next term of the error is smaller by dt / tau_n = 0.1, then 0.05.
    assert orders == pytest.approx([order, order], abs=0.2)
    assert errors[-1] > 1e-10  # still above scipy's own error, 1e-11


def test_solver_equals_the_matrix_exponential_where_the_model_is_linear(rng):
    # With silent neurons nothing multiplies: (s, p^s, p^l) obey a linear system with constant input c and d.
    p = MacroParameters(n=N, c=0.3, d=-0.2, psi="linear", kappa="linear", tau_p_l=5.0, dt=0.01)
    T = coupling(rng.uniform(0, 2, size=(N, N, 2)), 1.0, 0.9)
    k, one, zero = N * N, np.eye(N * N), np.zeros((N * N, N * N))
    matrix = np.block(
        [
            [-p.beta / p.tau_s * one, one / p.tau_s, zero],
            [one / p.tau_p_s, (T.reshape(k, k) - p.gamma_s * one) / p.tau_p_s, zero],
            [one / p.tau_p_l, zero, -p.gamma_l / p.tau_p_l * one],
        ]
    )
    constant = np.repeat([p.c / p.tau_s, p.d / p.tau_p_s, 0.0], k)
    widened = np.zeros((3 * k + 1, 3 * k + 1))  # an input is a state that stays 1
    widened[:-1, :-1], widened[:-1, -1] = matrix, constant
    start = rng.normal(size=3 * k)
    got = integrate(np.append(np.zeros(2 * N), start), np.array([0.0, 2.0]), np.zeros((1, 2 * N)), T, p)
    exact = (expm(2.0 * widened) @ np.append(start, 1.0))[:-1]
    # RK4 with h * rate = 0.01 * 6: error about 0.06^4 / 120 = 1e-7 of the fastest mode, long decayed
    np.testing.assert_allclose(got[-1, 2 * N :], exact, rtol=0, atol=1e-8)
    assert not got[-1, : 2 * N].any()


def test_no_step_is_longer_than_dt_and_every_stretch_ends_on_time(rng):
    # Splitting a stretch where steps already end changes nothing, bit for bit.
    start, inputs, T = random_problem(rng)
    p = MacroParameters(n=N, dt=0.25)
    p = p.replace(tau_n=1.0)
    whole = integrate(start, np.array([0.0, 1.0]), inputs[:1], T, p)
    parts = integrate(start, np.array([0.0, 0.25, 0.5, 1.0]), inputs[[0, 0, 0]], T, p)
    np.testing.assert_array_equal(whole[-1], parts[-1])


def test_holding_ltp_stops_the_slow_variable_and_nothing_else(rng):
    start, inputs, T = random_problem(rng)
    p = MacroParameters(n=N)
    free = MacroState.unpack(integrate(start, TIMES, inputs, T, p), N)
    held = MacroState.unpack(integrate(start, TIMES, inputs, T, p, hold_ltp=True), N)
    for name in ("x_pre", "x_post", "s", "p_s"):
        np.testing.assert_array_equal(getattr(held, name), getattr(free, name))
    np.testing.assert_array_equal(held.p_l, np.broadcast_to(held.p_l[0], held.p_l.shape))
    assert (free.p_l[-1] != free.p_l[0]).all()


def test_the_start_is_not_overwritten(rng):
    start, inputs, T = random_problem(rng)
    before = start.copy()
    integrate(start, TIMES, inputs, T, MacroParameters(n=N))
    np.testing.assert_array_equal(start, before)


def test_blocks_change_nothing(monkeypatch):
    """Long runs are integrated block by block, so that they can be interrupted: to the bit the same."""
    model = MacroModel(MacroParameters(), geometry.positions("grid", 3, np.random.default_rng(0)))
    stimulus = square_wave(3, 10.0, 0.5, np.ones(3), np.ones(3))
    whole = model.run(stimulus, 0.5)
    monkeypatch.setattr(solver, "BLOCK", 137)
    parts = model.run(stimulus, 0.5)
    np.testing.assert_array_equal(parts.final, whole.final)
    np.testing.assert_array_equal(parts.state.p_s, whole.state.p_s)


def test_one_euler_step_is_the_reference_derivative(rng):
    start, inputs, T = random_problem(rng)
    p = MacroParameters(n=N, method="euler", dt=0.01)
    slope = derivative(MacroState.unpack(start, N), inputs[0, :N], inputs[0, N:], T, p).pack()
    got = integrate(start, np.array([0.0, 0.01]), inputs[:1], T, p)[1]
    # sums of up to six terms of order 1/tau_n = 20, times dt, in another order and with rates for quotients
    np.testing.assert_allclose(got, start + 0.01 * slope, rtol=0, atol=1e-14)


@pytest.mark.parametrize("method", ["rk4", "euler"])
@pytest.mark.parametrize("dynamics", ["linear", "bounded"])
@pytest.mark.parametrize("knockout", [(), *[(name,) for name in KNOCKOUTS], KNOCKOUTS[1:]])
def test_knock_outs_are_those_of_the_reference_equations(knockout, dynamics, method, rng):
    """One step, so that the comparison is with the right-hand side alone."""
    start, inputs, T = random_problem(rng)
    p = MacroParameters(n=N, method=method, dt=0.01, ltp_dynamics=dynamics, knockouts=knockout, c=0.1, d=0.2)

    def slope(y):
        return derivative(MacroState.unpack(y, N), inputs[0, :N], inputs[0, N:], T, p).pack()

    k1 = slope(start)
    k2 = slope(start + 0.005 * k1)
    k3 = slope(start + 0.005 * k2)
    k4 = slope(start + 0.01 * k3)
    step = k1 if method == "euler" else (k1 + 2 * k2 + 2 * k3 + k4) / 6
    got = integrate(start, np.array([0.0, 0.01]), inputs[:1], T, p)[1]
    np.testing.assert_allclose(got, start + 0.01 * step, rtol=0, atol=1e-14)  # as above


def different_problems(rng, count, own_coupling=True, **parameters):
    """Problems of one kind that differ in everything that a lane may have for itself."""
    problems = []
    for _ in range(count):
        start, inputs, T = random_problem(rng)
        if problems and not own_coupling:
            T = problems[0].coupling
        leaks = dict(zip(("beta", "gamma_s", "gamma_l", "tau_s", "b", "c"), rng.uniform(0.5, 2.0, 6), strict=True))
        problems.append(Problem(start, TIMES, inputs, T, MacroParameters(n=N, **leaks, **parameters)))
    return problems


@pytest.mark.parametrize("own_coupling", [True, False])
@pytest.mark.parametrize("method", ["rk4", "euler"])
def test_a_problem_gives_the_same_bits_alone_and_at_every_place_among_others(method, own_coupling, rng):
    problems = different_problems(rng, 19, own_coupling, method=method)  # two full blocks and a part of one
    alone = [integrate_many([problem])[0] for problem in problems]
    for order in (np.arange(19), rng.permutation(19), rng.permutation(19)):
        together = integrate_many([problems[k] for k in order])
        for k, got in zip(order, together, strict=True):
            np.testing.assert_array_equal(got, alone[k])


def test_a_lane_that_blows_up_leaves_its_neighbours_alone(rng):
    problems = different_problems(rng, 8)
    wild = Problem(np.full_like(problems[3].start, np.nan), *[getattr(problems[3], k) for k in ("times", "inputs")],
                   problems[3].coupling, problems[3].parameters)  # fmt: skip
    together = integrate_many([*problems[:3], wild, *problems[4:]])
    assert np.isnan(together[3]).all()
    for k in (0, 1, 2, 4, 5, 6, 7):
        np.testing.assert_array_equal(together[k], integrate_many([problems[k]])[0])


def test_problems_of_different_kinds_are_solved_in_one_call(rng):
    start, inputs, T = random_problem(rng)
    kinds = [{}, {"dt": 0.002}, {"psi": "softsign"}, {"method": "euler"}, {"ltp_dynamics": "bounded"}]
    kinds += [{"knockouts": (name,)} for name in KNOCKOUTS]
    problems = [Problem(start, TIMES, inputs, T, MacroParameters(n=N, **kind)) for kind in kinds]
    problems.append(Problem(start, TIMES, inputs, T, MacroParameters(n=N), hold_ltp=True))
    problems.append(Problem(start, TIMES[:3], inputs[:2], T, MacroParameters(n=N)))
    assert len({problem.kind for problem in problems}) == len(problems)
    for problem, got in zip(problems, integrate_many(problems), strict=True):
        np.testing.assert_array_equal(got, integrate_many([problem])[0])


def test_large_couplings_are_not_copied_for_every_lane(rng, monkeypatch):
    """Beyond a size, only problems that share T go side by side; the results stay the same."""
    problems = different_problems(rng, 5)
    problems += [Problem(p.start, p.times, 2 * p.inputs, p.coupling.copy(), p.parameters) for p in problems]
    before = integrate_many(problems)
    monkeypatch.setattr(solver, "OWN_COUPLING_BYTES", 0)
    assert sorted(solver._blocks(problems)) == [[k, k + 5] for k in range(5)]
    for got, expected in zip(integrate_many(problems), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_an_interrupt_ends_all_threads_soon(rng, monkeypatch):
    calls = []

    def advance(*_):
        calls.append(None)
        if len(calls) == 5:
            raise KeyboardInterrupt
        time.sleep(1e-3)  # gives the interpreter to the other threads, as the compiled kernel does

    monkeypatch.setattr(solver, "advance", advance)
    monkeypatch.setattr(solver, "BLOCK", 1)
    problems = [Problem(p.start, np.array([0.0, 100.0]), p.inputs[:1], p.coupling, p.parameters)
                for p in different_problems(rng, 40)]  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        integrate_many(problems)
    assert len(calls) < 1000  # of five blocks of thousands of calls each


def test_no_problems_no_results():
    assert integrate_many([]) == []
