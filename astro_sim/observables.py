"""What is read off traces and spike trains: calcium events, release, rates, variation, synchrony. Plain functions.

Everything that needs at least one event (or two, or three) is NaN where there are fewer: nothing was measured.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
FEWEST_INTERVALS = 5  # of a neuron for a mean over its pairs of neighbours to say something


@dataclass(frozen=True)
class CalciumEvents:
    """Calcium events of several cells, an entry a cell.

    An event begins where calcium crosses the threshold upwards (linearly between samples) and ends where it crosses
    it downwards; one that the recording cuts off has a beginning, but no duration, peak or amplitude.

    Attributes
    ----------
    count : array, (cells,)
        Beginnings.
    rate : array, (cells,)
        Hz.
    latency : array, (cells,)
        From the onset of the stimulus to the first beginning after it, s.
    peak, amplitude, duration : array, (cells,)
        Mean peak and its mean height above the lowest value since the event before (both in the unit of the trace), and
        mean time above the threshold, s, of the whole events.
    interval, variation : array, (cells,)
        Mean of the times between beginnings, s, and their standard deviation over their mean.
    above : array, (cells,)
        Share of the time above the threshold; 1 with no event is calcium that never came down.
    """

    count: Array
    rate: Array
    latency: Array
    peak: Array
    amplitude: Array
    duration: Array
    interval: Array
    variation: Array
    above: Array

    @property
    def named(self) -> dict[str, Array]:
        """The measures as datasets call them, ``event_count``, ``event_rate`` and so on."""
        return {f"event_{name}": value for name, value in vars(self).items()}

    def variables(self, *dims: str) -> dict[str, Any]:
        """The measures as dataset variables over ``dims``."""
        return {name: (dims, value) for name, value in self.named.items()}


def fall_time(time: Array, traces: Array) -> Array:
    """Time constant of the steepest relative fall between two samples, of what decays exponentially between inputs.

    Parameters
    ----------
    time : array, (samples,)
        s, evenly spaced.
    traces : array, (samples, cells)
        From 0. Samples below a thousandth of the largest one are left out.

    Returns
    -------
    array, (cells,)
        s; NaN where a trace never falls.
    """
    before, after = traces[:-1], traces[1:]
    counted = (after > 1e-3 * traces.max(axis=0)) & (after < before)
    fall = np.where(counted, np.log(np.where(counted, before, 1.0) / np.where(counted, after, 1.0)), 0.0).max(axis=0)
    return np.divide(time[1] - time[0], fall, out=np.full_like(fall, np.nan), where=fall > 0)


def calcium_events(
    time: Array, trace: Array, threshold: float | Array, start: float | None = None, onset: float | None = None
) -> CalciumEvents:
    """Find calcium events.

    Parameters
    ----------
    time : array, (time,)
        s, ascending.
    trace : array, (time, cells)
        Calcium.
    threshold : float or array, (cells,)
        In the unit of the trace.
    start : float, optional
        Count events from here on, s (a transient is left out); by default from the first sample.
    onset : float, optional
        Start of the stimulus, s, which latency is measured from; by default the first sample. May lie before ``start``.
    """
    time, trace = np.asarray(time, dtype=float), np.asarray(trace, dtype=float)
    since = float(time[0]) if onset is None else onset
    inside = slice(0 if start is None else int(np.searchsorted(time, start - 1e-9)), None)
    thresholds = np.broadcast_to(threshold, trace.shape[1])
    events = [_of_one(time[inside], cell[inside], level) for cell, level in zip(trace.T, thresholds, strict=True)]
    first = [crossings(time, cell, level)[0] for cell, level in zip(trace.T, thresholds, strict=True)]
    count = np.array([len(event[0]) for event in events], dtype=float)
    length = time[-1] - time[inside][0]
    gaps = [np.diff(event[0]) for event in events]
    return CalciumEvents(
        count=count,
        rate=count / length if length > 0 else np.full(len(count), np.nan),
        latency=np.array([_first_after(starts, since) for starts in first]),
        peak=np.array([_mean(event[2]) for event in events]),
        amplitude=np.array([_mean(event[3]) for event in events]),
        duration=np.array([_mean(event[1]) for event in events]),
        interval=np.array([_mean(gap) for gap in gaps]),
        variation=np.array([variation(gap) for gap in gaps]),
        above=(trace[inside] > thresholds).mean(axis=0),
    )


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _first_after(starts: Array, onset: float) -> float:
    later = starts[starts >= onset]
    return float(later[0] - onset) if len(later) else float("nan")


def crossings(time: Array, trace: Array, threshold: float) -> tuple[Array, Array]:
    """Times of the upward and of the downward crossings of one trace, linear between samples.

    Parameters
    ----------
    time, trace : array, (time,)
        Samples; times in s.
    threshold : float
        In the unit of ``trace``.

    Returns
    -------
    upward, downward : array, (crossings,)
        s.
    """
    above = trace > threshold
    upward, downward = np.flatnonzero(~above[:-1] & above[1:]), np.flatnonzero(above[:-1] & ~above[1:])

    def at(before: NDArray[np.intp]) -> Array:
        share = (threshold - trace[before]) / (trace[before + 1] - trace[before])
        return time[before] + share * (time[before + 1] - time[before])

    return at(upward), at(downward)


def _of_one(time: Array, trace: Array, threshold: float) -> tuple[Array, Array, Array, Array]:
    """Beginnings; then durations, peaks and heights of the whole events."""
    starts, ends = crossings(time, trace, threshold)
    if len(ends) and (not len(starts) or ends[0] < starts[0]):
        ends = ends[1:]  # above from the first sample on: its beginning was not seen
    begun = starts[: len(ends)]
    peaks, heights, before = [], [], 0
    for start, end in zip(np.searchsorted(time, begun), np.searchsorted(time, ends), strict=True):
        peaks.append(trace[start:end].max())
        heights.append(peaks[-1] - trace[before:start].min())
        before = end
    return starts, ends - begun, np.array(peaks, dtype=float), np.array(heights, dtype=float)


def variation(values: ArrayLike) -> float:
    """Coefficient of variation; NaN for fewer than two values."""
    values = np.asarray(values, dtype=float)
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 else float("nan")


def interval_variation(indices: Array, times: Array, count: int) -> Array:
    """Variation of the inter-spike intervals of each of ``count`` neurons; NaN for fewer than three spikes.

    Parameters
    ----------
    indices, times : array, (spikes,)
        Which neuron fired, and when, s.
    count : int

    Returns
    -------
    array, (count,)
    """
    return np.array([variation(np.diff(np.sort(times[indices == neuron]))) for neuron in range(count)])


def local_variation(indices: ArrayLike, times: ArrayLike, count: int, fewest: int = FEWEST_INTERVALS) -> Array:
    """CV2 of each neuron: the mean of 2 |I_{n+1} - I_n| / (I_{n+1} + I_n) over neighbouring inter-spike intervals.

    0 for a regular train, 1 for a Poisson train. Only neighbours are compared, so a rate that changes over many
    intervals adds nothing. Nor does a short recording bias it as it does the coefficient of variation: of a Poisson
    train that is known to have n spikes in a window, intervals side by side still share their sum evenly.

    Parameters
    ----------
    indices : array, (spikes,)
        Which neuron fired.
    times : array, (spikes,)
        When, s, in any order.
    count : int
        Neurons.
    fewest : int, default 5
        Intervals; a neuron with fewer has NaN.

    References
    ----------
    Holt, Softky, Koch and Douglas (1996), J. Neurophysiol. 75, 1806.
    """
    who, at = np.asarray(indices, dtype=np.int64), np.asarray(times, dtype=float)
    order = np.lexsort((at, who))
    who, interval = who[order], np.diff(at[order])
    inside = who[1:] == who[:-1]  # the interval lies within one neuron
    both = inside[1:] & inside[:-1]
    first, second = interval[:-1][both], interval[1:][both]
    pairs = np.bincount(who[2:][both], minlength=count)
    total = np.bincount(who[2:][both], 2 * np.abs(second - first) / (first + second), count)
    # One pair fewer than intervals
    return np.divide(total, pairs, out=np.full(count, np.nan), where=pairs >= max(fewest - 1, 1))


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
