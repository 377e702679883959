"""Text: byte-level sentiment of IMDB reviews, in the folder layout of the aclImdb release (Maas et al. 2011).

LRA (arXiv 2011.04006) reads raw bytes and cuts them at 4,096; it has no validation split. Ours is held out from the
training reviews by the digest of their text, so that it never depends on the order of files.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from astro_sim.common.errors import InputError
from astro_sim.common.files import instead_of
from astro_sim.common.progress import track
from astro_sim.common.settings import Settings, quantity
from rmaat.tasks.sources import as_text, gather, require_folder
from rmaat.tasks.task import Task
from rmaat.tasks.writer import Writer

LABELS = {"neg": 0, "pos": 1}


class TextSettings(Settings):
    """How reviews become examples."""

    max_bytes: int = quantity(4_096, "bytes", "longer reviews are cut here", "LRA (arXiv 2011.04006)", ge=1)
    valid_share: float = quantity(
        0.1, "1", "share of the training reviews held out for validation", "chosen: LRA has none", ge=0, lt=1
    )


def find(source: Path) -> Path:
    """The folder that holds train/ and test/: ``source``, or the release's folder inside it."""
    return source / "aclImdb" if (source / "aclImdb").is_dir() else source


def reviews(root: Path, split: str) -> list[tuple[Path, int]]:
    """Files of one split with their labels, in a fixed order; what lies beside them is no review (see `gather`)."""
    listed = []
    for name, label in LABELS.items():
        folder = root / split / name
        if not folder.is_dir():
            instead = instead_of("folder", folder)
            raise InputError(
                f"{folder}: {instead}; expected train/ and test/ with pos/ and neg/ of the aclImdb release"
            )
        files = gather(folder, [".txt"], lambda _: True, "reviews")
        if not files:
            raise InputError(f"{folder}: no reviews (*.txt) inside")
        listed += [(file, label) for file in files]
    return listed


def read_review(file: Path) -> bytes:
    """The bytes of a review."""
    text = as_text(file.read_bytes(), file)
    if not text:
        raise InputError(f"{file}: an empty review")
    return text


def prepare(settings: TextSettings, source: Path | None, seed: int, writer: Writer) -> str:
    """Convert the reviews below ``source`` (the folder that holds train/ and test/, or its parent)."""
    if source is None:
        raise InputError("text: expected --source PATH, the unpacked aclImdb folder; this task cannot be generated")
    require_folder(source, "the unpacked aclImdb folder")
    root = find(source)
    train, test = reviews(root, "train"), reviews(root, "test")

    def examples(files: list[tuple[Path, int]], valid: bool | None, split: str) -> Iterator[tuple[bytes, int]]:
        for file, sentiment in track(files, f"text, {split}", len(files)):
            text = read_review(file)
            if valid is None or held_out(text, settings.valid_share) == valid:
                yield text[: settings.max_bytes], sentiment

    writer.split("test", examples(test, None, "test"))
    writer.split("valid", examples(train, True, "valid"))
    writer.split("train", examples(train, False, "train"))
    return "reviews of IMDB, in the layout of the aclImdb release"


def held_out(text: bytes, share: float) -> bool:
    """Decide by the text alone: copies of a review never stand on both sides."""
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) < share * 2**64


TASK = Task("sentiment of IMDB reviews, up to 4,096 bytes, 2 classes", TextSettings, 256, 2, prepare)
