"""What a user downloaded: gathered without leaving data out unsaid, and known by its first bytes.

A file is what its first bytes say, whatever it is called. Packed files are unpacked where one large file is asked for
(`unpack`); where texts are, they are refused, as is all else that is no text in UTF-8 (`as_text`).
"""

import bz2
import codecs
import gzip
import lzma
import os
import re
import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from astro_sim.common.errors import InputError, brief
from astro_sim.common.files import instead_of, is_visible

HEAD = 512  # bytes that tell a kind; a tar archive has its mark at 257
GZIP, BZIP2, XZ, ZIP = "a gzip file", "a bzip2 file", "an xz file", "a zip archive"
# Where the bytes stand, what they are, of which kind. None of them begins a text in UTF-8 that somebody wrote.
MARKS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", GZIP),
    (0, b"\xfd7zXZ\0", XZ),
    *((0, b"BZh%d" % level, BZIP2) for level in range(1, 10)),
    *((0, b"PK" + part, ZIP) for part in (b"\x03\x04", b"\x05\x06", b"\x07\x08")),  # files, none, many volumes
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"LZIP\x01", "an lzip file"),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file"),
    (0, b"]\0\0", "an lzma file"),
    (0, b"\x1f\x9d", "a file of compress"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBPVP8", "a WebP picture"),
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyphei", "a HEIF picture"),
    (4, b"ftypmif1", "a HEIF picture"),
    (0, b"\x93NUMPY", "a numpy array"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"CDF\x01", "a netCDF file"),
    (0, b"CDF\x02", "a netCDF file"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"ARROW1\0\0", "an Arrow file"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"%PDF-", "a PDF document"),
    *((0, b"\x80%c" % protocol, "a pickle") for protocol in range(2, 6)),
)
STREAMS = {GZIP: gzip.GzipFile, BZIP2: bz2.BZ2File, XZ: lzma.LZMAFile}
# Of packed files; the first four are unpacked.
ENDINGS = (".gz", ".zip", ".xz", ".bz2", ".zst", ".7z", ".rar", ".lz", ".lz4", ".lzma", ".z", ".tar", ".tgz")
# What may lie beside data without being any.
ASIDE = re.compile(r"(readme|licen[cs]e|copying)(\.\w+)?|thumbs\.db|desktop\.ini", re.IGNORECASE)


def kind_of(head: bytes) -> str:
    """What a file that begins so is, with its article: "a gzip file"; nothing for a text, or what is not known."""
    return next((kind for place, mark, kind in MARKS if head.startswith(mark, place)), "")


def first_bytes(path: Path) -> bytes:
    """The first bytes of a file, as many as `kind_of` needs."""
    with path.open("rb") as stream:
        return stream.read(HEAD)


def require_folder(source: Path, expected: str) -> None:
    """Raise `InputError` unless ``source`` is a folder; a packed file is told as what it is."""
    if source.is_dir():
        os.scandir(source).close()  # raises where it cannot be read, before something is looked for inside
        return
    instead = instead_of("folder", source)
    if source.is_file() and (kind := kind_of(first_bytes(source))):
        packed = kind in (GZIP, BZIP2, XZ, ZIP) or "archive" in kind
        instead = f"{kind}, not a folder{'; unpack it' if packed else ''}"
    raise InputError(f"{source}: {instead}; expected {expected}")


def gather(folder: Path, endings: Collection[str], is_data: Callable[[Path], bool], what: str) -> list[Path]:
    """Files of a folder that have one of the endings, in upper or lower case, in the order of their names.

    Hidden files, a README or a licence, and what a system leaves behind (Thumbs.db, desktop.ini) are passed over, and
    so are folders that hold no such files.

    Parameters
    ----------
    folder : Path
    endings : collection of str
    is_data : callable
        Of a file with another ending: whether it should have been among them.
    what : str
        What the files are, for the messages: "reviews".

    Raises
    ------
    InputError
        A file of another ending that is data, or a folder inside that holds such files: they would be left out unsaid.
        What is no file, such as a link to nothing.
    OSError
        A folder that cannot be read.
    """
    files: list[Path] = []
    left_out: list[Path] = []
    for path in sorted(path for path in folder.iterdir() if is_visible(path.name) and not ASIDE.fullmatch(path.name)):
        if path.is_dir():
            inside = (file for file in path.iterdir() if is_visible(file.name) and file.is_file())
            if any(file.suffix.lower() in endings for file in inside):
                left_out.append(path)
        elif path.suffix.lower() in endings:
            if not path.is_file():
                raise InputError(f"{path}: not a regular file, or a link to none")
            files.append(path)
        elif path.is_file() and is_data(path):
            left_out.append(path)
    if left_out:
        listed = ", ".join(f"*{ending}" for ending in endings)
        raise InputError(f"{folder}: {counted(left_out)} would be left out; expected {what} as {listed}")
    return files


def counted(paths: Sequence[Path]) -> str:
    """The first of several, and how many more: for messages."""
    return paths[0].name + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")


def find_packed(folder: Path, name: str) -> Path | None:
    """The file ``name`` of a folder, or else one of that name with the ending of a packed file; None without any."""
    if not folder.is_dir():
        return None
    endings = ("", *ENDINGS)
    files = {
        endings.index(ending): path
        for path in folder.iterdir()
        if path.name.startswith(name) and (ending := path.name[len(name) :].lower()) in endings and path.is_file()
    }
    return files[min(files)] if files else None


def as_text(raw: bytes, path: Path, expected: str = "a text in UTF-8, not packed") -> bytes:
    """The bytes of a text in UTF-8, without a byte-order mark.

    Single bytes that are not UTF-8 stay: some releases have them.

    Raises
    ------
    InputError
        A packed file, a picture, an array and the like, or a text in UTF-16 or UTF-32.
    """
    if kind := kind_of(raw[:HEAD]) or _wide(raw[:8]):
        raise InputError(f"{path}: {kind}; expected {expected}")
    return raw.removeprefix(codecs.BOM_UTF8)


def _wide(head: bytes) -> str:
    """Whether a text of more than a byte a letter begins so; without a mark every other byte of Latin letters is 0."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # before UTF-16, whose mark begins one of them
        return "a text in UTF-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "a text in UTF-16"
    zeros = len(head) >= 4 and not (any(head[::2]) and any(head[1::2]))
    return "a text in UTF-16 or UTF-32, or no text" if zeros else ""


def unpack(path: Path, name: str, most: int | None = None) -> bytes:
    """The bytes of a file, unpacked where it is packed with gzip, bzip2, xz or zip.

    Parameters
    ----------
    path : Path
    name : str
        What the file is called: which one of a zip archive is meant.
    most : int, optional
        Bytes to keep, from the beginning; by default all. All are read, since checksums stand at the end.

    Raises
    ------
    InputError
        Packed in another way, twice, or with several files; damaged; something else than its name says.
    """
    kind = kind_of(first_bytes(path))
    if not kind and path.suffix.lower() in ENDINGS:
        raise InputError(f"{path}: no packed file, though its name says so; perhaps damaged or truncated")
    if kind and kind != ZIP and kind not in STREAMS:
        raise InputError(f"{path}: {kind}; expected {name}, as it is or packed with gzip, bzip2, xz or zip")
    if not kind:
        size = path.stat().st_size
        with path.open("rb") as stream:
            return stream.read(size if most is None else min(size, most))
    try:
        if kind == ZIP:
            with zipfile.ZipFile(path) as archive, archive.open(_member(archive, name)) as stream:
                raw = _read(stream, most)
        else:
            with STREAMS[kind](path) as stream:
                raw = _read(stream, most)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    # What the standard library raises depends on where a file is damaged.
    except Exception as error:
        raise InputError(f"{path}: not readable as {kind}, perhaps truncated ({brief(error)})") from None
    if inside := kind_of(raw[:HEAD]):
        raise InputError(f"{path}: {inside} within {kind}; expected {name}")
    return raw


def _read(stream: IO[bytes], most: int | None) -> bytes:
    pieces: list[bytes] = []
    left = most
    while piece := stream.read(2**20):  # all at once would need room for as many as are asked for
        pieces.append(piece[:left])
        left = None if left is None else max(left - len(piece), 0)
    return b"".join(pieces)


def _member(archive: zipfile.ZipFile, name: str) -> str:
    """The one file of an archive that has this name, in whatever folder."""
    members: dict[str, list[str]] = {}  # file name -> where such files are
    for entry in archive.infolist():
        parts = PurePosixPath(entry.filename).parts
        if not entry.is_dir() and all(map(is_visible, parts)):
            members.setdefault(parts[-1], []).append(entry.filename)
    if len(named := members.get(name, [])) != 1:
        listed = brief(", ".join(sorted(members)) or "nothing")
        count = f"{len(named)} files" if named else "no file"
        raise InputError(f"holds {count} of the name {name}, expected one; inside: {listed}")
    return named[0]
