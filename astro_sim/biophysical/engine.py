"""Runs Brian2 networks for the experiments: target, clock, seed, progress, and a stop where numbers blow up.

Two things differ from Brian2's defaults, and both serve exactness. Events act *before* the state update of their step
(`SCHEDULE`), so that a spike at t acts at t and not at t + dt. And samples are taken before the events of their
time: they hold the left limit.
"""

import shutil
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astro_sim.common.brian import load_brian2, own_preferences
from astro_sim.common.errors import InputError, NumericalError
from astro_sim.common.progress import Progress, on_terminal
from astro_sim.common.settings import Settings, quantity
from astro_sim.common.units import UNITLESS, brian_unit

Array = NDArray[np.float64]
Target = Literal["auto", "cython", "cpp_standalone", "numpy"]

SCHEDULE = ["start", "thresholds", "synapses", "resets", "groups", "end"]
CHECKS = 200  # looks at the state in a run, for progress and blow-ups
MOST_BETWEEN = 9_000  # steps from sample to sample: beyond 10,000 Brian2 takes the step that ends a run for nothing
MOST_STEPS, MOST_BYTES = 1e9, 8e9  # of one run: days on one core, a small machine's memory


_ALONE = threading.RLock()


class TargetWarning(UserWarning):
    """No compiler was found: the run is slower than it could be."""


class SolverParameters(Settings):
    """How Brian2 runs a model; every model's parameters begin with these."""

    preset: str | None = quantity(None, "1", "values that go together, by name; what is set goes on top", "ours")
    dt: float = quantity(1e-3, "s", "step of the solver", "chosen: see docs/astro_sim.md, step sizes", gt=0)
    target: Target = quantity(
        "auto", "1", "what Brian2 generates; auto: cython where a compiler is found, else numpy", "Brian2"
    )
    threads: int = quantity(0, "1", "OpenMP threads of cpp_standalone; 0: none", "Brian2", ge=0, le=256)

    def model_post_init(self, _: object) -> None:
        if self.threads and self.target != "cpp_standalone":
            raise ValueError(f"threads: expected 0 unless target is cpp_standalone, got {self.threads}")


def constants(parameters: Settings) -> dict[str, Any]:
    """The numbers among ``parameters`` as Brian2 quantities, by name: the namespace of a model's equations."""
    space = {}
    for name in type(parameters).model_fields:
        value = getattr(parameters, name)
        if isinstance(value, float | int) and not isinstance(value, bool) and name != "dt":
            unit = parameters.unit(name)
            space[name] = value if unit in UNITLESS else value * brian_unit(unit)
    return space


def values(owner: Any, name: str, unit: str) -> Array:
    """Variable ``name`` of a group or monitor as bare numbers in ``unit``; a monitor's with time first."""
    bare = np.asarray(getattr(owner, name + "_"), dtype=float)
    bare = bare.T if bare.ndim == 2 else bare
    return bare if unit in UNITLESS else bare / float(brian_unit(unit))


def spikes_before(monitor: Any, end: float, dt: float) -> tuple[NDArray[np.int64], Array]:
    """Who spiked, and when (s), before ``end``: a run makes one step more, for its samples alone."""
    times = np.asarray(monitor.t_[:])
    kept = times < end - 0.5 * dt
    return np.asarray(monitor.i[:])[kept].astype(np.int64), times[kept]


def on_grid(interval: float, dt: float, name: str = "interval") -> int:
    """Steps in ``interval``, which must be a whole number of them."""
    steps = round(interval / dt)
    if steps < 1 or abs(steps * dt - interval) > 1e-6 * dt * max(1, steps) ** 0.5:
        raise InputError(f"{name}: expected a whole number of steps of dt = {dt:g} s, got {interval:g} s")
    return steps


def require_steps(duration: float, dt: float) -> float:
    """Steps in a run of ``duration`` seconds; `InputError` for more than reasonable."""
    steps = duration / dt
    if not steps <= MOST_STEPS:
        raise InputError(f"dt: {steps:.3g} steps; expected at most {MOST_STEPS:.0e}")
    return steps


def choose_target(wanted: Target) -> str:
    """Resolve "auto": Cython where a C compiler works, else numpy with one line that says so."""
    if wanted != "auto":
        return wanted
    from brian2.codegen.runtime.cython_rt import CythonCodeObject

    if (shutil.which("gcc") or shutil.which("clang") or shutil.which("cl")) and CythonCodeObject.is_available():
        return "cython"
    warnings.warn("no C compiler found: Brian2 runs on numpy, several times slower", TargetWarning, stacklevel=3)
    return "numpy"


class Session:
    """One simulation with Brian2: build groups inside the ``with`` block, `run` once, read monitors, leave.

    Parameters
    ----------
    solver : SolverParameters
    seed : int
        Of Brian2's random numbers (noise terms); protocols draw theirs from the experiment's generator.
    duration : float, optional
        s; refused here if too long, before a protocol of that length is laid out.

    Examples
    --------
    >>> with Session(solver, seed=1) as session:
    ...     cells = session.add(NeuronGroup(...))
    ...     traces = session.record(cells, ["C"], interval=0.01)
    ...     session.run(30.0, watch=[cells])
    ...     calcium = values(traces, "C", "uM")
    """

    def __init__(self, solver: SolverParameters, seed: int, duration: float = 0.0) -> None:
        load_brian2()
        require_steps(duration, solver.dt)
        self.solver, self.seed = solver, seed
        self.target = choose_target(solver.target)
        self._objects: list[Any] = []
        self._records: list[tuple[float, int]] = []
        self._monitors: list[Any] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        import brian2
        from brian2.devices.device import reset_device, set_device

        brian2.BrianLogger.suppress_hierarchy("brian2.codegen.generators.base")
        # Brian2's device, preferences and random state belong to the process: one session at a time.
        self._stack.enter_context(_ALONE)
        self._stack.enter_context(own_preferences())
        state = np.random.get_state()  # noqa: NPY002 - Brian2 draws from the legacy generator
        self._stack.callback(np.random.set_state, state)
        if self.target == "cpp_standalone":
            self.folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="astro_sim-"))
            self._prefer("devices.cpp_standalone.openmp_threads", self.solver.threads)
            set_device("cpp_standalone", directory=self.folder, build_on_run=False)
            self._stack.callback(reset_device)
            self._stack.callback(brian2.device.reinit)
        else:
            self._prefer("codegen.target", self.target)
        step = float(brian2.defaultclock.dt_)
        self._stack.callback(setattr, brian2.defaultclock, "dt", step * brian2.second)
        brian2.defaultclock.dt = self.solver.dt * brian2.second
        brian2.seed(self.seed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._objects.clear()
        self._monitors.clear()
        self._stack.close()

    def _prefer(self, name: str, value: Any) -> None:
        """Set one of Brian2's preferences until the session ends."""
        import brian2

        self._stack.callback(brian2.prefs.__setitem__, name, brian2.prefs[name])
        brian2.prefs[name] = value

    def add(self, *objects: Any) -> Any:
        """Add Brian2 objects to the network; give back the first."""
        self._objects += objects
        return objects[0]

    def spikes(self, name: str, count: int, indices: ArrayLike, times: ArrayLike) -> Any:
        """A source of given spikes.

        Parameters
        ----------
        name : str
        count : int
            Sources.
        indices, times : array, (spikes,)
            Which source fires, and when, s; times are rounded to the grid.

        Raises
        ------
        InputError
            A source that fires twice in one step, or a spike before 0.
        """
        import brian2

        steps = np.round(np.asarray(times, dtype=float) / self.solver.dt).astype(np.int64)
        pairs = np.stack([steps, np.asarray(indices, dtype=np.int64)])[:, np.lexsort((np.asarray(indices), steps))]
        if pairs.size and (pairs[0, 0] < 0 or (np.diff(pairs) == 0).all(axis=0).any()):
            raise InputError(f"{name}: expected spikes from 0 s on, one a step of dt = {self.solver.dt:g} s at most")
        return self.add(
            brian2.SpikeGeneratorGroup(
                count, pairs[1], pairs[0] * self.solver.dt * brian2.second, sorted=True, name=name
            )
        )

    def act(self, source: Any, target: Any, on_spike: str, name: str, space: Any = None, **pairs: Any) -> Any:
        """Let spikes of ``source`` act on ``target``: number i on number i, or on the pairs given as ``i`` and ``j``.

        ``space`` is the namespace of the code ``on_spike``; by default that of the target.
        """
        import brian2

        path = brian2.Synapses(source, target, on_pre=on_spike, namespace=space or target.namespace, name=name)
        path.connect(**(pairs or {"j": "i"}))
        return self.add(path)

    def record_spikes(self, group: Any) -> Any:
        """Record when each member of a group spikes; of astrocytes these are releases. See `spikes_before`."""
        import brian2

        return self.add(brian2.SpikeMonitor(group, name=f"{group.name}_spikes"))

    def record(self, group: Any, names: Iterable[str], interval: float, cells: Any = True) -> Any:
        """Record variables of a group every ``interval`` seconds, first at 0, last at the end of the run."""
        import brian2

        if on_grid(interval, self.solver.dt) > MOST_BETWEEN:
            most = MOST_BETWEEN * self.solver.dt
            raise InputError(f"interval: expected at most {MOST_BETWEEN} steps, {most:g} s, got {interval:g} s")
        names = list(names)
        count = len(group) if cells is True else len(cells)
        self._records.append((interval, count * len(names)))
        monitor = brian2.StateMonitor(
            group, names, record=cells, dt=interval * brian2.second, name=f"{group.name}_traces_{len(self._records)}"
        )
        self._monitors.append(monitor)
        return self.add(monitor)

    def run(self, duration: float, watch: Iterable[Any] = ()) -> None:
        """Integrate for ``duration`` seconds.

        Parameters
        ----------
        duration : float
            s; one step more is made, so that monitors see the state at its end.
        watch : iterable of groups
            Whose states must stay finite.

        Raises
        ------
        NumericalError
            A state left the finite numbers; names the variable and the time.
        InputError
            More steps or samples than reasonable.
        """
        import brian2
        from brian2.core.base import BrianObjectException

        dt = self.solver.dt
        steps = require_steps(duration, dt)
        size = sum(duration / interval * count * 8 for interval, count in self._records)
        if size > MOST_BYTES:
            raise InputError(f"interval: {size / 1e9:.3g} GB of samples; expected at most {MOST_BYTES / 1e9:.0f}")
        watched = [(group, name) for group in watch for name in sorted(group.equations.diff_eq_names)]
        network = brian2.Network(self._objects)
        network.schedule = SCHEDULE
        length = (round(steps) + 1) * dt * brian2.second
        if self.target == "cpp_standalone":
            network.run(length, report="stderr" if on_terminal() else None, namespace={})
            brian2.device.build(directory=self.folder, compile=True, run=True, debug=False)
            self._require_finite(watched, duration)
            return
        every = max(1, round(steps / CHECKS))
        with Progress("simulating", round(steps)) as progress:

            def look() -> None:
                self._require_finite(watched, float(network.t))
                progress.advance(every)

            # The last of a step: what it finds was made by this step.
            network.add(brian2.NetworkOperation(look, dt=every * dt * brian2.second, when="end", name="look"))
            try:
                # At level 0 an overflow on its way to infinity would be a warning for each step.
                with np.errstate(all="ignore"):
                    network.run(length, namespace={})
            except BrianObjectException as error:
                if isinstance(error.__cause__, InputError):
                    raise error.__cause__ from None
                raise
        if float(network.t) < duration:  # Brian2 ends a run quietly when it hears an interrupt
            raise KeyboardInterrupt
        self._require_finite(watched, duration)

    def _require_finite(self, watched: list[tuple[Any, str]], time: float) -> None:
        broken = [
            (group, name) for group, name in watched if not np.isfinite(np.asarray(getattr(group, f"{name}_")[:])).all()
        ]
        if not broken:
            return
        # What was recorded knows better which was first, and when.
        seen = [(first, monitor.source, name) for monitor in self._monitors for first, name in _broken_samples(monitor)]
        first, group, name = min(seen, key=lambda sample: sample[0], default=(time, *broken[0]))
        raise NumericalError(
            f"{name} of {group.name} left the finite numbers by {first:g} s; try a smaller dt or weaker drive"
        )


def _broken_samples(monitor: Any) -> Iterator[tuple[float, str]]:
    """Time of the first sample of each recorded variable that is not finite."""
    for name in monitor.record_variables:
        broken = ~np.isfinite(np.asarray(getattr(monitor, name + "_"), dtype=float)).all(axis=0)
        if broken.any():
            yield float(monitor.t_[:][broken][0]), name
