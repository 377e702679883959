"""Tasks of this room beyond LRA: recall, and enwik8 with its language models trained by the engine."""

import gzip
import math
import random
import shutil
import zipfile

import numpy as np
import pytest

from astro_sim.common.errors import InputError
from rmaat.records import checkpoints, read_run
from rmaat.tasks import recall, storage
from rmaat.tasks.enwik8 import Enwik8Settings
from rmaat.tasks.recall import RecallSettings
from rmaat.training.engine import train
from rmaat.training.evaluation import evaluate
from tests.rmaat.run_folders import same_weights, without_clock

DUMP = bytes(random.Random(0).choices(range(32, 127), k=2_850))
SMALL = Enwik8Settings(window=100, train=2_000, valid=450, test=400)
TRAINING = {
    "width": 8, "heads": 2, "depth": 1, "feedforward": 8, "segment_length": 16, "memory_tokens": 2, "batch": 4,
    "steps": 4, "log_every": 2, "validate_every": 2, "checkpoint_every": 2, "device": "cpu", "match_parameters": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def enwik8(tmp_path_factory):
    root = tmp_path_factory.mktemp("enwik8")
    (root / "enwik8").write_bytes(DUMP)
    storage.prepare("enwik8", root / "data", SMALL, source=root / "enwik8")
    return root / "data"


def test_the_dump_is_cut_as_the_field_does(enwik8):
    data = storage.load(enwik8, "enwik8")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 20, "valid": 5, "test": 4}
    assert data.manifest.classes is None
    joined = b"".join(split.tokens.tobytes() for split in data.splits.values())
    assert joined == DUMP  # train, valid, test, one after another, nothing lost
    ids, lengths, _ = data.splits["valid"].batch(np.array([0, 4]))
    assert lengths.tolist() == [100, 50]
    assert ids[0].tolist() == [byte + 1 for byte in DUMP[2000:2100]]
    defaults = Enwik8Settings()
    assert (defaults.train, defaults.valid, defaults.test) == (90_000_000, 5_000_000, 5_000_000)


def test_packed_dumps_are_the_same(enwik8, tmp_path):
    with gzip.open(tmp_path / "enwik8.gz", "wb") as stream:
        stream.write(DUMP)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("enwik8", DUMP)
    digest = storage.load(enwik8).manifest.digest
    for number, source in enumerate((tmp_path, tmp_path / "enwik8.gz", tmp_path / "other.zip")):
        assert storage.prepare("enwik8", tmp_path / f"data{number}", SMALL, source=source).digest == digest


def test_bad_dumps_are_refused(tmp_path):
    (tmp_path / "short").write_bytes(DUMP[:-10])
    (tmp_path / "broken.gz").write_bytes(gzip.compress(DUMP)[:-20])
    (tmp_path / "broken.zip").write_bytes(b"PK no archive")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("another", DUMP)
    with zipfile.ZipFile(tmp_path / "locked.zip", "w") as archive:
        archive.writestr("enwik8", DUMP)
    locked = bytearray((tmp_path / "locked.zip").read_bytes())
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # of the file and of its entry; bit 0: encrypted
        locked[locked.rindex(header) + flags] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    for name, message in (
        (None, "enwik8: expected --source PATH"),
        ("nothing", "no such file; expected enwik8, enwik8.gz, enwik8.zip or the folder of one"),
        ("", "no enwik8 inside; expected one of enwik8, enwik8.gz, enwik8.zip"),
        ("short", "expected at least 2,850 bytes for these splits, got 2,840"),
        ("broken.gz", "not readable as a packed enwik8, perhaps truncated"),
        ("broken.zip", "not readable as a packed enwik8, perhaps truncated"),
        ("empty.zip", "not readable as a packed enwik8, perhaps truncated"),
        ("locked.zip", r"not readable as a packed enwik8, perhaps truncated \(.*encrypted"),
    ):
        with pytest.raises(InputError, match=message):
            storage.prepare("enwik8", tmp_path / "out", SMALL, source=None if name is None else tmp_path / name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("model", ["rmaat", "transformer"])
def test_a_language_model_trains_and_is_measured_in_bits(enwik8, laws, tmp_path, model):
    record = train("enwik8", enwik8, laws, tmp_path / "run", model, TRAINING)
    assert record.run["model_config"]["head"] == "language"
    assert record.run["model_config"]["max_length"] == 100  # the longest window
    result = evaluate(tmp_path / "run")
    assert result["bits_per_token"] == pytest.approx(result["loss"] / math.log(2), rel=1e-12)
    assert 0 < result["bits_per_token"] < 9  # 257 ids: log2 of them is 8.006
    assert result["majority"] == max(np.bincount(np.frombuffer(DUMP[2450:], np.uint8))) / 400
    assert "first_symbol" not in result
    assert read_run(tmp_path / "run").evaluation == result


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
    assert record.run["model_settings"]["feedforward"] == 64
    used = {"retnet", "s4d"} & {model}
    assert (record.run["model_config"]["feedforward"] != 64) == bool(used)
    assert 0 <= evaluate(tmp_path / "whole")["accuracy"] <= 1
    run = tmp_path / "run"
    shutil.copytree(tmp_path / "whole", run)
    (run / "model.safetensors").unlink()
    shutil.rmtree(checkpoints(run)[-1])
    again = train("listops", listops, laws, run, model, settings, resume=True)
    assert 0 < again.run["sittings"][-1]["from_step"] < again.run["settings"]["steps"]
    assert same_weights(run, tmp_path / "whole")
    with pytest.raises(InputError, match="started with feedforward = "):
        train("listops", listops, laws, run, model, {**settings, "feedforward": 65}, resume=True)


def test_settings_without_effect_are_recorded(listops, laws, tmp_path):
    settings = {**TRAINING, "memory_rule": "consolidate"}
    record = train("listops", listops, laws, tmp_path / "run", "transformer", settings)
    assert record.run["without_effect"] == ["memory_rule", "memory_tokens"]


@pytest.mark.parametrize(
    ("model", "rule", "idle"),
    [("rmaat", "none", True), ("rmt", None, True), ("rmt", "scale", False), ("transformer", None, True)],
)
def test_a_perturbed_law_that_no_rule_uses_is_without_effect(listops, laws, tmp_path, model, rule, idle):
    """And the longest example, which the data decide, is not told as if it had been asked for."""
    settings = {**TRAINING, "laws.perturbed": "flat"} | ({} if rule is None else {"memory_rule": rule})
    found = train("listops", listops, laws, tmp_path / "run", model, settings).run["without_effect"]
    assert ("laws.perturbed" in found) == idle
    assert "max_length" not in found
    asked = train("listops", listops, laws, tmp_path / "asked", "rmaat", {**TRAINING, "max_length": 99})
    assert asked.run["without_effect"] == ["max_length"]


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
    manifest = storage.prepare("recall", tmp_path / "a", settings, seed=5)
    assert storage.prepare("recall", tmp_path / "b", settings, seed=5).digest == manifest.digest
    assert storage.prepare("recall", tmp_path / "c", settings, seed=6).digest != manifest.digest
    data = storage.load(tmp_path / "a", "recall")
    assert data.manifest.vocabulary == recall.SYMBOLS + 1
    assert (data.splits["train"].lengths == 24).all()
    with pytest.raises(InputError, match="recall: this task is generated; leave --source out"):
        storage.prepare("recall", tmp_path / "d", settings, source=tmp_path)
    with pytest.raises(InputError, match="lag: expected less than segments = 3, got 3"):
        RecallSettings(segments=3, lag=3)
