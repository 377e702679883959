"""Physical units: what a number with a unit is in the unit that a setting is declared in.

Brian2 knows the units and checks the dimensions. It is loaded only where a unit is met.
"""

import re
from typing import Any

from astro_sim.common.brian import load_brian2

# How the field writes them -> Brian2's name. What Brian2 itself calls so (ms, mV, nS, um, ...) needs no entry.
_NAMES = {
    **{"s": "second", "V": "volt", "A": "amp", "M": "molar", "m": "metre", "S": "siemens", "F": "farad"},
    **{"C": "coulomb", "Ohm": "ohm"},
}
_FACTOR = re.compile(r"(?P<sign>[*/ ]?)\s*(?P<name>[A-Za-z]+|1)(?:\^?(?P<power>-?[0-9]))?\s*")
_NUMBER = re.compile(
    r"\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![eE]?[-+]?\d)\s*[* ]?\s*(?P<unit>[A-Za-z1/].*?)\s*"
)

# Units that measure nothing physical: a number in them has no other unit to be given in.
UNITLESS = ("1", "a.u.", "spacing", "1/spacing")


def brian_unit(text: str) -> Any:
    """Brian2's unit for ``text``: factors divided by ``/`` or multiplied by ``*`` or a space, as in ``1/uM/s``.

    Raises
    ------
    ValueError
        A name that no unit has.
    """
    load_brian2()
    from brian2.units import allunits, stdunits

    unit: Any = 1.0
    position = 0
    while position < len(text):
        factor_text = _FACTOR.match(text, position)
        if factor_text is None:
            raise ValueError(f"unknown unit {text!r}")
        name = factor_text["name"]
        if name == "1":
            factor: Any = 1.0
        elif name == "min":
            factor = 60 * allunits.second
        else:
            name = _NAMES.get(name, name)
            factor = getattr(allunits, name, None) or getattr(stdunits, name, None)
            if factor is None:
                raise ValueError(f"unknown unit {factor_text['name']!r}")
        factor = factor ** int(factor_text["power"] or 1)
        unit = unit / factor if factor_text["sign"] == "/" else unit * factor
        position = factor_text.end()
    return unit


def carries_unit(value: Any) -> bool:
    """Whether ``value`` is a quantity of Brian2, or a text such as "0.9 uM/s"."""
    return hasattr(value, "dim") or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)


def number_in(value: Any, unit: str) -> Any:
    """The number that a quantity or a text with a unit is in ``unit``.

    Examples
    --------
    >>> round(number_in("0.9 mM/s", "uM/s"), 9)
    900.0

    Raises
    ------
    ValueError
        Dimensions that do not match, or an unknown unit: says both.
    """
    if unit in UNITLESS:
        raise ValueError(f"expected a plain number, got {value!s}")
    if isinstance(value, str):
        parts = _NUMBER.fullmatch(value)
        assert parts is not None  # for the type checker: `carries_unit` held
        try:
            quantity = float(parts["number"]) * brian_unit(parts["unit"])
        except ValueError as error:
            raise ValueError(f"expected a quantity in {unit}, got {value!r} ({error})") from None
    else:
        quantity = value
    from brian2.units.fundamentalunits import have_same_dimensions

    target = brian_unit(unit)
    if not have_same_dimensions(quantity, target):
        raise ValueError(f"expected a quantity in {unit}, got {value!s}: the units do not match")
    ratio = quantity / target
    return ratio.tolist() if getattr(ratio, "ndim", 0) else float(ratio)
