"""The retention law in torch: factors that a model can be trained through, and parameters that training may move.

Every parameter theta of the law has a line on which it is free (log, or log odds) and bounds there, l and u. It is

    theta = from_line(l + (u - l) sigmoid(a + s / c)),      c = (u - l) sigmoid'(a)

where a makes s = 0 the fitted value and c makes s a step on the line: at first, s = 0.1 is 10 % more. So theta cannot
leave its bounds whatever an optimiser does, every s starts at 0, and weight decay pulls towards the biology.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from astro_sim.common.errors import InputError
from bridge.constants import Constants
from bridge.laws import Laws

EDGE = 1e-6  # share of the line next to a bound that a start keeps away from: on the bound no gradient leads back


class Retention(Constants):
    """RetentionFactor and online factors of laws, differentiable in their parameters.

    Parameters
    ----------
    laws : Laws
        As fitted, or perturbed.
    trainable : bool
        Hold the parameters as one trainable vector ``shift``, which starts at 0; by default they are buffers, which
        do not enter the state of a model: the laws file has them.

    Raises
    ------
    InputError
        Trainable, but the laws have weights of their own in place of parameters (perturbed flat or random).

    Notes
    -----
    All arithmetic is in float64, whatever the precision of the model: factors range over orders of magnitude, and
    there are few of them. The values are those of `Laws` to rounding (tested: 1e-12).
    """

    start: Tensor
    low: Tensor
    width: Tensor
    fixed: Tensor

    def __init__(self, laws: Laws, trainable: bool = False) -> None:
        super().__init__()
        if trainable and not laws.parametric:
            kind = laws.document.perturbation
            assert kind is not None
            raise InputError(f"laws.trainable: {kind.kind} laws have no parameters to train")
        self.laws = laws
        self.register_constants()
        self.shift = nn.Parameter(torch.zeros(len(laws.family.parameters))) if trainable else None

    def constants(self) -> dict[str, Tensor]:
        """Of every parameter: a, l and u - l of the line that it is free on, and its fitted value."""
        axes, given = self.laws.family.parameters, self.laws.parameters
        values = np.array([given[p.name] for p in axes])
        low = np.array([float(p.to_line(p.low)) for p in axes])
        width = np.array([float(p.to_line(p.high)) for p in axes]) - low
        line = np.array([float(p.to_line(v)) for p, v in zip(axes, values, strict=True)])
        share = np.clip((line - low) / width, EDGE, 1.0 - EDGE)
        found = {"start": np.log(share) - np.log1p(-share), "low": low, "width": width, "fixed": values}
        return {name: torch.from_numpy(value) for name, value in found.items()}

    def require_own(self, about: Mapping[str, Any]) -> None:
        """Refuse a state whose metadata say that it is of other laws.

        A trainable ``shift`` is told from where its own laws put the law, so under others it is another law; and
        weights have learned with theirs.
        """
        if (found := about.get("laws", self.laws.digest)) != self.laws.digest:
            raise InputError(
                f"state: of a model with other laws (digest {found[:12]}, these have {self.laws.digest[:12]}); "
                "expected a model that is built with the same"
            )

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, "_metadata"):  # which torch keeps beside a state; a plain dict has none
            destination._metadata.setdefault(prefix[:-1], {})["laws"] = self.laws.digest

    def _load_from_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], *rest: Any
    ) -> None:
        self.require_own(local_metadata)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def values(self) -> dict[str, Tensor]:
        """Parameters of the law as they are now, scalars in float64."""
        return self._values(self.shift)

    def _values(self, shift: Tensor | None) -> dict[str, Tensor]:
        if shift is None:
            columns = self.fixed
        else:
            here = torch.sigmoid(self.start)
            place = torch.sigmoid(self.start + shift.double() / (self.width * here * (1.0 - here)))
            line = self.low + self.width * place
            logit = torch.tensor([p.scale == "logit" for p in self.laws.family.parameters], device=line.device)
            # The exponential must stay finite where it is not chosen, or its gradient is NaN.
            columns = torch.where(logit, torch.sigmoid(line), torch.exp(torch.where(logit, 0.0, line)))
        return {p.name: columns[k] for k, p in enumerate(self.laws.family.parameters)}

    def retention(self, total: int) -> Tensor:
        """RetentionFactor(t, T) for t = 1 .. T, (T,), float64; sums to 1."""
        return self.retention_table([total], total)[0]

    def online(self, total: int) -> Tensor:
        """delta_t / F(t) for t = 1 .. T, (T,), float64: needs no T in advance, except of laws that were reversed."""
        return self.online_table([total], total)[0]

    def online_at(self, t: Tensor) -> Tensor:
        """delta_t / F(t) at single cycles, of the shape of ``t`` (whole numbers from 1), float64.

        In closed form, so that a stream of any length needs no table; random weights have none, and are summed. Raises
        `InputError` for laws that were reversed, which need T.
        """
        if self.laws.needs_total:
            raise InputError("reversed laws need T in advance")
        if not self.laws.parametric:
            kind = self.laws.document.perturbation
            flat = kind is not None and kind.kind == "flat"
            return 1.0 / t.double() if flat else self.online(int(t.max()))[t - 1]
        family, values = self.laws.family, self.values()
        covered = torch.log(-torch.expm1(family.log_survival(t.double(), values, torch)))  # log F(t)
        return torch.exp(self._log_increments(t.double()) - covered)

    def heard(self, least: float, total: int | None = None, most: int = 2**20) -> int | None:
        """How many segments a stream takes in before delta_t / F(t) falls below ``least``.

        Parameters
        ----------
        least : float
        total : int, optional
            Segments of the stream; by default it is endless. Laws that were reversed need it.
        most : int
            How far the stream is looked at, but under laws that were reversed.

        Returns
        -------
        int or None
            None where that does not happen.
        """
        with torch.no_grad():
            if total is not None and self.laws.needs_total:
                return _before(self.online(total) < least)
            first, end = 1, most if total is None else min(total, most)
            while first <= end:  # in pieces that double: most laws are through early
                t = torch.arange(first, min(2 * first + 62, end) + 1, device=self.start.device)
                if (found := _before(self.online_at(t) < least)) is not None:
                    return first - 1 + found
                first += len(t)
        return None

    def retention_table(self, totals: Sequence[int], segments: int) -> Tensor:
        """RetentionFactor(t, T) of a batch.

        Parameters
        ----------
        totals : sequence of int
            T of every example, at least 1 and at most ``segments``.
        segments : int

        Returns
        -------
        Tensor, (batch, segments), float64
            1 beyond an example's T.

        Raises
        ------
        InputError
            A T below 1 or above ``segments``.
        """
        return self._table(totals, segments, whole=True)

    def online_table(self, totals: Sequence[int], segments: int) -> Tensor:
        """delta_t / F(t) of a batch; otherwise as `retention_table`."""
        return self._table(totals, segments, whole=False)

    def _table(self, totals: Sequence[int], segments: int, whole: bool) -> Tensor:
        """Increments over what is covered at T (``whole``), or at each t."""
        device = self.start.device
        if min(totals) < 1 or max(totals) > segments:
            raise InputError(f"T: expected 1 to {segments} segments, got {min(totals)} to {max(totals)}")
        own = torch.as_tensor(totals, device=device)[:, None]  # (B, 1)
        t = torch.arange(1, segments + 1, device=device)
        inside = t <= own
        logs = self._log_weights(t.double())
        order = torch.where(inside, own - t, 0) if self.laws.needs_total else (t - 1).expand(len(own), -1)
        logs = logs[order]  # (B, segments)
        # The running sum of the weights: log F(t) where they are increments, and up to a constant of the example else.
        covered = torch.logcumsumexp(logs, dim=1)
        last = covered.gather(1, own - 1) if whole else covered
        return torch.where(inside, torch.exp(torch.where(inside, logs - last, 0.0)), 1.0)

    def trained(self) -> Laws:
        """The laws with the parameters that training has reached; of a sharded model all processes must ask."""
        gather = getattr(self.shift, "full_tensor", None)  # of a DTensor: between steps each process has a part
        found = self._values(self.shift if gather is None else gather())
        values = {name: float(value.detach()) for name, value in found.items()}
        return self.laws.with_parameters(values, "trained, from the law that the simulation gave")

    def _log_weights(self, t: Tensor) -> Tensor:
        """Logarithms of what retention is proportional to: of the increments, or of perturbed weights."""
        if not self.laws.parametric:
            return torch.from_numpy(self.laws.log_weights(len(t))).to(t.device)
        return self._log_increments(t)

    def _log_increments(self, t: Tensor) -> Tensor:
        family, values = self.laws.family, self.values()
        step = family.log_survival_step(t, values, torch)
        return family.log_survival(t - 1.0, values, torch) + torch.log(-torch.expm1(step))


def _before(holds: Tensor) -> int | None:
    """How many come before the first that holds, if one does."""
    return int(holds.int().argmax()) if holds.any() else None
