"""The compiled macro solver against scipy's solve_ivp on the same equations, at comparable accuracy."""

import time
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from astro_sim.macro import geometry
from astro_sim.macro.equations import MacroState, derivative, rest
from astro_sim.macro.model import MacroModel
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.stimuli import square_wave
from benchmarks.registry import Benchmark, median_seconds, require

CYCLES, REPEATS = 6, 3
PARAMETERS = MacroParameters()
N = PARAMETERS.n
MODEL = MacroModel(PARAMETERS, geometry.positions("grid", N, np.random.default_rng(0)))
STIMULUS = square_wave(CYCLES, 10.0, 0.5, np.ones(N), np.ones(N))


def compiled() -> np.ndarray:
    """Final state from the compiled solver."""
    return MODEL.run(STIMULUS, 10.0).final


def scipy_solver() -> np.ndarray:
    """Final state from solve_ivp, stretch by stretch so that no step crosses an edge."""
    state = rest(N).pack()
    for start, end, pre, post in zip(STIMULUS.edges[:-1], STIMULUS.edges[1:], STIMULUS.pre, STIMULUS.post, strict=True):

        def slope(_: float, y: np.ndarray, pre: np.ndarray = pre, post: np.ndarray = post) -> np.ndarray:
            return derivative(MacroState.unpack(y, N), pre, post, MODEL.coupling, PARAMETERS).pack()

        state = solve_ivp(slope, (start, end), state, rtol=1e-8, atol=1e-10).y[:, -1]
    return state


def check() -> None:
    """Both end in the same state."""
    require(np.allclose(compiled(), scipy_solver(), rtol=0, atol=1e-7), "the solvers disagree")


def measure() -> list[dict[str, Any]]:
    """Median seconds of interleaved runs, compilation not counted."""
    seconds = median_seconds({"compiled RK4": compiled, "scipy solve_ivp": scipy_solver}, REPEATS, time.perf_counter)
    slowest = max(seconds.values())
    return [
        {"solver": solver, "seconds": round(taken, 4), "times as fast": round(slowest / taken, 1)}
        for solver, taken in seconds.items()
    ]


BENCHMARK = Benchmark(f"macro model, 33 states, {CYCLES} cycles of 10 s", check, measure)
