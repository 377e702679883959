"""Training: batches, schedule, checkpoints that a run goes on from exactly, and what is refused."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from astro_sim.common.errors import InputError
from rmaat.__main__ import main
from rmaat.models.classifier import SequenceClassifier
from rmaat.records import read_metrics, read_run
from rmaat.settings import TrainSettings, flatten
from rmaat.tasks import data_folder
from rmaat.tasks.data_folder import Split
from rmaat.training.batches import Batches
from rmaat.training.evaluation import evaluate, measure
from rmaat.training.loop import Loop
from rmaat.training.processes import Processes
from rmaat.training.run import train
from tests.rmaat.refusals import refuses
from tests.rmaat.run_folders import TWELVE, assignments, files, same_weights, without_clock

SMALL = {**TWELVE, "dropout": 0.2}


@pytest.fixture(scope="module")
def finished(listops, laws, tmp_path_factory):
    """A run of twelve steps that was never interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    train("listops", listops, laws, run, settings=SMALL)
    return run


def test_run_folder_holds_what_it_promises(finished, laws):
    record = read_run(finished)
    assert record.finished
    assert record.laws.digest == laws.digest == record.run.laws_digest
    assert record.run.config.presynaptic_exponent == 0.25  # filled in: this laws file has none
    train_rows = [row for row in record.metrics if row["split"] == "train"]
    assert [row["step"] for row in train_rows] == [3, 6, 9, 12]
    assert [row["step"] for row in record.metrics if row["split"] == "valid"] == [6, 12]
    assert all(0 <= row["accuracy"] <= 1 and row["loss"] > 0 for row in record.metrics)
    with safe_open(finished / "model.safetensors", framework="pt") as file:
        assert file.metadata()["laws_digest"] == laws.digest
    folders = sorted((finished / "checkpoints").glob("step-*"))
    assert [path.name for path in folders] == ["step-00000008", "step-00000012"]
    # The best weights that each checkpoint names, and no others.
    states = [json.loads((folder / "state.json").read_text()) for folder in folders]
    named = {f"best-{state['best']['step']:08d}.safetensors" for state in states}
    assert {path.name for path in (finished / "checkpoints").glob("best-*")} == named
    assert record.summary.best.model_dump() == states[1]["best"]


def test_schedule_warms_up_and_falls_as_a_cosine(finished):
    """Logged at steps 3, 6, 9, 12: the end of a warm-up of 3, then a cosine over the 9 steps left."""
    rates = [row["learning_rate"] for row in read_run(finished).metrics if row["split"] == "train"]
    cosine = [0.5 * (1 + np.cos(np.pi * done / 9)) for done in (2, 5, 8)]
    np.testing.assert_allclose(rates, 2e-3 * np.array([1.0, *cosine]), rtol=1e-12)


@pytest.mark.parametrize("stop", [4, 5, 11])
def test_an_interrupted_run_ends_with_the_same_weights(finished, listops, laws, tmp_path, monkeypatch, stop):
    """Stopped before and after checkpoints, dropout on: weights bit for bit, and metrics but for the clock."""
    run = tmp_path / "run"
    step = Loop.step

    def failing(self, number, parts):
        if number == stop:
            raise KeyboardInterrupt
        return step(self, number, parts)

    monkeypatch.setattr(Loop, "step", failing)
    with pytest.raises(KeyboardInterrupt):
        train("listops", listops, laws, run, settings=SMALL)
    monkeypatch.undo()
    assert not read_run(run).finished
    torch.manual_seed(999)  # the state that a new process would start from has no say
    train("listops", listops, laws, run, resume=True)
    assert same_weights(run, finished)
    assert without_clock(run) == without_clock(finished)


def test_resuming_a_finished_run_changes_nothing(finished, listops, laws, tmp_path):
    """Though its checkpoints are gone."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    shutil.rmtree(run / "checkpoints")
    train("listops", listops, laws, run, settings={"model": {"width": 8}, "training": {"steps": 12}}, resume=True)
    assert same_weights(run, finished)


def test_checkpoints_hold_no_pickle(finished):
    names = {path.name for path in (finished / "checkpoints" / "step-00000012").iterdir()}
    assert names == {"model.safetensors", "optimizer.safetensors", "state.json"}
    moments = load_file(finished / "checkpoints" / "step-00000012" / "optimizer.safetensors")
    assert float(moments["head.1.weight.step"]) == 12
    assert moments["random.cpu"].dtype == torch.uint8


def test_resume_refuses_other_laws_data_and_settings(finished, listops, laws, other_laws, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    before = files(run)
    refuses("started with other laws", train, "listops", listops, other_laws, run, resume=True)
    with pytest.raises(InputError, match="started with learning_rate = 0.002, cannot go on with 0.1"):
        train("listops", listops, laws, run, settings={"learning_rate": 0.1}, resume=True)
    with pytest.raises(InputError, match="started with memory_rule = 'consolidate', cannot go on with 'none'"):
        train("listops", listops, laws, run, settings={"memory_rule": "none"}, resume=True)
    copy = tmp_path / "data"
    shutil.copytree(listops, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "digest": "0" * 64}))
    refuses("started on other data", train, "listops", copy, laws, run, resume=True)
    assert files(run) == before


def test_train_refuses_before_it_writes(listops, laws, tmp_path):
    out = tmp_path / "run"
    for settings, message in (
        ({"widht": 3}, r"unknown setting 'widht'; did you mean 'width'\?"),
        ({"classes": 3}, "classes: the task's data decide it"),
    ):
        refuses(message, train, "listops", listops, laws, out, settings=settings)
    refuses(r"unknown model 'rmaatt'; did you mean 'rmaat'\?", train, "listops", listops, laws, out, model="rmaatt")
    refuses("nothing to resume", train, "listops", listops, laws, out, resume=True)
    assert not out.exists()
    out.mkdir()
    (out / "mine").write_text("precious")
    refuses("run: exists already", train, "listops", listops, laws, out, settings=SMALL)
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_a_loss_that_is_not_finite_stops_the_run(listops, laws, tmp_path):
    wild = {**SMALL, "learning_rate": 1e3, "clip": 1e30, "warmup": 0, "weight_decay": 1e3}
    message = r"step \d+: the (loss|norm of the gradient) is (nan|inf); try a smaller learning_rate"
    refuses(message, train, "listops", listops, laws, tmp_path / "run", settings=wild)


def test_evaluate_measures_the_whole_split(finished, listops):
    result = evaluate(finished)
    assert result["split"] == "test"
    assert result["examples"] == 16
    assert (result["accuracy"] * 16).is_integer()
    assert read_run(finished).evaluation.model_dump(exclude_none=True) == result
    assert evaluate(finished, split="valid")["accuracy"] == read_run(finished).summary.best.accuracy
    assert (
        read_run(finished).evaluation.model_dump(exclude_none=True) == result
    )  # another split does not overwrite the test result
    train_split, test_split = (data_folder.load(listops).splits[name] for name in ("train", "test"))
    table = {}
    for symbol in range(15):
        labels = train_split.labels[train_split.tokens[train_split.offsets[:-1]] == symbol]
        table[symbol] = np.bincount(labels).argmax() if len(labels) else 0
    guesses = np.array([table[symbol] for symbol in test_split.tokens[test_split.offsets[:-1]]])
    assert result["first_symbol"] == (guesses == test_split.labels).mean()
    refuses("unknown split 'dev'; known: test, train, valid", evaluate, finished, split="dev")


def test_evaluate_refuses_a_broken_run(finished, other_laws, tmp_path):
    run = tmp_path / "run"
    weights, record = (finished / "model.safetensors").read_bytes(), json.loads((finished / "run.json").read_text())
    narrow = {**record, "model_config": {**record["model_config"], "feedforward": 9}}
    other_laws.save(tmp_path / "other.json")
    other = {"laws.json": (tmp_path / "other.json").read_bytes()}
    for changes, message in (
        (other, "laws.json: not the laws that the run was started with"),
        ({**other, "run.json": {**record, "laws_digest": other_laws.digest}}, "model.safetensors: made with other"),
        ({"model.safetensors": weights[:-10]}, "model.safetensors: not a readable safetensors file, perhaps truncated"),
        ({"model.safetensors": b"\x80\x04pickle"}, "not a readable safetensors file"),
        ({"model.safetensors": None}, "the run is not finished"),
        ({"run.json": narrow}, r"feedforward.0.weight' has the shape \[8, 8\], expected \[9, 8\]"),
    ):
        shutil.copytree(finished, run)
        for name, content in changes.items():
            (run / name).unlink()
            if content is not None:
                (run / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        refuses(message, evaluate, run)
        shutil.rmtree(run)


def test_resume_refuses_a_broken_checkpoint(finished, listops, laws, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "model.safetensors").unlink()  # killed before it was written
    newest = run / "checkpoints" / "step-00000012"
    for name, content, message in (
        ("state.json", b'{"schema_version": 2, "step": "x"}', "state.json: laws_digest: missing"),
        ("state.json", b"[]", "checkpoint schema None; this version reads 2"),
        ("optimizer.safetensors", (newest / "model.safetensors").read_bytes(), "not the optimiser state of this model"),
        ("model.safetensors", b"", "not a readable safetensors file"),
    ):
        before = (newest / name).read_bytes()
        (newest / name).write_bytes(content)
        with pytest.raises(InputError, match=message) as caught:
            train("listops", listops, laws, run, resume=True)
        assert str(caught.value).endswith("without the folder step-00000012 the run goes on from the one before")
        (newest / name).write_bytes(before)


def test_a_run_record_without_its_parts_is_refused(finished, tmp_path):
    record = json.loads((finished / "run.json").read_text())
    for name in ("task", "settings", "laws", "data", "laws_digest"):
        (tmp_path / "run.json").write_text(json.dumps({key: value for key, value in record.items() if key != name}))
        refuses(rf"run.json: {name}: missing", read_run, tmp_path)


def test_settings_tables_are_opened():
    tables = {"model": {"width": 8}, "training": {"steps": 3}, "laws": {"trainable": True}}
    assert flatten({**tables, "seed": 1}, "x") == {"width": 8, "steps": 3, "laws.trainable": True, "seed": 1}
    dotted = {"model.width": 8, "training.steps": 3, "laws.trainable": True, "seed": 1}
    assert flatten(dotted, "x") == flatten({**tables, "seed": 1}, "x")
    for values, message in (
        ({"modle": {"width": 8}}, r"f.toml: unknown table \[modle\]; did you mean 'model'\?"),
        ({"training": {"width": 8}}, r"f.toml: unknown setting 'width' in \[training\]"),
        ({"model": {"width": 8}, "width": 9}, "f.toml: width is given twice"),
        ({"laws": {"trainable": True}, "laws.trainable": False}, "f.toml: laws.trainable is given twice"),
        ({"laws.tranable": True}, r"unknown setting 'tranable' in \[laws\]; did you mean 'trainable'\?"),
    ):
        refuses(message, flatten, values, "f.toml")


def test_trainable_laws_start_from_the_biology_and_leave_where_they_went(listops, laws, tmp_path):
    run = tmp_path / "run"
    record = train(
        "listops",
        listops,
        laws,
        run,
        settings={**SMALL, "laws.trainable": True, "learning_rate": 0.02, "select": "last"},
    )
    assert record.laws.digest == laws.digest
    before, after = record.laws.parameters["tau"], record.trained_laws.parameters["tau"]
    assert before == laws.parameters["tau"]
    assert after != before
    rows = [row["laws"]["tau"] for row in record.metrics if row["split"] == "train"]
    assert len(rows) == 4
    assert rows[-1] == after
    # Twelve steps of Adam, each 0.02 at most on the logarithm.
    assert abs(np.log(after / before)) <= 12 * 0.02 * 1.01
    assert "encoder.retention.shift" in load_file(run / "model.safetensors")
    assert evaluate(run)["step"] == 12
    resumed = tmp_path / "resumed"
    shutil.copytree(run, resumed)
    (resumed / "model.safetensors").unlink()
    shutil.rmtree(resumed / "checkpoints" / "step-00000012")
    train("listops", listops, laws, resumed, resume=True)
    assert same_weights(resumed, run)
    assert read_run(resumed).trained_laws.digest == record.trained_laws.digest


def test_laws_that_stay_leave_no_trained_laws(finished):
    assert read_run(finished).trained_laws is None
    assert "encoder.retention.shift" not in load_file(finished / "model.safetensors")


@pytest.mark.parametrize("kind", ["flat", "slower"])
def test_a_run_with_perturbed_laws_keeps_them_and_goes_on_with_them(listops, laws, tmp_path, kind):
    run = tmp_path / "run"
    settings = {**SMALL, "steps": 4, "laws": {"perturbed": kind, "factor": 3.0, "seed": 2}}
    record = train("listops", listops, laws, run, settings=settings, minutes=1e-9)
    assert not record.finished
    assert record.laws.digest == laws.perturbed(kind, 3.0, 2).digest
    assert record.run.laws.perturbed == kind
    assert record.laws.document.perturbation.of == laws.digest
    train("listops", listops, laws, run, resume=True, minutes=1e-9)  # the laws before
    assert train("listops", listops, record.laws, run, resume=True).finished  # the run's own
    with pytest.raises(InputError, match="started with other laws"):
        train(
            "listops",
            listops,
            laws,
            run,
            settings={"laws.perturbed": "flat" if kind != "flat" else "slower"},
            resume=True,
        )


def test_laws_settings_that_make_no_sense_are_refused(listops, laws, tmp_path):
    for settings, message in (
        ({"trainable_laws": True}, "trainable_laws: expected laws.trainable instead"),
        ({"laws.perturbed": "flat", "laws.trainable": True}, "flat laws have no parameters to train"),
        ({"laws.trainable": True, "memory_rule": "none"}, "expected the memory_rule scale or consolidate"),
    ):
        refuses(message, train, "listops", listops, laws, tmp_path / "run", settings={**SMALL, **settings})
    assert not (tmp_path / "run").exists()


def test_measuring_a_part_of_a_sorted_split_sees_every_label(listops, laws):
    """As Text's reviews are sorted: all of one label first."""
    order = np.argsort(data_folder.load(listops).splits["train"].labels, kind="stable")
    split = data_folder.load(listops).splits["train"]
    seen = []

    class Recorder(torch.nn.Module):
        loss_and_hits = SequenceClassifier.loss_and_hits

        def forward(self, tokens, lengths):
            seen.extend(lengths.tolist())
            return torch.zeros(len(tokens), 10)

    offsets = np.concatenate([[0], np.cumsum(split.lengths[order])])
    tokens = np.concatenate([split.tokens[split.offsets[i] : split.offsets[i + 1]] for i in order])
    ordered = Split("train", tokens, offsets, split.labels[order])
    loss, accuracy = measure(Recorder(), ordered, TrainSettings(batch=8), Processes("cpu"), most=32)
    assert len(seen) == 32
    assert loss == pytest.approx(np.log(10))
    assert accuracy < (ordered.labels[:32] == 0).mean()  # the first 32 would hold every 0 there is


@pytest.mark.slow
def test_a_killed_process_goes_on_exactly(listops, laws, tmp_path):
    """kill -9 three times at different moments, each time another process resumes."""
    laws.save(tmp_path / "laws.json")
    words = ["train", "listops", "--laws", str(tmp_path / "laws.json"), "--data", str(listops)]
    settings = assignments({**SMALL, "steps": 200})
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert main([*words, *settings, "--out", str(whole)]) == 0
    for steps in (5, 23, 41):
        resume = ["--resume"] if run.exists() else settings
        command = [sys.executable, "-m", "rmaat", *words, *resume, "--out", str(run)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and logged(run) < steps:
            time.sleep(0.005)
        process.kill()
        process.wait()
    assert not read_run(run).finished
    assert main([*words, "--resume", "--out", str(run)]) == 0
    assert same_weights(run, whole)


def logged(run):
    rows = read_metrics(run / "metrics.jsonl") if run.exists() else []
    return rows[-1]["step"] if rows else 0


def test_batches_cover_an_epoch_once_and_depend_on_nothing_but_seed_and_step():
    lengths = np.random.default_rng(0).integers(1, 500, size=1003)
    batches = Batches(lengths, 10, seed=5)
    assert batches.per_epoch == 100
    for epoch in range(2):
        seen = np.concatenate([batches.at(epoch * 100 + i) for i in range(100)])
        assert len(set(seen)) == 1000
    again = Batches(lengths, 10, seed=5)
    np.testing.assert_array_equal(again.at(150), batches.at(150))  # asked for out of order
    assert not np.array_equal(Batches(lengths, 10, seed=6).at(0), batches.at(0))
    assert not np.array_equal(batches.at(0), batches.at(100))


def test_batches_waste_little_on_padding():
    lengths = np.random.default_rng(0).integers(500, 2000, size=3200)
    batches = Batches(lengths, 32, seed=0)
    padded = sum(32 * lengths[batches.at(i)].max() for i in range(batches.per_epoch))
    # Sorted pools of 32 batches leave a spread of a 32nd of the range, about 47 of 1,250 tokens.
    assert lengths.sum() / padded > 0.95


def test_a_batch_larger_than_the_data_takes_all():
    batches = Batches(np.array([3, 1, 2]), 32, seed=0)
    assert sorted(batches.at(0)) == [0, 1, 2]


def test_metrics_with_a_cut_line_are_read(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"split": "train", "step": step, "loss": 2.3, "accuracy": 0.1} for step in (1, 2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"st')
    assert read_metrics(path) == rows


def test_weight_decay_acts_on_matrices_alone(listops, laws):
    """Every W of attention, feed-forward part and head; not embeddings, mem_1, relative position, norms, biases."""
    from rmaat.config import RMAATConfig
    from rmaat.models.registry import build_model

    network = build_model("rmaat", RMAATConfig(vocabulary=16, classes=10, depth=1), laws)
    data = data_folder.load(listops)
    loop = Loop(network, data, TrainSettings(), Path("unused"), "", Processes("cpu"))
    decayed = {id(p) for p in loop.optimizer.param_groups[0]["params"]}
    names = {name for name, p in network.named_parameters() if id(p) in decayed}
    block = "encoder.blocks.0"
    assert names == {
        f"{block}.attention.project.weight", f"{block}.attention.out.weight", f"{block}.feedforward.0.weight",
        f"{block}.feedforward.2.weight", "head.1.weight",
    }  # fmt: skip
    assert loop.optimizer.param_groups[1]["weight_decay"] == 0.0
