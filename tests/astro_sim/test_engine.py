"""The Brian2 engine: targets, reproducibility, order of convergence, blow-ups, interrupts."""

import functools
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor

import brian2
import numpy as np
import pytest

import astro_sim
from astro_sim.biophysical import engine, process
from astro_sim.biophysical.engine import Session, TargetWarning, values
from astro_sim.common.errors import NumericalError

pytestmark = pytest.mark.biology

STANDALONE = pytest.param("cpp_standalone", marks=pytest.mark.slow)  # compiles whole programs


def g_chi(**settings):
    given = {"duration": 3.0, "interval": 0.01, **settings}
    return astro_sim.simulate("calcium", "biophysical", **given)


@pytest.fixture(scope="module")
def by_target():
    """One run a target, made when it is first asked for."""
    return functools.cache(lambda target: g_chi(target=target, seed=1))


@pytest.mark.parametrize("target", ["cython", STANDALONE])
def test_targets_agree_before_the_first_release(by_target, target):
    first = 2.44  # C crosses its threshold at 2.443 s
    for name in ("C", "I", "h", "Gamma_A"):
        compiled, plain = (by_target(each)[name].sel(time=slice(0, first)).values for each in (target, "numpy"))
        np.testing.assert_allclose(compiled, plain, rtol=1e-9, atol=1e-12)  # atol: what is 0 at rest


@pytest.mark.parametrize("target", ["numpy", "cython", STANDALONE])
def test_the_same_seed_and_target_give_the_same_bytes(target, by_target, tmp_path):
    again = g_chi(target=target, seed=1)
    for name, run in (("one", by_target(target)), ("two", again)):
        astro_sim.write(run, tmp_path / f"{name}.nc")
    assert (tmp_path / "one.nc").read_bytes() == (tmp_path / "two.nc").read_bytes()


def test_noise_repeats_with_the_seed_on_standalone_too():
    one, two, other = (g_chi(target="cpp_standalone", noise=1.0, duration=0.5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one["h"].values, two["h"].values)
    assert not np.array_equal(one["h"].values, other["h"].values)


@functools.cache
def final_state(method, dt, duration=1.0):
    """State of a strongly driven unit after ``duration`` seconds without an event."""
    p = process.ProcessParameters(dt=dt, method=method, target="numpy", rho_c=1e-5)  # a low bound on dt
    with Session(p, 0) as session:
        units = process.build_units(session, p, 1)
        process.set_states(units, I_bias=1.25, I=1.0, Y_S=20.0, G_A=5.0, x_S=0.4, u_S=0.5)
        traces = session.record(units, ["C", "I", "h", "Gamma_A", "Y_S", "Gamma_S", "x_S", "u_S", "x_A"], duration / 2)
        session.run(duration, [units])
        return np.array([values(traces, name, "1")[1, 0] for name in ("C", "I", "h", "Gamma_A", "Gamma_S", "x_S")])


@pytest.mark.parametrize(
    ("method", "order", "steps"), [("rk4", 4, (8e-3, 4e-3)), ("rk2", 2, (4e-3, 2e-3)), ("euler", 1, (2e-3, 1e-3))]
)
def test_order_of_convergence_between_events(method, order, steps):
    exact = final_state("rk4", 2.5e-4, 0.8)
    coarse, fine = (np.abs(final_state(method, dt, 0.8) - exact).max() for dt in steps)
    # Halving the step divides the error by 2^order; higher orders of the expansion still show at these steps
    assert np.log2(coarse / fine) == pytest.approx(order, abs=0.35)


HELD = {**process.LI_RINZEL, "knockouts": ["calcium"], "noise": 0.3, "target": "numpy"}


def noisy_gate(dt, duration, count, **settings):
    """h of cells at the end (after one step more), the normal numbers that moved it, and the constants."""
    p = process.ProcessParameters(**{**HELD, "dt": dt, **settings})
    with Session(p, 7) as session:
        cells = process.build_cells(session, p, count)
        process.set_states(cells, C=0.1, I=0.4, h=0.2)
        session.run(duration)
        h, c = cells.h_[:], cells.C_[:] / process.UM
    drawn = np.random.RandomState(7)
    return h, c, np.array([drawn.standard_normal(count) for _ in range(round(duration / dt) + 1)]), p


def test_the_noisy_gate_is_exact_while_calcium_is_held():
    """h_inf - h is then a geometric Brownian motion, known for the very noise that was drawn."""
    h, _, normal, p = noisy_gate(0.04, 8.0, 500)
    q_2 = p.d_2 * (0.4 + p.d_1) / (0.4 + p.d_3)
    tau, h_inf = 1 / (p.O_2 * (q_2 + 0.1)), q_2 / (q_2 + 0.1)
    w = np.sqrt(p.dt) * normal.sum(axis=0)
    exact = h_inf - (h_inf - 0.2) * np.exp(-len(normal) * p.dt / tau - p.noise * w / np.sqrt(tau))
    free = exact > 0.01  # those that never met the bound at 0
    assert free.mean() > 0.9
    # RK4 in the drift, whose step is dt/tau = 0.004: 1e-12; a path that touched 0 and came back is off by more
    assert np.quantile(np.abs(h - exact)[free], 0.9) < 1e-9


def test_noise_that_vanishes_gives_the_quiet_run():
    quiet, almost = (
        astro_sim.simulate("stp", "biophysical", protocol="test", modulations=["weak"], noise=noise)["r_S"].values
        for noise in (0.0, 1e-9)
    )
    np.testing.assert_allclose(almost, quiet, rtol=1e-6)


@pytest.mark.parametrize("target", ["numpy", STANDALONE])
def test_a_blow_up_stops_the_run_and_names_variable_and_time(target):
    with pytest.raises(NumericalError, match=r"^[CI] of cell_chi left the finite numbers by 1[0-9.]* s; try a"):
        astro_sim.simulate(
            "calcium", preset="fm", levels=[1e308], duration=60.0, transient=0.0, onset=1.0, O_3K=0.0, target=target
        )


def test_a_blow_up_is_heard_long_before_the_end(monkeypatch):
    asked = []
    monkeypatch.setattr(engine.Progress, "advance", lambda self, steps=1, note="": asked.append(steps))
    with pytest.raises(NumericalError):
        astro_sim.simulate(
            "calcium", preset="fm", levels=[1e308], duration=60.0, transient=0.0, onset=1.0, O_3K=0.0, target="numpy"
        )
    assert len(asked) < engine.CHECKS / 2


def test_without_a_compiler_numpy_runs_and_one_line_says_so(monkeypatch, by_target):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.warns(TargetWarning, match="^no C compiler found: Brian2 runs on numpy, several times slower$") as seen:
        run = g_chi()
    assert len(seen) == 1
    np.testing.assert_array_equal(run["C"].values, by_target("numpy")["C"].values)


def test_the_target_of_the_machine_is_cython():
    assert engine.choose_target("auto") == "cython"
    assert engine.choose_target("numpy") == "numpy"


@pytest.mark.parametrize("target", ["numpy", STANDALONE])
def test_nothing_is_left_behind(target, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    before = brian2.prefs["codegen.target"], brian2.defaultclock.dt
    g_chi(target=target, duration=0.1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert (brian2.prefs["codegen.target"], brian2.defaultclock.dt) == before
    assert type(brian2.get_device()).__name__ == "RuntimeDevice"
    assert [path for path in tmp_path.iterdir() if path.name.startswith("astro_sim-")] == []


def test_an_interrupt_is_no_result():
    p = process.ProcessParameters(target="numpy")
    with Session(p, 0) as session:
        units = process.build_units(session, p, 1)
        session.add(brian2.NetworkOperation(brian2.stop, dt=100 * brian2.ms))
        with pytest.raises(KeyboardInterrupt):
            session.run(1.0, [units])


def test_sessions_in_threads_take_turns(by_target):
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda target: g_chi(target=target, seed=1), ["numpy", "cython"]))
    for target, run in zip(["numpy", "cython"], runs, strict=True):
        np.testing.assert_array_equal(run["C"].values, by_target(target)["C"].values)


def test_samples_come_before_the_events_of_their_time():
    p = process.ProcessParameters(target="numpy")
    with Session(p, 0) as session:
        units = process.build_units(session, p, 1)
        process.connect_spikes(session, session.spikes("stimulus", 1, np.zeros(1), np.array([0.01])), units)
        traces = session.record(units, ["u_S", "x_S"], 0.001)
        session.run(0.02, [units])
        time, u = traces.t_[:], values(traces, "u_S", "1")[:, 0]
    assert len(time) == 21  # both ends
    assert not u[:11].any()
    assert u[11] == pytest.approx(0.6 * np.exp(-3.33e-3), rel=1e-9)  # the spike acted at 10 ms, not a step later


def test_openmp_threads_are_used_when_asked_for():
    run = g_chi(target="cpp_standalone", threads=2, duration=0.5)
    np.testing.assert_allclose(run["C"].values, g_chi(duration=0.5)["C"].values, rtol=1e-9, atol=1e-12)
