"""Tasks of this room beyond LRA: recall, and enwik8 with its language models trained by the engine."""

import bz2
import codecs
import gzip
import io
import lzma
import math
import random
import re
import shutil
import tarfile
import warnings
import zipfile

import numpy as np
import pytest

from astro_sim.common.errors import InputError
from rmaat.records import checkpoints, read_run
from rmaat.tasks import data_folder, recall
from rmaat.tasks.enwik8 import Enwik8Settings
from rmaat.tasks.recall import RecallSettings
from rmaat.tasks.writer import prepare
from rmaat.training.evaluation import evaluate
from rmaat.training.run import train
from tests.rmaat.refusals import refuses, unreadable
from tests.rmaat.run_folders import TINY, same_weights, without_clock

DUMP = bytes(random.Random(0).choices(range(32, 127), k=2_850))
SMALL = Enwik8Settings(window=100, train=2_000, valid=450, test=400)
TRAINING = {**TINY, "batch": 4, "steps": 4, "log_every": 2, "validate_every": 2, "checkpoint_every": 2}


@pytest.fixture(scope="module")
def enwik8(tmp_path_factory):
    root = tmp_path_factory.mktemp("enwik8")
    (root / "enwik8").write_bytes(DUMP)
    prepare("enwik8", root / "data", SMALL, source=root / "enwik8")
    return root / "data"


def test_the_dump_is_cut_as_the_field_does(enwik8):
    data = data_folder.load(enwik8, "enwik8")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 20, "valid": 5, "test": 4}
    assert data.manifest.classes is None
    joined = b"".join(split.tokens.tobytes() for split in data.splits.values())
    assert joined == DUMP  # train, valid, test, one after another, nothing lost
    ids, lengths, _ = data.splits["valid"].batch(np.array([0, 4]))
    assert lengths.tolist() == [100, 50]
    assert ids[0].tolist() == [byte + 1 for byte in DUMP[2000:2100]]
    defaults = Enwik8Settings()
    assert (defaults.train, defaults.valid, defaults.test) == (90_000_000, 5_000_000, 5_000_000)


def zipped(*members):
    """An archive of these names and contents."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that stand in it twice
        for name, raw in members:
            archive.writestr(name, raw)
    return packed.getvalue()


def tarred(raw):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("enwik8")
        member.size = len(raw)
        archive.addfile(member, io.BytesIO(raw))
    return packed.getvalue()


def encrypted(raw):
    locked = bytearray(zipped(("enwik8", raw)))
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # of the file and of its entry; bit 0: encrypted
        locked[locked.rindex(header) + flags] |= 1
    return bytes(locked)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("enwik8.gz", gzip.compress(DUMP)),
        ("enwik8.GZ", gzip.compress(DUMP)),
        ("enwik8", gzip.compress(DUMP)),  # known by its first bytes, whatever it is called
        ("enwik8.gz", gzip.compress(DUMP[:900]) + gzip.compress(DUMP[900:])),
        ("enwik8.xz", lzma.compress(DUMP)),
        ("enwik8.bz2", bz2.compress(DUMP)),
        ("enwik8.zip", zipped(("enwik8", DUMP))),
        ("enwik8.zip", zipped(("__MACOSX/._enwik8", b"x"), ("data/", b""), ("data/enwik8", DUMP), ("README", b"x"))),
        ("enwik8", codecs.BOM_UTF8 + DUMP),
        ("enwik8", DUMP + b"more"),
    ],
)
def test_packed_dumps_are_the_same(enwik8, tmp_path, name, raw):
    (tmp_path / "._enwik8").write_bytes(b"a Mac's companion")
    (tmp_path / name).write_bytes(raw)
    digest = data_folder.load(enwik8).manifest.digest
    for number, source in enumerate((tmp_path, tmp_path / name)):
        assert prepare("enwik8", tmp_path / f"data{number}", SMALL, source=source).digest == digest


ORDINARY = "expected enwik8, as it is or packed with gzip, bzip2, xz or zip"


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("short", DUMP[:-10], "expected at least 2,850 bytes for these splits, got 2,840"),
        ("a.gz", gzip.compress(DUMP)[:-20], "not readable as a gzip file, perhaps truncated (Compressed file ended"),
        ("a.gz", gzip.compress(DUMP) + b"more", "not readable as a gzip file, perhaps truncated (Not a gzipped"),
        ("a.xz", lzma.compress(DUMP)[:-20], "not readable as an xz file, perhaps truncated ("),
        ("a.bz2", bz2.compress(DUMP)[:-20], "not readable as a bzip2 file, perhaps truncated ("),
        ("a.zip", b"PK no archive", "no packed file, though its name says so; perhaps damaged or truncated"),
        ("a.GZ", b"", "no packed file, though its name says so; perhaps damaged or truncated"),
        ("a.zip", zipped(("enwik8", DUMP))[:-30], "not readable as a zip archive, perhaps truncated ("),
        ("a.zip", encrypted(DUMP), "not readable as a zip archive, perhaps truncated (File 'enwik8' is encrypted"),
        ("a.zip", zipped(), "holds no file of the name enwik8, expected one; inside: nothing"),
        ("a.zip", zipped(("b", DUMP), ("a", DUMP)), "holds no file of the name enwik8, expected one; inside: a, b"),
        ("a.zip", zipped(("enwik8", DUMP), ("enwik8", DUMP)), "holds 2 files of the name enwik8, expected one"),
        ("a.tar.gz", gzip.compress(tarred(DUMP)), "a tar archive within a gzip file; expected enwik8"),
        ("a", tarred(DUMP), f"a tar archive; {ORDINARY}"),
        ("a", b"\x28\xb5\x2f\xfd" + DUMP, f"a Zstandard file; {ORDINARY}"),
        ("a", b"7z\xbc\xaf\x27\x1c" + DUMP, f"a 7z archive; {ORDINARY}"),
        ("a", b"\x89HDF\r\n\x1a\n" + DUMP, f"an HDF5 file; {ORDINARY}"),
        ("a", b"\x89PNG\r\n\x1a\n" + DUMP, f"a PNG picture; {ORDINARY}"),
        ("a", b"\x93NUMPY" + DUMP, f"a numpy array; {ORDINARY}"),
        ("a", DUMP.decode().encode("utf-16"), "a text in UTF-16; expected a text in UTF-8, not packed"),
    ],
)
def test_bad_dumps_are_refused(tmp_path, name, raw, message):
    (tmp_path / name).write_bytes(raw)
    assert unreadable("enwik8", tmp_path / name, tmp_path / "out", SMALL).startswith(f"SOURCE: {message}")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_missing_dumps_are_told(tmp_path):
    packed = "enwik8, as it is or packed (enwik8.zip, .gz, .xz, .bz2)"
    (tmp_path / "._enwik8").write_bytes(b"a Mac's companion")
    for source, message in (
        (None, "enwik8: expected --source PATH"),
        (tmp_path / "nothing", f"{tmp_path / 'nothing'}: no such file; expected {packed}, or the folder of one"),
        (tmp_path, f"{tmp_path}: no enwik8 inside; expected {packed}"),
    ):
        refuses(re.escape(message), prepare, "enwik8", tmp_path / "out", SMALL, source=source)


@pytest.mark.parametrize("model", ["rmaat", "transformer"])
def test_a_language_model_trains_and_is_measured_in_bits(enwik8, laws, tmp_path, model):
    record = train("enwik8", enwik8, laws, tmp_path / "run", model, TRAINING)
    assert record.run.config.head == "language"
    assert record.run.config.max_length == 100  # the longest window
    result = evaluate(tmp_path / "run")
    assert result["bits_per_token"] == pytest.approx(result["loss"] / math.log(2), rel=1e-12)
    assert 0 < result["bits_per_token"] < 9  # 257 ids: log2 of them is 8.006
    assert result["majority"] == max(np.bincount(np.frombuffer(DUMP[2450:], np.uint8))) / 400
    assert "first_symbol" not in result
    assert read_run(tmp_path / "run").evaluation.model_dump(exclude_none=True) == result


def test_a_resumed_language_model_ends_the_same(enwik8, laws, tmp_path):
    whole = train("enwik8", enwik8, laws, tmp_path / "whole", settings=TRAINING)
    train("enwik8", enwik8, laws, tmp_path / "part", settings=TRAINING)
    (tmp_path / "part" / "model.safetensors").unlink()
    for folder in sorted((tmp_path / "part" / "checkpoints").glob("step-*"))[1:]:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    again = train("enwik8", enwik8, laws, tmp_path / "part", resume=True)
    assert without_clock(again.path) == without_clock(whole.path)


@pytest.mark.parametrize("model", ["transformer", "linear-transformer", "at", "retnet", "s4d", "rmt", "rlt"])
def test_every_model_trains_goes_on_and_is_measured(listops, laws, tmp_path, model):
    """Matched parameters, so that the feed-forward width is another than was asked for."""
    settings = {**TRAINING, "width": 16, "feedforward": 64, "match_parameters": True, "states": 4}
    record = train("listops", listops, laws, tmp_path / "whole", model, settings)
    assert record.finished
    assert record.run.model_settings.feedforward == 64
    used = {"retnet", "s4d"} & {model}
    assert (record.run.config.feedforward != 64) == bool(used)
    assert 0 <= evaluate(tmp_path / "whole")["accuracy"] <= 1
    run = tmp_path / "run"
    shutil.copytree(tmp_path / "whole", run)
    (run / "model.safetensors").unlink()
    shutil.rmtree(checkpoints(run)[-1])
    again = train("listops", listops, laws, run, model, settings, resume=True)
    assert 0 < again.run.sittings[-1].from_step < again.run.settings.steps
    assert same_weights(run, tmp_path / "whole")
    with pytest.raises(InputError, match="started with feedforward = "):
        train("listops", listops, laws, run, model, {**settings, "feedforward": 65}, resume=True)


def test_settings_without_effect_are_recorded(listops, laws, tmp_path):
    settings = {**TRAINING, "memory_rule": "consolidate"}
    record = train("listops", listops, laws, tmp_path / "run", "transformer", settings)
    assert record.run.without_effect == ["memory_rule", "memory_tokens"]


@pytest.mark.parametrize(
    ("model", "rule", "idle"),
    [("rmaat", "none", True), ("rmt", None, True), ("rmt", "scale", False), ("transformer", None, True)],
)
def test_a_perturbed_law_that_no_rule_uses_is_without_effect(listops, laws, tmp_path, model, rule, idle):
    """And the longest example, which the data decide, is not told as if it had been asked for."""
    settings = {**TRAINING, "laws.perturbed": "flat"} | ({} if rule is None else {"memory_rule": rule})
    found = train("listops", listops, laws, tmp_path / "run", model, settings).run.without_effect
    assert ("laws.perturbed" in found) == idle
    assert "max_length" not in found
    asked = train("listops", listops, laws, tmp_path / "asked", "rmaat", {**TRAINING, "max_length": 99})
    assert asked.run.without_effect == ["max_length"]


def test_recall_puts_the_value_where_it_says():
    for segments, lag in ((1, 0), (4, 3), (4, 0), (5, 2)):
        symbols, labels = recall.sequences(np.random.default_rng(0), 200, 8, segments, lag)
        place = (symbols == recall.MARK).argmax(1)
        assert ((symbols == recall.MARK).sum(1) == 1).all()
        assert (symbols[np.arange(200), place + 1] == labels).all()
        assert (place // 8 == segments - 1 - lag).all()
        assert set(place % 8) == set(range(6))  # mark and value fit, and the query stands behind them
        assert (symbols[:, -1] == recall.QUERY).all()
        assert ((symbols < recall.VALUES).sum(1) == 1).all()
        assert set(labels) == set(range(recall.VALUES))


def test_recall_is_generated_into_a_data_folder(tmp_path):
    settings = RecallSettings(segment=8, segments=3, train=20, valid=4, test=4)
    manifest = prepare("recall", tmp_path / "a", settings, seed=5)
    assert prepare("recall", tmp_path / "b", settings, seed=5).digest == manifest.digest
    assert prepare("recall", tmp_path / "c", settings, seed=6).digest != manifest.digest
    data = data_folder.load(tmp_path / "a", "recall")
    assert data.manifest.vocabulary == recall.SYMBOLS + 1
    assert (data.splits["train"].lengths == 24).all()
    with pytest.raises(InputError, match="1,000,000,000 sequences of 16,777,216 symbols do not fit into memory"):
        prepare("recall", tmp_path / "d", RecallSettings(segment=4096, segments=4096, train=10**9))
    with pytest.raises(InputError, match="recall: this task is generated; leave --source out"):
        prepare("recall", tmp_path / "d", settings, source=tmp_path)
    refuses("lag: expected less than segments = 3, got 3", RecallSettings, segments=3, lag=3)
