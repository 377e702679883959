"""Laws files of earlier schemas."""

from typing import Any

import numpy as np

from astro_sim.common.errors import InputError
from astro_sim.common.files import digest
from bridge import families, residuals
from bridge.laws import Laws
from bridge.schema import KIND, REACH, SCHEMA_VERSION, finite


def convert(raw: Any, where: str = "laws") -> Laws:
    """Laws from parsed JSON of any schema up to this one.

    What schema 1 did not know is worked out from its parameters and residuals, or left null: BIC, the error on held-out
    cycles, draws.

    Raises
    ------
    InputError
        Not a laws file, a digest that does not hold, or contents that this schema refuses.
    """
    if not isinstance(raw, dict) or raw.get("kind") != KIND or raw.get("schema_version") != 1:
        return Laws.from_json(raw, where)
    old = {name: value for name, value in raw.items() if name != "digest"}
    try:
        held = digest(old) == raw.get("digest")
    except (TypeError, ValueError):
        held = False
    if not held:
        raise InputError(f"{where}: the digest does not hold; the file was changed after it was written")
    new = {
        **old,
        "schema_version": SCHEMA_VERSION,
        "retention": _retention(old["retention"]),
        "short_term": {},
        "perturbation": None,
    }
    return Laws.from_json({**new, "digest": digest(new)}, where)


def _retention(old: dict[str, Any]) -> dict[str, Any]:
    family = families.get(old["family"])
    values = {name: number["value"] for name, number in old["parameters"].items()}
    left = np.array(old["residuals"])
    reached = float(family.level(float(old["fitted_cycles"]), values))
    return {
        **old,
        "knots": [],
        "unit": old["amplitude"]["unit"],
        "averaged": {},
        "spread": None,
        "noise": "levels",
        "noise_origin": "schema 1 knew no other",
        "deviation": finite(residuals.deviation(left, len(values) + 1)),
        "autocorrelation": residuals.autocorrelation(left),
        "reached": reached,
        "identifiable": old["converged"] and reached >= REACH,
        "candidates": [{**each, "knots": [], "bic": None, "held_out": None} for each in old["candidates"]],
        "draws": None,
    }
