"""enwik8: the first 10^8 bytes of an English Wikipedia dump, predicted byte by byte.

The split is the field's: 90 million bytes to train, 5 million to validate, 5 million to test (Al-Rfou et al. 2018,
arXiv 1808.04444). Bytes are cut into windows, and a model starts anew in each: bits per byte are those of a context
that reaches back to the beginning of the window.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path

from astro_sim.common.errors import InputError
from astro_sim.common.files import instead_of
from astro_sim.common.progress import track
from astro_sim.common.settings import Settings, quantity
from rmaat.tasks.sources import as_text, find_packed, unpack
from rmaat.tasks.task import Task
from rmaat.tasks.writer import Writer

SPLIT = "Al-Rfou et al. 2018"
NAME = "enwik8"
EXPECTED = f"{NAME}, as it is or packed ({NAME}.zip, .gz, .xz, .bz2)"


class Enwik8Settings(Settings):
    """How the bytes become examples."""

    window: int = quantity(4_096, "bytes", "bytes of an example", "chosen", ge=2, le=2**20)
    train: int = quantity(90_000_000, "bytes", "from the beginning of the file", SPLIT, ge=1)
    valid: int = quantity(5_000_000, "bytes", "after those", SPLIT, ge=0)
    test: int = quantity(5_000_000, "bytes", "after those", SPLIT, ge=0)


def read_bytes(source: Path, most: int) -> bytes:
    """The first ``most`` bytes of the dump, from the file itself, packed or not, or from the folder that holds it."""
    file = find_packed(source, NAME) if source.is_dir() else source
    if file is None:
        raise InputError(f"{source}: no enwik8 inside; expected {EXPECTED}")
    if not file.is_file():
        raise InputError(f"{file}: {instead_of('file', file)}; expected {EXPECTED}, or the folder of one")
    return as_text(unpack(file, NAME, most + len(codecs.BOM_UTF8)), file)[:most]


def prepare(settings: Enwik8Settings, source: Path | None, seed: int, writer: Writer) -> str:
    """Cut the dump into splits and windows."""
    if source is None:
        raise InputError("enwik8: expected --source PATH, the file enwik8 (or packed); it cannot be generated")
    sizes = {"train": settings.train, "valid": settings.valid, "test": settings.test}
    end = sum(sizes.values())
    data = read_bytes(source, end)
    if len(data) < end:
        raise InputError(f"{source}: expected at least {end:,} bytes for these splits, got {len(data):,}")

    def windows(part: memoryview, name: str) -> Iterator[tuple[bytes, int]]:
        starts = range(0, len(part), settings.window)
        for start in track(starts, f"enwik8, {name}", len(starts)):
            yield bytes(part[start : start + settings.window]), 0

    for name, size in reversed(sizes.items()):
        writer.split(name, windows(memoryview(data)[end - size : end], name))
        end -= size
    return "the dump's first bytes"


TASK = Task(
    "bytes of Wikipedia, each predicted from those before it", Enwik8Settings, 256, None, prepare, head="language"
)
