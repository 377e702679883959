"""The macro model, compiled: fixed steps of one method through one stretch of constant input after another.

A square-wave input makes an adaptive solver hunt for its edges. Here every edge is the end of a stretch, so the order
of the method holds throughout. Eight problems with the same times go side by side through one kernel; a single one
fills the block with copies of itself, so that it gives the same bits alone as among others.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numba.core import config
from numpy.typing import NDArray

from astro_sim.common.progress import Progress
from astro_sim.macro.kernel import CODES, WIDTH, Constant, Shapes, Switches, advance
from astro_sim.macro.parameters import KNOCKOUTS, MacroParameters

Array = NDArray[np.float64]
BLOCK = 200_000  # steps of a 9-synapse model between two looks at the clock; about half a second
OWN_COUPLING_BYTES = 2**24  # of a block whose problems differ in T; beyond, problems that share T go together


@dataclass(frozen=True)
class Problem:
    """One integration of the macro model over stretches of constant input."""

    start: Array  # (states,), packed (`MacroState.pack`), at times[0]
    times: Array  # (stretches + 1,), ends of the stretches, s, ascending
    inputs: Array  # (stretches, 2 n), to presynaptic, then postsynaptic neurons during each stretch
    coupling: Array  # (post, pre, post, pre), T_ijkl
    parameters: MacroParameters  # dt is the longest step; a stretch is cut into equal steps no longer than it
    hold_ltp: bool = False  # hold p^l where it is (burn-in)

    @property
    def kind(self) -> tuple[Any, ...]:
        """What problems must share to go side by side."""
        p = self.parameters
        return p.n, p.dt, p.method, self.shapes, self.switches, self.times.tobytes()

    @property
    def shapes(self) -> Shapes:
        """Its non-linearities, as the kernel knows them."""
        return Shapes(*(CODES[getattr(self.parameters, role)] for role in Shapes._fields))

    @property
    def switches(self) -> Switches:
        """Which parts of the equations are in force."""
        free = {name: name not in self.parameters.knockouts for name in KNOCKOUTS}
        return Switches(bounded=self.parameters.ltp_dynamics == "bounded", hold_ltp=self.hold_ltp, **free)


def integrate(
    start: Array, times: Array, inputs: Array, coupling: Array, parameters: MacroParameters, hold_ltp: bool = False
) -> Array:
    """Packed states (stretches + 1, states) at ``times``; see `Problem`."""
    return integrate_many([Problem(start, times, inputs, coupling, parameters, hold_ltp)])[0]


def integrate_many(problems: Sequence[Problem]) -> list[Array]:
    """Integrate problems of any kinds, those of one kind side by side.

    Returns
    -------
    list of array, (stretches + 1, states)
        Packed states at the times of each problem, to the bit those of the problem on its own.
    """
    blocks = [_Block([problems[k] for k in members], members) for members in _blocks(problems)]
    results: list[Array] = [np.empty(0)] * len(problems)
    # Threads, not numba's prange: its thread pools bear neither a fork nor a call from two threads.
    workers = min(len(blocks), config.NUMBA_NUM_THREADS)  # pyright: ignore[reportAttributeAccessIssue]
    with Progress("integrating", sum(len(block.calls) for block in blocks)) as progress:
        if workers <= 1:
            for block in blocks:
                for call in block.calls:
                    call()
                    progress.advance()
        else:
            _in_threads([block.calls for block in blocks], workers, progress)
    for block in blocks:
        for member, out in zip(block.members, block.out, strict=True):
            results[member] = out
    return results


def _in_threads(tasks: Sequence[Sequence[Callable[[], None]]], workers: int, progress: Progress) -> None:
    """Work through each task's calls in order, several tasks at once; an interrupt ends them between two calls."""
    stopped, counting = False, Lock()

    def work(calls: Sequence[Callable[[], None]]) -> None:
        nonlocal stopped
        try:
            for call in calls:
                if stopped:
                    return
                call()
                with counting:
                    progress.advance()
        except BaseException:
            stopped = True  # here, since the pool hands errors out in the order of the tasks
            raise

    with ThreadPoolExecutor(workers) as pool:
        try:
            for _ in pool.map(work, tasks):
                pass
        except BaseException:
            stopped = True
            raise


def _blocks(problems: Sequence[Problem]) -> list[list[int]]:
    """Indices of the problems that go side by side."""
    groups: dict[tuple[Any, ...], list[list[int]]] = {}
    for k, problem in enumerate(problems):
        alternatives = groups.setdefault(problem.kind, [])
        anyhow = problem.coupling.nbytes * WIDTH <= OWN_COUPLING_BYTES
        for group in alternatives:
            if anyhow or np.array_equal(problems[group[0]].coupling, problem.coupling):
                group.append(k)
                break
        else:
            alternatives.append([k])
    return [
        group[first : first + WIDTH]
        for alternatives in groups.values()
        for group in alternatives
        for first in range(0, len(group), WIDTH)
    ]


class _Block:
    """Problems of one kind, as arrays whose last axis is the lane, and the calls that integrate them."""

    def __init__(self, problems: Sequence[Problem], members: Sequence[int]) -> None:
        self.members = members
        filled = [*problems, *[problems[-1]] * (WIDTH - len(problems))]
        p, times = filled[0].parameters, filled[0].times
        n, processes = p.n, p.n * p.n
        T = filled[0].coupling
        if all(problem.coupling is T or np.array_equal(problem.coupling, T) for problem in problems):
            shared, own = np.ascontiguousarray(T, dtype=float).reshape(processes, processes), np.empty((0, WIDTH))
        else:
            shared, own = np.empty((0, 0)), _side_by_side([problem.coupling for problem in filled])
        self.out = np.empty((len(problems), len(times), len(filled[0].start)))
        self.out[:, 0] = [problem.start for problem in problems]
        fixed = (
            _side_by_side([problem.inputs for problem in filled]),
            shared,
            own,
            _side_by_side([_constants(problem.parameters) for problem in filled]),
            filled[0].shapes,
            filled[0].switches,
            n,
            p.method == "euler",
            self.out,
        )
        y = _side_by_side([problem.start for problem in filled])
        # A step costs about 20 units a state and one a pair of processes: 741 at n = 3.
        longest = max(1, BLOCK * 741 // (20 * (2 * n + 3 * processes) + processes**2))
        self.calls = [
            lambda lengths=lengths, counts=counts, ends=ends: advance(y, lengths, counts, ends, *fixed)
            for lengths, counts, ends in _calls(times, p.dt, longest)
        ]


def _calls(times: Array, dt: float, longest: int) -> list[tuple[Array, NDArray[np.int64], NDArray[np.int64]]]:
    """Cut the stretches into calls of about ``longest`` steps.

    Each call is a list of pieces: length of a step, number of steps, and the index in ``times`` of the stretch's end,
    negative where the piece stops short of it.
    """
    spans = np.diff(times)
    steps = np.maximum(1, np.ceil(spans / dt - 1e-9)).astype(np.int64)
    calls, pieces, room = [], [], longest
    for end, (span, total) in enumerate(zip(spans, steps, strict=True), start=1):
        left = int(total)
        while left:
            count = min(left, room)
            left, room = left - count, room - count
            pieces.append((span / total, count, -end if left else end))
            if not room:
                calls.append(pieces)
                pieces, room = [], longest
    if pieces:
        calls.append(pieces)
    return [
        (np.array(lengths), np.array(counts, dtype=np.int64), np.array(ends, dtype=np.int64))
        for lengths, counts, ends in (zip(*call, strict=True) for call in calls)
    ]


def _constants(p: MacroParameters) -> Array:
    """Leaks, rates and biases, in the rows of `Constant`."""
    values = {**dict(p), **{f"rate_{of}": 1.0 / getattr(p, f"tau_{of}") for of in ("n", "s", "p_s", "p_l")}}
    return np.array([values[constant.name] for constant in Constant])


def _side_by_side(arrays: Sequence[Array]) -> Array:
    """(rows, lane) from one array a lane, each flattened."""
    return np.ascontiguousarray(np.stack([np.asarray(lane, dtype=float).ravel() for lane in arrays], axis=-1))
