"""Stimulus protocols: piecewise constant input to the neurons, as edges and levels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError

Array = NDArray[np.float64]
MOST_SAMPLES = 1e8  # and stretches; more is a slip of the unit rather than a wish


@dataclass(frozen=True)
class Stimulus:
    """Input that is constant between edges.

    Attributes
    ----------
    edges : array, (stretches + 1,)
        Times, s; the first is the start and the last the end of the protocol.
    pre, post : array, (stretches, n)
        Input to the neurons of each set during each stretch.
    """

    edges: Array
    pre: Array
    post: Array

    @property
    def duration(self) -> float:
        """Length of the protocol, s."""
        return float(self.edges[-1] - self.edges[0])

    def sampled(self, interval: float) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Cut the stretches further at multiples of ``interval``.

        Returns
        -------
        times : array, (stretches + 1,)
            Edges and sample times together, s.
        inputs : array, (stretches, 2 n)
            Input during each of the finer stretches, presynaptic first.
        is_sample : array of bool, (stretches + 1,)
            Which of ``times`` are multiples of ``interval`` (or the end).

        Raises
        ------
        InputError
            More samples than reasonable.
        """
        wanted = self.duration / interval
        if not wanted <= MOST_SAMPLES:
            raise InputError(f"interval: {wanted:.3g} samples; expected at most {MOST_SAMPLES:.0e}")
        count = int(np.floor(wanted + 1e-9))
        samples = self.edges[0] + interval * np.arange(count + 1)
        # Times closer than a nanosecond are the same time: rounding makes edges and samples meet exactly.
        samples, edges = np.round(samples, 9), np.round(self.edges, 9)
        times = np.union1d(samples, edges)
        middle = 0.5 * (times[1:] + times[:-1])
        stretch = np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, len(self.pre) - 1)
        inputs = np.concatenate([self.pre, self.post], axis=1)[stretch]
        is_sample = np.isin(times, samples) | (times == edges[-1])
        return times, inputs, is_sample


def square_wave(cycles: int, tau_cycle: float, duty: float, pre: Array, post: Array) -> Stimulus:
    """``cycles`` times: input on for ``duty * tau_cycle`` seconds, then off until the cycle ends.

    Parameters
    ----------
    cycles : int
    tau_cycle : float
        Length of a cycle, s.
    duty : float
        Share of it with input, above 0 and at most 1.
    pre, post : array, (n,)
        Input to the neurons of each set while on.

    Raises
    ------
    InputError
        More cycles than reasonable, or a time that is not finite.
    """
    if not (cycles <= MOST_SAMPLES and np.isfinite(cycles * tau_cycle)):
        raise InputError(
            f"{cycles:.3g} cycles of {tau_cycle:g} s; expected at most {MOST_SAMPLES:.0e} and a finite time"
        )
    starts = tau_cycle * np.arange(cycles)
    edges = np.append(np.column_stack([starts, starts + duty * tau_cycle]).ravel(), cycles * tau_cycle)
    on = np.tile([1.0, 0.0], cycles)[:, None]
    keep = np.append(np.diff(edges) > 0, True)  # duty 1 leaves no off stretch
    return Stimulus(edges[keep], (on * pre)[keep[:-1]], (on * post)[keep[:-1]])


def pulse_train(rate: float, width: float, duration: float, pre: Array, post: Array) -> Stimulus:
    """Pulses of ``width`` seconds at ``rate`` Hz, the first at 0, for ``duration`` seconds.

    Parameters
    ----------
    rate : float
        Hz.
    width, duration : float
        s.
    pre, post : array, (n,)
        Input to the neurons of each set during a pulse.

    Raises
    ------
    InputError
        More pulses than reasonable.
    """
    if not duration * rate <= MOST_SAMPLES:
        raise InputError(f"{duration * rate:.3g} pulses; expected at most {MOST_SAMPLES:.0e}")
    return square_wave(round(duration * rate), 1.0 / rate, width * rate, pre, post)
