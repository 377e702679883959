"""Spike trains for the biophysical models, on the grid of the solver so that every target sees the same spikes."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from astro_sim.common.errors import InputError

Array = NDArray[np.float64]
MOST_SPIKES = 2e7  # a gigabyte on the way; more is a slip of the unit


def poisson_trains(
    rates: Array, start: float, end: float, dt: float, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Independent trains, a rate each: in every step of ``dt`` a spike with probability rate * dt.

    Parameters
    ----------
    rates : array, (sources,)
        Hz, at most 1/dt.
    start, end : float
        s; spikes lie in [start, end).

    Returns
    -------
    indices, times : array, (spikes,)
        Which source fires, and when, s.

    Raises
    ------
    InputError
        A rate above 1/dt, or more spikes than reasonable.
    """
    rates = np.asarray(rates, dtype=float)
    if rates.max(initial=0.0) * dt > 1:
        raise InputError(f"rate: expected at most 1/dt = {1 / dt:g} Hz, got {rates.max():g} Hz")
    _require_few(float(rates.sum()) * (end - start))
    first, steps = round(start / dt), round((end - start) / dt)
    indices, times = [], []
    for source, rate in enumerate(rates):
        if rate <= 0:
            continue
        # Steps between spikes are geometric. Five deviations more than the mean are drawn at once; the rest seldom.
        at = np.empty(0, dtype=np.int64)
        last = -1
        while last < steps:
            expected = (steps - last) * rate * dt
            drawn = last + np.cumsum(generator.geometric(rate * dt, size=int(expected + 5 * expected**0.5 + 5)))
            at, last = np.append(at, drawn), int(drawn[-1])
        at = at[at < steps]
        indices.append(np.full(len(at), source))
        times.append((first + at) * dt)
    return np.concatenate([np.empty(0), *indices]), np.concatenate([np.empty(0), *times])


def regular_trains(rates: Array, start: float, end: float) -> tuple[Array, Array]:
    """Periodic trains, ``rates`` (sources,) in Hz, the first spike at ``start`` s: indices and times (spikes,)."""
    _require_few(float(np.sum(rates)) * (end - start))
    trains = [np.arange(start, end - 1e-9, 1.0 / rate) if rate > 0 else np.empty(0) for rate in rates]
    indices: Array = np.repeat(np.arange(len(trains), dtype=float), [len(train) for train in trains])
    return indices, np.asarray(np.concatenate(trains), dtype=np.float64)


def trains(
    kind: Literal["poisson", "regular"], rates: Array, end: float, dt: float, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Trains of one kind from 0 to ``end`` s, ``rates`` (sources,) in Hz: indices and times (spikes,), as above."""
    if kind == "poisson":
        return poisson_trains(rates, 0.0, end, dt, generator)
    return regular_trains(rates, 0.0, end)


def same_for_all(times: ArrayLike, count: int) -> tuple[Array, Array]:
    """The same train, ``times`` (spikes,) in s, for each of ``count`` sources: indices and times."""
    train = np.asarray(times, dtype=np.float64)
    return np.repeat(np.arange(count, dtype=np.float64), len(train)), np.tile(train, count)


def _require_few(spikes: float) -> None:
    if not spikes <= MOST_SPIKES:
        raise InputError(f"{spikes:.3g} spikes; expected at most {MOST_SPIKES:.0e}")
