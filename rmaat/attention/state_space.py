r"""A diagonal state space, S4D-Lin: every feature u drives n complex states, read out as one convolution.

    h_t = exp(dt A) h_{t-1} + (exp(dt A) - 1) / A  u_t        y_t = 2 Re(C h_t) + D u_t,      A_n = -1/2 + i pi n

so y = K * u with K_l = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(l dt A_n). Each feature has its own dt, A and C; not
causal: a second C reads the sequence from its end. Then GELU, and a gated linear unit.

Source: Gu et al. 2022 (arXiv 2206.11893). `kernel_reference` is K as written.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, glu, pad

from rmaat.attention.features import wide
from rmaat.attention.mixer import Mixer, Part, only
from rmaat.checks import require_counts

State = Tensor  # h, complex (B, d, n)
STEPS = (1e-3, 1e-1)  # dt at the start, spread evenly in its logarithm; Gu et al. 2022


def kernel(step: Tensor, gain: Tensor, length: int) -> Tensor:
    """2 Re sum_n gain_n exp(l step_n) for l = 0 .. length - 1, as products of two short tables.

    Parameters
    ----------
    step : Tensor, complex (features, n)
        dt A.
    gain : Tensor, complex (..., features, n)
    length : int

    Returns
    -------
    Tensor, (..., features, length)
    """
    size = max(1, math.isqrt(length))
    fine = torch.exp(step[..., None] * torch.arange(size, device=step.device))  # (d, n, c)
    coarse = torch.exp(step[..., None] * (size * torch.arange(-(-length // size), device=step.device)))  # (d, n, L / c)
    table = (gain[..., None] * coarse).transpose(-1, -2) @ fine  # (..., d, L / c, c)
    return 2.0 * table.real.flatten(-2)[..., :length]


def kernel_reference(step: Tensor, gain: Tensor, length: int) -> Tensor:
    """`kernel` as its definition says."""
    powers = torch.exp(step[..., None] * torch.arange(length))  # (d, n, L)
    return 2.0 * (gain[..., None] * powers).sum(-2).real


class DiagonalStateSpace(Mixer):
    """S4D with its output projection.

    Parameters
    ----------
    width : int
    heads : int
        Not used; for one signature with the others.
    causal : bool
    states : int
        Complex states of each feature, n.
    """

    def __init__(self, width: int, heads: int, causal: bool = False, states: int = 16) -> None:
        super().__init__(width, heads, causal)
        require_counts(1, states=states)
        low, high = (math.log(value) for value in STEPS)
        self.log_step = nn.Parameter(low + (high - low) * torch.rand(width))
        self.log_decay = nn.Parameter(torch.full((width, states), math.log(0.5)))  # -Re A
        self.frequency = nn.Parameter(math.pi * torch.arange(states).float().expand(width, states).clone())  # Im A
        directions = 1 if causal else 2
        self.read = nn.Parameter(torch.randn(directions, width, states, 2) * 0.5**0.5)  # C, real and imaginary
        self.skip = nn.Parameter(torch.randn(width))  # D
        self.out = nn.Linear(width, 2 * width)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, shared: Tensor | None = None, rows: slice | None = None
    ) -> Tensor:
        """See `Mixer.forward`."""
        self.check(x, mask)
        u = wide(only(x, mask))
        with torch.autocast(x.device.type, enabled=False):
            length = x.shape[1]
            step, drive = self._discrete()
            table = kernel(step, self._c() * drive, length)  # (directions, d, L)
            both = pad(table[0], (0, length))
            if not self.causal:  # lag -1 sits at the end of a circle of 2 L
                both = both + pad(table[1].flip(-1), (length, 0))
            spectrum = torch.fft.rfft(u.transpose(1, 2), n=2 * length) * torch.fft.rfft(both)
            y = torch.fft.irfft(spectrum, n=2 * length)[..., :length].transpose(1, 2) + self.skip * u
        y = y if rows is None else y[:, rows]
        return self._narrow(glu(self.emit(gelu(y), x), dim=-1), x)

    def extend(
        self, x: Tensor, state: State | None = None, shared: Tensor | None = None, part: Part = "tokens"
    ) -> tuple[Tensor, State]:
        """See `Mixer.extend`."""
        self._require_causal()
        self.check(x)
        u = wide(x)
        with torch.autocast(x.device.type, enabled=False):
            step, drive = self._discrete()
            turn, c = torch.exp(step), self._c()[0]
            state = torch.zeros(len(x), *step.shape, dtype=step.dtype, device=x.device) if state is None else state
            outputs = []
            for now in u.unbind(1):
                state = turn * state + drive * now[..., None]
                outputs.append(2.0 * (c * state).sum(-1).real + self.skip * now)
            y = torch.stack(outputs, dim=1)
        return self._narrow(glu(self.emit(gelu(y), x), dim=-1), x), state

    def _discrete(self) -> tuple[Tensor, Tensor]:
        """dt A and (exp(dt A) - 1) / A, complex (d, n)."""
        a = torch.complex(-torch.exp(wide(self.log_decay)), wide(self.frequency))
        step = torch.exp(wide(self.log_step))[:, None] * a
        return step, torch.expm1(step) / a

    def _c(self) -> Tensor:
        return torch.view_as_complex(wide(self.read).contiguous())
