"""What simulation showed of the fits: how often intervals hold the truth, how often AICc finds the right family.

Written by ``rmaat bench interval-coverage family-selection --out bridge/evidence`` and shipped with the package, so
that a report can put a law's own evidence beside them.
"""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any


def coverage() -> list[dict[str, Any]]:
    """Share of 1,000 curves of 24 cycles whose 95 % interval holds the truth: a row a kind of noise and parameter."""
    return _rows("interval-coverage")


def selection() -> list[dict[str, Any]]:
    """What 100 curves of every family were taken for: a row a kind and size of noise, number of cycles and truth."""
    return _rows("family-selection")


@lru_cache
def _rows(name: str) -> list[dict[str, Any]]:
    return json.loads((files("bridge.evidence") / f"{name}.json").read_text(encoding="utf-8"))["rows"]
