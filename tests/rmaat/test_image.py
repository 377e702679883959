"""Image: grey values, the three layouts read as they are, validation by digest, and what is refused."""

import bz2
import gzip
import hashlib
import io
import lzma
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from astro_sim.common.errors import InputError
from rmaat.tasks import data_folder, image
from rmaat.tasks.image import ImageSettings
from rmaat.tasks.writer import prepare
from tests.rmaat.refusals import refuses, unreadable

SMALL = ImageSettings(valid=4)


def texts(split):
    return [bytes(row) for row in split.tokens.reshape(len(split), -1)]


def test_grey_of_every_colour_is_that_of_tensorflow():
    """The digest is that of `tf.image.rgb_to_grayscale` (TensorFlow 2.21.0, CPU) on all 256^3 colours, blue fastest."""
    colours = np.stack(np.broadcast_arrays(0, *np.ogrid[:256, :256]), axis=-1).astype(np.uint8)
    found = hashlib.sha256()
    for red in range(256):
        colours[..., 0] = red
        found.update(image.grey(colours).tobytes())
    assert found.hexdigest() == "824a76d81dad2c5a2cf1fa0b2c0a5afe7d871ec2970e4fa2809b53ddbecdca93"
    ramp = np.arange(256, dtype=np.uint8)
    assert (image.grey(np.repeat(ramp[:, None], 3, axis=1)) == ramp).all()


def record(label, generator):
    return bytes([label]) + generator.integers(0, 256, 3 * 1024, dtype=np.uint8).tobytes()


@pytest.fixture
def cifar(tmp_path):
    """Five batches of 4 records and a test batch of 10, all different."""
    generator, folder = np.random.default_rng(0), tmp_path / "cifar"
    folder.mkdir()
    for number, name in enumerate(image.BATCHES):
        (folder / name).write_bytes(b"".join(record((4 * number + i) % 10, generator) for i in range(4)))
    (folder / image.TEST_BATCH).write_bytes(b"".join(record(i, generator) for i in range(10)))
    return folder


def test_a_record_is_decoded_byte_for_byte(cifar, tmp_path):
    """A label, then 1,024 bytes each of red, green and blue, row after row."""
    red, green, blue = ([(step * i) % 256 for i in range(1024)] for step in (1, 3, 7))
    (cifar / image.TEST_BATCH).write_bytes(bytes([7, *red, *green, *blue]))
    prepare("image", tmp_path / "out", SMALL, source=cifar)
    split = data_folder.load(tmp_path / "out", "image").splits["test"]

    def exact(r, g, b):
        return (2989 * r + 5870 * g + 1140 * b) * 511 // 5_100_000  # in whole numbers; 237 colours round otherwise

    assert split.tokens.tolist() == [exact(*colour) for colour in zip(red, green, blue, strict=True)]
    assert split.tokens[:4].tolist() == [0, 2, 5, 8]  # of (1, 3, 7): 2.858 x 1.00196 = 2.86; twice and three times it
    ids, lengths, labels = split.batch(np.array([0]))
    assert (ids[0] - 1).tolist() == split.tokens.tolist()
    assert (lengths.tolist(), labels.tolist()) == ([1024], [7])


def test_binary_version_is_shared_out_by_digest(cifar, tmp_path):
    manifest = prepare("image", tmp_path / "a", SMALL, source=cifar)
    assert {name: split.examples for name, split in manifest.splits.items()} == {"train": 16, "valid": 4, "test": 10}
    assert (manifest.classes, manifest.vocabulary, manifest.towers) == (10, 257, 1)
    assert manifest.content == (
        "CIFAR-10, binary version, grey; a part of it: 20 of 50,000 to train and 10 of 10,000 to test"
    )
    assert manifest.splits["test"].labels == {str(label): 1 for label in range(10)}
    nested = tmp_path / "release" / "cifar-10-batches-bin"
    shutil.copytree(cifar, nested)
    assert prepare("image", tmp_path / "b", SMALL, source=nested.parent).digest == manifest.digest
    # Files in another order hold out the same pictures.
    for name, other in zip(image.BATCHES, reversed(image.BATCHES), strict=True):
        shutil.copy(cifar / name, nested / other)
    prepare("image", tmp_path / "c", SMALL, source=nested)
    first, second = (data_folder.load(tmp_path / name).splits for name in "ac")
    assert texts(first["train"]) != texts(second["train"])
    for name in ("train", "valid", "test"):
        assert sorted(texts(first[name])) == sorted(texts(second[name]))
    smallest = sorted(texts(first["train"]) + texts(first["valid"]), key=lambda t: hashlib.sha256(t).digest())[:4]
    assert sorted(texts(first["valid"])) == sorted(smallest)


def test_nothing_of_the_test_split_is_trained_on(cifar, tmp_path):
    """Copies of a test picture among the training pictures are left out, whatever their label, and counted."""
    copied = (cifar / image.TEST_BATCH).read_bytes()[: image.RECORD]
    batch = cifar / image.BATCHES[2]
    batch.write_bytes(batch.read_bytes() + copied + b"\x05" + copied[1:])
    manifest = prepare("image", tmp_path / "out", SMALL, source=cifar)
    counts = [(manifest.splits[name].examples, manifest.splits[name].left_out) for name in ("train", "valid", "test")]
    assert counts == [(16, 2), (4, 0), (10, 0)]
    splits = data_folder.load(tmp_path / "out").splits
    assert not set(texts(splits["test"])) & set(texts(splits["train"]) + texts(splits["valid"]))


def test_copies_are_held_out_together_and_the_count_is_exact():
    marks = [b"c", b"a", b"d", b"a", b"b", b"b", b"e", b"t"]
    for count, chosen in ((0, ""), (1, "c"), (2, "aa"), (3, "aac"), (4, "aabb"), (6, "aabbcd")):
        held_out = image.hold_out(marks, {b"t"}, count)
        assert "".join(sorted(marks[place].decode() for place in np.flatnonzero(held_out))) == chosen
    for count in (7, 8):
        refuses(rf"expected fewer than the 7 training pictures .* got {count}", image.hold_out, marks, {b"t"}, count)
    with pytest.raises(InputError, match="valid: 1 pictures cannot be chosen without parting copies; 0 can"):
        image.hold_out([b"a", b"a", b"b", b"b"], set(), 1)  # cannot be had without parting copies


def write_idx(path, array):
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    raw = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


@pytest.fixture
def fashion(tmp_path):
    """Twelve pictures to train, packed, and five to test, not packed."""
    generator, folder = np.random.default_rng(1), tmp_path / "fashion"
    folder.mkdir()
    for split, size, ending in (("train", 12, ".gz"), ("t10k", 5, "")):
        write_idx(folder / f"{split}-images-idx3-ubyte{ending}", generator.integers(0, 256, (size, 28, 28)))
        write_idx(folder / f"{split}-labels-idx1-ubyte{ending}", np.arange(size) % 10)
    return folder


def test_fashion_is_read_from_idx_files(fashion, tmp_path, monkeypatch):
    manifest = prepare("image", tmp_path / "a", SMALL, source=fashion)
    assert manifest.content == "28 x 28 pictures in the files of Fashion-MNIST, but other ones"
    assert {name: split.examples for name, split in manifest.splits.items()} == {"train": 8, "valid": 4, "test": 5}
    split = data_folder.load(tmp_path / "a").splits["test"]
    assert split.tokens.tobytes() == (fashion / "t10k-images-idx3-ubyte").read_bytes()[16:]
    assert split.labels.tolist() == [0, 1, 2, 3, 4]
    assert split.lengths.tolist() == [784] * 5
    raw = gzip.decompress((fashion / "train-images-idx3-ubyte.gz").read_bytes())
    monkeypatch.setattr(image, "FASHION", hashlib.sha256(raw).hexdigest())
    again = prepare("image", tmp_path / "b", SMALL, source=fashion)
    assert again.content == "Fashion-MNIST, 28 x 28"
    assert again.digest == manifest.digest


@pytest.mark.parametrize(
    ("ending", "pack"),
    [(".GZ", gzip.compress), ("", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)],
)
def test_idx_files_may_be_packed(fashion, tmp_path, ending, pack):
    digest = prepare("image", tmp_path / "before", SMALL, source=fashion).digest
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        raw = (fashion / name).read_bytes()
        (fashion / name).unlink()
        (fashion / f"{name}{ending}").write_bytes(pack(raw))
    assert prepare("image", tmp_path / "after", SMALL, source=fashion).digest == digest


def draw(folder, names=image.CIFAR_CLASSES, ending="png"):
    """Two pictures a class to train and one to test; the colours of all."""
    generator, drawn = np.random.default_rng(2), {}
    for split, count in (("train", 2), ("test", 1)):
        for name in names:
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                colours = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(colours).save(folder / split / name / f"{number}.{ending}")
                drawn[split, name, number] = colours
    return drawn


@pytest.fixture
def pictures(tmp_path):
    draw(tmp_path / "pictures")
    return tmp_path / "pictures"


def test_a_folder_a_class(tmp_path):
    drawn = draw(tmp_path / "png")
    manifest = prepare("image", tmp_path / "a", SMALL, source=tmp_path / "png")
    assert manifest.content.startswith("CIFAR-10 from PNG files, grey; a part of it: 20 of 50,000")
    assert {name: split.examples for name, split in manifest.splits.items()} == {"train": 16, "valid": 4, "test": 10}
    split = data_folder.load(tmp_path / "a").splits["test"]
    expected = [image.grey(drawn["test", name, 0]).tobytes() for name in image.CIFAR_CLASSES]
    assert texts(split) == expected
    assert split.labels.tolist() == list(range(10))
    # Grey already: taken as it is.
    values = np.arange(1024).reshape(32, 32).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "png" / "test" / "cat" / "0.png")
    prepare("image", tmp_path / "b", SMALL, source=tmp_path / "png")
    assert texts(data_folder.load(tmp_path / "b").splits["test"])[3] == values.tobytes()
    draw(tmp_path / "jpeg", ending="JPG")
    lossy = prepare("image", tmp_path / "c", SMALL, source=tmp_path / "jpeg")
    assert lossy.content.startswith("CIFAR-10 from JPEG files (lossy stand-in), grey; a part of it")
    draw(tmp_path / "own", [f"class {number}" for number in range(10)])
    own = prepare("image", tmp_path / "d", SMALL, source=tmp_path / "own")
    assert own.content == "pictures of 10 classes from PNG files, grey"


def test_what_is_no_picture_is_passed_over(pictures, tmp_path):
    before = prepare("image", tmp_path / "before", SMALL, source=pictures)
    folder = pictures / "train" / "cat"
    for name in ("._0.png", ".2.png", "README.md", "Thumbs.db", "names.csv", "notes"):
        (folder / name).write_bytes(b"no picture")
    for place in (folder / "3.png", folder / "__MACOSX", pictures / "train" / "__MACOSX", pictures / "test" / ".cache"):
        place.mkdir()
    (folder / "__MACOSX" / "0.png").write_bytes(b"no picture")
    (pictures / "train" / "._cat").write_bytes(b"no picture")
    assert prepare("image", tmp_path / "after", SMALL, source=pictures) == before


PIXEL = Image.new("RGB", (32, 32))


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("train/cat/9.webp", b"", "train/cat: 9.webp would be left out; expected pictures as *.jpg, *.jpeg, *.png"),
        ("train/cat/9.BMP", b"", "train/cat: 9.BMP would be left out; expected pictures as"),
        ("train/cat/9.png.gz", gzip.compress(b"", mtime=0), "train/cat: 9.png.gz would be left out; expected"),
        ("train/cat/9", b"\x89PNG\r\n\x1a\n", "train/cat: 9 would be left out; expected pictures as"),
        ("train/cat/more/9.png", b"", "train/cat: more would be left out; expected pictures as"),
        ("test/9.png", b"", "test: 9.png would be left out; expected pictures in folders, one a class"),
        ("test/dog.zip", b"PK\3\4", "test: dog.zip would be left out; expected pictures in folders, one a class"),
    ],
)
def test_no_picture_is_left_out_unsaid(pictures, tmp_path, name, raw, message):
    (pictures / name).parent.mkdir(exist_ok=True)
    (pictures / name).write_bytes(raw)
    assert refused(pictures, tmp_path).startswith(f"SOURCE/{message}")
    if name.endswith(("webp", "BMP")):
        (pictures / name).with_name("8.tiff").write_bytes(raw)
        assert "8.tiff and 1 more would be left out" in refused(pictures, tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_data_ask(tmp_path, kind, orientation):
    """By the definition: what 8 orientations do to rows and columns."""
    corners = np.zeros((32, 32), dtype=np.uint8)
    corners[:16, :16], corners[:16, 16:], corners[16:, :16], corners[16:, 16:] = 250, 180, 110, 40
    upright = {
        1: corners, 2: corners[:, ::-1], 3: corners[::-1, ::-1], 4: corners[::-1], 5: corners.T, 6: corners[::-1].T,
        7: corners[::-1, ::-1].T, 8: corners.T[::-1],
    }  # fmt: skip
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(corners).save(tmp_path / "picture", kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {}))
    found, _ = image.read_picture(tmp_path / "picture")
    np.testing.assert_allclose(found.reshape(32, 32).astype(int), upright[orientation], atol=1 if kind == "JPEG" else 0)


def deep(png):
    """The header of a PNG of 8 bits, changed to 16 bits, and rows of twice the length."""
    rows = zlib.compress(bytes((1 + 32 * 6) * 32))
    header = png[12:24] + b"\x10" + png[25:29]
    chunks = (header, b"IDAT" + rows, b"IEND")
    return png[:8] + b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)


def saved(picture, kind="PNG", **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (deep(saved(PIXEL)), "expected a picture of 8 bits, grey or RGB, got the mode RGB of 16 bits"),
        (saved(PIXEL, transparency=(0, 0, 0)), "expected a picture of 8 bits, grey or RGB, got the mode RGB with"),
        (
            saved(PIXEL, save_all=True, append_images=[Image.new("RGB", (32, 32), "red")]),
            "expected a picture of 8 bits, grey or RGB, got the mode RGB in 2 frames",
        ),
        (saved(PIXEL.convert("CMYK"), "JPEG"), "expected a picture of 8 bits, grey or RGB, got the mode CMYK"),
        (saved(PIXEL.convert("P")), "expected a picture of 8 bits, grey or RGB, got the mode P"),
        (saved(PIXEL, "WEBP"), "not readable as a JPEG or PNG picture, perhaps truncated (it begins as a WebP"),
        (saved(PIXEL, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\0"), "not readable as a JPEG or PNG picture"),
    ],
)
def test_pictures_that_would_lose_something_are_refused(pictures, tmp_path, raw, message):
    (pictures / "test" / "deer" / "0.png").write_bytes(raw)
    assert refused(pictures, tmp_path).startswith(f"SOURCE/test/deer/0.png: {message}")


def test_packed_batches_are_told(cifar, tmp_path):
    batch = cifar / "data_batch_3.bin"
    batch.write_bytes(gzip.compress(batch.read_bytes()))
    assert refused(cifar, tmp_path) == (
        "SOURCE/data_batch_3.bin: a gzip file; expected records of 3,073 bytes, not packed"
    )
    assert refused(batch, tmp_path).startswith(
        "SOURCE: a gzip file, not a folder; unpack it; expected data_batch_1.bin"
    )


def refused(source, tmp_path, settings=SMALL):
    return unreadable("image", source, tmp_path / "out", settings)


def test_broken_binary_files_are_named(cifar, tmp_path):
    batch = cifar / "data_batch_3.bin"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-1])
    assert refused(cifar, tmp_path) == (
        "SOURCE/data_batch_3.bin: expected records of 3,073 bytes, got 3 of them and 3,072 bytes more; "
        "perhaps truncated"
    )
    batch.write_bytes(b"")
    assert "expected records of 3,073 bytes, got 0 of them and 0 bytes more" in refused(cifar, tmp_path)
    batch.write_bytes(whole[: image.RECORD] + b"\x0a" + whole[image.RECORD + 1 :])
    assert refused(cifar, tmp_path) == "SOURCE/data_batch_3.bin, record 2: expected a label from 0 to 9, got 10"
    batch.unlink()
    assert refused(cifar, tmp_path).startswith("SOURCE/data_batch_3.bin: no such file; expected data_batch_1.bin,")
    batch.write_bytes(whole)
    message = refused(cifar, tmp_path, ImageSettings())
    assert message == "valid: expected fewer than the 20 training pictures that can be used, got 5,000"
    (cifar / "test_batch.bin").unlink()
    assert refused(cifar, tmp_path).startswith("SOURCE/test_batch.bin: no such file")


def test_a_pickle_is_never_read(tmp_path):
    folder = tmp_path / "release" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "data_batch_1").write_bytes(b"\x80\x02}q\x00.")
    assert refused(folder, tmp_path) == (
        "SOURCE/data_batch_1: the python version of CIFAR-10, a pickle, which is never loaded; expected the binary "
        "version (cifar-10-binary.tar.gz, unpacked)"
    )
    assert refused(folder.parent, tmp_path).startswith("SOURCE/cifar-10-batches-py/data_batch_1: the python version")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train-images-idx3-ubyte.gz", lambda raw: raw[:-20], "not readable as a gzip file, perhaps truncated ("),
        ("train-images-idx3-ubyte.gz", lambda raw: b"\x1f\x8b" + raw[4:], "not readable as a gzip file, perhaps"),
        ("train-images-idx3-ubyte.gz", lambda raw: b"", "no packed file, though its name says so; perhaps damaged"),
        ("t10k-images-idx3-ubyte", lambda raw: gzip.compress(gzip.compress(raw)), "a gzip file within a gzip file; ex"),
        ("t10k-images-idx3-ubyte", lambda raw: b"7z\xbc\xaf\x27\x1c" + raw, "a 7z archive; expected t10k-images-idx3"),
        ("t10k-images-idx3-ubyte", lambda raw: raw[:-1], "its header says 5 x 28 x 28 = 3,920 bytes, got 3,919"),
        ("t10k-images-idx3-ubyte", lambda raw: b"\x00\x00\x0d\x03" + raw[4:], "expected the header of an idx file"),
        ("t10k-images-idx3-ubyte", lambda raw: b"", "expected the header of an idx file, 16 bytes that begin with"),
        ("t10k-images-idx3-ubyte", lambda raw: raw[:11], "expected the header of an idx file, 16 bytes that begin"),
        (
            "t10k-images-idx3-ubyte",
            lambda raw: raw[:8] + struct.pack(">2I", 56, 14) + raw[16:],
            "expected pictures of 28 x 28 pixels, got 56 x 14",
        ),
        ("t10k-images-idx3-ubyte", lambda raw: raw[:4] + bytes(4) + raw[8:16], "no pictures inside"),
        (
            "t10k-labels-idx1-ubyte",
            lambda raw: raw[:4] + struct.pack(">I", 4) + raw[8:12],
            "expected 5 labels, one a picture, got 4",
        ),
    ],
)
def test_broken_idx_files_are_named(fashion, tmp_path, name, change, message):
    file = fashion / name
    file.write_bytes(change(file.read_bytes()))
    assert refused(fashion, tmp_path).startswith(f"SOURCE/{name}: {message}")


def test_wrong_labels_and_missing_idx_files_are_named(fashion, tmp_path):
    file = fashion / "t10k-labels-idx1-ubyte"
    write_idx(file, np.array([0, 1, 2, 12, 4]))
    assert refused(fashion, tmp_path) == (
        "SOURCE/t10k-labels-idx1-ubyte, label 4: expected a label from 0 to 9, got 12"
    )
    file.unlink()
    assert refused(fashion, tmp_path) == (
        "SOURCE/t10k-labels-idx1-ubyte: no such file, nor with .gz; expected images and labels of train and of t10k"
    )


def test_broken_pictures_are_named(pictures, tmp_path):
    file = pictures / "test" / "deer" / "0.png"
    whole = file.read_bytes()
    file.write_bytes(b"")
    assert refused(pictures, tmp_path) == "SOURCE/test/deer/0.png: an empty file; expected a picture"
    for broken in (b"not a picture", whole[: len(whole) // 2], whole[:20]):
        file.write_bytes(broken)
        message = refused(pictures, tmp_path)
        assert message.startswith("SOURCE/test/deer/0.png: not readable as a JPEG or PNG picture, perhaps truncated")
    for shape, mode, message in (
        ((64, 32), "RGB", "expected a picture of 32 x 32 pixels, got 64 x 32"),
        ((32, 32), "RGBA", "expected a picture of 8 bits, grey or RGB, got the mode RGBA"),
    ):
        Image.new(mode, shape).save(file)
        assert refused(pictures, tmp_path) == f"SOURCE/test/deer/0.png: {message}"
    header = b"IHDR" + struct.pack(">2I", 9500, 9500) + whole[24:29]  # large, but nothing is unpacked
    file.write_bytes(whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:])
    assert refused(pictures, tmp_path).endswith("expected a picture of 32 x 32 pixels, got 9500 x 9500")
    file.unlink()
    assert refused(pictures, tmp_path) == "SOURCE/test/deer: no pictures (*.jpg, *.jpeg, *.png) inside"


def test_a_broken_picture_is_read_or_refused(tmp_path):
    """Bytes changed anywhere: pillow decodes them, or there is one line; never another error. PNG has checksums."""
    generator, file = np.random.default_rng(3), tmp_path / "0.jpg"
    picture = Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    outcomes = set()
    for kind in ("JPEG", "PNG"):
        picture.save(file, format=kind)
        whole = bytearray(file.read_bytes())
        for _ in range(150):
            changed = whole.copy()
            for place in generator.integers(0, min(len(whole), 400), 3):
                changed[place] = generator.integers(256)
            file.write_bytes(changed)
            try:
                outcomes.add(image.read_picture(file)[1])
            except InputError:
                outcomes.add("refused")
    assert outcomes == {"JPEG", "refused"}


def test_folders_that_do_not_fit_are_named(pictures, tmp_path):
    (pictures / "test" / "deer").rename(pictures / "test" / "elk")
    assert refused(pictures, tmp_path) == (
        "SOURCE/test: expected the same classes as in train/; not in both: deer, elk"
    )
    shutil.rmtree(pictures / "test")
    assert refused(pictures, tmp_path) == (
        "SOURCE/test: no such folder; expected pictures in train/CLASS/ and test/CLASS/"
    )
    shutil.rmtree(pictures / "train" / "deer")
    assert refused(pictures, tmp_path) == "SOURCE/train: expected a folder for each of 10 classes, got 9"


def test_the_right_level_is_named(pictures, tmp_path):
    assert refused(pictures / "train", tmp_path) == (
        f"SOURCE: no pictures that this task knows; did you mean --source {pictures}?"
    )
    assert refused(tmp_path, tmp_path) == (
        "SOURCE: no pictures that this task knows; did you mean --source SOURCE/pictures?"
    )
    elsewhere = tmp_path / "elsewhere" / "empty"
    elsewhere.mkdir(parents=True)
    assert refused(elsewhere, tmp_path).startswith(
        "SOURCE: no pictures that this task knows; expected data_batch_1.bin to data_batch_5.bin and test_batch.bin"
    )
    assert refused(tmp_path / "nowhere", tmp_path).startswith("SOURCE: no such folder; expected data_batch_1.bin")
    (tmp_path / "file").write_bytes(b"")
    assert refused(tmp_path / "file", tmp_path).startswith("SOURCE: not a folder; expected data_batch_1.bin")
    assert refused(None, tmp_path).startswith("image: expected --source PATH, this task cannot be generated; in it")
