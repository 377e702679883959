"""Rows of tab-separated files, as two of the LRA release's tasks come."""

from collections.abc import Collection, Iterator
from pathlib import Path

from astro_sim.common.errors import InputError
from astro_sim.common.files import instead_of
from rmaat.tasks.sources import as_text, find_packed, first_bytes


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
        No such file, one that is packed or no text in UTF-8, or a row with another number of fields.
    """
    if not path.is_file():
        packed = find_packed(path.parent, path.name)
        hint = f", but {packed.name}; unpack it" if packed else ""
        raise InputError(f"{path}: {instead_of('file', path)}{hint}; expected {', '.join(files)} of the LRA release")
    head = first_bytes(path)
    mark = len(head) - len(as_text(head, path))
    with path.open("rb") as lines:
        lines.seek(mark)
        for number, raw in enumerate(lines, start=1):
            where, found = f"{path}, line {number}", raw.removesuffix(b"\n").removesuffix(b"\r").split(b"\t")
            if len(found) != len(fields):
                named = ", ".join(fields)
                raise InputError(
                    f"{where}: expected {len(fields)} fields separated by tabs ({named}), got {len(found)}"
                )
            yield where, found
