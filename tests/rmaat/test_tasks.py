"""ListOps and Text: the grammar, the release's files read as they are, and data folders."""

import codecs
import errno
import gzip
import json
import lzma
import math
import os
import random
import re
import shutil
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_sim.common.errors import InputError
from rmaat.tasks import data_folder, listops, retrieval
from rmaat.tasks.listops import ListOpsSettings, evaluate, from_source, to_source
from rmaat.tasks.text import TextSettings
from rmaat.tasks.writer import Writer, prepare
from tests.rmaat.refusals import refuses, unreadable

SMALL = ListOpsSettings(train=40, valid=10, test=10, min_length=10, max_length=60)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("[MAX 2 9 [MIN 4 7 ] 0 ]", 9),  # the example of Nangia and Bowman (2018)
        ("[MIN 3 8 ]", 3),
        ("[SM 9 8 7 ]", 4),
        ("[MED 1 4 9 ]", 4),
        ("[MED 1 4 ]", 2),  # the median 2.5, cut
        ("[MED 9 0 5 2 ]", 3),  # 3.5, cut
        ("7", 7),
        ("[MIN [MAX 1 2 ] [SM 5 6 ] ]", 1),
    ],
)
def test_evaluate(source, value):
    assert evaluate(from_source(source)) == value


def test_release_notation_nests_pairs():
    codes = from_source("[MAX 2 [MIN 4 7 ] 0 ]")
    assert to_source(codes) == "( ( ( ( [MAX 2 ) ( ( ( [MIN 4 ) 7 ) ] ) ) 0 ) ] )"
    assert to_source(from_source("[MIN 3 8 ]")) == "( ( ( [MIN 3 ) 8 ) ] )"


def reference_value(source):
    """An independent evaluator: the release's nested pairs, read by Python itself."""
    operations = {
        "[MIN": min,
        "[MAX": max,
        "[MED": lambda values: int(np.median(values)),
        "[SM": lambda values: sum(values) % 10,
    }

    def value(tree):
        if not isinstance(tree, tuple):
            return tree
        left, right = value(tree[0]), value(tree[1])
        if isinstance(left, str):
            return (left, [right])
        if right == "]":
            return operations[left[0]](left[1])
        return (left[0], [*left[1], right])

    words = []
    for word in source.split():
        words.append({"(": "(", ")": "),"}.get(word) or (f"{word}," if word.isdigit() else f"{word!r},"))
    return value(eval(" ".join(words))[0])


def test_generated_trees_have_the_value_that_an_independent_evaluator_gives():
    generator = random.Random(3)
    trees = [tree for tree in (listops.grow(generator, SMALL) for _ in range(3000)) if tree]
    assert len(trees) > 100
    for codes, value in trees:
        source = to_source(codes)
        assert from_source(source) == codes
        assert evaluate(codes) == value == reference_value(source)


@settings(max_examples=200)
@given(st.binary(max_size=12).map(lambda b: bytes(c % 15 for c in b)))
def test_evaluate_gives_a_digit_or_says_what_is_wrong(codes):
    try:
        outcome: int | str = evaluate(codes)
    except ValueError as error:
        outcome = str(error)
    wrong = {"symbols after the end of the tree", "']' closes nothing", "the tree is not closed"}
    assert outcome in {*range(10), *wrong}


def exact_lengths(s):
    """Share of accepted trees and their mean length, by convolving the distribution of lengths level by level."""
    lengths = np.zeros(s.max_length + 1)
    lengths[1] = 1.0
    for _ in range(s.max_depth - 1):
        arguments, total = lengths.copy(), np.zeros_like(lengths)
        for _ in range(2, s.max_args + 1):
            arguments = np.convolve(arguments, lengths)[: s.max_length + 1]
            total += arguments / (s.max_args - 1)
        lengths = 0.25 * np.append([0.0, 0.0], total[:-2])
        lengths[1] += 0.75
    length = np.arange(s.max_length + 1)
    inside = (length > s.min_length) & (length < s.max_length)
    return lengths[inside].sum(), (lengths * length)[inside].sum() / lengths[inside].sum()


def test_statistics_of_the_official_grammar():
    """Acceptance and mean length against the grammar's own distribution, worked out exactly; then the labels."""
    generator, draws = random.Random(0), 40_000
    official = ListOpsSettings()
    trees = [tree for tree in (listops.grow(generator, official) for _ in range(draws)) if tree]
    accepted, mean = exact_lengths(official)
    assert accepted == pytest.approx(0.08276, abs=5e-6)
    assert mean == pytest.approx(1035.02, abs=0.005)
    assert abs(len(trees) / draws - accepted) < 3 * np.sqrt(accepted * (1 - accepted) / draws)
    lengths = np.array([len(codes) for codes, _ in trees])
    assert abs(lengths.mean() - mean) < 3 * lengths.std() / np.sqrt(len(trees))
    assert lengths.min() > 500
    assert lengths.max() < 2000
    shares = np.bincount([value for _, value in trees], minlength=10) / len(trees)
    error = 3 * np.sqrt(0.16 * 0.84 / len(trees))
    assert abs(shares[0] - 0.165) < error
    assert abs(shares[9] - 0.165) < error
    assert set(np.argsort(shares)[-2:]) == {0, 9}


def test_generation_is_seeded_and_free_of_duplicates(tmp_path):
    manifests = [prepare("listops", tmp_path / name, SMALL, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert manifests[0].digest == manifests[1].digest != manifests[2].digest
    data = data_folder.load(tmp_path / "a", "listops")
    rows = [
        bytes(split.tokens[split.offsets[i] : split.offsets[i + 1]])
        for split in data.splits.values()
        for i in range(len(split))
    ]
    assert len(set(rows)) == len(rows) == 60


def test_official_files_are_read_as_they_are(tmp_path):
    """Generating writes the release's files; converting them gives the same arrays."""
    made = prepare("listops", tmp_path / "made", SMALL)
    official = tmp_path / "lra" / "listops-1000"
    official.mkdir(parents=True)
    for name in listops.FILES.values():
        shutil.copy(tmp_path / "made" / name, official / name)
    first, second = (official / "basic_val.tsv").read_text().splitlines()[:2]
    assert first == "Source\tTarget"
    assert second.startswith("( ( (")
    read = prepare("listops", tmp_path / "read", ListOpsSettings(), source=tmp_path / "lra")
    assert read.splits == made.splits
    assert read.origin == "converted"
    official.parent.rename(tmp_path / "lra_release")
    (tmp_path / "above").mkdir()
    (tmp_path / "lra_release").rename(tmp_path / "above" / "lra_release")
    for place in ("above", "above/lra_release", "above/lra_release/listops-1000"):
        out = tmp_path / f"read-{place.count(chr(47))}"
        assert prepare("listops", out, ListOpsSettings(), source=tmp_path / place).digest == made.digest
    assert read.settings == {}
    with pytest.raises(InputError, match="train: without effect where files are converted; leave it out"):
        prepare("listops", tmp_path / "out", ListOpsSettings(train=3), source=tmp_path / "above")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("( ( [MIN 3 ) ] ) 3", "line 3: expected 2 fields separated by tabs (Source, Target), got 1"),
        ("( ( [MIN 3 ) ] )\t3\t4", "line 3: expected 2 fields separated by tabs (Source, Target), got 3"),
        ("( ( [MIN 3 ) ] )\tx", "line 3: expected a target from 0 to 9, got 'x'"),
        ("( ( [MIN 3 ) ] )\t4", "line 3: the tree has the value 3, the target says 4"),
        ("( ( [MIM 3 ) ] )\t3", "line 3: not a ListOps tree: unknown symbol '[MIM'"),
        ("( ( [MIN 3 )\t3", "line 3: not a ListOps tree: the tree is not closed"),
        ("( ( [MIN 3 ) ] ) ]\t3", "line 3: not a ListOps tree: symbols after the end of the tree"),
        ("( ( [MIN ] )\t3", "line 3: not a ListOps tree: ']' closes nothing"),
        ("\t3", "line 3: not a ListOps tree: the tree is not closed"),
        ("( ( [MIN 3 ) ] )\u00e9\t3", "line 3: not text (byte 17 of the line)"),
    ],
)
def test_broken_lines_are_named(tmp_path, line, message):
    source = tmp_path / "lra"
    source.mkdir()
    good = "( ( ( [MIN 3 ) 4 ) ] )\t3"
    for name in listops.FILES.values():
        (source / name).write_text(f"Source\tTarget\n{good}\n")
    (source / "basic_val.tsv").write_text(f"Source\tTarget\n{good}\n{line}\n{good}\n")
    assert unreadable("listops", source, tmp_path / "out") == f"SOURCE/basic_val.tsv, {message}"
    assert [path.name for path in tmp_path.iterdir()] == ["lra"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.decode().encode("utf-16"), "a text in UTF-16; expected a text in UTF-8, not packed"),
        (lambda raw: raw.decode().encode("utf-16-le"), "a text in UTF-16 or UTF-32, or no text; expected a text in"),
        (lzma.compress, "an xz file; expected a text in UTF-8, not packed"),
        (lambda raw: b"x" * 1_000 + raw, ", line 1: expected the header 'Source<tab>Target'"),
        (lambda raw: raw.replace(b"\t3", b"\t" + b"3" * 1_000), ", line 2: expected a target from 0 to 9, got '333"),
        (lambda raw: raw.replace(b"[MIN", b"[MIN" * 1_000), ", line 2: not a ListOps tree: unknown symbol '[MIN"),
    ],
)
def test_a_mark_is_taken_off_and_other_encodings_are_told(tmp_path, change, message):
    source, good = tmp_path / "lra", b"Source\tTarget\n( ( ( [MIN 3 ) 4 ) ] )\t3\n"
    source.mkdir()
    for name in listops.FILES.values():
        (source / name).write_bytes(codecs.BOM_UTF8 + good.replace(b"4", str(len(name) % 10).encode()))
    manifest = prepare("listops", tmp_path / "marked", source=source)
    assert manifest.splits["test"].examples == 1
    (source / "basic_val.tsv").write_bytes(change(good))
    refusal = unreadable("listops", source, tmp_path / "out").removeprefix("SOURCE/basic_val.tsv").removeprefix(": ")
    assert refusal.startswith(message)
    assert len(refusal) < 300
    (source / "basic_val.tsv").rename(source / "basic_val.tsv.gz")
    with pytest.raises(InputError, match=r"basic_val.tsv: no such file, but basic_val.tsv.gz; unpack it; expected"):
        prepare("listops", tmp_path / "out", source=source)


def test_missing_header_and_files_are_named(tmp_path):
    (tmp_path / "lra").mkdir()
    with pytest.raises(InputError, match=r"basic_test.tsv: no such file; expected basic_train.tsv, basic_val.tsv"):
        prepare("listops", tmp_path / "out", ListOpsSettings(), source=tmp_path / "lra")
    (tmp_path / "lra" / "basic_test.tsv").write_text("( ( [MIN 3 ) ] )\t3\n")
    with pytest.raises(InputError, match="line 1: expected the header 'Source<tab>Target'"):
        prepare("listops", tmp_path / "out", ListOpsSettings(), source=tmp_path / "lra")


def test_listops_settings_are_checked():
    refuses("max_length: expected more than min_length", ListOpsSettings, min_length=500, max_length=501)
    with pytest.raises(InputError, match="max_depth: expected less than or equal to 200"):  # the reader recurses
        ListOpsSettings(max_depth=201)
    narrow = ListOpsSettings(train=1, min_length=3, max_length=5, max_depth=2, max_args=2)
    trees = listops.generate(narrow, 0)  # an operation on two digits: 400 different trees, then none
    refuses("hardly a tree falls between them", deque, trees, maxlen=0)


def reviews(root):
    """Six reviews in the release's layout; text, label."""
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(3):
                (folder / f"{number}_1.txt").write_bytes(f"{split} {label} {number} caf\u00e9<br />".encode())
    return root


def test_text_is_read_byte_for_byte(tmp_path):
    root = reviews(tmp_path / "aclImdb")
    manifest = prepare("text", tmp_path / "out", TextSettings(valid_share=0.0), source=root)
    assert manifest.splits["train"].labels == {"0": 3, "1": 3}
    assert manifest.splits["valid"].examples == 0
    split = data_folder.load(tmp_path / "out", "text").splits["test"]
    ids, lengths, labels = split.batch(np.arange(6))
    texts = [bytes((row[:n] - 1).astype(np.uint8)) for row, n in zip(ids, lengths, strict=True)]
    assert texts[0] == "test neg 0 caf\u00e9<br />".encode()
    assert texts[5] == "test pos 2 caf\u00e9<br />".encode()
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    cut = prepare("text", tmp_path / "cut", TextSettings(max_bytes=4), source=tmp_path)
    assert cut.splits["test"].longest == 4


def test_validation_reviews_are_held_out_by_their_text(tmp_path):
    root = reviews(tmp_path / "aclImdb")
    shutil.copy(root / "train" / "pos" / "0_1.txt", root / "train" / "pos" / "9_1.txt")
    prepare("text", tmp_path / "out", TextSettings(valid_share=0.8), source=root)
    splits = data_folder.load(tmp_path / "out").splits
    train, valid = (
        [bytes(split.tokens[a:b]) for a, b in zip(split.offsets[:-1], split.offsets[1:], strict=True)]
        for split in (splits["train"], splits["valid"])
    )
    assert len(train) + len(valid) == 7
    assert train
    assert valid
    assert not set(train) & set(valid)


def test_nothing_of_the_test_split_is_trained_on(tmp_path):
    """A copy of a test review among the training reviews is left out, whatever its label, and the manifest says so."""
    root = reviews(tmp_path / "aclImdb")
    copied = (root / "test" / "neg" / "1_1.txt").read_bytes()
    (root / "train" / "pos" / "7_1.txt").write_bytes(copied)
    settings = TextSettings(valid_share=0.0)
    manifest = prepare("text", tmp_path / "out", settings, source=root)
    counts = [(manifest.splits[name].examples, manifest.splits[name].left_out) for name in ("train", "valid", "test")]
    assert counts == [(6, 1), (0, 0), (6, 0)]
    assert copied not in data_folder.load(tmp_path / "out").splits["train"].tokens.tobytes()


def test_a_pair_is_the_same_in_either_order(tmp_path):
    writer = Writer(tmp_path, retrieval.TASK)
    writer.split("test", [((b"one", b"two"), 1)])
    writer.split("train", [((b"two", b"one"), 1), ((b"onet", b"wo"), 0), ((b"three", b"f"), 0)])
    assert writer.splits["train"].examples == 2
    assert writer.splits["train"].left_out == 1
    assert np.load(tmp_path / "train.offsets.npy").tolist() == [0, 4, 6, 11, 12]


def test_a_full_disk_leaves_the_data_that_were_there(listops, tmp_path, monkeypatch):
    """The disk fills up in the second array: one line, the folder asked for is not there, nor a part of it."""
    saved, save = [], np.save

    def full(file, array):
        if len(saved) == 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        saved.append(file)
        save(file, array)

    monkeypatch.setattr(data_folder.np, "save", full)
    shutil.copytree(listops, tmp_path / "earlier")
    with pytest.raises(OSError, match="No space left on device") as caught:
        prepare("listops", tmp_path / "out", SMALL)
    assert caught.value.filename == str(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["earlier"]
    assert data_folder.load(tmp_path / "earlier").manifest.task == "listops"


def test_what_is_no_review_is_passed_over(tmp_path):
    """A Mac's companions and an editor's drafts, folders, what tells of the data, and what a system leaves behind."""
    root = reviews(tmp_path / "aclImdb")
    before = prepare("text", tmp_path / "before", source=root)
    folder = root / "train" / "pos"
    for name in ("._0_1.txt", ".1_7.txt", "README", "README.txt", "LICENSE.md", "Thumbs.db", "desktop.ini"):
        (folder / name).write_bytes(b"no review")
    for name in ("__MACOSX", "x.txt"):
        (folder / name).mkdir()
    (folder / "__MACOSX" / "0_1.txt").write_bytes(b"no review")
    assert prepare("text", tmp_path / "after", source=root) == before
    (folder / "0_1.txt").rename(folder / "0_1.TXT")
    (folder / "0_1.TXT").write_bytes(codecs.BOM_UTF8 + (folder / "0_1.TXT").read_bytes())
    assert prepare("text", tmp_path / "again", source=root) == before


def put(name, raw):
    """A change of a folder: a file in it."""

    def change(folder):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(raw)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("0_7.text", b"good"), "pos: 0_7.text would be left out; expected reviews as *.txt"),
        (put("0_7", b"good"), "pos: 0_7 would be left out; expected reviews as *.txt"),
        (put("0_7.txt.gz", b""), "pos: 0_7.txt.gz would be left out; expected reviews as *.txt"),
        (put("more/0_7.txt", b"good"), "pos: more would be left out; expected reviews as *.txt"),
        (lambda folder: [put(f"{n}_7.text", b"")(folder) for n in range(3)], "pos: 0_7.text and 2 more would be left"),
        (lambda folder: (folder / "0_7.txt").symlink_to("nowhere"), "0_7.txt: not a regular file, or a link to none"),
        (lambda folder: os.mkfifo(folder / "0_7.txt"), "0_7.txt: not a regular file, or a link to none"),
        (put("0_7.txt", gzip.compress(b"good", mtime=0)), "0_7.txt: a gzip file; expected a text in UTF-8, not packed"),
        (put("0_7.txt", "good".encode("utf-16")), "0_7.txt: a text in UTF-16; expected a text in UTF-8, not packed"),
        (put("0_7.txt", codecs.BOM_UTF8), "0_7.txt: an empty review"),
    ],
)
@pytest.mark.parametrize("task", ["text", "retrieval"])
def test_no_review_is_left_out_unsaid(tmp_path, task, change, message):
    root = reviews(tmp_path / "aclImdb")
    change(root / "train" / "pos")
    refuses(re.escape(message), prepare, task, tmp_path / "out", source=root)
    assert [path.name for path in tmp_path.iterdir()] == ["aclImdb"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("hidden", ["", "train/pos", "train/pos/0_1.txt"])
def test_what_cannot_be_read_is_told_as_such(tmp_path, hidden):
    root = reviews(tmp_path / "aclImdb")
    (root / hidden).chmod(0)
    try:
        with pytest.raises(PermissionError, match=re.escape(f"Permission denied: '{root / hidden}'")):
            prepare("text", tmp_path / "out", source=root)
    finally:
        (root / hidden).chmod(0o700)


def test_text_names_what_is_missing(tmp_path):
    def refused(message, source):
        assert re.search(message, unreadable("text", source, tmp_path / "out"))

    refused("^text: expected --source PATH", None)
    refused("^SOURCE: no such folder; expected the unpacked aclImdb folder", tmp_path / "nowhere")
    (tmp_path / "aclImdb_v1.tar.gz").write_bytes(gzip.compress(b"a tar archive"))
    refused("^SOURCE: a gzip file, not a folder; unpack it; expected the unp", tmp_path / "aclImdb_v1.tar.gz")
    root = reviews(tmp_path / "aclImdb")
    (root / "test" / "pos" / "1_1.txt").write_bytes(b"")
    refused("1_1.txt: an empty review", root)
    shutil.rmtree(root / "test" / "pos")
    refused("pos: no such folder; expected train/ and test/ with pos/ and neg/", root)
    (root / "test" / "pos").mkdir()
    refused("no reviews", root)


def test_data_folder_is_checked(listops, tmp_path):
    missing = "no data folder .manifest.json is missing.; make it with: rmaat data listops"
    refuses(missing, data_folder.load, tmp_path, "listops")
    refuses("holds the task 'listops', expected 'text'", data_folder.load, listops, "text")
    copy, labels = tmp_path / "copy", np.load(listops / "test.labels.npy")
    for name, content, message in (
        ("train.tokens", (listops / "train.tokens.npy").read_bytes()[:-50], "not a readable array, perhaps truncated"),
        ("train.tokens", None, "train.tokens.npy: missing"),
        ("train.tokens", np.zeros(3, np.uint8), "the split 'train' does not have the size that manifest.json states"),
        ("test.labels", labels + 10, "the arrays of the split 'test' do not fit together"),
        ("test.labels", labels.astype(float), "the arrays of the split 'test' are of another type"),
    ):
        shutil.copytree(listops, copy, dirs_exist_ok=True)
        file = copy / f"{name}.npy"
        file.unlink()
        if isinstance(content, bytes):
            file.write_bytes(content)
        elif content is not None:
            np.save(file, content)
        refuses(message, data_folder.load, copy)


def test_arrays_that_are_none_are_told(listops, tmp_path):
    """Damaged headers, another order of bytes, archives, sizes that nothing could hold: before digests are compared."""
    copy = tmp_path / "copy"
    shutil.copytree(listops, copy)
    file = copy / "train.labels.npy"
    labels, raw = np.load(file), file.read_bytes()
    saved = {}
    for name, array in (
        ("wide", labels.astype(">i8")),
        ("scalar", np.array(3)),
        ("table", np.asfortranarray(np.stack([labels, labels]))),
        ("fields", np.zeros(64, [("a", "<i8")])),
    ):
        np.save(tmp_path / f"{name}.npy", array)
        saved[name] = (tmp_path / f"{name}.npy").read_bytes()
    np.savez(tmp_path / "archive.npz", labels)
    unreadable = r"train.labels.npy: not a readable array, perhaps truncated \("
    other_type = "the arrays of the split 'train' are of another type"
    for changed, message in (
        (raw.replace(b"{'descr'", b"{{((((('"), unreadable),  # which Python's tokenizer gives up on
        (raw.replace(b"(64,)", b"(10000000000000,)"), unreadable),
        (raw.replace(b"'<i8'", b"'|O' "), unreadable),
        (b"", unreadable),
        ((tmp_path / "archive.npz").read_bytes(), "train.labels.npy: an archive of arrays under the name of one"),
        (saved["wide"], other_type),
        (saved["scalar"], other_type),
        (saved["table"], other_type),
        (saved["fields"], other_type),
    ):
        file.write_bytes(changed)
        with pytest.raises(InputError, match=message) as caught:
            data_folder.load(copy)
        assert "\n" not in str(caught.value)


SPLIT = {"examples": 0, "tokens": 0, "shortest": 0, "longest": 0, "labels": {}, "left_out": 0, "digest": ""}
TOO_LONG = "x" * 5_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splits": {}}, "the training split is missing or empty"),
        ({("splits", "../train"): SPLIT}, "unknown split '../train'; did you mean 'train'?"),
        ({("splits", "train", "longest"): 3}, "copy: the split 'train' does not have the counts that manifest.json"),
        ({("splits", "train", "labels"): {"0": 64}}, "the split 'train' does not have the counts that manifest.json"),
        ({("splits", "test", "digest"): TOO_LONG}, "copy: the digest of the split 'test' does not hold; the arrays"),
        ({"vocabulary": "16"}, "vocabulary: expected a valid integer, got '16'"),
        ({"vocabulary": 10**30}, "vocabulary: expected less than or equal to 4294967297, got 1000000000000000000000"),
        ({"classes": 10**30}, "classes: expected less than 9223372036854775808, got 1000000000000000000000000000000"),
        ({"classes": None, "towers": 2}, "towers: expected 1 where each next symbol is asked for, got 2"),
        ({"classes": math.nan}, "classes: expected a valid integer, got nan"),
        ({"settings": {"train": math.nan}}, "settings: expected what JSON can hold (Out of range float values are not"),
        ({"settings": TOO_LONG}, "settings: expected a valid dictionary, got 'xxx"),
        ({"colour": 1}, "unknown setting 'colour' of Manifest"),
        ({TOO_LONG: 1}, "unknown setting 'xxx"),
        ({"task": TOO_LONG}, "copy: holds the task 'xxx"),
        ({"schema_version": 9}, "data schema 9; this version reads 2"),
        ({"schema_version": TOO_LONG}, "data schema 'xxx"),
        ({"kind": "other"}, "not a data manifest"),
    ],
)
def test_manifests_are_checked(listops, tmp_path, change, message):
    """In one line, which repeats little of what is there."""
    copy = tmp_path / "copy"
    shutil.copytree(listops, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    for place, value in change.items():
        *path, last = [place] if isinstance(place, str) else place
        inside = manifest
        for each in path:
            inside = inside[each]
        inside[last] = value
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        data_folder.load(copy, "listops")
    told = str(caught.value).replace(str(copy), "copy")
    assert len(told) < 300
    assert "\n" not in told


def test_brackets_within_brackets_are_told(listops, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(listops, copy)
    brackets = "[" * 100_000 + "]" * 100_000
    text = (copy / "manifest.json").read_text().replace('"settings": {', f'"settings": {{"a": {brackets},')
    (copy / "manifest.json").write_text(text)
    refuses("manifest.json: not a data manifest: maximum recursion depth exceeded", data_folder.load, copy)


def test_batches_of_a_split_are_padded_with_zero(listops):
    split = data_folder.load(listops).splits["train"]
    ids, lengths, labels = split.batch(np.array([3, 0, 5]))
    assert ids.shape == (3, lengths.max())
    for row, index, length in zip(ids, (3, 0, 5), lengths, strict=True):
        assert (row[:length] > 0).all()
        assert (row[length:] == 0).all()
        assert evaluate(bytes((row[:length] - 1).astype(np.uint8))) == split.labels[index]
    assert labels.tolist() == split.labels[[3, 0, 5]].tolist()
    assert split.majority == np.bincount(split.labels).max() / 64
