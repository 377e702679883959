"""What a section of the report is made of, and how numbers are written in it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from bridge import describe
from bridge.schema import Number


class Part:
    """Something that the page shows; the template knows it by its ``kind``."""

    @property
    def kind(self) -> str:
        """Name of the class in small letters."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Plot(Part):
    """A figure, and the caption that tells what it shows, with its numbers, to those who see it and those who do "
    "not."""

    figure: go.Figure
    caption: str
    height: int = 340  # CSS pixels


@dataclass(frozen=True)
class Plots(Part):
    """Small figures side by side where there is room, below one another where there is not."""

    plots: Sequence[Plot]


@dataclass(frozen=True)
class Table(Part):
    """A table; the first cell of a row is its header. ``text`` names the columns that are not numbers.

    A ``sortable`` one is put in order of a column by its head, once the page's script runs; a ``tall`` one scrolls.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Sequence[str] = ()
    sortable: bool = False
    tall: bool = False


@dataclass(frozen=True)
class Text(Part):
    """A paragraph; with ``note`` one that says what is missing or must not be overlooked."""

    text: str
    note: bool = False


@dataclass(frozen=True)
class Bullets(Part):
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Heading(Part):
    """A heading within a section."""

    text: str


@dataclass(frozen=True)
class Code(Part):
    """Commands, folded away behind ``summary`` on screen and open in print."""

    summary: str
    code: str


@dataclass(frozen=True)
class Slider:
    """A setting that the reader moves: its name, a title with the unit, the text of every stop, and where it starts."""

    name: str
    title: str
    texts: Sequence[str]
    start: int


@dataclass(frozen=True)
class Explorer(Part):
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


@dataclass(frozen=True)
class Section:
    """A section of the report; ``anchor`` is its address within the page."""

    anchor: str
    title: str
    parts: Sequence[Part]


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


def interval(fitted: Number) -> str:
    """Value, unit and 95 % interval of a fitted number."""
    return typeset(describe.interval(fitted))


def typeset(text: str) -> str:
    """What `bridge.describe` and a comparison say, as a page has it.

    A dash for nothing, true minus signs before numbers, raised letters, percent signs kept by their numbers; names are
    left as they are.
    """
    text = text.replace("p^l", "pˡ").replace("p^s", "pˢ").replace("R^2", "R²")
    text = re.sub(r"(?<![\w).=-])-(?=\d)|(?<=\de)-(?=\d)|(?<=\d )-(?= \d)", "−", text)
    return "–" if text == "-" else re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def rows_of(table: describe.Table) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table in plain text, set as text is."""
    head, rows = table
    return [*map(typeset, head)], [[*map(typeset, row)] for row in rows]
