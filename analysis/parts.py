"""What a section of the report is made of, and how numbers are written in it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from bridge import describe
from bridge.schema import Number


@dataclass(frozen=True)
class Plot:
    """A figure: what it shows in one sentence for those who do not see it, and a caption for everyone."""

    figure: go.Figure
    alt: str
    caption: str
    height: int = 340  # CSS pixels
    kind: str = "plot"


@dataclass(frozen=True)
class Plots:
    """Small figures side by side where there is room, below one another where there is not."""

    plots: Sequence[Plot]
    kind: str = "plots"


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its header. ``text`` names the columns that are not numbers.

    A ``sortable`` one is put in order of a column by its head, once the page's script runs; a ``tall`` one scrolls.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Sequence[str] = ()
    sortable: bool = False
    tall: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Text:
    """A paragraph; with ``note`` one that says what is missing or must not be overlooked."""

    text: str
    note: bool = False
    kind: str = "text"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]
    kind: str = "bullets"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: str = "heading"


@dataclass(frozen=True)
class Code:
    """Commands, folded away behind ``summary`` on screen and open in print."""

    summary: str
    code: str
    kind: str = "code"


@dataclass(frozen=True)
class Slider:
    """A setting that the reader moves: its name, a title with the unit, the text of every stop, and where it starts."""

    name: str
    title: str
    texts: Sequence[str]
    start: int


@dataclass(frozen=True)
class Explorer:
    """Sliders over a grid of points, two figures and a table that follow them.

    ``data`` is JSON: sizes of the grid, and for every point (the last slider fastest) what the figures, the table and
    the sentence show. Without scripts the page shows the starting point.
    """

    identity: str
    sliders: Sequence[Slider]
    fixed: str  # settings that the sliders leave alone and that are not as a reader would expect
    curve: Plot
    factors: Plot
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: str
    data: str
    kind: str = "explorer"


@dataclass
class Section:
    """A section of the report; ``anchor`` is its address within the page."""

    anchor: str
    title: str
    parts: list[Any] = field(default_factory=list)

    def add(self, *parts: Any) -> None:
        """Append parts."""
        self.parts.extend(parts)


def number(value: float, digits: int = 4) -> str:
    """``digits`` significant digits, with a true minus sign."""
    return f"{value:.{digits}g}".replace("-", "−")


def quantity(value: float, unit: str, digits: int = 4) -> str:
    """A number with its unit, which 1 has none of."""
    return number(value, digits) if unit == "1" else f"{number(value, digits)} {unit}"


def share(part: float, whole: float) -> str:
    """Part over whole as percent, two significant digits; a dash for nothing to share."""
    return f"{number(100 * part / whole, 2)} %" if whole else "–"


def is_number(value: Any) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def count(value: Any) -> str:
    """A whole number with thousands set apart; anything else as it is."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent; a dash for none."""
    return "–" if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def r_squared(value: float) -> str:
    """R²; close to 1 as its distance from 1, where the digits are."""
    return typeset(describe.r_squared(value))


def interval(n: Number) -> str:
    """Value, unit and 95 % interval of a fitted number."""
    return typeset(describe.interval(n))


def typeset(text: str) -> str:
    """What `bridge.describe` says, as a page has it: minus signs, raised letters, percent signs kept by numbers."""
    text = text.replace("p^l", "pˡ").replace("p^s", "pˢ").replace("R^2", "R²")
    text = re.sub(r"(?<![\w).])-(?=\d)|(?<=\d )-(?= \d)", "−", text)
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def rows_of(told: describe.Table) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of `bridge.describe`, set as text is."""
    head, rows = told
    return [*map(typeset, head)], [[*map(typeset, row)] for row in rows]
