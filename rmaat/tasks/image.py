"""Image: pictures as sequences of grey pixels, row after row; 32 x 32 of CIFAR-10, or 28 x 28 of Fashion-MNIST.

LRA (arXiv 2011.04006) makes CIFAR-10 grey with TensorFlow's ``rgb_to_grayscale``; `grey` gives the same bytes. LRA
validates on the last tenth of the training pictures; ours are those with the smallest digests, so that the choice does
not depend on the order of files and copies of a picture stay together.

The python version of CIFAR-10 is a pickle and is never read.
"""

import hashlib
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError, brief
from astro_sim.common.files import instead_of, is_visible, visible
from astro_sim.common.progress import track
from astro_sim.common.settings import Settings, quantity
from rmaat.tasks.pictures import UnreadableError, decode
from rmaat.tasks.sources import counted, find_packed, first_bytes, gather, kind_of, require_folder, unpack
from rmaat.tasks.task import Task
from rmaat.tasks.writer import Writer

Pictures = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # pixels (examples, pixels), labels (examples,)
Contents = tuple[Pictures, Pictures, str]  # to train, to test, what they are

CLASSES = 10
SIDE = 32  # pixels, of CIFAR-10
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_SIZES = (50_000, 10_000)  # pictures to train and to test; Krizhevsky 2009
BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_BATCH = "test_batch.bin"
RECORD = 1 + 3 * SIDE * SIDE  # bytes: a label, then all of red, of green, of blue
IDX_SIDE = 28  # pixels, of Fashion-MNIST
IDX_FILES = {split: (f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte") for split in ("train", "t10k")}
# SHA-256 of train-images-idx3-ubyte, unpacked, in Debian's dataset-fashion-mnist 0.0~git20200523.55506a9-1. MNIST and
# others come in files of the same names.
FASHION = "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
ENDINGS = (".jpg", ".jpeg", ".png")
# Of pictures that are not read, and refused where they would be left out beside those that are.
OTHER_PICTURES = re.compile(
    r"\.(apng|avif|bmp|dib|gif|hei[cf]|ico|j2[ck]|jfif|jp[2efx]|jxl|p[bgnp]m|pcx|psd|qoi|svg|tga|tiff?|webp)", re.I
)
WEIGHTS = (0.2989, 0.5870, 0.1140)  # of red, green and blue; rgb_to_grayscale of TensorFlow
EXPECTED = (
    f"data_batch_1.bin to data_batch_5.bin and {TEST_BATCH} (CIFAR-10, binary version), "
    f"train-images-idx3-ubyte and its like, packed or not (Fashion-MNIST), or pictures in train/CLASS/ and test/CLASS/"
)


class ImageSettings(Settings):
    """How pictures are shared out."""

    valid: int = quantity(5_000, "examples", "training pictures held out for validation", "LRA: a tenth", ge=0)


def grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey values of colours (..., 3), as TensorFlow's ``rgb_to_grayscale`` gives them for bytes.

    It goes through numbers from 0 to 1 in single precision, and back with a scale of 255.5 whose result is cut to a
    whole number. Summed in the order red, green, blue, all 256^3 colours agree with TensorFlow 2.21 on a CPU; in
    another order, or in double precision, some are 1 off. Grey colours keep their value.
    """
    red, green, blue = (
        rgb[..., place].astype(np.float32) * np.float32(1 / 255) * np.float32(weight)
        for place, weight in enumerate(WEIGHTS)
    )
    return ((red + green + blue) * np.float32(255.5)).astype(np.uint8)


def read_batch(path: Path) -> Pictures:
    """Read one file of the binary version of CIFAR-10."""
    if not path.is_file():
        raise InputError(f"{path}: {instead_of('file', path)}; expected {', '.join(BATCHES)} and {TEST_BATCH}")
    raw = np.fromfile(path, dtype=np.uint8)
    if len(raw) and raw[0] >= CLASSES and (kind := kind_of(first_bytes(path))):  # behind a label may stand any bytes
        raise InputError(f"{path}: {kind}; expected records of {RECORD:,} bytes, not packed")
    if not len(raw) or len(raw) % RECORD:
        raise InputError(
            f"{path}: expected records of {RECORD:,} bytes, got {len(raw) // RECORD:,} of them and "
            f"{len(raw) % RECORD:,} bytes more; perhaps truncated"
        )
    records = raw.reshape(-1, RECORD)
    labels = records[:, 0]
    _check_labels(labels, path, "record")
    return grey(np.moveaxis(records[:, 1:].reshape(len(records), 3, -1), 1, -1)), labels


def read_batches(root: Path) -> Contents:
    """Read the binary version of CIFAR-10."""
    parts = [read_batch(root / name) for name in BATCHES]
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return (pixels, labels), read_batch(root / TEST_BATCH), "CIFAR-10, binary version, grey"


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of bytes, packed or not: two zeros, type 8, number of dimensions, sizes, data."""
    raw = unpack(path, next(name for pair in IDX_FILES.values() for name in pair if path.name.startswith(name)))
    start = 4 + 4 * dimensions
    magic = bytes((0, 0, 8, dimensions))
    if raw[:4] != magic or len(raw) < start:
        raise InputError(
            f"{path}: expected the header of an idx file, {start} bytes that begin with {magic.hex(' ')}, "
            f"got {raw[:4].hex(' ') or 'an empty file'}"
        )
    sizes = struct.unpack(f">{dimensions}I", raw[4:start])
    expected = int(np.prod([int(size) for size in sizes], dtype=object))
    if len(raw) - start != expected:
        raise InputError(
            f"{path}: its header says {' x '.join(map(str, sizes))} = {expected:,} bytes, got {len(raw) - start:,}; "
            "perhaps truncated"
        )
    return np.frombuffer(raw, dtype=np.uint8, offset=start).reshape(sizes)


def read_fashion(root: Path) -> Contents:
    """Read the idx files of Fashion-MNIST, or of pictures like them."""
    splits: list[Pictures] = []
    fingerprint = ""
    for names in IDX_FILES.values():
        files = [_idx_file(root, name) for name in names]
        pictures, labels = read_idx(files[0], 3), read_idx(files[1], 1)
        if pictures.shape[1:] != (IDX_SIDE, IDX_SIDE):
            size = f"{pictures.shape[1]} x {pictures.shape[2]}"
            raise InputError(f"{files[0]}: expected pictures of {IDX_SIDE} x {IDX_SIDE} pixels, got {size}")
        if not len(pictures):
            raise InputError(f"{files[0]}: no pictures inside")
        if len(labels) != len(pictures):
            raise InputError(f"{files[1]}: expected {len(pictures):,} labels, one a picture, got {len(labels):,}")
        _check_labels(labels, files[1], "label")
        if not splits:
            header = bytes((0, 0, 8, 3)) + struct.pack(">3I", *pictures.shape)
            fingerprint = hashlib.sha256(header + pictures.tobytes()).hexdigest()
        splits.append((pictures.reshape(len(pictures), -1), labels))
    known = "Fashion-MNIST, 28 x 28"
    other = "28 x 28 pictures in the files of Fashion-MNIST, but other ones"
    return splits[0], splits[1], known if fingerprint == FASHION else other


def _idx_file(root: Path, name: str) -> Path:
    if (file := find_packed(root, name)) is None:
        raise InputError(f"{root / name}: no such file, nor with .gz; expected images and labels of train and of t10k")
    return file


def _check_labels(labels: NDArray[np.uint8], path: Path, unit: str) -> None:
    if (wrong := np.flatnonzero(labels >= CLASSES)).size:
        place = int(wrong[0])
        raise InputError(f"{path}, {unit} {place + 1}: expected a label from 0 to {CLASSES - 1}, got {labels[place]}")


def read_folders(root: Path) -> Contents:
    """Read pictures that lie in a folder a class; the classes are numbered in the order of their names.

    What is no picture, such as a list of names, is passed over; a picture that is not read, be it of another format or
    beside the folders, is refused.
    """
    names = _classes(root / "train")
    if len(names) != CLASSES:
        raise InputError(f"{root / 'train'}: expected a folder for each of {CLASSES} classes, got {len(names)}")
    if (others := _classes(root / "test")) != names:
        odd = brief(", ".join(sorted(set(names) ^ set(others))))
        raise InputError(f"{root / 'test'}: expected the same classes as in train/; not in both: {odd}")
    splits: list[Pictures] = []
    formats = set()
    for split in ("train", "test"):
        files = [(file, label) for label, name in enumerate(names) for file in _files(root / split / name)]
        pixels = np.empty((len(files), SIDE * SIDE), dtype=np.uint8)
        for place, (file, _) in enumerate(track(files, f"image, {split}", len(files))):
            pixels[place], format_ = read_picture(file)
            formats.add(format_)
        splits.append((pixels, np.array([label for _, label in files], dtype=np.uint8)))
    what = "CIFAR-10" if tuple(names) == CIFAR_CLASSES else f"pictures of {CLASSES} classes"
    how = "PNG files" if formats == {"PNG"} else "JPEG files (lossy stand-in)"
    return splits[0], splits[1], f"{what} from {how}, grey"


def _classes(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise InputError(f"{folder}: {instead_of('folder', folder)}; expected pictures in train/CLASS/ and test/CLASS/")
    inside = sorted(path for path in folder.iterdir() if is_visible(path.name))
    beside = [path for path in inside if path.is_file() and (path.suffix.lower() in ENDINGS or _is_data(path))]
    if beside:
        raise InputError(f"{folder}: {counted(beside)} would be left out; expected pictures in folders, one a class")
    return sorted(path.name for path in inside if path.is_dir())


def _is_data(path: Path) -> bool:
    """Whether a file that has no ending of ours is a picture all the same, or packed."""
    return bool(OTHER_PICTURES.fullmatch(path.suffix) or kind_of(first_bytes(path)))


def _files(folder: Path) -> list[Path]:
    files = gather(folder, ENDINGS, _is_data, "pictures")
    if not files:
        raise InputError(f"{folder}: no pictures ({', '.join('*' + ending for ending in ENDINGS)}) inside")
    return files


def read_picture(path: Path) -> tuple[NDArray[np.uint8], str]:
    """Grey pixels of one picture, upright, and its format, "JPEG" or "PNG"."""
    if not (raw := path.read_bytes()):
        raise InputError(f"{path}: an empty file; expected a picture")
    try:
        picture = decode(raw, ("JPEG", "PNG"), SIDE)
    except UnreadableError as error:
        raise InputError(f"{path}: not readable as a JPEG or PNG picture, perhaps truncated ({error})") from None
    if picture.pixels is None:
        raise InputError(
            f"{path}: expected a picture of {SIDE} x {SIDE} pixels, got {picture.width} x {picture.height}"
        )
    if picture.mode not in ("L", "RGB"):
        raise InputError(f"{path}: expected a picture of 8 bits, grey or RGB, got the mode {picture.mode}")
    pixels = grey(picture.pixels) if picture.mode == "RGB" else picture.pixels
    return pixels.reshape(-1), picture.format


def recognise(source: Path) -> tuple[Callable[[Path], Contents], Path] | None:
    """How to read what lies in ``source``, and the folder to read; None if it is nothing known."""
    for folder in (source, source / "cifar-10-batches-bin"):
        if any((folder / name).is_file() for name in (*BATCHES, TEST_BATCH)):
            return read_batches, folder
    names = [name for pair in IDX_FILES.values() for name in pair]
    if any(find_packed(source, name) for name in names):
        return read_fashion, source
    if (source / "train").is_dir() or (source / "test").is_dir():
        return read_folders, source
    return None


def _refusal(source: Path) -> InputError:
    """Why nothing in ``source`` is read; a folder one level up or down that would do is named."""
    for folder in (source, source / "cifar-10-batches-py"):
        if (folder / "data_batch_1").is_file():
            return InputError(
                f"{folder / 'data_batch_1'}: the python version of CIFAR-10, a pickle, which is never loaded; "
                "expected the binary version (cifar-10-binary.tar.gz, unpacked)"
            )
    for near in (source.resolve().parent, *(path for path in visible(source) if path.is_dir())):
        if _would_do(near):
            return InputError(f"{source}: no pictures that this task knows; did you mean --source {near}?")
    return InputError(f"{source}: no pictures that this task knows; expected {EXPECTED}")


def _would_do(folder: Path) -> bool:
    """Whether a folder that was not asked for holds what this task reads."""
    try:
        reader, root = recognise(folder) or (None, folder)
        return reader is not None and (reader is not read_folders or len(_classes(root / "train")) == CLASSES)
    except (InputError, OSError):
        return False


def hold_out(marks: list[bytes], known: set[bytes], count: int) -> NDArray[np.bool_]:
    """Which pictures to validate on: ``count`` with the smallest marks, copies (of the same mark) all or none.

    Those that are ``known``, from the test split, do not count.
    """
    places: dict[bytes, list[int]] = {}
    for place, mark in enumerate(marks):
        if mark not in known:
            places.setdefault(mark, []).append(place)
    chosen, left = np.zeros(len(marks), dtype=bool), count
    for mark in sorted(places):
        if len(places[mark]) <= left:  # copies that are too many are passed over
            chosen[places[mark]] = True
            left -= len(places[mark])
    usable = sum(map(len, places.values()))
    if left and count < usable:
        raise InputError(
            f"valid: {count:,} pictures cannot be chosen without parting copies; {count - left:,} can, expected that"
        )
    if count >= usable:
        raise InputError(f"valid: expected fewer than the {usable:,} training pictures that can be used, got {count:,}")
    return chosen


def prepare(settings: ImageSettings, source: Path | None, seed: int, writer: Writer) -> str:
    """Convert the pictures in ``source``, which is recognised by the files that it holds."""
    if source is None:
        raise InputError(f"image: expected --source PATH, this task cannot be generated; in it expected {EXPECTED}")
    require_folder(source, EXPECTED)
    reader, folder = recognise(source) or (None, source)
    if reader is None:
        raise _refusal(source)
    train, test, content = reader(folder)
    sizes = (len(train[1]), len(test[1]))
    if content.startswith("CIFAR-10") and sizes != CIFAR_SIZES:
        content += "; a part of it: " + " and ".join(
            f"{size:,} of {released:,} to {name}"
            for size, released, name in zip(sizes, CIFAR_SIZES, ("train", "test"), strict=True)
        )

    marks = [[hashlib.sha256(picture.tobytes()).digest() for picture in pixels] for pixels, _ in (train, test)]
    held_out = hold_out(marks[0], set(marks[1]), settings.valid)
    everything = np.ones(len(test[1]), dtype=bool)
    for name, (pixels, labels), chosen in (
        ("test", test, everything),
        ("valid", train, held_out),
        ("train", train, ~held_out),
    ):
        writer.split(name, ((pixels[place].tobytes(), int(labels[place])) for place in np.flatnonzero(chosen)))
    return content


TASK = Task(
    "grey pictures, 1,024 pixels of CIFAR-10 or 784 of Fashion-MNIST, 10 classes", ImageSettings, 256, CLASSES, prepare
)
