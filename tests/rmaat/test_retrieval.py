"""Retrieval: the release's files read as they are, pairs of halves of reviews, and two towers in a model."""

import codecs
import gzip
import shutil
from collections import Counter
from random import Random

import numpy as np
import pytest

from rmaat.tasks import data_folder, retrieval
from rmaat.tasks.retrieval import FILES, RetrievalSettings, halves
from rmaat.tasks.text import TextSettings
from rmaat.tasks.writer import prepare
from rmaat.training.evaluation import evaluate
from rmaat.training.run import train
from tests.rmaat.refusals import unreadable
from tests.rmaat.run_folders import TINY

SMALL = {**TINY, "segment_length": 64, "steps": 2, "log_every": 1, "validate_every": 2, "checkpoint_every": 2}
WORDS = [a + b + c for a in "bdfgkl" for b in "aeiou" for c in "mnrst"]


def pairs(split):
    """Documents of every pair, as they are stored, and the labels."""
    parts = [bytes(split.tokens[a:b]) for a, b in zip(split.offsets[:-1], split.offsets[1:], strict=True)]
    return list(zip(parts[::2], parts[1::2], split.labels.tolist(), strict=True))


ROWS = {
    "train": [
        b'0.0\tA1\tB1\tone, "quoted" text\tanother text',
        b"1.0\tA2\tB2\tcaf\xc3\xa9 \xff\t  b'spaces  kept' ",
        b"1\tA3\tB3\tx\ty",
        b"0\tA4\tB4\t" + b"long" * 1500 + b"\tz",
    ],
    "eval": [b"1.0\tC1\tD1\teval one\teval two"],
    "test": [b"0.0\tE1\tF1\ttest one\ttest two", b"1.0\tE1\tF2\ttest one\ttest three"],
}


@pytest.fixture
def release(tmp_path):
    """The release's layout, with the rows above."""
    folder = tmp_path / "lra_release" / "tsv_data"
    folder.mkdir(parents=True)
    for name, rows in ROWS.items():
        (folder / f"new_aan_pairs.{name}.tsv").write_bytes(b"".join(row + b"\n" for row in rows))
    return folder


def test_official_files_are_read_byte_for_byte(release, tmp_path):
    manifest = prepare("retrieval", tmp_path / "a", RetrievalSettings(), source=release)
    assert manifest.content == "pairs in the format of the LRA release"
    assert (manifest.classes, manifest.vocabulary, manifest.towers) == (2, 257, 2)
    assert manifest.splits["train"].labels == {"0": 2, "1": 2}
    splits = data_folder.load(tmp_path / "a", "retrieval").splits
    assert pairs(splits["train"]) == [
        (b'one, "quoted" text', b"another text", 0),
        (b"caf\xc3\xa9 \xff", b"  b'spaces  kept' ", 1),
        (b"x", b"y", 1),
        (b"long" * 1000, b"z", 0),  # cut at 4,000 bytes
    ]
    assert pairs(splits["valid"]) == [(b"eval one", b"eval two", 1)]
    assert pairs(splits["test"]) == [(b"test one", b"test two", 0), (b"test one", b"test three", 1)]
    ids, lengths, labels = splits["train"].batch(np.array([2, 3]))
    assert ids.shape == (2, 2, 4000)
    assert ids[0, :, :2].tolist() == [[ord("x") + 1, 0], [ord("y") + 1, 0]]
    assert lengths.tolist() == [[1, 1], [4000, 1]]
    assert labels.tolist() == [1, 0]
    for number, source in enumerate((release.parent, release.parent.parent)):  # the levels above
        out = tmp_path / f"level {number}"
        assert prepare("retrieval", out, RetrievalSettings(), source=source).digest == manifest.digest
    for file in release.iterdir():  # lines may end as on Windows
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert prepare("retrieval", tmp_path / "b", RetrievalSettings(), source=release).digest == manifest.digest


def test_the_whole_release_is_called_so(release, tmp_path, monkeypatch):
    monkeypatch.setattr(retrieval, "RELEASED", {"test": 2, "valid": 1, "train": 4})
    manifest = prepare("retrieval", tmp_path / "out", RetrievalSettings(), source=release)
    assert manifest.content == "files of the LRA release"


def test_no_test_pair_is_trained_on(release, tmp_path):
    """A test pair among the training pairs is left out, in either order and whatever its label, and counted."""
    with (release / "new_aan_pairs.train.tsv").open("ab") as stream:
        stream.write(b"1.0\tE1\tF1\ttest one\ttest two\n0.0\tF2\tE1\ttest three\ttest one\n")
    manifest = prepare("retrieval", tmp_path / "out", RetrievalSettings(), source=release)
    counts = [(manifest.splits[name].examples, manifest.splits[name].left_out) for name in ("train", "valid", "test")]
    assert counts == [(4, 2), (1, 0), (2, 0)]


def refused(source, tmp_path):
    return unreadable("retrieval", source, tmp_path / "out")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b"1.0\tA\tB", "expected 5 fields separated by tabs (label, id1, id2, text1, text2), got 3"),
        (b"1.0\tA\tB\tone\ttwo\tthree", "expected 5 fields separated by tabs (label, id1, id2, text1, text2), got 6"),
        (b"", "expected 5 fields separated by tabs (label, id1, id2, text1, text2), got 1"),
        (b"2.0\tA\tB\tone\ttwo", "expected the label 0.0 or 1.0, got '2.0'"),
        (b"label\tid1\tid2\ttext1\ttext2", "expected the label 0.0 or 1.0, got 'label'"),
        (b"\xff\tA\tB\tone\ttwo", r"expected the label 0.0 or 1.0, got '\\xff'"),
        (b"1.0\tA\tB\t\ttwo", "an empty document (text1)"),
        (b"1.0\tA\tB\tone\t", "an empty document (text2)"),
    ],
)
def test_broken_rows_are_named(release, tmp_path, row, message):
    file = release / "new_aan_pairs.eval.tsv"
    file.write_bytes(ROWS["eval"][0] + b"\n" + row + b"\n" + ROWS["train"][0] + b"\n")
    assert refused(release, tmp_path) == f"SOURCE/new_aan_pairs.eval.tsv, line 2: {message}"


def test_missing_files_are_named(release, tmp_path):
    (release / "new_aan_pairs.test.tsv").write_bytes(b"")
    assert refused(release, tmp_path) == "SOURCE/new_aan_pairs.test.tsv: no rows inside"
    (release / "new_aan_pairs.test.tsv").unlink()
    assert refused(release, tmp_path) == (
        "SOURCE/new_aan_pairs.test.tsv: no such file; expected new_aan_pairs.test.tsv, new_aan_pairs.eval.tsv, "
        "new_aan_pairs.train.tsv of the LRA release"
    )
    shutil.rmtree(release)
    either = "new_aan_pairs.train.tsv of the LRA release, or the unpacked aclImdb folder for a stand-in"
    for source, begin in (
        (tmp_path, "SOURCE: neither is inside; expected new_aan_pairs.test.tsv"),
        (tmp_path / "nowhere", "SOURCE: no such folder; expected new_aan_pairs.test.tsv"),
        (None, "retrieval: expected --source PATH, a folder with new_aan_pairs.test.tsv"),
    ):
        message = refused(source, tmp_path)
        assert message.startswith(begin)
        assert either in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.decode("latin-1").encode("utf-16"), "a text in UTF-16; expected a text in UTF-8, not packed"),
        (lambda raw: raw.decode("latin-1").encode("utf-16-be"), "a text in UTF-16 or UTF-32, or no text; expected"),
        (lambda raw: raw.decode("latin-1").encode("utf-32"), "a text in UTF-32; expected a text in UTF-8, not packed"),
        (gzip.compress, "a gzip file; expected a text in UTF-8, not packed"),
    ],
)
def test_files_that_are_no_plain_text_are_told(release, tmp_path, change, message):
    """A byte-order mark of UTF-8 is no part of the first field."""
    digest = prepare("retrieval", tmp_path / "before", source=release).digest
    file = release / "new_aan_pairs.eval.tsv"
    raw = file.read_bytes()
    file.write_bytes(codecs.BOM_UTF8 + raw)
    assert prepare("retrieval", tmp_path / "after", source=release).digest == digest
    file.write_bytes(change(raw))
    assert refused(release, tmp_path).startswith(f"SOURCE/new_aan_pairs.eval.tsv: {message}")
    for each in FILES.values():
        (release / each).rename(release / f"{each}.GZ")
    assert refused(release, tmp_path).startswith(
        "SOURCE/new_aan_pairs.test.tsv: no such file, but new_aan_pairs.test.tsv.GZ; unpack it; expected"
    )


def test_halves_are_cut_at_the_space_nearest_to_the_middle():
    assert halves(b"abcd efgh") == (b"abcd", b"efgh")
    assert halves(b"a bcdefgh") == (b"a", b"bcdefgh")
    assert halves(b"ab cdefgh ij") == (b"ab cdefgh", b"ij")  # 3 from the middle; the other 4
    assert halves(b" abcdefg ") is None  # neither half may be empty
    assert halves(b"abcdefgh") is None
    random = Random(0)
    for _ in range(500):
        text = bytes(random.choice(b"ab  ") for _ in range(random.randrange(1, 12)))
        inner = [place for place in range(1, len(text) - 1) if text[place] == ord(" ")]
        found = halves(text)
        if not inner:
            assert found is None
            continue
        assert found is not None
        first, second = found
        assert first + b" " + second == text
        middle = len(text) // 2
        assert abs(len(first) - middle) == min(abs(place - middle) for place in inner)


def write_reviews(root, count=24):
    """Reviews of random words in the layout of aclImdb, of 100 to 300 bytes."""
    random = Random(5)
    for split in ("train", "test"):
        for sentiment in ("neg", "pos"):
            folder = root / split / sentiment
            folder.mkdir(parents=True)
            for number in range(count):
                text = f"{split} {sentiment} {number}: " + " ".join(random.choices(WORDS, k=random.randrange(25, 70)))
                (folder / f"{number:02}_1.txt").write_text(text)
    return root


@pytest.fixture
def imdb(tmp_path):
    return write_reviews(tmp_path / "aclImdb")


def origins(document, texts):
    """Which reviews a document is the beginning of a half of: (review, which half)."""
    return [(text, side) for text in texts for side, half in enumerate(halves(text) or ()) if half.startswith(document)]


def test_stand_in_pairs_each_half_once_and_gives_nothing_away(imdb, tmp_path):
    manifest = prepare("retrieval", tmp_path / "out", RetrievalSettings(valid_share=0.3), source=imdb)
    assert manifest.content == "pairs of halves of IMDB reviews (stand-in for the AAN pairs)"
    splits = data_folder.load(tmp_path / "out").splits
    assert manifest.splits["test"].labels == {"0": 24, "1": 24}
    sentiments = {"neg": Counter(), "pos": Counter()}
    for name, split in splits.items():
        files = (imdb / ("test" if name == "test" else "train")).glob("*/*.txt")
        texts = {file.read_bytes(): file.parent.name for file in files}
        used = Counter()
        for first, second, label in pairs(split):
            assert len(first) == len(second)
            ((one, left),), ((other, right),) = origins(first, texts), origins(second, texts)
            assert (left, right) == (0, 1)
            assert (one == other) == bool(label)
            assert texts[one] == texts[other]
            assert abs(len(one) - len(other)) < 100
            used.update([(one, 0), (other, 1)])
            sentiments[texts[one]][name, label] += 1
        assert set(used.values()) == {1}
        assert len(split) % 4 == 0
    for counts in sentiments.values():
        for name in splits:
            assert counts[name, 0] == counts[name, 1]


def test_stand_in_holds_out_the_reviews_that_text_holds_out(imdb, tmp_path):
    prepare("retrieval", tmp_path / "pairs", RetrievalSettings(valid_share=0.3), source=tmp_path)
    prepare("text", tmp_path / "text", TextSettings(valid_share=0.3), source=tmp_path)
    held_out = data_folder.load(tmp_path / "text").splits["valid"]
    texts = [bytes(held_out.tokens[a:b]) for a, b in zip(held_out.offsets[:-1], held_out.offsets[1:], strict=True)]
    found = pairs(data_folder.load(tmp_path / "pairs").splits["valid"])
    assert len(found) >= 8
    assert len(texts) - 6 <= len(found) <= len(texts)
    assert all(origins(document, texts) for first, second, _ in found for document in (first, second))


def test_stand_in_does_not_depend_on_the_order_of_files(imdb, tmp_path):
    settings = RetrievalSettings()
    manifests = [prepare("retrieval", tmp_path / str(seed), settings, source=imdb, seed=seed) for seed in (0, 1)]
    assert manifests[0].digest != manifests[1].digest
    for folder in imdb.glob("*/*"):
        for file in folder.glob("*.txt"):
            file.rename(folder / f"{99 - int(file.name[:2])}_7.txt")
    assert prepare("retrieval", tmp_path / "again", settings, source=imdb).digest == manifests[0].digest


def test_copies_of_test_reviews_are_left_out_of_training(imdb, tmp_path):
    """Whatever pairs their halves would stand in; copies within a split count once, short reviews not at all."""
    settings = RetrievalSettings(valid_share=0.0)
    before = prepare("retrieval", tmp_path / "a", settings, source=imdb)
    copied = (imdb / "test" / "neg" / "03_1.txt").read_bytes()
    (imdb / "train" / "pos" / "90_1.txt").write_bytes(copied)
    (imdb / "train" / "neg" / "90_1.txt").write_bytes(copied)
    (imdb / "train" / "neg" / "91_1.txt").write_bytes((imdb / "train" / "neg" / "03_1.txt").read_bytes())
    (imdb / "train" / "neg" / "92_1.txt").write_bytes(b"too short " * 9)
    (imdb / "train" / "neg" / "93_1.txt").write_bytes(b"nospace" * 20)
    after = prepare("retrieval", tmp_path / "b", settings, source=imdb)
    assert after.splits["train"] == before.splits["train"].model_copy(update={"left_out": 2})
    assert after.splits["test"] == before.splits["test"]


def test_hidden_files_are_no_reviews(imdb, tmp_path):
    before = prepare("retrieval", tmp_path / "before", source=imdb)
    for number in range(8):  # enough to be paired
        (imdb / "train" / "pos" / f"._0{number}_1.txt").write_text(f"companion {number} of a Mac's " * 10)
    assert prepare("retrieval", tmp_path / "after", source=imdb) == before


def test_stand_in_names_what_is_missing(imdb, tmp_path):
    (imdb / "test" / "pos" / "01_1.txt").write_bytes(b"")
    assert refused(imdb, tmp_path) == "SOURCE/test/pos/01_1.txt: an empty review"
    shutil.rmtree(imdb / "test" / "pos")
    assert refused(imdb, tmp_path).startswith("SOURCE/test/pos: no such folder; expected train/ and test/")
    assert refused(imdb / "train", tmp_path).startswith("SOURCE: neither is inside; expected")
    (imdb / "test" / "pos").mkdir()
    assert refused(imdb, tmp_path) == "SOURCE/test/pos: no reviews (*.txt) inside"
    for sentiment in ("neg", "pos"):
        for file in (imdb / "test" / sentiment).glob("*.txt"):
            file.unlink()
        (imdb / "test" / sentiment / "0_1.txt").write_text("too short")
    assert refused(imdb, tmp_path) == "SOURCE/test: expected four reviews of one sentiment, 100 bytes or more"


@pytest.fixture
def data(imdb, tmp_path):
    prepare("retrieval", tmp_path / "data", RetrievalSettings(valid_share=0.3, max_bytes=150), source=imdb)
    return tmp_path / "data"


@pytest.mark.parametrize("curriculum", [{}, {"curriculum": [1], "curriculum_steps": 1, "segment_length": 32}])
def test_training_on_pairs(data, laws, tmp_path, curriculum):
    record = train("retrieval", data, laws, tmp_path / "run", settings={**SMALL, **curriculum})
    assert record.finished
    assert record.run.config.head == "match"
    assert [row["split"] for row in record.metrics] == ["train", "train", "valid"]
    assert all(np.isfinite(row["loss"]) for row in record.metrics)
    result = evaluate(tmp_path / "run")
    assert (result["examples"], result["majority"]) == (48, 0.5)
