"""What the verbs share: options, and how they print."""

import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from astro_sim.common.errors import InputError
from astro_sim.common.files import read_json
from rmaat import tasks

HEADER = ("setting", "default", "unit", "meaning")
TASKS = f"One of: {', '.join(tasks.NAMES)}; or a file of your own (.py)."

Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; repeatable.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]


def print_json(value: Any) -> None:
    """Print indented JSON."""
    print(json.dumps(value, indent=2))


def table(header: Sequence[str], rows: Sequence[Any]) -> None:
    """Print aligned columns; plain text, so that it can be piped."""
    cells = [tuple(str(cell) for cell in row) for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def require_streams() -> None:
    """Make standard streams that lead somewhere and take any text.

    A closed one (``2>&-``, or a program without a console) would be None here, and its number would go to the first
    file that is opened. One that cannot encode a letter gets an escape in its place.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115
        elif number and isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def require_own(out: Path, what: str, part: str) -> None:
    """Refuse to write over a JSON file that lacks what ours of this kind have; a run folder holds several others."""
    if out.is_file():
        found = read_json(out, what)
        if not (isinstance(found, dict) and part in found):
            raise InputError(f"{out}: exists and is no {what}; choose another name")
