"""Families of saturation curves. `bridge.families.base` says what a family is."""

import copyreg
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from astro_sim.common.errors import InputError, did_you_mean
from bridge.families.base import Family, Parameter
from bridge.families.parametric import DOUBLE_EXPONENTIAL, EXPONENTIAL, HILL, LOGISTIC, POWER_LAW, STRETCHED
from bridge.families.spline import knots_for, spline

# Those that compete for a curve. The spline does not: it is what they are held against.
FAMILIES: dict[str, Family] = {
    family.name: family for family in (EXPONENTIAL, DOUBLE_EXPONENTIAL, STRETCHED, HILL, POWER_LAW, LOGISTIC)
}
NAMES = (*FAMILIES, "spline")

__all__ = ["FAMILIES", "NAMES", "Family", "Parameter", "get", "knots_for", "spline"]


def get(name: str, knots: Sequence[float] = ()) -> Family:
    """Look a family up by name, the spline with its knots; an unknown one raises `InputError` with the nearest name."""
    if name == "spline":
        whole = [float(knot) for knot in knots]
        if len(whole) < 2 or whole[0] != 0 or any(b <= a or b != int(b) for a, b in pairwise(whole)):
            raise InputError(f"spline: expected knots at 0 and then whole cycles, ascending, got {list(knots)}")
        return spline(whole)
    if name not in FAMILIES:
        raise InputError(f"unknown law family {name!r}; {did_you_mean(name, NAMES)}")
    return FAMILIES[name]


def _reduced(family: Family) -> Any:
    """Families of the package are pickled and copied by name, since formulas cannot be: they are the same anywhere.

    Others are pickled as any object is, so their formulas must be functions of a module.
    """
    if family.name == "spline" or FAMILIES.get(family.name) is family:
        return get, (family.name, family.knots)
    return object.__reduce_ex__(family, 2)


copyreg.pickle(Family, _reduced)
