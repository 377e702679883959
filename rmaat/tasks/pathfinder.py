"""Pathfinder: a picture read pixel by pixel; are the two discs joined by one dashed contour?

Generated (`rmaat.tasks.snakes`), or read from the Long Range Arena's release as it lies on disk:

    pathfinder32/curv_contour_length_14/metadata/N.npy    text in spite of its name, a line a picture, fields apart by
                                                          a space: imgs/N, sample_K.png, a number, the label, ...
    pathfinder32/curv_contour_length_14/imgs/N/*.png      8 bit grayscale

LRA (arXiv 2011.04006) takes 80, 10 and 10 % of the lines, in the order that TFDS stored them in. Ours is the order of
the metadata files, by number.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from astro_sim.common.errors import InputError, quoted
from astro_sim.common.progress import track
from astro_sim.common.settings import Settings, quantity
from rmaat.tasks import snakes
from rmaat.tasks.pictures import UnreadableError, decode
from rmaat.tasks.sources import as_text, gather, require_folder
from rmaat.tasks.task import MOST_EXAMPLES, Task
from rmaat.tasks.writer import Writer

LRA = "Long Range Arena (arXiv 2011.04006)"
WRITTEN = ("test", "valid", "train")  # nothing of the test split is trained on; see Writer
FOLDER = re.compile(r"imgs/\d+")
NAME = re.compile(r"\w+\.png")


class PathfinderSettings(Settings):
    """Which pictures; sizes of the splits are refused where official files are converted."""

    size: Literal[32, 64, 128] = quantity(32, "pixels", "side of the picture; 32 is 1,024 symbols", LRA)
    contours: Literal["curv_contour_length_14", "curv_contour_length_9", "curv_baseline"] = quantity(
        "curv_contour_length_14", "1", "difficulty: 14, 9 or 6 paddles a contour", LRA
    )
    train: int = quantity(160_000, "examples", "training examples", LRA, ge=1, le=MOST_EXAMPLES)
    valid: int = quantity(20_000, "examples", "validation examples", LRA, ge=0, le=MOST_EXAMPLES)
    test: int = quantity(20_000, "examples", "test examples", LRA, ge=0, le=MOST_EXAMPLES)
    skip_unreadable: bool = quantity(
        False, "1", "leave out pictures that are empty or broken, where they would end the conversion", "chosen"
    )


@dataclass(frozen=True)
class Line:
    """What a metadata file says of one picture."""

    where: str
    picture: Path
    label: int


def prepare(settings: PathfinderSettings, source: Path | None, seed: int, writer: Writer) -> str:
    """Convert the release's pictures below ``source``, or generate as many."""
    if source is None:
        first = 0
        for split in WRITTEN:  # so more training pictures leave the test and validation pictures as they are
            count = getattr(settings, split)
            writer.split(split, generated(settings, seed, range(first, first + count), split))
            first += count
        return "generated with the parameters of LRA"
    lines = read_metadata(find(source, settings) / "metadata")
    valid, test = len(lines) * 8 // 10, len(lines) * 9 // 10  # where these splits begin
    left_out: list[Path] = []
    for split, part in zip(WRITTEN, (lines[test:], lines[valid:test], lines[:valid]), strict=True):
        writer.split(split, converted(settings, part, split, left_out))
    noun = "picture" if len(left_out) == 1 else "pictures"
    return "files of the LRA release" + (f"; {len(left_out)} unreadable {noun} left out" if left_out else "")


def generated(settings: PathfinderSettings, seed: int, indices: range, split: str) -> Iterator[tuple[bytes, int]]:
    """Pictures of the generator, row by row, with their labels."""
    for index in track(indices, f"pathfinder, {split}", len(indices)):
        picture = snakes.draw(seed, index, settings.size, settings.contours)
        yield picture.pixels.tobytes(), picture.label


def converted(
    settings: PathfinderSettings, lines: list[Line], split: str, left_out: list[Path]
) -> Iterator[tuple[bytes, int]]:
    """Pictures of the release, row by row, with their labels; those left out are added to ``left_out``."""
    for line in track(lines, f"pathfinder, {split}", len(lines)):
        try:
            yield read_picture(line, settings.size), line.label
        except UnreadableError:
            if not settings.skip_unreadable:
                raise
            left_out.append(line.picture)


def find(source: Path, settings: PathfinderSettings) -> Path:
    """Folder of one difficulty, below the release's folder, the one inside it, or pathfinder32 itself."""
    require_folder(source, "the unpacked lra_release")
    size = f"pathfinder{settings.size}"
    parents = [source / "lra_release" / "lra_release", source / "lra_release", source]
    root = next((parent / size for parent in parents if (parent / size).is_dir()), source)
    if root == source and source.name.startswith("pathfinder") and source.name != size:
        raise InputError(f"{source}: expected {size}; choose another folder or another size")
    if not (root / settings.contours).is_dir():
        raise InputError(
            f"{root}: holds no {settings.contours}; expected the folder that holds {size}, or {size} itself, with "
            f"{settings.contours}/metadata and {settings.contours}/imgs"
        )
    return root / settings.contours


def read_metadata(folder: Path) -> list[Line]:
    """Every line of every metadata file, the files by number.

    Raises
    ------
    InputError
        File and line, and what was expected there.
    """
    if not folder.is_dir() or not (files := gather(folder, [".npy"], _is_numbered, "metadata")):
        raise InputError(f"{folder}: no metadata; expected the release's files 0.npy, 1.npy, ...")
    for file in files:
        if not (file.stem.isascii() and file.stem.isdecimal()):
            raise InputError(f"{file}: expected a number for a name, as in the release's metadata/0.npy")
    lines = []
    for file in sorted(files, key=lambda file: int(file.stem)):
        raw = as_text(file.read_bytes(), file, "text, as the release's metadata are in spite of the name")
        for number, text in enumerate(raw.splitlines(), start=1):
            where = f"{file}, line {number}"
            fields = text.decode("ascii", errors="replace").split(" ")
            if len(fields) < 4:
                got = quoted(fields)
                raise InputError(f"{where}: expected folder, file, number and label apart by spaces, got {got}")
            if not FOLDER.fullmatch(fields[0]) or not NAME.fullmatch(fields[1]):
                got = quoted(f"{fields[0]} {fields[1]}")
                raise InputError(f"{where}: expected 'imgs/N sample_K.png', got {got}")
            if fields[3] not in ("0", "1"):
                raise InputError(f"{where}: expected the label 0 or 1 in the fourth field, got {quoted(fields[3])}")
            lines.append(Line(where, folder.parent / fields[0] / fields[1], int(fields[3])))
    if not lines:
        raise InputError(f"{folder}: the metadata name no pictures")
    return lines


def _is_numbered(path: Path) -> bool:
    """Whether a file without the release's ending is called as if it were one: 3.txt, 3.npy.gz."""
    return re.match(r"\d+\.", path.name) is not None


def read_picture(line: Line, size: int) -> bytes:
    """Pixels of one picture, row by row.

    Raises
    ------
    UnreadableError
        The file is empty, no PNG, or broken off.
    InputError
        The file is missing, or a picture of another kind.
    """
    path = line.picture
    if not path.is_file():
        raise InputError(f"{path}: no such picture; {line.where} names it")
    hint = "--set skip_unreadable=true leaves such pictures out"
    if not (raw := path.read_bytes()):
        raise UnreadableError(f"{path}: empty (0 bytes), expected a PNG; {hint}")
    try:
        picture = decode(raw, ("PNG",), size)
    except UnreadableError as error:
        raise UnreadableError(f"{path}: not a readable PNG, perhaps broken off; {hint} ({error})") from None
    if picture.pixels is None or picture.mode != "L":
        got = f"{picture.width} x {picture.height} of mode {picture.mode}"
        raise InputError(f"{path}: expected {size} x {size} pixels of 8 bit grayscale (L), got {got}")
    return picture.pixels.tobytes()


TASK = Task(
    "whether a dashed contour joins two discs, 1,024 to 16,384 pixels, 2 classes",
    PathfinderSettings,
    256,
    2,
    prepare,
    generated_only=frozenset(WRITTEN),
)
