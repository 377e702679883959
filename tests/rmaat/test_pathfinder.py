"""Pathfinder: the pictures we draw, and the release's files read as they are."""

import codecs
import gzip
import math
import struct
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from analysis import figures
from astro_sim.common.errors import InputError
from rmaat.tasks import data_folder, snakes
from rmaat.tasks.pathfinder import PathfinderSettings
from rmaat.tasks.writer import prepare
from tests.rmaat.refusals import refuses, unreadable

KINDS = [(size, contours) for size in snakes.SCALES for contours in snakes.PADDLES]
SMALL = PathfinderSettings(contours="curv_baseline", train=30, valid=10, test=10)


def test_a_picture_is_made_alone():
    """The same seed and index give the same picture, whatever was drawn before; another one of either another."""
    series = [snakes.draw(3, index).pixels for index in range(6)]
    assert all((snakes.draw(3, index).pixels == series[index]).all() for index in (5, 0, 3))
    others = [*series, snakes.draw(4, 0).pixels]
    assert len({pixels.tobytes() for pixels in others}) == 7
    assert series[0].shape == (32, 32)
    assert series[0].dtype == np.uint8


def sampled(paddles):
    """Points along every paddle, (paddles, points)."""
    return paddles[:, :1] + np.linspace(0, 1, 21) * (paddles[:, 1:] - paddles[:, :1])


def distances(paddles):
    """Between every two paddles, by points along both: an independent check of what the generator works out."""
    points = sampled(paddles)
    return np.abs(points[:, None, :, None] - points[None, :, None, :]).min((2, 3))


@pytest.mark.parametrize(("size", "contours"), KINDS)
def test_geometry(size, contours):
    scale, count = snakes.SCALES[size], snakes.PADDLES[contours]
    for index in range(8):
        picture = snakes.draw(1, index, size, contours)
        room = picture.room
        assert room.margin in scale.margins
        assert picture.targets.shape == (2, count, 2)
        assert len(picture.distractors) <= scale.distractor_paddles // (count // 3)
        assert picture.distractors.shape[1:] == (count // 3, 2)
        chains = [*picture.targets, *picture.distractors]
        paddles = np.concatenate(chains)
        assert np.allclose(np.abs(paddles[:, 1] - paddles[:, 0]), scale.paddle_length)
        parts = np.stack([paddles.real, paddles.imag])
        assert parts.min() >= scale.padding + room.margin
        assert parts.max() <= size - 1 - scale.padding - room.margin
        neighbours = np.eye(len(paddles), dtype=bool)
        at = 0
        for chain in chains:
            headings = chain[:, 1] - chain[:, 0]
            turns = np.angle(headings[1:] / headings[:-1])
            assert (np.abs(turns) <= np.pi / 2 / scale.continuity + 1e-9).all()
            gaps = np.abs(chain[1:, 0] - chain[:-1, 1])
            assert np.allclose(gaps, 2 * room.margin * np.cos(turns / 2))  # two margins that meet at a hinge
            for one, next_one in pairwise(range(at, at + len(chain))):
                neighbours[one, next_one] = neighbours[next_one, one] = True
            at += len(chain)
        assert distances(paddles)[~neighbours].min() >= 2 * room.margin + scale.paddle_thickness - 1e-9
        starts = picture.targets[:, 0, 0]
        assert abs(starts[0] - starts[1]) == pytest.approx(scale.seed_distance)


@examples(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**63), kind=st.sampled_from([(32, "curv_contour_length_14"), *KINDS[:5], KINDS[6]]))
def test_the_label_is_what_following_the_dashes_gives(seed, kind):
    """From a bag of paddles in no order: those whose ends lie within two margins of each other belong together."""
    picture = snakes.draw(seed, 0, *kind)
    paddles = np.concatenate([*picture.targets, *picture.distractors])
    paddles = paddles[np.random.default_rng(seed).permutation(len(paddles))]
    ends = paddles.reshape(-1)
    near = (np.abs(ends[:, None] - ends) <= 2 * picture.room.margin + 1e-9).reshape(len(paddles), 2, -1, 2).any((1, 3))
    marked = [int(np.abs(ends - marker).argmin()) // 2 for marker in picture.markers]
    assert np.abs(ends[:, None] - picture.markers).min(0) == pytest.approx(0, abs=1e-9)
    reached = np.zeros(len(paddles), dtype=bool)
    reached[marked[0]] = True
    for _ in paddles:
        reached |= near[reached].any(0)
    assert reached.sum() == picture.targets.shape[1]
    assert reached[marked[1]] == picture.label
    assert near.sum(1)[marked].tolist() == [2, 2]  # itself and one neighbour: the disc is at an end


@pytest.mark.parametrize(("size", "contours"), KINDS[::4])
def test_pixels_show_what_was_drawn(size, contours):
    scale = snakes.SCALES[size]
    for index in range(3):
        picture = snakes.draw(2, index, size, contours)
        grid = np.arange(size) + 1j * np.arange(size)[:, None]
        paddles = sampled(np.concatenate([*picture.targets, *picture.distractors]))
        from_paddles = np.abs(grid[..., None, None] - paddles).min((2, 3))
        from_discs = np.abs(grid[..., None] - picture.markers).min(2)
        # A pixel reaches 0.71 from its centre; a paddle 0.71 of its thickness, at the corners of its ends.
        dark = (from_paddles > scale.paddle_thickness + 0.8) & (from_discs > scale.marker_radius + 0.5)
        assert dark.mean() > 0.3
        assert (picture.pixels[dark] == 0).all()
        assert (picture.pixels[from_discs < scale.marker_radius - 0.5] == 255).all()
        middle = np.round(paddles[:, 10])
        assert (picture.pixels[middle.imag.astype(int), middle.real.astype(int)] > 20).all()


def test_ink_of_a_paddle_and_of_a_disc():
    """A paddle that is not turned has the ink of its rectangle, and a disc nearly that of its area."""
    scale, none = snakes.SCALES[64], np.zeros((0, 2, 2), dtype=complex)
    discs = np.array([30.3 + 30.4j, 30.3 + 30.4j])
    alone = snakes.render(64, none, none, discs).sum(dtype=float) / 255
    assert alone == pytest.approx(np.pi * scale.marker_radius**2, rel=0.03)
    rectangle = (scale.paddle_length + scale.paddle_thickness) * scale.paddle_thickness
    for start in (20 + 50j, 20.3 + 50.4j, 20.5 + 50.5j):
        target = np.array([[[start, start + scale.paddle_length]]])
        both = snakes.render(64, target, none, discs).sum(dtype=float) / 255
        assert both - alone == pytest.approx(scale.contrasts[0] * rectangle, abs=8 / 255)  # rounded to grey levels


@pytest.mark.parametrize("size", [32, 128])
def test_turning_angles_follow_the_squared_cosine(size):
    """Mean |t| of the density cos(c t)^2 within 90 degrees / c is (pi / 4 - 1 / pi) / c."""
    generator, room = np.random.default_rng(0), snakes.Room.of(size, 1)
    starts, units = np.full(2, size / 2 + size / 2 * 1j), np.ones(2, dtype=complex)
    turns = []
    for _ in range(4000):
        assert snakes.extend(generator, starts, units, 1, 0, room)
        turns.append(abs(np.angle(units[1])))
    expected = (np.pi / 4 - 1 / np.pi) / room.continuity
    assert abs(np.mean(turns) - expected) < 3 * np.std(turns) / math.sqrt(len(turns))
    assert max(turns) <= np.pi / 2 / room.continuity


def simple_statistics(pictures):
    """What might betray the label without following a contour, standardised, and a constant."""
    rows = []
    for picture in pictures:
        pixels, markers = picture.pixels.astype(float), picture.markers
        middle = len(pixels) / 2 * (1 + 1j)
        distance = abs(markers[0] - markers[1])
        near, far = np.abs(markers - middle)
        ink = [pixels.sum(), (pixels > 0).sum(), (pixels > 200).sum(), np.count_nonzero(pixels.sum(0))]
        rows.append([*ink, len(picture.distractors), distance, distance**2, distance**3, near, far, near * far])
    table = np.array(rows)
    table = (table - table.mean(0)) / (table.std(0) + 1e-12)
    return np.concatenate([table, np.ones((len(table), 1))], axis=1)


def regression_accuracy(pictures):
    """Of a logistic regression (Newton's method, a small ridge) from one half of the pictures to the other."""
    table, labels = simple_statistics(pictures), np.array([picture.label for picture in pictures])
    half = len(labels) // 2
    weights, seen = np.zeros(table.shape[1]), table[:half]
    for _ in range(20):
        chance = 1 / (1 + np.exp(-seen @ weights))
        slope = seen.T @ (labels[:half] - chance) - 1e-2 * weights
        curve = (seen * (chance * (1 - chance))[:, None]).T @ seen + 1e-2 * np.eye(len(weights))
        weights += np.linalg.solve(curve, slope)
    return ((table[half:] @ weights > 0) == labels[half:]).mean()


@pytest.mark.parametrize(
    ("size", "contours", "count"), [pytest.param(*KINDS[2], 2000, marks=pytest.mark.slow), (*KINDS[6], 1600)]
)
def test_simple_statistics_do_not_tell_the_label(size, contours, count):
    """Held-out accuracy stays within three standard errors of chance: 4.7 % of 1,000 pictures, 5.3 % of 800."""
    accuracy = regression_accuracy([snakes.draw(7, index, size, contours) for index in range(count)])
    assert abs(accuracy - 0.5) < 3 * math.sqrt(0.25 / (count // 2))


def test_unequal_distances_would_tell_the_label(monkeypatch):
    """The regression above does find what there is: short contours of large pictures are all about equally long."""
    monkeypatch.setattr(snakes, "start_to_mark", lambda generator, *_: int(generator.integers(2)))
    assert regression_accuracy([snakes.draw(7, index, *KINDS[6]) for index in range(1000)]) > 0.65


def test_generated_splits(tmp_path):
    manifest = prepare("pathfinder", tmp_path / "out", SMALL, seed=5)
    assert {name: split.examples for name, split in manifest.splits.items()} == {"train": 30, "valid": 10, "test": 10}
    assert manifest.vocabulary == 257
    assert manifest.classes == 2
    assert manifest.origin == "generated"
    split = data_folder.load(tmp_path / "out", "pathfinder").splits["valid"]
    assert (split.lengths == 1024).all()
    picture = snakes.draw(5, 10 + 3, 32, "curv_baseline")  # behind the ten of the test split
    ids, _, labels = split.batch(np.array([3]))
    assert (ids[0].reshape(32, 32) - 1 == picture.pixels).all()
    assert labels.tolist() == [picture.label]
    more = prepare("pathfinder", tmp_path / "more", SMALL.replace(train=40), seed=5)
    assert more.splits["test"] == manifest.splits["test"]
    assert more.splits["valid"] == manifest.splits["valid"]
    assert more.splits["train"].digest != manifest.splits["train"].digest


def test_labels_are_balanced():
    labels = [snakes.draw(11, index, 32, "curv_baseline").label for index in range(900)]
    assert abs(np.mean(labels) - 0.5) < 3 * math.sqrt(0.25 / 900)


def png(pixels, mode=0):
    """A PNG by the specification alone: mode 0 is grayscale, 2 is RGB."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pixels_of(folder, number):
    return np.random.default_rng([folder, number]).integers(0, 256, (32, 32), dtype=np.uint8)


@pytest.fixture
def release(tmp_path):
    """Twenty pictures of noise in two folders, 9 and 10, in the release's layout; the label is a picture's parity."""
    root = tmp_path / "lra_release" / "lra_release" / "pathfinder32" / "curv_baseline"
    (root / "metadata").mkdir(parents=True)
    for folder in (9, 10):
        (root / "imgs" / str(folder)).mkdir(parents=True)
        lines = []
        for number in range(10):
            (root / "imgs" / str(folder) / f"sample_{number}.png").write_bytes(png(pixels_of(folder, number)))
            lines.append(f"imgs/{folder} sample_{number}.png {number} {number % 2} 1.0 6 2 2 0.5 1 1\n")
        (root / "metadata" / f"{folder}.npy").write_text("".join(lines))
    return root


def read(release, out, **settings):
    source = release.parents[1]
    return prepare("pathfinder", out, PathfinderSettings(contours="curv_baseline", **settings), source=source)


def read_refused(release, tmp_path, **settings):
    return refuses(".", read, release, tmp_path / "out", **settings)


def test_the_release_is_read_byte_for_byte(release, tmp_path):
    manifest = read(release, tmp_path / "out")
    assert {name: split.examples for name, split in manifest.splits.items()} == {"train": 16, "valid": 2, "test": 2}
    assert manifest.content == "files of the LRA release"
    assert manifest.origin == "converted"
    assert manifest.splits["train"].labels == {"0": 8, "1": 8}
    found = data_folder.load(tmp_path / "out", "pathfinder").splits
    order = [(folder, number) for folder in (9, 10) for number in range(10)]  # 9 before 10, though not by name
    for name, part in (("train", order[:16]), ("valid", order[16:18]), ("test", order[18:])):
        expected = np.concatenate([pixels_of(*each).reshape(-1) for each in part])
        assert (found[name].tokens == expected).all()
        assert found[name].labels.tolist() == [number % 2 for _, number in part]


def test_the_release_is_found_from_every_level(release, tmp_path):
    settings = PathfinderSettings(contours="curv_baseline")
    digests = {
        prepare("pathfinder", tmp_path / f"out{level}", settings, source=source).digest
        for level, source in enumerate(release.parents[:4])
    }
    assert len(digests) == 1


def test_a_wrong_folder_is_named(release, tmp_path):
    def message(source, **settings):
        return unreadable("pathfinder", source, tmp_path / "out", PathfinderSettings(**settings))

    expected = "expected the folder that holds pathfinder32, or pathfinder32 itself, with"
    hard = "curv_contour_length_14"
    assert message(tmp_path / "no") == "SOURCE: no such folder; expected the unpacked lra_release"
    assert message(release).startswith(f"SOURCE: holds no {hard}; {expected} {hard}/metadata and {hard}/imgs")
    root = release.parent
    assert message(root).startswith(f"SOURCE: holds no {hard}; {expected}")
    wrong = "SOURCE: expected pathfinder64; choose another folder or another size"
    assert message(root, size=64, contours="curv_baseline") == wrong
    for file in (release / "metadata").iterdir():
        file.unlink()
    none = "SOURCE/curv_baseline/metadata: no metadata; expected the release's files 0.npy, 1.npy, ..."
    assert message(root, contours="curv_baseline") == none


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("imgs/9 sample_1.png 1", "expected folder, file, number and label apart by spaces, got ['imgs/9', "),
        ("", "expected folder, file, number and label apart by spaces, got ['']"),
        ("imgs/9\tsample_1.png\t1\t0", "expected folder, file, number and label apart by spaces, got ['imgs/9\\tsa"),
        ("../9 sample_1.png 1 0", "expected 'imgs/N sample_K.png', got '../9 sample_1.png'"),
        ("imgs/9 ../8/sample_1.png 1 0", "expected 'imgs/N sample_K.png', got 'imgs/9 ../8/sample_1.png'"),
        ("imgs/9 sämple.png 1 0", "expected 'imgs/N sample_K.png', got 'imgs/9 s"),
        ("imgs/9 sample_1.png 1 2", "expected the label 0 or 1 in the fourth field, got '2'"),
        ("imgs/9 sample_1.png 1 1.0", "expected the label 0 or 1 in the fourth field, got '1.0'"),
    ],
)
def test_broken_metadata_are_named(release, tmp_path, line, message):
    file = release / "metadata" / "9.npy"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n", encoding="utf-8")
    assert read_refused(release, tmp_path).startswith(f"{file}, line 2: {message}")


def test_hidden_metadata_are_passed_over(release, tmp_path):
    before = read(release, tmp_path / "before")
    (release / "metadata" / "._9.npy").write_bytes(b"a Mac's companion")
    (release / "metadata" / "11.npy").mkdir()
    file = release / "metadata" / "9.npy"
    file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    assert read(release, tmp_path / "after") == before


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("11.npy.gz", b"", "metadata: 11.npy.gz would be left out; expected metadata as *.npy"),
        ("9.npy", gzip.compress(b"", mtime=0), "9.npy: a gzip file; expected text, as the release's metadata are in"),
        ("9.npy", "imgs/9".encode("utf-16"), "9.npy: a text in UTF-16; expected text, as the release's metadata are"),
        ("9.npy", b"a " * 900, "9.npy, line 1: expected 'imgs/N sample_K.png', got 'a a'"),
        ("9.npy", b"imgs/9 s.png 1 " + b"x" * 900, "9.npy, line 1: expected the label 0 or 1 in the fourth field, got"),
        ("9.npy", b"x" * 900, "9.npy, line 1: expected folder, file, number and label apart by spaces, got ['xxx"),
    ],
)
def test_metadata_that_are_no_text_are_told(release, tmp_path, name, raw, message):
    (release / "metadata" / name).write_bytes(raw)
    refusal = read_refused(release, tmp_path)
    assert message in refusal
    assert len(refusal.replace(str(release), "")) < 300


def test_metadata_are_never_unpickled(release, tmp_path):
    file = release / "metadata" / "9.npy"
    np.save(file, np.array([["imgs/9", "sample_0.png", "0", "1"]], dtype=object), allow_pickle=True)
    refuses(r"9.npy: a numpy array; expected text, as the release's metadata are", read, release, tmp_path / "out")
    file.write_bytes(b"")
    (release / "metadata" / "10.npy").write_bytes(b"")
    refuses("metadata: the metadata name no pictures", read, release, tmp_path / "out")
    file.rename(file.with_name("nine.npy"))
    with pytest.raises(InputError, match=r"nine.npy: expected a number for a name, as in the release's metadata/0.npy"):
        read(release, tmp_path / "out")


GOOD = png(pixels_of(0, 0))
HINT = "--set skip_unreadable=true leaves such pictures out"
BROKEN = [
    (b"", f"empty (0 bytes), expected a PNG; {HINT}"),  # as the release's curv_baseline/imgs/0/sample_172.png
    (GOOD[:-200], f"not a readable PNG, perhaps broken off; {HINT} ("),
    (GOOD[:20], f"not a readable PNG, perhaps broken off; {HINT} ("),
    (GOOD[:100] + b"!" + GOOD[101:], f"not a readable PNG, perhaps broken off; {HINT} ("),
    (b"GIF89a", f"not a readable PNG, perhaps broken off; {HINT} ("),
]


@pytest.mark.parametrize(("raw", "message"), BROKEN)
def test_unreadable_pictures_are_refused_or_counted(release, tmp_path, raw, message):
    picture = release / "imgs" / "9" / "sample_3.png"
    picture.write_bytes(raw)
    assert read_refused(release, tmp_path).startswith(f"{picture}: {message}")
    assert not (tmp_path / "out").exists()
    manifest = read(release, tmp_path / "out", skip_unreadable=True)
    assert manifest.content == "files of the LRA release; 1 unreadable picture left out"
    assert {name: split.examples for name, split in manifest.splits.items()} == {"train": 15, "valid": 2, "test": 2}
    (release / "imgs" / "10" / "sample_9.png").write_bytes(raw)
    more = read(release, tmp_path / "more", skip_unreadable=True)
    assert more.content == "files of the LRA release; 2 unreadable pictures left out"
    assert more.splits["test"].examples == 1


@pytest.mark.parametrize("skip", [False, True])
def test_missing_and_other_pictures_are_refused(release, tmp_path, skip):
    """Leaving out the unreadable ones does not hide that a picture is not there, or not what it should be."""
    picture = release / "imgs" / "9" / "sample_3.png"
    wanted = "expected 32 x 32 pixels of 8 bit grayscale (L), got"
    colour = np.zeros((32, 32, 3), dtype=np.uint8)
    for raw, message in (
        (png(np.zeros((32, 64), dtype=np.uint8)), f"{picture}: {wanted} 64 x 32 of mode L"),
        (png(colour, mode=2), f"{picture}: {wanted} 32 x 32 of mode RGB"),
    ):
        picture.write_bytes(raw)
        assert read_refused(release, tmp_path, skip_unreadable=skip) == message
    picture.unlink()
    where = f"{release / 'metadata' / '9.npy'}, line 4"
    assert read_refused(release, tmp_path, skip_unreadable=skip) == f"{picture}: no such picture; {where} names it"


def test_examples_are_drawn():
    drawn = [snakes.draw(0, index, 32, "curv_baseline") for index in range(40)]
    pictures, labels = np.array([each.pixels for each in drawn]), np.array([each.label for each in drawn])
    shown = [axes.images[0].get_array() for axes in figures.pathfinder(pictures, labels).axes]
    for row, label in ((shown[:8], 1), (shown[8:], 0)):
        np.testing.assert_array_equal(row, pictures[labels == label][:8])
    refuses("pictures: expected 8 of label 1, got 0", figures.pathfinder, pictures, np.zeros(40, dtype=np.int64))
