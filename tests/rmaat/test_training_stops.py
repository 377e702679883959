"""A run that is stopped, gone on with elsewhere or by somebody else, and what is refused before it begins."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from astro_sim.common.errors import InputError
from astro_sim.common.files import alone
from rmaat import signals
from rmaat.__main__ import main
from rmaat.records import last_step, read_metrics, read_run
from rmaat.settings import TrainSettings, beyond
from rmaat.tasks import data_folder
from rmaat.tasks.data_folder import Split
from rmaat.tasks.listops import ListOpsSettings
from rmaat.tasks.writer import prepare
from rmaat.training import evaluation
from rmaat.training.evaluation import evaluate, inspect, measure
from rmaat.training.logs import Logs
from rmaat.training.processes import Processes, denormals_dropped
from rmaat.training.run import train
from tests.rmaat.refusals import refuses
from tests.rmaat.run_folders import TWELVE, assignments, files, same_weights

SMALL = TWELVE


@pytest.fixture(scope="module")
def finished(listops, laws, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "finished"
    train("listops", listops, laws, run, "rlt", SMALL)
    return run


@pytest.fixture
def run(finished, tmp_path):
    """A finished run of one's own."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.slow  # in the default suite: signals in this process, and what ends `rmaat reproduce`
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_a_checkpoint(listops, laws, tmp_path, number):
    """No checkpoint would be due before the last step; --out alone goes on, to the bits of a run in one go."""
    laws.save(tmp_path / "laws.json")
    words = [sys.executable, "-m", "rmaat", "train", "listops"]
    settings = {**SMALL, "steps": 250, "log_every": 1, "validate_every": 250, "checkpoint_every": 250}
    asked = ["--laws", str(tmp_path / "laws.json"), "--data", str(listops), "--model", "rlt"]
    asked += assignments(settings)
    run, whole = tmp_path / "run", tmp_path / "whole"
    process = subprocess.Popen([*words, *asked, "--out", str(run)], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(read_metrics(run / "metrics.jsonl")) < 20:
        time.sleep(0.005)
    process.send_signal(number)
    _, error = process.communicate()
    step = last_step(run)
    assert process.returncode == 128 + number
    assert 20 <= step < 250
    assert error == f"rmaat: {run}: stopped at step {step}; the same command with --resume goes on\n"
    assert main(["train", "listops", "--out", str(run), "--resume"]) == 0
    assert main(["train", "listops", *asked, "--out", str(whole)]) == 0
    assert same_weights(run, whole)
    assert [sitting.from_step for sitting in read_run(run).run.sittings] == [0, step]


@pytest.fixture
def interruptible():
    """SIGINT raises KeyboardInterrupt, even where these tests run in the background of a script, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_a_second_signal_does_what_it_does_otherwise(monkeypatch, interruptible):
    """But for one that comes at once: torchrun repeats what the terminal has sent."""
    now = iter([0.0, 0.1, 0.1 + signals.ECHO])
    # Of that module alone: other threads ask the clock, too.
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with signals.until_asked() as asked:
        assert asked.number is None
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert asked.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is interruptible


def test_a_run_that_another_process_is_at_is_left_alone(listops, laws, tmp_path):
    run = tmp_path / "run"
    train("listops", listops, laws, run, settings=SMALL, minutes=1e-9)
    before = files(run)
    with (
        alone(run / ".lock"),
        pytest.raises(InputError, match=r"run: another process is at this run, it holds .*run.\.lock"),
    ):
        train("listops", listops, laws, run, resume=True)
    assert files(run) == before
    assert train("listops", listops, laws, run, resume=True).finished


def test_a_run_says_where_it_went_on(listops, laws, tmp_path, monkeypatch):
    """Other threads than it was begun with: told, and kept."""
    run = tmp_path / "run"
    train("listops", listops, laws, run, model="rmt", settings=SMALL, minutes=1e-9)
    (run / ".metrics.jsonl.x1y2z3_4.jsonl").write_text("")  # of a process that was killed while it wrote
    monkeypatch.setattr("rmaat.training.run.torch.get_num_threads", lambda: 77)
    with pytest.warns(UserWarning, match=r"run: begun with threads \d+, goes on with 77; its end will differ"):
        done = train("listops", None, None, run, resume=True)
    assert done.finished
    assert done.run.model == "rmt"
    first, second = done.run.sittings
    assert (first.from_step, second.from_step, second.machine["threads"]) == (0, 0, "77")
    assert first.machine == done.run.machine != second.machine
    assert not list(run.glob(".metrics*"))


def test_what_a_run_lacks_is_told_before_its_folder_is_made(listops, laws, tmp_path):
    bare, out = tmp_path / "bare", tmp_path / "run"
    prepare("listops", bare, ListOpsSettings(train=16, valid=0, test=4, min_length=10, max_length=60))
    longest = max(split.longest for split in data_folder.load(listops).manifest.splits.values())
    for data, model, changes, message in (
        (listops, "transformer", {"max_length": 30},
         f"max_length: expected at least {longest}, the longest example, got 30"),
        (bare, "rmaat", {"patience": 2}, "patience: the data have no validation split"),
    ):  # fmt: skip
        refuses(message, train, "listops", data, laws, out, model=model, settings={**SMALL, **changes})
    refuses("run: expected laws", train, "listops", listops, None, out, settings=SMALL)
    refuses("run: expected data", train, "listops", None, laws, out, settings=SMALL)
    assert not out.exists()
    train("listops", listops, laws, out, settings=SMALL, minutes=1e-9)
    with pytest.raises(InputError, match="exists already; choose another folder, remove it, or go on with --resume"):
        train("listops", listops, laws, out, settings=SMALL)


def test_training_takes_denormal_numbers_for_0(listops, laws, tmp_path, monkeypatch):
    """Meanwhile alone: a training step has none of them, and what was asked for before holds again."""
    small, products = torch.tensor([1e-20]), []

    def watched(*_: object) -> tuple[float, float]:
        products.append((small * small).item())
        return 1.0, 0.5

    monkeypatch.setattr("rmaat.training.loop.measure", watched)
    train("listops", listops, laws, tmp_path / "run", settings=SMALL)
    assert products == [0.0, 0.0]
    assert (small * small).item() > 0
    with denormals_dropped(), denormals_dropped():
        pass
    assert (small * small).item() > 0
    with denormals_dropped():
        with denormals_dropped():
            pass
        assert (small * small).item() == 0


def test_patience_waits_for_whole_examples(listops, laws, tmp_path, monkeypatch):
    """Six steps show beginnings alone: two validations without progress there end nothing."""
    coming = iter([0.5, 0.4, 0.4, 0.4])
    monkeypatch.setattr("rmaat.training.loop.measure", lambda *_: (1.0, next(coming)))
    settings = {**SMALL, "curriculum": [1], "curriculum_steps": 6, "patience": 1, "validate_every": 2}
    done = train("listops", listops, laws, tmp_path / "run", settings=settings)
    assert (done.summary.end, done.summary.steps) == ("patience", 8)


def test_a_schedule_longer_than_the_run_is_told(listops, laws, tmp_path, capsys):
    assert beyond(TrainSettings(steps=10, warmup=9, curriculum=(1, 2), curriculum_steps=4)) is None
    assert beyond(TrainSettings(steps=8, warmup=8, curriculum=(1, 2), curriculum_steps=4)) == (
        "longer than the 8 steps of a run: warmup of 8 steps; curriculum of 8 steps, so that no example is shown whole"
    )
    laws.save(tmp_path / "laws.json")
    words = ["train", "listops", "--laws", str(tmp_path / "laws.json"), "--data", str(listops)]
    words += assignments({**SMALL, "warmup": 50})
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert "longer than the 12 steps of a run: warmup of 50 steps\n" in capsys.readouterr().out
    assert main(["train", "listops", "--out", str(tmp_path / "other")]) == 2
    assert capsys.readouterr().err == "rmaat: train: expected --laws LAWS.json\n"
    assert main(["train", "listops", "--out", str(tmp_path / "other"), "--resume"]) == 2
    assert capsys.readouterr().err == f"rmaat: {tmp_path / 'other'}: nothing to resume (run.json is missing)\n"


def test_validation_holds_no_more_at_once_than_training(finished, listops, monkeypatch):
    network = evaluation._open(finished, None, "valid")[1]
    split, sizes = data_folder.load(listops).splits["valid"], []
    tensors = evaluation.tensors
    monkeypatch.setattr(
        evaluation, "tensors", lambda split, chosen: sizes.append(len(chosen)) or tensors(split, chosen)
    )
    settings = [TrainSettings(batch=8, accumulate=parts, device="cpu") for parts in (1, 4)]
    whole, parts = (measure(network, split, each, Processes("cpu")) for each in settings)
    assert sizes == [8] * 2 + [2] * 8
    np.testing.assert_allclose(whole, parts, rtol=1e-5)  # float32, padded differently


def test_examples_of_other_data_that_were_trained_on_are_counted(listops, laws, tmp_path, capsys):
    """Generated from one seed, a smaller test split lies among the trees that a larger one trains on."""
    small = tmp_path / "small"
    prepare("listops", small, ListOpsSettings(train=16, valid=4, test=12, min_length=10, max_length=60), seed=1)
    own = tmp_path / "own"
    settings = ListOpsSettings(train=26, valid=8, test=8, min_length=10, max_length=60)
    prepare("listops", own, settings, seed=1)
    done = train("listops", own, laws, tmp_path / "run", settings=SMALL)
    assert "trained_on" not in evaluate(done.path, device="cpu")
    found = evaluate(done.path, small)
    trees = [
        {data.tokens[a:b].tobytes() for a, b in zip(data.offsets[:-1], data.offsets[1:], strict=True)}
        for data in (data_folder.load(small).splits["test"], data_folder.load(own).splits["train"])
    ]
    assert found["trained_on"] == len(trees[0] & trees[1]) == 6
    assert main(["evaluate", str(done.path), "--data", str(small), "--device", "cpu"]) == 0
    assert "other data than the run's: 6 are among those that it was trained on\n" in capsys.readouterr().out
    (own / "manifest.json").unlink()
    assert evaluate(done.path, small)["trained_on"] is None
    for look in (evaluate, inspect):
        refuses(r"unknown device 'gpu'", look, done.path, small, device="gpu")


def test_shared_examples_are_found_whatever_the_order_of_a_pair():
    def split(*pairs):
        parts = [part for pair in pairs for part in pair]
        offsets = np.cumsum([0, *map(len, parts)])
        return Split("test", np.frombuffer(b"".join(parts), np.uint8), offsets, np.zeros(len(pairs), int), 2)

    a, b = split((b"one", b"two"), (b"on", b"etwo"), (b"x", b"y")), split((b"two", b"one"), (b"y", b"z"))
    assert data_folder.shared(a, b) == data_folder.shared(b, a) == 1


def test_a_full_disk_is_told_with_the_name_of_the_log(tmp_path):
    def fill():
        with Logs(tmp_path, 0, False, True) as logs:
            logs._stream.close()
            logs._stream = Path("/dev/full").open("a")  # noqa: SIM115 - `logs` closes it
            logs.add({"split": "train", "step": 1, "loss": 1.0, "accuracy": 0.5})

    with pytest.raises(OSError, match="No space left on device") as caught:
        fill()
    assert caught.value.filename == "/dev/full"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_too_little_memory_is_one_line(listops, laws, tmp_path, monkeypatch, capsys, error):
    def fails(*_):
        raise error

    monkeypatch.setattr("rmaat.training.run.train", fails)
    laws.save(tmp_path / "laws.json")
    words = ["train", "listops", "--laws", str(tmp_path / "laws.json"), "--data", str(listops)]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err == (
        "rmaat: not enough memory for these settings; accumulate, or a smaller batch, needs less\n"
    )


def test_checkpoints_are_measured_before_a_run_is_finished(listops, laws, tmp_path, capsys):
    """With the figures that training noted for the same weights; nothing is kept in the run."""
    run = tmp_path / "run"
    train("listops", listops, laws, run, "rlt", {**SMALL, "learning_rate": 0.3}, minutes=1e-9)
    refuses(f"^{run}: no checkpoint$", evaluate, run, weights="last")
    train("listops", None, None, run, resume=True)
    (run / "model.safetensors").unlink()  # as if it were still at work
    step = last_step(run)
    refuses("go on with --resume, or evaluate a checkpoint with --weights best$", evaluate, run)
    rows = {row["step"]: row for row in read_metrics(run / "metrics.jsonl") if row["split"] == "valid"}
    found = evaluate(run, split="valid", weights="best")
    assert found["accuracy"] == pytest.approx(rows[found["step"]]["accuracy"])
    assert evaluate(run, weights="last")["step"] == step
    assert main(["evaluate", str(run), "--weights", "last"]) == 0
    assert capsys.readouterr().out.startswith(f"weights of step {step}\n")
    assert not [*run.glob("evaluation*"), *run.glob("predictions*")]
    refuses(r"unknown weights 'bset'; did you mean 'best'\?", evaluate, run, weights="bset")


def test_a_run_that_keeps_no_best_weights_says_so(listops, laws, tmp_path):
    run = tmp_path / "run"
    train("listops", listops, laws, run, "rlt", {**SMALL, "select": "last"})
    refuses(r"no weights of its best validation \(select = 'last'\); expected last$", evaluate, run, weights="best")


def test_a_sitting_without_a_step_writes_no_checkpoint(run):
    """Else one that is killed while it replaces the newest would be left without."""
    (run / "model.safetensors").unlink()
    newest = run / "checkpoints" / "step-00000012" / "state.json"
    written = newest.stat().st_mtime_ns
    assert train("listops", None, None, run, resume=True).finished
    assert newest.stat().st_mtime_ns == written


def test_what_a_killed_process_left_is_tidied_and_the_rest_left_alone(run, finished):
    """A checkpoint that was about to be replaced comes back."""
    notes = ".notes.md.swp"
    (run / "model.safetensors").unlink()
    (run / "checkpoints" / "step-00000012").rename(run / "checkpoints" / ".step-00000012.old")
    (run / "checkpoints" / ".step-00000012.di9l784s").mkdir()
    (run / "checkpoints" / ".best-00000012.safetensors.abcd1234.safetensors").touch()
    for name in (".run.json.abcd1234.json", notes):
        (run / name).touch()
    train("listops", None, None, run, resume=True)
    assert same_weights(run, finished)
    assert read_run(run).run.sittings[-1].from_step == 12
    assert sorted(path.name for path in run.glob(".*")) == [".lock", notes]
    assert not [*(run / "checkpoints").glob(".*")]


def test_checkpoints_are_counted_not_spelt(tmp_path):
    for step in (99_999_999, 100_000_000):
        (tmp_path / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    assert last_step(tmp_path) == 100_000_000


def test_too_little_memory_is_told_before_anything_is_written(listops, laws, tmp_path):
    """Under a curriculum, too, whose first steps would have had enough."""
    run, settings = tmp_path / "run", {**SMALL, "curriculum": (1,), "curriculum_steps": 6}
    with pytest.raises(InputError, match="replay_mb: expected at least ") as caught:
        train("listops", listops, laws, run, "rmaat", {**settings, "replay_mb": 0.001})
    assert not run.exists()
    least = float(str(caught.value).split("at least ")[1].split()[0])
    assert train("listops", listops, laws, run, "rmaat", {**settings, "replay_mb": least}).finished


def test_data_that_moved_are_found_from_then_on(listops, laws, tmp_path):
    first, then, run = tmp_path / "first", tmp_path / "then", tmp_path / "run"
    shutil.copytree(listops, first)
    train("listops", first, laws, run, "rlt", SMALL, minutes=1e-9)
    first.rename(then)
    train("listops", then, None, run, resume=True)
    assert read_run(run).run.data.path == str(then)
    assert evaluate(run)["examples"] > 0


def test_other_data_are_looked_at_and_not_kept(run, tmp_path, capsys):
    settings = ListOpsSettings(train=8, valid=4, test=6, min_length=10, max_length=40)
    prepare("listops", tmp_path / "other", settings, seed=9)
    inspect(run)
    own = (run / "diagnostics.json").read_bytes()
    assert main(["inspect", str(run), "--data", str(tmp_path / "other")]) == 0
    assert "other data than the run's, so nothing is kept" in capsys.readouterr().out
    assert (run / "diagnostics.json").read_bytes() == own


@pytest.mark.parametrize("measuring", [evaluate, inspect])
def test_several_processes_do_not_measure(measuring, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    refuses("expected one process to measure a run, got 2; start it without torchrun$", measuring, tmp_path)
