"""How the retention law acts on the memory between segments.

    scale        mem_{t+1} = RetentionFactor(t, T) mem'_{t+1}                        the paper's rule; T in advance
    consolidate  mem_{t+1} = mem_t + (delta_t / F(t)) (mem'_{t+1} - mem_t)            ours; needs the past only
    none         mem_{t+1} = mem'_{t+1}

After T segments "consolidate" holds sum_i RetentionFactor(i, T) mem'_{i+1}: the paper's weights without their
normaliser in advance, since delta_t / F(t) = RetentionFactor(t, t). Source of the first: RMAAT (arXiv 2601.00426).

A rule is one object, and whatever differs between rules is asked of it: no other file compares names of rules. Torch is
loaded where tensors are made, so that settings and the report can read what rules there are without it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from astro_sim.common.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from bridge.retention import Retention


class MemoryRule:
    """What becomes of the memory after a segment; this one, "none", takes what the segment has written.

    Attributes
    ----------
    name : str
    uses_laws : bool
        Whether the retention law has a part in it.
    fades : bool
        Whether a later segment always has a smaller part than an earlier one, so that an endless stream ends with a
        memory that takes in nothing.
    """

    name = "none"
    uses_laws = False
    fades = False

    def require_laws(self, retention: "Retention | None") -> None:
        """Raise `InputError` where the rule needs laws and there are none."""
        if self.uses_laws and retention is None:
            raise InputError(f'memory_rule: {self.name!r} needs laws; give some, or choose "{MemoryRule.name}"')

    def needs_total(self, retention: "Retention | None") -> str | None:
        """What needs the number of segments in advance, for a message; None if nothing does."""
        return None

    def factors(self, retention: "Retention | None", totals: Sequence[int], segments: int) -> "Tensor":
        """Factor of every example and segment.

        Parameters
        ----------
        retention : bridge.retention.Retention or None
            None where the rule uses no laws.
        totals : sequence of int
            T of every example: its segments that are not only padding.
        segments : int
            Segments of the batch.

        Returns
        -------
        Tensor, (batch, segments), float64
            1 beyond an example's T, where the memory stays anyway. Differentiable where the laws are trainable.
        """
        import torch

        return torch.ones(len(totals), segments, dtype=torch.float64)

    def factor_at(self, retention: "Retention | None", seen: "Tensor", total: "Tensor | None") -> "Tensor":
        """Factor of the segment that follows ``seen`` others, of T = ``total`` where it is known; (batch,), float64."""
        import torch

        return torch.ones(len(seen), dtype=torch.float64, device=seen.device)

    def update(self, memory: "Tensor", written: "Tensor", factor: "Tensor") -> "Tensor":
        """mem_{t+1} from mem_t and mem'_{t+1}, (batch, M, width) each; ``factor`` is (batch, 1, 1)."""
        return written.clone()  # a view would keep all rows of its segment in memory

    def readable(self, after: "Tensor", written: "Tensor") -> "Tensor":
        """What a head reads of the memory after a segment: mem_{t+1} or mem'_{t+1}."""
        return written

    def direct_weight(self, factors: "Tensor") -> float:
        """What the rule alone leaves of mem'_2 after T segments, given their factors, (T,)."""
        return float(factors.prod())


class _Retaining(MemoryRule):
    """A rule whose factors are those of the retention law."""

    uses_laws = True

    def factor_at(self, retention: "Retention | None", seen: "Tensor", total: "Tensor | None") -> "Tensor":
        """See `MemoryRule.factor_at`; without T in closed form."""
        assert retention is not None
        if total is None:
            return retention.online_at(seen + 1)
        table = self.factors(retention, total.tolist(), int(total.max())).to(seen.device)
        return table.gather(1, seen.minimum(total - 1)[:, None])[:, 0]


class Scale(_Retaining):
    """The paper's rule: what a segment has written is multiplied by the retention factor of its place."""

    name = "scale"

    def needs_total(self, retention: "Retention | None") -> str | None:
        """See `MemoryRule.needs_total`: always."""
        return f"the memory rule {self.name!r} needs"

    def factors(self, retention: "Retention | None", totals: Sequence[int], segments: int) -> "Tensor":
        """RetentionFactor(t, T)."""
        assert retention is not None
        return retention.retention_table(totals, segments)

    def update(self, memory: "Tensor", written: "Tensor", factor: "Tensor") -> "Tensor":
        """See `MemoryRule.update`. It shrinks what it hands on, so the head reads what was written."""
        return factor * written


class Consolidate(_Retaining):
    """Our rule: the memory moves towards what a segment has written by the share that the law gives to its place."""

    name = "consolidate"
    fades = True

    def needs_total(self, retention: "Retention | None") -> str | None:
        """See `MemoryRule.needs_total`: of laws that were reversed."""
        return "reversed laws need" if retention is not None and retention.laws.needs_total else None

    def factors(self, retention: "Retention | None", totals: Sequence[int], segments: int) -> "Tensor":
        """delta_t / F(t)."""
        assert retention is not None
        return retention.online_table(totals, segments)

    def update(self, memory: "Tensor", written: "Tensor", factor: "Tensor") -> "Tensor":
        """See `MemoryRule.update`."""
        return memory + factor * (written - memory)

    def readable(self, after: "Tensor", written: "Tensor") -> "Tensor":
        """See `MemoryRule.readable`: the memory keeps its size, and is read itself."""
        return after

    def direct_weight(self, factors: "Tensor") -> float:
        """RetentionFactor(1, T), the weight of mem'_2 in the sum."""
        return float((1.0 - factors[1:]).prod() * factors[0])


RULES: dict[str, MemoryRule] = {rule.name: rule for rule in (Scale(), Consolidate(), MemoryRule())}
NONE, PAPER, DEFAULT = MemoryRule.name, Scale.name, Consolidate.name  # DEFAULT is RMAAT's; why: docs/decisions.md
