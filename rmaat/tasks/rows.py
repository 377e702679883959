"""Rows of tab-separated files, as two of the LRA release's tasks come."""

from collections.abc import Collection, Iterator
from pathlib import Path

from astro_sim.common.errors import InputError


def tab_rows(path: Path, files: Collection[str], fields: Collection[str]) -> Iterator[tuple[str, list[bytes]]]:
    """Every row of a file, cut at its tabs and at nothing else, and where it stands, for messages.

    Parameters
    ----------
    path : Path
    files : collection of str
        Names of the release's files, for the message where there is none.
    fields : collection of str
        Names of what a row holds.

    Raises
    ------
    InputError
        No such file, or a row with another number of fields.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {', '.join(files)} of the LRA release")
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, start=1):
            where, found = f"{path}, line {number}", raw.removesuffix(b"\n").removesuffix(b"\r").split(b"\t")
            if len(found) != len(fields):
                named = ", ".join(fields)
                raise InputError(
                    f"{where}: expected {len(fields)} fields separated by tabs ({named}), got {len(found)}"
                )
            yield where, found
