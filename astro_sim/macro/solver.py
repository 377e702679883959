"""The macro model, compiled: classical Runge-Kutta of order 4, one stretch of constant input after another.

A square-wave input makes an adaptive solver hunt for its edges. Here every edge is the end of a stretch, so the order
of the method holds throughout.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_sim.common.progress import Progress
from astro_sim.macro.parameters import MacroParameters

Array = NDArray[np.float64]
BLOCK = 200_000  # steps; about half a second at n = 3

# Stated here, not derived from the order of NON_LINEARITIES: numba's cache on disk keeps the numbers that it
# compiled and looks for changes in this file alone.
_TANH, _RECTIFIED, _SOFTSIGN, _LINEAR = range(4)
_CODES = {"tanh": _TANH, "rectified": _RECTIFIED, "softsign": _SOFTSIGN, "linear": _LINEAR}


@njit(cache=True)
def _apply(code, x):
    if code == _TANH:
        return np.tanh(x)
    if code == _RECTIFIED:
        return max(np.tanh(x), 0.0)
    if code == _SOFTSIGN:
        return x / (1.0 + abs(x))
    return x


@njit(cache=True)
def _derivative(y, inputs, coupling, constants, codes, bounded, hold_ltp, n, psi_of_p, out):
    lambda_, beta, gamma_s, gamma_l, tau_n, tau_s, tau_p_s, tau_p_l, b, c, d = constants
    phi, g, theta, psi, kappa = codes
    processes = n * n
    at_s, at_ps, at_pl = 2 * n, 2 * n + processes, 2 * n + 2 * processes
    for k in range(processes):
        psi_of_p[k] = _apply(psi, y[at_ps + k])
    for j in range(n):
        out[j] = (-lambda_ * y[j] + b + inputs[j]) / tau_n
    for i in range(n):
        synaptic = 0.0
        theta_i = _apply(theta, y[n + i])
        for j in range(n):
            k = i * n + j
            s = y[at_s + k]
            synaptic += _apply(g, s) * _apply(phi, y[j])
            out[at_s + k] = (-beta * s + theta_i * _apply(theta, y[j]) + psi_of_p[k] + c) / tau_s
            spread = 0.0
            for other in range(processes):
                spread += coupling[k, other] * psi_of_p[other]
            drive = _apply(kappa, s)
            out[at_ps + k] = (-gamma_s * y[at_ps + k] + spread + drive + d) / tau_p_s
            p_l = y[at_pl + k]
            if hold_ltp:
                out[at_pl + k] = 0.0
            elif bounded:
                out[at_pl + k] = (-gamma_l * p_l + drive * (1.0 - p_l)) / tau_p_l
            else:
                out[at_pl + k] = (-gamma_l * p_l + drive) / tau_p_l
        out[n + i] = (-lambda_ * y[n + i] + synaptic + b + inputs[n + i]) / tau_n


@njit(cache=True)
def _integrate(start, times, inputs, dt, coupling, constants, codes, bounded, hold_ltp, n):
    size = start.size
    out = np.empty((times.size, size))
    out[0] = start
    y, trial = start.copy(), np.empty(size)
    k1, k2, k3, k4 = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    scratch = np.empty(n * n)
    for stretch in range(times.size - 1):
        length = times[stretch + 1] - times[stretch]
        steps = max(1, int(np.ceil(length / dt - 1e-9)))
        h = length / steps
        u = inputs[stretch]
        for _ in range(steps):
            _derivative(y, u, coupling, constants, codes, bounded, hold_ltp, n, scratch, k1)
            trial[:] = y + 0.5 * h * k1
            _derivative(trial, u, coupling, constants, codes, bounded, hold_ltp, n, scratch, k2)
            trial[:] = y + 0.5 * h * k2
            _derivative(trial, u, coupling, constants, codes, bounded, hold_ltp, n, scratch, k3)
            trial[:] = y + h * k3
            _derivative(trial, u, coupling, constants, codes, bounded, hold_ltp, n, scratch, k4)
            y += (h / 6.0) * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        out[stretch + 1] = y
    return out


def integrate(
    start: Array,
    times: Array,
    inputs: Array,
    coupling: Array,
    parameters: MacroParameters,
    hold_ltp: bool = False,
) -> Array:
    """Integrate the macro model over stretches of constant input.

    Parameters
    ----------
    start : array, (states,)
        Packed state (`MacroState.pack`) at ``times[0]``.
    times : array, (stretches + 1,)
        Ends of the stretches, s, ascending.
    inputs : array, (stretches, 2 n)
        Input to presynaptic, then postsynaptic neurons during each stretch.
    coupling : array, (post, pre, post, pre)
        T_ijkl.
    parameters : MacroParameters
        ``dt`` is the longest step; each stretch is cut into equal steps no longer than it.
    hold_ltp : bool
        Hold p^l where it is (burn-in).

    Returns
    -------
    array, (stretches + 1, states)
        Packed states at ``times``.
    """
    p = parameters
    constants = (p.lambda_, p.beta, p.gamma_s, p.gamma_l, p.tau_n, p.tau_s, p.tau_p_s, p.tau_p_l, p.b, p.c, p.d)
    codes = tuple(_CODES[name] for name in (p.phi, p.g, p.theta, p.psi, p.kappa))
    flat = np.ascontiguousarray(coupling.reshape(p.n * p.n, p.n * p.n))
    bounded = p.ltp_dynamics == "bounded"
    times = np.ascontiguousarray(times, dtype=float)
    inputs = np.ascontiguousarray(inputs, dtype=float)
    out = np.empty((len(times), len(start)))
    out[0] = start
    # In blocks, between which Python can show progress and hear an interrupt.
    steps = np.cumsum(np.ceil(np.diff(times) / p.dt))
    ends = np.unique(np.append(np.searchsorted(steps, np.arange(BLOCK, steps[-1], BLOCK)), len(times) - 1))
    with Progress("integrating", len(times) - 1) as progress:
        first = 0
        for last in ends[ends > 0]:
            block = slice(first, last + 1)
            out[block] = _integrate(
                out[first], times[block], inputs[first:last], p.dt, flat, constants, codes, bounded, hold_ltp, p.n
            )
            progress.advance(last - first)
            first = last
    return out
