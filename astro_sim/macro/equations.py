r"""The macro model as equations: the slow, obvious definition that the compiled solver is tested against.

With postsynaptic neurons i, presynaptic neurons j and one astrocyte process around each synapse ij:

    tau_n   dx_j/dt    = -lambda x_j + b + I_j(t)                                      (presynaptic)
    tau_n   dx_i/dt    = -lambda x_i + sum_j g(s_ij) phi(x_j) + b + I_i(t)             (postsynaptic)
    tau_s   ds_ij/dt   = -beta s_ij + theta(x_i) theta(x_j) + psi(p^s_ij) + c
    tau_p^s dp^s_ij/dt = -gamma^s p^s_ij + sum_kl T_ijkl psi(p^s_kl) + kappa(s_ij) + d
    tau_p^l dp^l_ij/dt = -gamma^l p^l_ij + kappa(s_ij)                                 (linear)
    tau_p^l dp^l_ij/dt = -gamma^l p^l_ij + kappa(s_ij) (1 - p^l_ij)                    (bounded)

Source: RMAAT (arXiv 2601.00426), after the neuron-astrocyte associative memory (arXiv 2311.08135). Pre- and
postsynaptic neurons are two index sets, so presynaptic neurons receive nothing but their input. The bounded form is
ours: there the rate of the slow variable depends on activity, which in the linear form it never does.

Knock-outs: calcium holds p^s and p^l where they are (0 from rest); receptors takes kappa(s) out of both processes;
gap_junctions sets T to 0; gliotransmission takes psi(p^s) out of the synapse.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from astro_sim.macro.parameters import MacroParameters

Array = NDArray[np.float64]

NON_LINEARITIES: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "rectified": lambda x: np.maximum(np.tanh(x), 0.0),
    "softsign": lambda x: x / (1.0 + np.abs(x)),
    "linear": lambda x: x,
}


class MacroState(NamedTuple):
    """State of the macro model, or its time derivative: n + n + 3 n^2 numbers."""

    x_pre: Array  # (n,)
    x_post: Array  # (n,)
    s: Array  # (post, pre)
    p_s: Array  # (post, pre)
    p_l: Array  # (post, pre)

    def pack(self) -> Array:
        """Flatten to one vector, in the order of the fields."""
        return np.concatenate([part.ravel() for part in self])

    @classmethod
    def unpack(cls, vector: Array, n: int) -> "MacroState":
        """Undo `pack`; leading axes (time) are kept."""
        lead = vector.shape[:-1]
        x_pre, x_post, s, p_s, p_l = np.split(vector, np.cumsum([n, n, n * n, n * n]), axis=-1)
        return cls(x_pre, x_post, *(part.reshape(*lead, n, n) for part in (s, p_s, p_l)))


def rest(n: int) -> MacroState:
    """Every state at 0."""
    return MacroState(np.zeros(n), np.zeros(n), *(np.zeros((n, n)) for _ in range(3)))


def derivative(
    state: MacroState, input_pre: Array, input_post: Array, coupling: Array, parameters: MacroParameters
) -> MacroState:
    """Right-hand side of the macro model.

    Parameters
    ----------
    state : MacroState
    input_pre, input_post : array, (n,)
        External input I to the two sets of neurons.
    coupling : array, (post, pre, post, pre)
        T_ijkl.
    parameters : MacroParameters

    Returns
    -------
    MacroState
        d state / dt, per second.
    """
    p = parameters
    phi, g, theta, psi, kappa = (NON_LINEARITIES[name] for name in (p.phi, p.g, p.theta, p.psi, p.kappa))
    x_pre, x_post, s, p_s, p_l = state
    drive = 0.0 * s if "receptors" in p.knockouts else kappa(s)
    gliotransmitter = 0.0 if "gliotransmission" in p.knockouts else psi(p_s)
    spread = 0.0 if "gap_junctions" in p.knockouts else np.einsum("ijkl,kl->ij", coupling, psi(p_s))
    held = 0.0 if "calcium" in p.knockouts else 1.0
    ceiling = 1.0 - p_l if p.ltp_dynamics == "bounded" else 1.0
    return MacroState(
        x_pre=(-p.lambda_ * x_pre + p.b + input_pre) / p.tau_n,
        x_post=(-p.lambda_ * x_post + g(s) @ phi(x_pre) + p.b + input_post) / p.tau_n,
        s=(-p.beta * s + np.outer(theta(x_post), theta(x_pre)) + gliotransmitter + p.c) / p.tau_s,
        p_s=held * (-p.gamma_s * p_s + spread + drive + p.d) / p.tau_p_s,
        p_l=held * (-p.gamma_l * p_l + drive * ceiling) / p.tau_p_l,
    )
