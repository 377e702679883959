"""How a run ends, what it keeps, and the settings that change how a step is computed."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from astro_sim.common.errors import InputError
from rmaat.__main__ import main
from rmaat.records import read_run
from rmaat.tasks import data_folder
from rmaat.training import checkpoint, logs
from rmaat.training.evaluation import evaluate
from rmaat.training.loop import Loop
from rmaat.training.run import train
from tests.rmaat.refusals import refuses
from tests.rmaat.run_folders import CLOCKS, TWELVE, assignments, same, same_weights, weights

SMALL = {**TWELVE, "validate_every": 2}


@pytest.fixture(scope="module")
def whole(listops, laws, tmp_path_factory):
    """A run of twelve steps that nothing ends before."""
    return train("listops", listops, laws, tmp_path_factory.mktemp("runs") / "whole", settings=SMALL)


def scripted(monkeypatch, accuracies):
    """Validations that find these accuracies, one after the other."""
    coming = iter(accuracies)
    monkeypatch.setattr("rmaat.training.loop.measure", lambda *_: (1.0, next(coming)))


def test_a_run_ends_with_the_weights_of_its_best_validation(listops, laws, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.3, 0.1, 0.0])
    best = train("listops", listops, laws, tmp_path / "best", settings=SMALL)
    assert best.summary.best.model_dump() == {"step": 4, "loss": 1.0, "accuracy": 0.3}  # of equals the first
    assert (best.summary.weights_of_step, best.summary.steps, best.summary.end) == (4, 12, "steps")
    scripted(monkeypatch, [0.0])
    last_settings = {**SMALL, "select": "last", "validate_every": 99}
    last = train("listops", listops, laws, tmp_path / "last", settings=last_settings)
    assert not same_weights(best.path, last.path)
    assert last.summary.weights_of_step == 12
    assert evaluate(best.path)["step"] == 4
    assert evaluate(last.path)["step"] == 12


def test_the_best_weights_are_those_of_that_step(listops, laws, tmp_path, monkeypatch):
    """A run's last checkpoint at step 4 has the weights that another run, best at 4, ends with."""
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.2, 0.1, 0.0])
    best = train("listops", listops, laws, tmp_path / "best", settings=SMALL)
    monkeypatch.setattr(checkpoint, "KEPT", 9)
    scripted(monkeypatch, [0.0] * 6)
    every = train("listops", listops, laws, tmp_path / "every", settings=SMALL)
    at_four = load_file(every.path / "checkpoints" / "step-00000004" / "model.safetensors")
    assert same(weights(best.path), at_four)


def test_patience_ends_a_run_on_validation_alone(listops, laws, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.3, 0.1, 0.0])
    record = train("listops", listops, laws, tmp_path / "run", settings={**SMALL, "patience": 2})
    assert (record.summary.end, record.summary.steps) == ("patience", 8)  # best at 4; 6 and 8 are no better
    assert record.finished
    assert [row["split"] for row in record.metrics].count("valid") == 4
    rows = [row for row in record.metrics if row["split"] == "train"]
    assert [row["step"] for row in rows] == [3, 6, 8]  # what came after the last full line is told and counted, too
    assert record.summary.tokens == sum(row["tokens"] for row in rows)
    assert (record.path / "checkpoints" / "step-00000008").is_dir()


def test_interrupted_while_waiting_for_a_better_validation(listops, laws, tmp_path, monkeypatch):
    """How long it has been is in the checkpoint: a resumed run ends where the whole one does, with the same bits."""
    accuracies = [0.1, 0.3, 0.2, 0.3, 0.1, 0.0]
    scripted(monkeypatch, accuracies)
    whole = train("listops", listops, laws, tmp_path / "whole", settings={**SMALL, "patience": 3})
    step = Loop.step

    def failing(self, number, parts):
        if number == 9:
            raise KeyboardInterrupt
        return step(self, number, parts)

    scripted(monkeypatch, accuracies)
    monkeypatch.setattr(Loop, "step", failing)
    with pytest.raises(KeyboardInterrupt):
        train("listops", listops, laws, tmp_path / "cut", settings={**SMALL, "patience": 3})
    monkeypatch.setattr(Loop, "step", step)
    scripted(monkeypatch, accuracies[4:])  # from the checkpoint at step 8
    cut = train("listops", listops, laws, tmp_path / "cut", resume=True)
    for name in whole.summary.model_fields_set.difference(CLOCKS):
        assert getattr(cut.summary, name) == getattr(whole.summary, name)
    assert whole.summary.steps == 10
    assert same_weights(whole.path, cut.path)


@pytest.mark.parametrize("patience", [2, 3])  # ends at 8, a checkpoint but no full line, or at 10, neither
def test_killed_between_an_early_end_and_the_final_weights(listops, laws, tmp_path, monkeypatch, patience):
    """The resumed run finds nothing to train, writes no line twice, and finishes."""
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.3, 0.1, 0.0])
    settings = {**SMALL, "patience": patience}
    whole = train("listops", listops, laws, tmp_path / "whole", settings=settings)
    scripted(monkeypatch, [0.1, 0.3, 0.2, 0.3, 0.1, 0.0])
    with monkeypatch.context() as patch:
        patch.setattr("rmaat.training.run._finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train("listops", listops, laws, tmp_path / "cut", settings=settings)
    cut = train("listops", listops, laws, tmp_path / "cut", resume=True)
    for name in whole.summary.model_fields_set.difference(CLOCKS):
        assert getattr(cut.summary, name) == getattr(whole.summary, name)
    assert [(row["split"], row["step"]) for row in cut.metrics] == [(r["split"], r["step"]) for r in whole.metrics]


def test_a_validation_loss_that_is_not_finite_stops_the_run(listops, laws, tmp_path, monkeypatch):
    monkeypatch.setattr("rmaat.training.loop.measure", lambda *_: (float("nan"), 0.0))
    with pytest.raises(InputError, match="step 2: the validation loss is nan; try a smaller learning_rate"):
        train("listops", listops, laws, tmp_path / "run", settings=SMALL)
    assert read_run(tmp_path / "run").metrics == []  # and the folder can be read


def test_minutes_stop_a_run_and_move_nothing_else(whole, listops, laws, tmp_path, monkeypatch):
    clock = iter(range(10_000))
    with monkeypatch.context() as patch:
        patch.setattr("rmaat.training.loop.time.monotonic", lambda: float(next(clock)))
        stopped = train("listops", listops, laws, tmp_path / "cut", settings=SMALL, minutes=0.1)
    assert not stopped.finished
    assert stopped.summary is None
    newest = sorted((tmp_path / "cut" / "checkpoints").glob("step-*"))[-1]
    assert 0 < json.loads((newest / "state.json").read_text())["step"] < 12
    again = train("listops", listops, laws, tmp_path / "cut", resume=True)
    assert same_weights(whole.path, again.path)
    rates = [row["learning_rate"] for row in again.metrics if row["split"] == "train"]
    assert rates == [row["learning_rate"] for row in whole.metrics if row["split"] == "train"]
    refuses("minutes: expected more than 0, got 0", train, "listops", listops, laws, tmp_path / "none", minutes=0)


def test_the_front_door_says_that_time_was_up(listops, laws, tmp_path, capsys):
    laws.save(tmp_path / "laws.json")
    words = ["train", "listops", "--laws", str(tmp_path / "laws.json")]
    words += ["--data", str(listops), "--out", str(tmp_path / "run"), "--minutes", "1e-9"]
    words += assignments(SMALL)
    assert main(words) == 0
    assert "stopped after 1e-09 minutes; the same command with --resume goes on" in capsys.readouterr().out
    assert not read_run(tmp_path / "run").finished
    # In a log, where there is no progress line, each validation has a line: six of them in twelve steps.
    assert main(["train", "listops", "--out", str(tmp_path / "run"), "--resume"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [row for row in read_run(tmp_path / "run").metrics if row["split"] == "valid"]
    assert lines[:6] == [
        f"step {row['step']} of 12: valid loss {row['loss']:.3f}, accuracy {row['accuracy']:.3f}; about 0 minutes left"
        for row in rows
    ]


def test_a_summary_counts_what_was_seen(whole, listops):
    """Twelve steps of eight of the 64 examples: an epoch and a half."""
    record = whole
    lengths = data_folder.load(listops).splits["train"].lengths
    rows = [row for row in record.metrics if row["split"] == "train"]
    assert record.summary.tokens == sum(row["tokens"] for row in rows)
    assert lengths.sum() < record.summary.tokens < 2 * lengths.sum()
    assert 0.0 < record.summary.padding < 0.5
    assert 0.0 <= record.summary.idle_segments < record.summary.padding + 0.5
    assert 0.0 < record.summary.waited < record.summary.seconds
    assert record.summary.memory_mb > 50  # torch alone
    assert record.run.machine["processes"] == "1"


def test_segments_that_are_only_padding_are_counted():
    """Lengths 40, 17 and 3 in segments of 16: 3, 2 and 1 of 3 hold tokens."""

    class Bare(Loop):
        def __init__(self):
            self.segment_length = 16

    batch = (torch.zeros(3, 40), torch.tensor([40, 17, 3]), torch.zeros(3))
    assert Bare()._places(batch) == (60, 120, 9, 3)
    pairs = (torch.zeros(1, 2, 20), torch.tensor([[20, 3]]), torch.zeros(1))
    assert Bare()._places(pairs) == (23, 40, 4, 1)


def test_parts_of_a_batch_give_the_curve_of_the_whole(whole, listops, laws, tmp_path):
    """Sums over examples in another order: to 1e-5 over twelve steps."""
    parts = train("listops", listops, laws, tmp_path / "parts", settings={**SMALL, "accumulate": 4})
    for one, other in zip(whole.metrics, parts.metrics, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)


def test_bfloat16_trains_close_to_float32(whole, listops, laws, tmp_path):
    """Products have 8 bits: the loss moves by less than 2 %, and moves."""
    rough = train("listops", listops, laws, tmp_path / "rough", settings={**SMALL, "precision": "bfloat16"})
    pairs = [(a["loss"], b["loss"]) for a, b in zip(whole.metrics, rough.metrics, strict=True)]
    assert all(b == pytest.approx(a, rel=0.02) for a, b in pairs)
    assert any(a != b for a, b in pairs)
    assert {value.dtype for value in load_file(rough.path / "model.safetensors").values()} == {torch.float32}
    assert 0 <= evaluate(rough.path)["accuracy"] <= 1


# torch's own, as it traces: it looks at the .grad of every input, and makes an object of an autograd function.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.filterwarnings("ignore:.*autograd.function.Function.* should not be instantiated:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("model", ["rmaat", "transformer"])
def test_compiled_runs_have_the_curve_of_plain_ones(listops, laws, tmp_path, monkeypatch, model):
    """With the backend "aot_eager", which is torch.compile without its code generation, which takes a minute."""
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *a, **k: compile_(*a, **{**k, "backend": "aot_eager"}))
    usual = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **k: usual(self, backend="aot_eager", **k))
    torch._dynamo.reset()
    settings = {**SMALL, "steps": 6, "log_every": 1, "validate_every": 6}
    plain = train("listops", listops, laws, tmp_path / "plain", model, settings)
    fast = train("listops", listops, laws, tmp_path / "fast", model, {**settings, "compile": True})
    torch._dynamo.reset()
    for one, other in zip(plain.metrics, fast.metrics, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-4)


def test_tensorboard_gets_every_logged_number(listops, laws, tmp_path, monkeypatch):
    """Read back by TensorBoard itself; a resumed run writes over what it does again."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    step = Loop.step

    def failing(self, number, parts):
        if number == 7:
            raise KeyboardInterrupt
        return step(self, number, parts)

    settings = {**SMALL, "tensorboard": True}
    monkeypatch.setattr(Loop, "step", failing)
    with pytest.raises(KeyboardInterrupt):
        train("listops", listops, laws, tmp_path / "run", settings=settings)
    monkeypatch.setattr(Loop, "step", step)
    record = train("listops", listops, laws, tmp_path / "run", resume=True)
    events = EventAccumulator(str(record.path / "tensorboard")).Reload()
    for split in ("train", "valid"):
        rows = [row for row in record.metrics if row["split"] == split]
        for name in ("loss", "accuracy"):
            found = [(event.step, event.value) for event in events.Scalars(f"{split}/{name}")]
            assert [place for place, _ in found] == [row["step"] for row in rows]
            np.testing.assert_allclose([value for _, value in found], [row[name] for row in rows], rtol=1e-6)


def test_tensorboard_that_is_not_installed_is_told_before_anything_is_written(listops, laws, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    refuses(r"tensorboard is not installed; expected: pip install 'rmaat\[tensorboard\]'", logs.event_writer)
    with pytest.raises(InputError, match="tensorboard is not installed"):
        train("listops", listops, laws, tmp_path / "run", settings={**SMALL, "tensorboard": True})
    assert not (tmp_path / "run").exists()
