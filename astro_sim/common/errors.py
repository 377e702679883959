"""The one exception that means "you can mend this": wrong use or bad input."""

import difflib
from collections.abc import Collection, Iterable
from numbers import Integral
from typing import Any

MOST_ECHOED = 200  # characters of somebody's input in a message
MOST_TOLD = 2_000  # characters of a message


class InputError(ValueError):
    """Wrong use or bad input, told in one line: what, where, and what was expected.

    The command line prints the message and exits with 2. Anything else that escapes is a defect of ours and keeps
    its traceback. A message of more than `MOST_TOLD` characters, as of a name that is a whole file, loses its middle;
    line breaks in what was given become spaces, and other signs that a terminal would act on are written out.
    """

    def __init__(self, message: Any = "") -> None:
        text = str(message)
        if not text.isprintable():
            text = "".join(
                sign if sign.isprintable() else " " if sign.isspace() else sign.encode("unicode_escape").decode()
                for sign in text
            )
        if len(text) > MOST_TOLD:
            text = f"{text[: MOST_TOLD // 2]} ... {text[-MOST_TOLD // 4 :]}"
        super().__init__(text)


class NumericalError(InputError):
    """An integration left the finite numbers; names the variable and the time."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Name the nearest known name, or list them all when none is near.

    Returns
    -------
    str
        ``"did you mean 'ltp'?"`` or ``"known: ltp, stp"``. Of a name with a table in front ("laws.seed") the last word
        will do; names that hold commas are listed as ``"known: 'a, b'; 'c'"``.
    """
    known = sorted(known)
    near = [dotted for dotted in known if dotted.endswith(f".{name}")]
    near = near or difflib.get_close_matches(name[:MOST_ECHOED].lower(), known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if any("," in word for word in known):
        return f"known: {'; '.join(map(repr, known))}"
    return f"known: {', '.join(known) or 'none'}"


def require_known(what: str, name: Any, known: Collection[str]) -> None:
    """Raise `InputError` for a name that is not known, with the nearest that is, or for what is no name."""
    if not isinstance(name, str):
        raise InputError(f"{what}: expected a name ({', '.join(known)}), got {type(name).__name__}")
    if name not in known:
        raise InputError(f"unknown {what} {quoted(name)}; {did_you_mean(name, known)}")


def require_whole(name: str, value: Any, least: int, most: int | None = None, of: str = "") -> int:
    """The value as an int; `InputError` unless it is a whole number (``of`` something) from ``least`` to ``most``."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if least <= number and (most is None or number <= most):
            return number
    kind, end = f" of {of}" if of else "", "" if most is None else f" to {most}"
    raise InputError(f"{name}: expected a whole number{kind} from {least}{end}, got {quoted(value)}")


def brief(value: Any) -> str:
    """What was given, for a message: on one line, without its middle where it is long; of an error its first line."""
    if isinstance(value, BaseException):
        value = next(iter(str(value).splitlines()), "") or type(value).__name__
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_ECHOED else f"{text[: MOST_ECHOED // 2 - 4]} ... ({len(text):,} characters)"


def quoted(value: Any) -> str:
    """What was given as Python writes it, as short as `brief` makes it; of what cannot be written, its type."""
    try:
        return brief(repr(value))
    except Exception:  # a whole number of more than 4,300 digits, or a __repr__ of somebody's own
        return f"a {type(value).__name__}"
