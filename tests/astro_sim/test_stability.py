"""When p^s may latch: the condition at construction against the reference equations' Jacobian, and runs."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import astro_sim
from astro_sim.macro.equations import MacroState, derivative
from astro_sim.macro.geometry import positions
from astro_sim.macro.model import LatchingWarning, MacroModel
from astro_sim.macro.parameters import MacroParameters


def growth_rate(model):
    """Largest real part among the eigenvalues of the Jacobian at rest, by central differences."""
    n, size = model.parameters.n, 2 * model.parameters.n + 3 * model.parameters.n**2

    def slope(y):
        still = np.zeros(n)
        return derivative(MacroState.unpack(y, n), still, still, model.coupling, model.parameters).pack()

    h = 1e-5
    columns = [(slope(h * e) - slope(-h * e)) / (2 * h) for e in np.eye(size)]
    return np.linalg.eigvals(np.column_stack(columns)).real.max()


@settings(max_examples=60)
@given(
    layout=st.sampled_from(["grid", "line", "equidistant", "ring"]),
    n=st.integers(1, 3),
    beta=st.floats(0, 4),
    gamma_s=st.floats(0, 4),
    coupling=st.floats(0, 4),
    tau_s=st.floats(0.1, 5),
    tau_p_s=st.floats(0.1, 5),
    knockouts=st.sampled_from([(), (), ("receptors",), ("gliotransmission",), ("gap_junctions",)]),
)
def test_the_warning_comes_exactly_when_rest_is_unstable(layout, n, **parameters):
    p = MacroParameters(n=n, **parameters)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        model = MacroModel(p, positions(layout, n, np.random.default_rng(0)))
    rate = growth_rate(model)
    assume(abs(rate) > 1e-6)  # the differences know the rate to about 1e-9
    assert [w.category for w in raised] == ([LatchingWarning] if rate > 0 else [])
    assert model.rests == (rate < 0)


def test_clamped_calcium_cannot_latch():
    p = MacroParameters(coupling=4.0, dt=0.001, knockouts=("calcium",))
    assert MacroModel(p, positions("grid", 3, np.random.default_rng(0))).rests  # with all else it would


@pytest.mark.parametrize(("beta", "gamma_s"), [(2.0, 2.0), (0.5, 3.0), (100.0, 1.0)])
def test_the_condition_turns_where_the_loop_gain_is_one(beta, gamma_s):
    critical = gamma_s - 1 / beta  # rho(T) of a uniform layout is its row sum
    at = positions("equidistant", 2, np.random.default_rng(0))
    p = MacroParameters(n=2, beta=beta, gamma_s=gamma_s, coupling=0.999 * critical, dt=0.001)
    assert MacroModel(p, at).rests
    with pytest.warns(LatchingWarning, match="may latch"):
        assert not MacroModel(p.replace(coupling=1.001 * critical), at).rests


def test_spectral_radius_of_a_uniform_layout_is_its_row_sum():
    model = MacroModel(MacroParameters(coupling=0.8), positions("equidistant", 3, np.random.default_rng(0)))
    assert model.spectral_radius == pytest.approx(0.8, rel=1e-13)  # eigvalsh of a 9 x 9 matrix


LONG = {"layouts": ["equidistant"], "tau_cycle": 120.0, "duty": 0.05}  # 6 s of input, 114 s of rest


def test_a_run_that_was_warned_about_stays_up():
    # gamma_s = beta = 2 need rho(T) < 1.5
    with pytest.warns(LatchingWarning, match=r"gamma_s = 2, beta = 2, rho\(T\) = 1.6\): p\^s may latch"):
        run = astro_sim.simulate("stp", coupling=1.6, **LONG)
    # All processes alike: gamma p = rho tanh p + tanh s with beta s = tanh p. Slow modes leave a percent.
    assert run["p_s"].isel(time=-1).values == pytest.approx(_upper_fixed_point(1.6), rel=0.02)
    assert _upper_fixed_point(1.6) > 0.3


def test_a_run_that_was_not_warned_about_returns():
    run = astro_sim.simulate("stp", coupling=1.4, **LONG)
    assert run["p_s"].max() > 0.5
    assert run["p_s"].isel(time=-1).max() < 0.01


def test_the_preset_is_back_below_a_twentieth_at_the_end_of_its_cycle(stp):
    # the preset's design: peaks near 0.27 and back at 0.02; the uniform layouts couple most and come to 0.29 and 0.032
    assert stp["p_s"].max() == pytest.approx(0.28, abs=0.02)
    assert stp["p_s"].isel(time=-1).max() < 0.05


def _upper_fixed_point(rho, gamma=2.0, beta=2.0):
    low, high = 0.05, 3.0
    for _ in range(60):
        p = 0.5 * (low + high)
        rising = rho * np.tanh(p) + np.tanh(np.tanh(p) / beta) - gamma * p > 0
        low, high = (p, high) if rising else (low, p)
    return low
