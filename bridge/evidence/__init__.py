"""What simulation showed of the fits: how often intervals hold the truth, how often AICc finds the right family.

Written by ``rmaat bench interval-coverage family-selection --out bridge/evidence`` and shipped with the package, so
that a report can put a law's own evidence beside them.
"""

import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.schema import RetentionLaw

TYPICAL = 0.01  # noise over the saturation, of a law whose residuals are unknown


def coverage() -> list[dict[str, Any]]:
    """Share of 1,000 curves of 24 cycles whose 95 % interval holds the truth: a row a kind of noise and parameter."""
    return _rows("interval-coverage")


def selection(noise: str, cycles: int | None = None, size: float | None = None) -> list[dict[str, Any]]:
    """What 100 curves of every family were taken for: a row a kind and size of noise, number of cycles and truth.

    Those with ``noise`` in "levels" or "dynamics" and, where they are given, so many cycles and this ``size`` of noise
    over the saturation.
    """
    wanted = {"noise in": noise, "cycles": cycles, "noise": size}
    return [
        row
        for row in _rows("family-selection")
        if all(value is None or row[name] == value for name, value in wanted.items())
    ]


def nearest(law: "RetentionLaw") -> list[dict[str, Any]]:
    """`selection` with the law's kind of noise, in the studied setting nearest to the law.

    Of cycles, the most that the law has too: more would promise too much. A curve with less noise than any in the
    study says more than the table.
    """
    counts = sorted({row["cycles"] for row in selection(law.noise)})
    cycles = max((count for count in counts if count <= law.fitted_cycles), default=counts[0])
    size = TYPICAL if law.deviation is None else law.deviation / law.amplitude.value
    closest = min({row["noise"] for row in selection(law.noise, cycles)}, key=lambda studied: abs(studied - size))
    return selection(law.noise, cycles, closest)


@lru_cache
def _rows(name: str) -> list[dict[str, Any]]:
    return json.loads((files("bridge.evidence") / f"{name}.json").read_text(encoding="utf-8"))["rows"]
