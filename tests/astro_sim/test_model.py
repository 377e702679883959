"""The model as an object: sampling, the bound on the step, blow-ups."""

import numpy as np
import pytest

from astro_sim.common.errors import InputError, NumericalError
from astro_sim.macro.geometry import positions
from astro_sim.macro.model import LatchingWarning, MacroModel
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.stimuli import square_wave

ON = np.ones(3)


def model(layout="grid", **parameters):
    p = MacroParameters(**parameters)
    return MacroModel(p, positions(layout, p.n, np.random.default_rng(0)))


def test_samples_do_not_depend_on_the_sampling_interval():
    wave = square_wave(2, 1.0, 0.5, ON, ON)
    coarse, fine = model().run(wave, 0.5), model().run(wave, 0.1)
    at = np.searchsorted(fine.time, coarse.time - 1e-9)
    np.testing.assert_array_equal(coarse.time, fine.time[at])
    # Samples cut stretches into other steps: the solver's own error, below (dt/tau_n)^4 / 120 = 1e-6
    np.testing.assert_allclose(coarse.state.p_s, fine.state.p_s[at], rtol=0, atol=1e-7)


def test_a_run_can_be_continued_from_its_final_state():
    wave, half = square_wave(2, 1.0, 0.5, ON, ON), square_wave(1, 1.0, 0.5, ON, ON)
    m = model()
    np.testing.assert_array_equal(m.run(half, 0.5, start=m.run(half, 0.5).final).final, m.run(wave, 0.5).final)


def test_inputs_are_those_in_force_after_each_sample():
    run = model().run(square_wave(1, 1.0, 0.5, ON, 2 * ON), 0.25)
    assert run.input_pre[:, 0].tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert run.input_post[:, 2].tolist() == [2.0, 2.0, 0.0, 0.0, 0.0]


CASES = [{}, {"tau_p_l": 0.01}, {"tau_s": 0.05, "tau_p_s": 0.05, "coupling": 0.0}, {"n": 6, "tau_s": 0.05}]


@pytest.mark.parametrize(("method", "limit", "size"), [("rk4", 2.78, 0.3), ("euler", 2.0, 1.5)])
@pytest.mark.parametrize("parameters", CASES)
def test_the_largest_step_allowed_is_stable(parameters, method, limit, size):
    """A step beyond the bound is refused; just below it a long run stays near the accurate one."""
    with pytest.raises(InputError, match=r"dt: expected at most 0\.\d+ s, where the solver turns unstable, got 1 s"):
        model(**parameters, method=method, dt=1.0)
    fine = model(**parameters, dt=0.002)
    bound = limit / fine.fastest_rate
    with pytest.raises(InputError, match="turns unstable"):
        model(**parameters, method=method, dt=1.001 * bound)
    on = np.ones(fine.parameters.n)
    wave = square_wave(1, 60 * bound, 0.5, on, on)
    coarse = model(**parameters, method=method, dt=0.999 * bound).run(wave, 20 * bound)
    exact = fine.run(wave, 20 * bound)
    for name in ("x_pre", "x_post", "s", "p_s", "p_l"):
        # At the bound a mode is barely damped, yet never amplified: errors stay near the state's size, 1, or below.
        assert np.abs(getattr(coarse.state, name) - getattr(exact.state, name)).max() < size


def test_the_bound_sees_fast_processes_that_excite_each_other():
    """s and p^s with equal leaks beta / tau have a mode at (beta + 1) / tau; leaks alone would allow it.

    At this step the run would neither be accurate nor leave the finite numbers (tanh bounds it).
    """
    dt = 0.9 * 2.78 / (2.0 / 0.05)
    with pytest.raises(InputError, match="turns unstable"):
        model(tau_n=1.0, tau_s=0.05, tau_p_s=0.05, coupling=0.0, dt=dt)


def test_a_blow_up_names_a_variable_and_the_time():
    """Linear and silent, the uniform mode grows at the larger root of the loop between s and p^s."""
    p = dict.fromkeys(("phi", "g", "theta", "psi", "kappa"), "linear") | {"coupling": 42.0, "n": 2}
    with pytest.warns(LatchingWarning):
        m = model("equidistant", **p)
    loop = np.array([[-2.0 / 0.5, 1 / 0.5], [1 / 2.0, (42.0 - 2.0) / 2.0]])  # leaks 2, time constants 0.5 and 2 s
    rate = np.linalg.eigvals(loop).max()
    start = np.append(np.zeros(8), np.append(np.ones(4), np.zeros(4)))  # p^s = 1, all else at rest
    silence = square_wave(1, 60.0, 0.5, 0 * ON[:2], 0 * ON[:2])
    with pytest.raises(NumericalError, match=r"^(x_post|s|p_s) left the finite numbers at \d+\.?\d* s; ") as caught:
        m.run(silence, 0.1, start=start)
    assert isinstance(caught.value, InputError)
    time = float(str(caught.value).split(" at ")[1].split(" s;")[0])
    # exp(rate t) passes the largest double; a stage, rate times larger, does so log(rate)/rate before
    assert np.log(np.finfo(float).max) / rate == pytest.approx(time, abs=0.1 + np.log(rate) / rate)


def test_positions_of_another_size_are_refused():
    with pytest.raises(InputError, match=r"expected 9 rows of coordinates for n = 3, got shape \(2, 2, 2\)"):
        MacroModel(MacroParameters(), positions("grid", 2, np.random.default_rng(0)))
