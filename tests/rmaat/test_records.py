"""Run folders that somebody changed or broke: what is wrong is told when they are read, in one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from astro_sim.common.errors import InputError
from rmaat.models import diagnostics
from rmaat.records import checkpoints, last_step, read_metrics, read_right, read_run
from rmaat.training import evaluation
from rmaat.training.evaluation import NotKeptWarning, evaluate, inspect
from rmaat.training.run import train
from tests.rmaat.refusals import refuses
from tests.rmaat.run_folders import TINY, files

SMALL = {**TINY, "steps": 4, "warmup": 1, "log_every": 2, "validate_every": 2, "checkpoint_every": 2}
DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def finished(listops, laws, tmp_path_factory) -> Path:
    """A run with all that can be in its folder."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    train("listops", listops, laws, run, settings=SMALL)
    evaluate(run)
    inspect(run, examples=2)
    return run


@pytest.fixture
def run(finished, tmp_path) -> Path:
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def change(path: Path, name: str, value: object) -> None:
    """Set what stands under a name, behind dots what is inside; without a name the whole."""
    found = json.loads(path.read_text())
    *outer, last = name.split(".")
    inside = found
    for each in outer:
        inside = inside[each]
    inside[last] = value
    path.write_text(json.dumps(found))


RUN = [
    ("data.digest", None, "data.digest: expected a valid string, got None"),
    ("data.path", 3, "data.path: expected a valid string, got 3"),
    ("data", [], "data: expected a valid dictionary"),
    ("data.segments", "two", "data.segments: expected a valid integer, got 'two'"),
    ("parameters", "many", "parameters: expected a valid integer, got 'many'"),
    ("parameters", True, "parameters: expected a valid integer, got True"),
    ("parameters", -1, "parameters: expected greater than or equal to 0, got -1"),
    ("without_effect", "width", "without_effect: expected a valid list"),
    ("without_effect", [1], "without_effect.0: expected a valid string"),
    ("versions", {"torch": 2}, "versions.torch: expected a valid string"),
    ("machine", "mine", "machine: expected a valid dictionary"),
    ("sittings", {}, "sittings: expected a valid list"),
    ("sittings", [1], "sittings.0: expected a valid dictionary"),
    ("sittings", [{}], "sittings.0.commit: missing; sittings.0.versions: missing; sittings.0.machine: missing"),
    ("init_from", "there", "init_from: expected a valid dictionary"),
    ("init_from", {}, "init_from.path: missing"),
    ("init_from", {"path": "a", "digest": "b", "task": "c", "anew": "d"}, "init_from.anew: expected a valid list"),
    ("settings.steps", "many", "settings: steps: expected a valid integer"),
    ("settings.seed", None, "settings: seed: expected"),
    ("laws.factor", [], "laws: factor: expected"),
    ("model_config.width", 10**400, "model_config: width: expected less than or equal to"),
    ("model_settings.heads", 3, "model_settings: width: expected a multiple of heads = 3, got 8"),
    ("commit", 3, "commit: expected a valid string"),
    ("command", "rmaat train", "unknown setting 'command' of Run"),
    ("schema_version", "x" * 10_000, r"run schema xxx.* \.\.\. \(10,000 characters\)"),
]


@pytest.mark.parametrize(("name", "value", "message"), RUN)
def test_a_run_record_with_something_of_another_type(run, name, value, message):
    change(run / "run.json", name, value)
    assert len(refuses(f"run.json: {message}", read_run, run)) < 600


OTHERS = [
    ("evaluation.json", "accuracy", float("nan"), "accuracy: expected"),
    ("evaluation.json", "accuracy", True, "accuracy: expected a valid number"),
    ("evaluation.json", "examples", 16.5, "examples: expected a valid integer"),
    ("evaluation.json", "loss", "low", "loss: expected a valid number, got 'low'"),
    ("evaluation.json", "split", 3, "split: expected a valid string, got 3"),
    ("diagnostics.json", "influence", [1.0, True], "influence.1: expected a valid number, got True"),
    ("diagnostics.json", "influence", {}, "influence: expected a valid list"),
    ("diagnostics.json", "influence", [], "influence: "),
    ("diagnostics.json", "influence", ["x"], "influence.0: expected a valid number"),
    ("diagnostics.json", "memory_norm", 3, "memory_norm: expected a valid list"),
    ("diagnostics.json", "first", [{"T": 1}], "first.0.measured: missing"),
    ("diagnostics.json", "schema_version", 9, "diagnostics schema 9; this version reads 1"),
    ("diagnostics.json", "examples", "all", "examples: expected a valid integer, got 'all'"),
    ("diagnostics.json", "first", [[1]], "first.0: expected a valid dictionary"),
    ("summary.json", "steps", 10**400, "steps: expected less than"),
    ("summary.json", "schema_version", 9, "summary schema 9; this version reads 1"),
    ("summary.json", "best", [1], "best: expected a valid dictionary"),
    ("summary.json", "best", {"step": 1}, "best.loss: missing; best.accuracy: missing"),
    ("summary.json", "end", 3, "end: expected 'steps' or 'patience', got 3"),
    ("summary.json", "waited", "long", "waited: expected a valid number, got 'long'"),
]


@pytest.mark.parametrize(("file", "name", "value", "message"), OTHERS)
def test_results_with_something_of_another_type(run, file, name, value, message):
    change(run / file, name, value)
    refuses(f"{file}: {message}", read_run, run)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"text"', "", "{", DEEP, "9" * 5_000, '{"schema_version": NaN}'])
@pytest.mark.parametrize("file", ["run.json", "evaluation.json", "diagnostics.json", "summary.json"])
def test_json_that_is_no_record(run, file, text):
    (run / file).write_text(text)
    refuses(file, read_run, run)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", "expected an object, got"),
        ('{"step": "x"}', "split: missing"),
        ('{"split": "train", "step": 1.5, "loss": 1, "accuracy": 0}', "step: expected a valid integer"),
        ('{"split": "train", "step": true, "loss": 1, "accuracy": 0}', "step: expected a valid integer"),
        ('{"split": "train", "step": 1, "loss": NaN, "accuracy": 0}', "loss: expected"),
        ('{"split": "train", "step": 1, "loss": 1, "accuracy": 0, "seconds": "x"}', "seconds: expected a valid number"),
        ('{"split": "train", "step": 1, "loss": 1, "accuracy": 0, "laws": [6.0]}', "laws: expected a valid dictionary"),
        ('{"split": "train", "step": 1, "loss": 1, "accuracy": 0, "laws": {"tau": null}}', "laws.tau: expected"),
        (DEEP, "not JSON: "),
        ("9" * 5_000, "not JSON: "),
    ],
)
def test_metrics_of_another_kind(tmp_path, line, message):
    path = tmp_path / "metrics.jsonl"
    whole = '{"split": "valid", "step": 0, "loss": 1, "accuracy": 0, "segments_shown": null, "laws": {"tau": 6.0}}\n'
    path.write_text(whole)
    assert len(read_metrics(path)) == 1
    path.write_text(whole + line + "\n")
    assert len(refuses(f"metrics.jsonl, line 2: {message}", read_metrics, path)) < 500


def test_predictions_that_are_none(run):
    good = read_right(read_run(run))
    assert good is not None
    path = run / "predictions.npy"
    whole = path.read_bytes()
    for content in (b"", whole[:-3], whole[:20], b"\x93NUMPY\x01\x00\x10\x00{'descr': 'x" + b" " * 90, b"text"):
        path.write_bytes(content)
        refuses("predictions.npy: not a readable array", read_right, read_run(run))
    np.save(path, np.zeros((2, 3)))
    refuses(r"predictions.npy: expected whole numbers \(2, 16\), got float64 \(2, 3\)", read_right, read_run(run))
    path.write_bytes(whole)
    (run / "evaluation.json").unlink()
    refuses("predictions.npy: without evaluation.json; make both with rmaat evaluate", read_right, read_run(run))


def unfinished(run: Path) -> Path:
    """Killed before the final weights; its newest checkpoint."""
    (run / "model.safetensors").unlink()
    return checkpoints(run)[-1]


def test_what_is_foreign_among_checkpoints_is_passed_over(run, finished, listops, laws):
    newest = unfinished(run)
    for name in ("step-x", "step-", "step--3", "step-00000009.bak", "step-٣"):
        (newest.parent / name).mkdir()
    (newest.parent / "step-00000099").write_text("a file")
    assert [path.name for path in checkpoints(run)] == ["step-00000002", "step-00000004"]
    assert last_step(run) == 4
    train("listops", listops, laws, run, resume=True)
    assert (run / "model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()
    assert (newest.parent / "step-x").is_dir()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("step", True, "step: expected a valid integer"),
        ("step", -1, "step: expected greater"),
        ("step", 10**400, "step: expected less"),
        ("step", 3, "is of step 3, its folder of step 4"),
        ("misses", 0.5, "misses: expected a valid integer"),
        ("optimizer_tensors", "all", "optimizer_tensors: expected a valid integer"),
        ("sums", [], "sums: expected a valid dictionary"),
        ("sums", {"loss": float("nan")}, "sums.loss: expected"),
        ("sums", {"loss": True}, "sums.loss: expected a valid number"),
        ("totals", {"tokens": 3}, "totals: expected idle_segments, memory_mb, places"),
        ("best", [], "best: expected a valid dictionary"),
        ("best", {"step": 1e300, "loss": 1.0, "accuracy": 0.5}, "best.step: expected a valid integer"),
        ("best", {"step": 2, "loss": None, "accuracy": 0.5}, "best.loss: expected a valid number"),
        ("laws_digest", None, "laws_digest: expected a valid string"),
        ("schema_version", [1], r"checkpoint schema \[1\]"),
    ],
)
def test_a_checkpoint_whose_state_is_none(run, listops, laws, name, value, message):
    change(unfinished(run) / "state.json", name, value)
    with pytest.raises(InputError, match=f"{message}.*without the folder step-00000004 the run goes on from the one"):
        train("listops", listops, laws, run, resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update({"random.cpu": t["random.cpu"][:7]}), "not a random state"),
        (lambda t: t.update({"random.cpu": t["random.cpu"].float()}), "not a random state"),
        (lambda t: t["head.1.weight.step"].fill_(float("nan")), "the moments of 'head.1.weight' do not fit the model"),
        (lambda t: t["head.1.weight.step"].fill_(0), "the moments of 'head.1.weight' do not fit the model"),
        (
            lambda t: t.update({"head.1.bias.exp_avg": t["head.1.bias.exp_avg"].double()}),
            "the moments of 'head.1.bias'",
        ),
    ],
)
def test_a_checkpoint_whose_moments_are_none(run, listops, laws, change, message):
    path = unfinished(run) / "optimizer.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    refuses(f"optimizer.safetensors: {message}", train, "listops", listops, laws, run, resume=True)


# --- what cannot be kept


@pytest.mark.parametrize(("look", "name"), [(evaluate, "evaluation.json"), (inspect, "diagnostics.json")])
def test_a_run_that_cannot_be_written_to_is_measured_and_said_so_before(run, monkeypatch, look, name):
    """As a colleague's read-only one, which is found before the work begins."""
    expected, order = look(run), []
    assert "kept" not in expected
    before = files(run)

    def read_only(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(evaluation, "require_writable", read_only)
    for place, work in ((evaluation, "_succeeds"), (evaluation, "measure"), (diagnostics, "look")):
        monkeypatch.setattr(place, work, noted(order, work, getattr(place, work)))
    with pytest.warns(NotKeptWarning, match="the result is returned, and not kept: .*Permission denied"):
        found = look(run)
    assert found == {**expected, "kept": False}
    assert order == ["_succeeds", "measure" if look is evaluate else "look"]
    assert files(run) == before


def noted(order, what, function):
    def call(*arguments, **named):
        order.append(what)
        return function(*arguments, **named)

    return call


@pytest.mark.parametrize(("look", "name"), [(evaluate, "evaluation.json"), (inspect, "diagnostics.json")])
def test_a_folder_in_the_place_of_a_result_and_a_disk_that_fills_up(run, monkeypatch, look, name):
    expected = look(run)
    (run / name).unlink()
    (run / name).mkdir()
    with pytest.warns(NotKeptWarning, match=f"{name}: exists and is not a regular file"):
        assert look(run) == {**expected, "kept": False}
    (run / name).rmdir()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluation, "write_json", full)
    with pytest.warns(NotKeptWarning, match="not kept: .*No space left on device"):
        assert look(run) == {**expected, "kept": False}


def test_weights_that_are_not_numbers(run):
    path = run / "model.safetensors"
    record = read_run(run)
    tensors = load_file(path)
    tensors["head.1.weight"][:] = float("nan")
    save_file(tensors, path, {"laws_digest": record.run.laws_digest})
    for look, message in ((evaluate, "the loss on test is nan"), (inspect, "what is found is not finite")):
        refuses(f"{message}; the weights are not those of a sound run", look, run)
