"""What is read off traces and spike trains: calcium events, release, rates, variation, synchrony. Plain functions.

Everything that needs at least one event (or two, or three) is NaN where there are fewer: nothing was measured.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CalciumEvents:
    """Calcium events of several cells, an entry a cell.

    An event begins where calcium crosses the threshold upwards (linearly between samples) and ends where it crosses
    it downwards; one that the recording cuts off has a beginning, but no duration and no amplitude.

    Attributes
    ----------
    count : array, (cells,)
        Beginnings.
    rate : array, (cells,)
        Hz.
    latency : array, (cells,)
        From the start of the window to the first beginning, s.
    amplitude, duration : array, (cells,)
        Mean peak (the unit of the trace) and mean time above the threshold, s, of the whole events.
    interval, variation : array, (cells,)
        Mean of the times between beginnings, s, and their standard deviation over their mean.
    """

    count: Array
    rate: Array
    latency: Array
    amplitude: Array
    duration: Array
    interval: Array
    variation: Array

    def variables(self, *dims: str) -> dict[str, Any]:
        """As dataset variables ``event_count``, ``event_rate`` and so on, over ``dims``."""
        return {f"event_{name}": (dims, value) for name, value in vars(self).items()}


def calcium_events(time: Array, trace: Array, threshold: float) -> CalciumEvents:
    """Find calcium events.

    Parameters
    ----------
    time : array, (time,)
        s, ascending.
    trace : array, (time, cells)
        Calcium.
    threshold : float
        In the unit of the trace.
    """
    time, trace = np.asarray(time, dtype=float), np.asarray(trace, dtype=float)
    rows = [_of_one(time, cell, threshold) for cell in trace.T]
    length = time[-1] - time[0]
    count = np.array([len(starts) for starts, _, _ in rows], dtype=float)
    gaps = [np.diff(starts) for starts, _, _ in rows]
    return CalciumEvents(
        count=count,
        rate=count / length,
        latency=np.array([starts[0] - time[0] if len(starts) else np.nan for starts, _, _ in rows]),
        amplitude=np.array([peaks.mean() if len(peaks) else np.nan for _, _, peaks in rows]),
        duration=np.array([lasting.mean() if len(lasting) else np.nan for _, lasting, _ in rows]),
        interval=np.array([gap.mean() if len(gap) else np.nan for gap in gaps]),
        variation=np.array([variation(gap) for gap in gaps]),
    )


def crossings(time: Array, trace: Array, threshold: float) -> tuple[Array, Array]:
    """Times of the upward and of the downward crossings of one trace, linear between samples."""
    above = trace > threshold
    found = []
    for at in (np.flatnonzero(~above[:-1] & above[1:]), np.flatnonzero(above[:-1] & ~above[1:])):
        share = (threshold - trace[at]) / (trace[at + 1] - trace[at])
        found.append(time[at] + share * (time[at + 1] - time[at]))
    return found[0], found[1]


def _of_one(time: Array, trace: Array, threshold: float) -> tuple[Array, Array, Array]:
    starts, ends = crossings(time, trace, threshold)
    if len(ends) and (not len(starts) or ends[0] < starts[0]):
        ends = ends[1:]  # above from the first sample on: its beginning was not seen
    whole = starts[: len(ends)]
    peaks = [
        trace[np.searchsorted(time, start) : np.searchsorted(time, end)].max()
        for start, end in zip(whole, ends, strict=True)
    ]
    return starts, ends - whole, np.array(peaks, dtype=float)


def variation(values: ArrayLike) -> float:
    """Coefficient of variation; NaN for fewer than two values."""
    values = np.asarray(values, dtype=float)
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 else float("nan")


def interval_variation(indices: Array, times: Array, count: int) -> Array:
    """Variation of the inter-spike intervals of each of ``count`` neurons; NaN for fewer than three spikes."""
    return np.array([variation(np.diff(np.sort(times[indices == each]))) for each in range(count)])


def synchrony(traces: Array) -> float:
    """Golomb and Rinzel's chi: deviation of the population mean over the neurons' own, 0 (asynchronous) to 1.

    Parameters
    ----------
    traces : array, (time, neurons)
        Voltage, or spike counts in bins. NaN if no trace varies.
    """
    alone = float(np.mean(np.var(traces, axis=0)))
    return float(np.sqrt(np.var(np.mean(traces, axis=1)) / alone)) if alone > 0 else float("nan")


def spike_counts(indices: Array, times: Array, count: int, edges: Array) -> Array:
    """Spikes in bins: array (bins, neurons)."""
    binned, _, _ = np.histogram2d(times, indices, bins=(edges, np.arange(count + 1) - 0.5))
    return binned
