"""The macro model as one object: parameters, positions, the coupling that follows, and how to run it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError, NumericalError
from astro_sim.macro import geometry
from astro_sim.macro.equations import MacroState, rest
from astro_sim.macro.parameters import MacroParameters
from astro_sim.macro.stimuli import Stimulus
from astro_sim.stability import REAL_LIMITS

if TYPE_CHECKING:  # it loads numba, which an experiment that is only read does without
    from astro_sim.macro.solver import Problem

Array = NDArray[np.float64]
MOST_STEPS, MOST_BYTES = 1e9, 8e9  # of one run: an hour on one core, a small machine's memory


class LatchingWarning(UserWarning):
    """The resting state is not stable: p^s need not decay between stimuli."""


@dataclass(frozen=True)
class MacroRun:
    """Sampled states of one run."""

    time: Array  # (time,), s
    state: MacroState  # each field with a leading time axis
    input_pre: Array  # (time, n), in force just after each sample (at the last one: just before it)
    input_post: Array  # (time, n)
    final: Array  # (states,), packed state at the end


class MacroModel:
    """The macro model at given positions of its processes.

    Parameters
    ----------
    parameters : MacroParameters
    positions : array, (post, pre, axis)
        In units of process spacing.

    Raises
    ------
    InputError
        Positions of another size, or a step beyond the solver's stability bound.

    Warns
    -----
    LatchingWarning
        The resting state is unstable, so activity may latch instead of decaying between stimuli.
    """

    def __init__(self, parameters: MacroParameters, positions: Array) -> None:
        self.parameters = p = parameters
        self.positions = geometry.check_positions(positions, p.n)
        self.coupling = geometry.coupling(self.positions, p.scale, p.coupling)
        limit = REAL_LIMITS[p.method]
        if p.dt * self.fastest_rate > limit:
            bound = limit / self.fastest_rate
            raise InputError(f"dt: expected at most {bound:.3g} s, where the solver turns unstable, got {p.dt:g} s")
        if not self.rests:
            warnings.warn(
                f"the resting state is unstable (gamma_s = {p.gamma_s:g}, beta = {p.beta:g}, rho(T) = "
                f"{self.spectral_radius:.3g}): p^s may latch instead of decaying between stimuli",
                LatchingWarning,
                stacklevel=2,
            )

    @property
    def spectral_radius(self) -> float:
        """rho(T); T is symmetric."""
        size = self.parameters.n**2
        return float(np.abs(np.linalg.eigvalsh(self.coupling.reshape(size, size))).max())

    @property
    def fastest_rate(self) -> float:
        """Bound on the rates of the linearised model, per second.

        The Jacobian's spectral radius is at most that of the matrix of its blocks' absolute row sums, here where
        every non-linearity is within 1 and its slope too (so not for "linear" ones driven past 1).
        """
        p = self.parameters  # knock-outs only take entries away
        post, s, p_s = p.lambda_ / p.tau_n, p.beta / p.tau_s, (p.gamma_s + p.coupling) / p.tau_p_s
        loop = [[post, p.n / p.tau_n, 0], [1 / p.tau_s, s, 1 / p.tau_s], [0, 1 / p.tau_p_s, p_s]]
        if not np.isfinite(loop).all():
            return float("inf")
        return max(float(np.abs(np.linalg.eigvals(loop)).max()), (p.gamma_l + 1) / p.tau_p_l)

    @property
    def rests(self) -> bool:
        """Whether p^s decays between stimuli.

        Linearised at rest, where every non-linearity has slope 1, the loop between s and p^s is stable exactly if
        gamma^s > rho(T) and beta (gamma^s - rho(T)) > 1. Without receptors or gliotransmission the loop is open (0
        in place of 1), without gap junctions T is 0, and clamped calcium cannot latch.
        """
        p = self.parameters
        gain = 0.0 if {"receptors", "gliotransmission"} & {*p.knockouts} else 1.0

        def stable(radius: float) -> bool:
            return p.gamma_s > radius and p.beta * (p.gamma_s - radius) > gain

        if "calcium" in p.knockouts:
            return True
        if "gap_junctions" in p.knockouts:
            return stable(0.0)

        # rho(T) is at most the largest row sum; its exact value takes half a minute at n = 64.
        return stable(p.coupling) or stable(self.spectral_radius)

    def run(self, stimulus: Stimulus, interval: float, start: Array | None = None, hold_ltp: bool = False) -> MacroRun:
        """Integrate through ``stimulus`` and sample every ``interval`` seconds (and at its end).

        Parameters
        ----------
        stimulus : Stimulus
        interval : float
            Between samples, s.
        start : array, (states,), optional
            Packed state to start from; rest by default.
        hold_ltp : bool
            Hold p^l at its start (burn-in).

        Raises
        ------
        NumericalError
            A state left the finite numbers; names the variable and the time.
        """
        (answer,) = MacroRequest.together([MacroRequest(self, stimulus, interval, start, hold_ltp)])
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(frozen=True, eq=False)
class MacroRequest:
    """What an experiment yields to get a `MacroRun`: the arguments of `MacroModel.run`, with the model."""

    model: MacroModel
    stimulus: Stimulus
    interval: float
    start: Array | None = None
    hold_ltp: bool = False

    @property
    def size(self) -> float:
        """Bytes that the answer takes, about, with T as model and solver hold it."""
        n = self.model.parameters.n
        rows = self.stimulus.duration / self.interval + len(self.stimulus.edges)
        return 8.0 * rows * (2 * n + 3 * n * n) + 2.0 * self.model.coupling.nbytes

    @staticmethod
    def together(requests: "Sequence[MacroRequest]") -> list[MacroRun | Exception]:
        """Answer requests, those that fit together side by side; what fails gives its exception in its place."""
        from astro_sim.macro.solver import integrate_many

        answers: list[MacroRun | Exception] = []
        prepared: list[tuple[int, Problem, NDArray[np.bool_]]] = []
        for k, request in enumerate(requests):
            try:
                problem, is_sample = request.prepare()
            except Exception as error:
                answers.append(error)
            else:
                answers.append(RuntimeError("not integrated"))
                prepared.append((k, problem, is_sample))
        solved = integrate_many([problem for _, problem, _ in prepared])
        for place, (k, problem, is_sample) in enumerate(prepared):
            answers[k] = _sample(problem, is_sample, solved[place])
            solved[place] = np.empty(0)  # samples are copies: let go of the rest
        return answers

    def prepare(self) -> "tuple[Problem, NDArray[np.bool_]]":
        """The problem for the solver, and which of its times are samples."""
        from astro_sim.macro.solver import Problem

        n, parameters = self.model.parameters.n, self.model.parameters
        steps = self.stimulus.duration / parameters.dt
        if not steps <= MOST_STEPS:
            raise InputError(f"dt: {steps:.3g} steps; expected at most {MOST_STEPS:.0e}")
        times, inputs, is_sample = self.stimulus.sampled(self.interval)
        if len(times) < 2:
            raise InputError(f"the run is too short to integrate: it lasts {self.stimulus.duration:g} s")
        size = len(times) * (2 * n + 3 * n * n) * 8
        if size > MOST_BYTES:
            raise InputError(f"interval: {size / 1e9:.3g} GB of samples; expected at most {MOST_BYTES / 1e9:.0f}")
        start = rest(n).pack() if self.start is None else self.start
        return Problem(start, times, inputs, self.model.coupling, parameters, self.hold_ltp), is_sample


def _sample(problem: "Problem", is_sample: NDArray[np.bool_], packed: Array) -> MacroRun | NumericalError:
    """The run from packed states at all times."""
    n, times = problem.parameters.n, problem.times
    finite = np.isfinite(packed)
    if not finite.all():
        row = int(np.flatnonzero(~finite.all(axis=1))[0])
        fields = MacroState.unpack(~finite[row], n)
        name = next(name for name, part in zip(MacroState._fields, fields, strict=True) if part.any())
        return NumericalError(f"{name} left the finite numbers at {times[row]:g} s; try a smaller dt or weaker drive")
    in_force = np.append(problem.inputs, problem.inputs[-1:], axis=0)[is_sample]
    return MacroRun(
        time=times[is_sample],
        state=MacroState.unpack(packed[is_sample], n),
        input_pre=in_force[:, :n],
        input_post=in_force[:, n:],
        final=packed[-1].copy(),
    )
