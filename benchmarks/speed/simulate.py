"""astro_sim beside its peers: sweeps of the macro model, and astrocytes in Brian2, NEST (where installed) and scipy.

``pip install nest-simulator==3.10.0`` brings the peer that is not among our dependencies (extra "peers").
"""

import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import astro_sim
from astro_sim.biophysical import gliotransmission, process, synapse
from astro_sim.biophysical.engine import Session, values
from astro_sim.macro import geometry
from astro_sim.macro.equations import NON_LINEARITIES, rest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.solver import Problem, integrate_many
from benchmarks.registry import Benchmark, median_seconds, require

REPEATS = 3
SETS, STEPS = 1000, 100_000
NUMPY_STEPS = 500  # NumPy makes so many; its time is multiplied up
CELLS, IP3, SECONDS = 100, 0.5, 100.0
UNITS, UNIT_SECONDS, RATE = 30, 120.0, 1.0
LI_RINZEL = process.ProcessParameters(**process.LI_RINZEL, dt=0.01)


# -- 1,000 parameter sets of the macro model ------------------------------------------------------------------------
def problems(method: str, sets: int = SETS) -> list[Problem]:
    """The 9-synapse model under a square wave, one value of beta a set; T at unit scale."""
    times = np.arange(101, dtype=np.float64) * 5.0
    inputs = np.repeat([[1.0], [0.0]], 50, axis=0).reshape(2, 50, 1).swapaxes(0, 1).reshape(100, 1) * np.ones(6)
    parameters = [MacroParameters(method=method, beta=2 + k / SETS) for k in range(sets)]  # pyright: ignore[reportArgumentType]
    coupling = geometry.coupling(geometry.positions("grid", 3, np.random.default_rng(0)), 1.0, parameters[0].coupling)
    return [Problem(rest(3).pack(), times, inputs, coupling, one) for one in parameters]


def numpy_euler(batch: list[Problem], steps: int) -> np.ndarray:
    """The same in NumPy, all sets at once: Euler on arrays (sets, ...)."""
    p = batch[0].parameters
    beta = np.array([problem.parameters.beta for problem in batch])[:, None, None]
    coupling = batch[0].coupling.reshape(9, 9)
    x_pre, x_post = np.zeros((len(batch), 3)), np.zeros((len(batch), 3))
    s, p_s, p_l = (np.zeros((len(batch), 3, 3)) for _ in range(3))
    tanh = NON_LINEARITIES["tanh"]
    for step in range(steps):
        u = batch[0].inputs[step // 1000]
        drive, psi, theta = tanh(s), tanh(p_s), tanh(x_post)[:, :, None] * tanh(x_pre)[:, None, :]
        spread = (psi.reshape(-1, 9) @ coupling).reshape(s.shape)
        dx_pre = (-p.lambda_ * x_pre + u[:3]) / p.tau_n
        dx_post = (-p.lambda_ * x_post + np.einsum("bij,bj->bi", drive, tanh(x_pre)) + u[3:]) / p.tau_n
        ds = (-beta * s + theta + psi) / p.tau_s
        dp_s = (-p.gamma_s * p_s + spread + drive) / p.tau_p_s
        dp_l = (-p.gamma_l * p_l + drive) / p.tau_p_l
        for state, slope in ((x_pre, dx_pre), (x_post, dx_post), (s, ds), (p_s, dp_s), (p_l, dp_l)):
            state += p.dt * slope
    return np.concatenate([part.reshape(len(batch), -1) for part in (x_pre, x_post, s, p_s, p_l)], axis=1)


# -- one tripartite unit: our front door beside a script written by hand ---------------------------------------------
def ours() -> np.ndarray:
    """30 units under regular trains, through `astro_sim.simulate`."""
    run = astro_sim.simulate(
        "frequency", "biophysical", rates=[RATE, 2 * RATE, 3 * RATE], repetitions=UNITS // 3, train="regular",
        transient=0.0, window=UNIT_SECONDS, interval=0.1,
    )  # fmt: skip
    return run["C"].isel(time=-1).values.ravel()


def by_hand() -> np.ndarray:
    """The same model and recording as a user would write it in Brian2 (names as ours, so that both find one cache)."""
    import brian2

    p = process.ProcessParameters()
    brian2.prefs["codegen.target"] = "cython"
    brian2.defaultclock.dt = p.dt * brian2.second
    units = brian2.NeuronGroup(
        UNITS,
        process.astrocyte_equations(p) + synapse.EQUATIONS + gliotransmission.EQUATIONS + process.PER_UNIT,
        **gliotransmission.RELEASE,
        method="rk4",
        namespace=process.namespace(p),
        name="process",
    )
    units.h, units.x_S, units.x_A, units.U_0_star = 0.9, 1, 1, p.U_0_star
    units.receptors_free = units.gliotransmission_on = 1
    trains = [np.arange(0, UNIT_SECONDS, 1 / (RATE * (1 + k // (UNITS // 3)))) for k in range(UNITS)]
    source = brian2.SpikeGeneratorGroup(
        UNITS,
        np.repeat(np.arange(UNITS), [len(train) for train in trains]),
        np.round(np.concatenate(trains) / p.dt) * p.dt * brian2.second,
        name="stimulus",
    )
    path = brian2.Synapses(
        source, units, on_pre=synapse.ON_SPIKE + process.COUNT, namespace=units.namespace, name="terminal"
    )
    path.connect(j="i")
    traces = brian2.StateMonitor(units, ["C", "Gamma_S"], record=True, dt=0.1 * brian2.second, name="process_traces_1")
    releases = brian2.SpikeMonitor(units, name="process_spikes")
    network = brian2.Network(units, source, path, traces, releases)
    network.run((UNIT_SECONDS + p.dt) * brian2.second)
    return np.asarray(traces.C_)[:, -1] / process.UM


# -- 100 Li-Rinzel cells at a clamped IP3 -----------------------------------------------------------------------------
def _summary(calcium: np.ndarray) -> tuple[float, float]:
    late = calcium[len(calcium) // 2 :]
    return float(late.min()), float(late.max())


def astro_cells() -> tuple[float, float]:
    """Brian2 through our engine, RK4 at 10 ms."""
    with Session(LI_RINZEL, 0) as session:
        cells = process.build_cells(session, LI_RINZEL, CELLS)
        process.set_states(cells, C=0.1, I=IP3)
        traces = session.record(cells, ["C"], 0.1)
        session.run(SECONDS, [cells])
        return _summary(values(traces, "C", "uM")[:, 0])


def nest_cells() -> tuple[float, float]:
    """NEST's astrocyte_lr_1994: adaptive Runge-Kutta-Fehlberg within steps of 1 ms."""
    nest: Any = import_module("nest")
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.resolution = 1.0
    cells = nest.Create("astrocyte_lr_1994", CELLS, params={"Ca_astro": 0.1, "IP3": IP3, "IP3_0": IP3, "h_IP3R": 0.9})
    meter = nest.Create("multimeter", params={"record_from": ["Ca_astro"], "interval": 100.0})
    nest.Connect(meter, cells)
    nest.Simulate(1000 * SECONDS)
    events = meter.get("events")
    return _summary(events["Ca_astro"][events["senders"] == cells[0].global_id])


def scipy_cells() -> tuple[float, float]:
    """solve_ivp (LSODA), all cells as one system."""
    p = LI_RINZEL
    m_ip3 = IP3 / (IP3 + p.d_1)
    q = p.d_2 * (IP3 + p.d_1) / (IP3 + p.d_3)

    def slope(_: float, y: np.ndarray) -> np.ndarray:
        c, h = y.reshape(2, CELLS)
        m = m_ip3 * c / (c + p.d_5)
        release = (p.Omega_C * (m * h) ** 3 + p.Omega_L) * (p.C_T - (1 + p.rho_A) * c)
        return np.concatenate([release - p.O_P * c**2 / (c**2 + p.K_P**2), p.O_2 * (q - (q + c) * h)])

    start = np.repeat([0.1, 0.9], CELLS)
    solution = solve_ivp(slope, (0, SECONDS), start, "RK45", np.arange(0, SECONDS, 0.1), rtol=1e-6, atol=1e-9)
    return _summary(solution.y[0])


def cell_solvers() -> dict[str, Callable[[], tuple[float, float]]]:
    """Those that are installed."""
    solvers = {"astro_sim (Brian2, RK4, 10 ms)": astro_cells, "scipy solve_ivp (RK45, rtol 1e-6)": scipy_cells}
    if find_spec("nest") is not None:
        solvers["NEST 3.10 astrocyte_lr_1994 (1 ms)"] = nest_cells
    return solvers


def check() -> None:
    """What is compared computes the same."""
    batch = problems("euler", 16)
    alone, together = integrate_many(batch[3:4])[0], integrate_many(batch)[3]
    require(np.array_equal(alone, together), "a set alone and among others differ")
    short = [Problem(one.start, one.times[:2], one.inputs[:1], one.coupling, one.parameters) for one in batch]
    ended = np.stack([states[-1] for states in integrate_many(short)])
    require(np.allclose(ended, numpy_euler(batch, 1000), rtol=0, atol=1e-10), "NumPy and the compiled loop differ")
    # Events act a step later in Brian2's own schedule: 1 ms of slow calcium.
    require(np.allclose(ours(), by_hand(), atol=2e-3), "the script by hand simulates something else")
    swings = [solver() for solver in cell_solvers().values()]
    require(np.allclose(swings, swings[0], atol=2e-3), f"the astrocytes differ: {swings}")


def measure() -> list[dict[str, Any]]:
    """Medians of interleaved runs, compilation and imports not counted."""
    euler, rk4 = problems("euler"), problems("rk4")
    for batch in (euler, rk4):
        integrate_many(batch[:1])
    by_numpy = f"NumPy, Euler ({NUMPY_STEPS} steps, multiplied up)"
    sets: dict[str, Callable[[], Any]] = {
        "astro_sim, Euler": lambda: integrate_many(euler),
        "astro_sim, RK4": lambda: integrate_many(rk4),
        by_numpy: lambda: numpy_euler(euler, NUMPY_STEPS),
    }
    doors: dict[str, Callable[[], Any]] = {"astro_sim.simulate": ours, "Brian2 script by hand": by_hand}
    for door in doors.values():
        door()  # compiles
    rows = []
    for task, solvers, repeats in (
        (f"{SETS} macro sets, {STEPS} steps", sets, REPEATS),
        (f"{UNITS} tripartite units, {UNIT_SECONDS:.0f} s, 1 ms", doors, 5),
        (f"{CELLS} Li-Rinzel cells, {SECONDS:.0f} s", cell_solvers(), REPEATS),
    ):
        seconds = median_seconds(solvers, repeats, time.perf_counter)
        seconds |= {by_numpy: seconds[by_numpy] * STEPS / NUMPY_STEPS} if by_numpy in seconds else {}
        first = next(iter(seconds.values()))
        rows += [
            {"task": task, "solver": name, "seconds": round(taken, 3), "times ours": round(taken / first, 2)}
            for name, taken in seconds.items()
        ]
    return rows


BENCHMARK = Benchmark("astro_sim beside its peers, on all cores, compilation and imports not counted", check, measure)
