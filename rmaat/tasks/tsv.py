"""Lines of tab-separated files, as two of the LRA release's tasks come."""

from collections.abc import Collection, Iterator
from pathlib import Path

from astro_sim.common.errors import InputError
from astro_sim.common.files import instead_of
from rmaat.tasks.sources import as_text, find_packed, first_bytes


def read_lines(path: Path, files: Collection[str], names: Collection[str]) -> Iterator[tuple[str, list[bytes]]]:
    """The fields of every line, cut at its tabs and at nothing else, behind where it stands, for messages.

    Parameters
    ----------
    path : Path
    files : collection of str
        Names of the release's files, for the message where there is none.
    names : collection of str
        Of the fields that a line holds.

    Raises
    ------
    InputError
        No such file, one that is packed or no text in UTF-8, or a line with another number of fields.
    """
    if not path.is_file():
        packed = find_packed(path.parent, path.name)
        hint = f", but {packed.name}; unpack it" if packed else ""
        raise InputError(f"{path}: {instead_of('file', path)}{hint}; expected {', '.join(files)} of the LRA release")
    head = first_bytes(path)
    byte_order_mark = len(head) - len(as_text(head, path))
    with path.open("rb") as stream:
        stream.seek(byte_order_mark)
        for number, line in enumerate(stream, start=1):
            where = f"{path}, line {number}"
            fields = line.removesuffix(b"\n").removesuffix(b"\r").split(b"\t")
            if len(fields) != len(names):
                raise InputError(
                    f"{where}: expected {len(names)} fields separated by tabs ({', '.join(names)}), got {len(fields)}"
                )
            yield where, fields
