"""What is read off the spike trains of many neurons. Plain functions."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
FEWEST_INTERVALS = 5  # of a neuron for a mean over its pairs of neighbours to say something


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
