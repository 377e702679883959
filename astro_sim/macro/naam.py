r"""The neuron-astrocyte associative memory: the macro model's limit with one index set, and its energy.

Neurons i and j stem from one set, theta = phi and kappa = g:

    tau_n dx_i/dt  = -lambda x_i + sum_j g(s_ij) phi(x_j) + b_i
    tau_s ds_ij/dt = -beta s_ij + phi(x_i) phi(x_j) + psi(p_ij) + c
    tau_p dp_ij/dt = -gamma p_ij + sum_kl T_ijkl psi(p_kl) + g(s_ij) + d

Each non-linearity is the slope of a convex Lagrangian, phi = L_phi' and so on. If T_ijkl = T_klij, and s and p are
symmetric in ij (they stay so where they start so and T_ijkl = T_jikl), then

    E =       sum_i  [lambda (x_i phi_i - L_phi(x_i)) - b_i phi_i]
      + 1/2   sum_ij [beta (s_ij g_ij - L_g(s_ij)) - c g_ij]
      + 1/2   sum_ij [gamma (p_ij psi_ij - L_psi(p_ij)) - d psi_ij]
      - 1/2   sum_ij g_ij (phi_i phi_j + psi_ij)
      - 1/4   sum_ijkl psi_ij T_ijkl psi_kl

never rises. Since d(x phi - L_phi) = x dphi,

    dE/dphi_i  = lambda x_i - sum_j g_ij phi_j - b_i                     = -tau_n dx_i/dt      (g_ij = g_ji)
    dE/dg_ij   = 1/2 (beta s_ij - phi_i phi_j - psi_ij - c)              = -1/2 tau_s ds_ij/dt
    dE/dpsi_ij = 1/2 (gamma p_ij - sum_kl T_ijkl psi_kl - g_ij - d)      = -1/2 tau_p dp_ij/dt (T_ijkl = T_klij)

so that dE/dt = -tau_n sum phi' (dx/dt)^2 - tau_s/2 sum g' (ds/dt)^2 - tau_p/2 sum psi' (dp/dt)^2 <= 0: the factors 1/2
are what makes the three sets, each seen by the others through one product, share one E.

Source: Kozachkov, Slotine, Krotov, Neuron-astrocyte associative memory (arXiv 2311.08135), leaks 1; the form above is
worked out here for any leaks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from astro_sim.common.progress import Progress
from astro_sim.common.settings import Settings, quantity
from astro_sim.macro.equations import NON_LINEARITIES
from astro_sim.macro.parameters import NonLinearity
from astro_sim.stability import REAL_LIMITS

Array = NDArray[np.float64]
NAAM = "Kozachkov, Slotine, Krotov (arXiv 2311.08135)"
CHOSEN = "chosen: synapses and processes settle faster than neurons, so that patterns are recalled"


class NaamParameters(Settings):
    """Constants of the associative memory; time in seconds, all else in arbitrary units."""

    n: int = quantity(24, "1", "neurons; n * n synapses", "chosen", ge=2, le=64)
    tau_n: float = quantity(1.0, "s", "time constant of the neurons", CHOSEN, gt=0, le=1e9)
    tau_s: float = quantity(0.1, "s", "time constant of the synapses", CHOSEN, gt=0, le=1e9)
    tau_p: float = quantity(0.2, "s", "time constant of the processes", CHOSEN, gt=0, le=1e9)
    lambda_: float = quantity(1.0, "1", "leak of the neurons (lambda)", NAAM, ge=0, le=1e6)
    beta: float = quantity(1.0, "1", "leak of the synapses", NAAM, ge=0, le=1e6)
    gamma: float = quantity(1.0, "1", "leak of the processes", NAAM, ge=0, le=1e6)
    b: float = quantity(0.0, "a.u.", "constant input to every neuron", NAAM + ", value chosen")
    c: float = quantity(0.0, "a.u.", "bias of every synapse", NAAM + ", value chosen")
    d: float = quantity(0.0, "a.u.", "bias of every process", NAAM + ", value chosen")
    strength: float = quantity(
        0.5, "1", "of T: strength / n^2 a pattern; memories need strength * psi_gain > gamma", "chosen", ge=0, le=1e3
    )
    phi: NonLinearity = quantity("tanh", "1", "output of a neuron", "chosen")
    g: NonLinearity = quantity("tanh", "1", "synaptic strength, and drive of the process", "chosen")
    psi: NonLinearity = quantity("tanh", "1", "effect of the process, times psi_gain", "chosen")
    psi_gain: float = quantity(
        3.0, "1", "of psi: above 1, or each neuron's own product phi phi outweighs the memory", "chosen", gt=0, le=1e3
    )
    dt: float = quantity(0.04, "s", "longest step of the solver", "chosen: below half of tau_s", gt=0)


class NaamState(NamedTuple):
    """State of the memory, or its time derivative; leading axes are runs side by side."""

    x: Array  # (..., n)
    s: Array  # (..., n, n)
    p: Array  # (..., n, n)

    def plus(self, step: float, slope: "NaamState") -> "NaamState":
        """This state, ``step`` seconds along ``slope``."""
        return NaamState(*(part + step * rate for part, rate in zip(self, slope, strict=True)))


def _lagrangian(name: NonLinearity, x: Array) -> Array:
    """The convex function whose slope is the non-linearity."""
    size = np.abs(x)
    if name == "softsign":
        return size - np.log1p(size)
    if name == "linear":
        return 0.5 * x * x
    log_cosh = size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0)
    return np.where(x > 0, log_cosh, 0.0) if name == "rectified" else log_cosh


class Coupling(NamedTuple):
    """T_ijkl = sum_r weight_r F^r_ij F^r_kl: any T with T_ijkl = T_klij has this form, memories a short one."""

    factors: Array  # (r, n, n)
    weights: Array  # (r,)

    def spread(self, psi: Array) -> Array:
        """sum_kl T_ijkl psi_kl for every run."""
        flat = self.factors.reshape(len(self.weights), -1)
        return (((psi.reshape(*psi.shape[:-2], -1) @ flat.T) * self.weights) @ flat).reshape(psi.shape)

    @property
    def radius(self) -> float:
        """rho(T): the non-zero eigenvalues of sum_r w_r F F^T are those of the small matrix F^T F w."""
        flat = self.factors.reshape(len(self.weights), -1)
        return float(np.abs(np.linalg.eigvals((flat @ flat.T) * self.weights)).max(initial=0.0))

    def dense(self) -> Array:
        """T itself, (n, n, n, n)."""
        return np.einsum("r,rij,rkl->ijkl", self.weights, self.factors, self.factors)


def stored(patterns: Array, strength: float) -> Coupling:
    """T_ijkl = strength / n^2 sum_mu xi_i xi_j xi_k xi_l from patterns (mu, n) of signs.

    The factor makes sum_kl T_ijkl xi_k xi_l = strength xi_i xi_j for a single pattern, whatever n.
    """
    count, n = patterns.shape
    return Coupling(np.einsum("mi,mj->mij", patterns, patterns), np.full(count, strength / n**2))


class NaamModel:
    """The associative memory with the coupling T."""

    def __init__(self, parameters: NaamParameters, coupling: Coupling) -> None:
        n = parameters.n
        if coupling.factors.shape != (len(coupling.weights), n, n):
            raise InputError(f"coupling: expected factors of the shape (r, {n}, {n}), got {coupling.factors.shape}")
        self.parameters, self.coupling = parameters, coupling
        bound = REAL_LIMITS["rk4"] / self.fastest_rate
        if parameters.dt > bound:
            raise InputError(
                f"dt: expected at most {bound:.3g} s, where the solver may turn unstable, got {parameters.dt:g} s"
            )

    @property
    def fastest_rate(self) -> float:
        """Bound on the rates of the linearised model, per second, from the norms of its Jacobian's blocks.

        Slopes are at most 1 (psi_gain for psi); phi and g within 1, so not for "linear" ones driven past it.
        """
        q = self.parameters
        root = np.sqrt(q.n)
        blocks = [
            [(q.lambda_ + q.n) / q.tau_n, root / q.tau_n, 0.0],
            [2 * root / q.tau_s, q.beta / q.tau_s, q.psi_gain / q.tau_s],
            [0.0, 1 / q.tau_p, (q.gamma + q.psi_gain * self.coupling.radius) / q.tau_p],
        ]
        return float(np.abs(np.linalg.eigvals(blocks)).max()) if np.isfinite(blocks).all() else float("inf")

    def _outputs(self, state: NaamState) -> tuple[Array, Array, Array]:
        p = self.parameters
        phi, g, psi = (NON_LINEARITIES[name] for name in (p.phi, p.g, p.psi))
        return phi(state.x), g(state.s), p.psi_gain * psi(state.p)

    def derivative(self, state: NaamState) -> NaamState:
        """Right-hand side, per second."""
        q = self.parameters
        phi, g, psi = self._outputs(state)
        return NaamState(
            x=(-q.lambda_ * state.x + np.einsum("...ij,...j->...i", g, phi) + q.b) / q.tau_n,
            s=(-q.beta * state.s + phi[..., :, None] * phi[..., None, :] + psi + q.c) / q.tau_s,
            p=(-q.gamma * state.p + self.coupling.spread(psi) + g + q.d) / q.tau_p,
        )

    def energy(self, state: NaamState) -> Array:
        """E of the module's docstring; one a run."""
        q = self.parameters
        phi, g, psi = self._outputs(state)
        x, s, p = state
        products = phi[..., :, None] * phi[..., None, :]
        neurons = q.lambda_ * (x * phi - _lagrangian(q.phi, x)) - q.b * phi
        synapses = q.beta * (s * g - _lagrangian(q.g, s)) - q.c * g
        processes = q.gamma * (p * psi - q.psi_gain * _lagrangian(q.psi, p)) - q.d * psi
        shared = synapses + processes - g * (products + psi) - 0.5 * psi * self.coupling.spread(psi)
        return neurons.sum(axis=-1) + 0.5 * shared.sum(axis=(-2, -1))

    def run(self, start: NaamState, duration: float, interval: float) -> tuple[Array, list[NaamState]]:
        """Classical Runge-Kutta of order 4 from ``start``.

        Returns
        -------
        time : array, (time,)
            Multiples of ``interval``, s.
        states : list of NaamState
            At those times.
        """
        samples = int(np.floor(duration / interval + 1e-9))
        steps = max(1, int(np.ceil(interval / self.parameters.dt - 1e-9)))
        h = interval / steps
        states = [start]
        with Progress("recalling", samples) as progress:
            for _ in range(samples):
                state = states[-1]
                for _ in range(steps):
                    k1 = self.derivative(state)
                    k2 = self.derivative(state.plus(0.5 * h, k1))
                    k3 = self.derivative(state.plus(0.5 * h, k2))
                    k4 = self.derivative(state.plus(h, k3))
                    state = state.plus(h / 6, k1).plus(h / 3, k2).plus(h / 3, k3).plus(h / 6, k4)
                states.append(state)
                progress.advance()
        return interval * np.arange(samples + 1, dtype=np.float64), states
