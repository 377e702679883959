"""The paper's experiments as plans, and plans that are run, resumed, and written down."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

import analysis
from astro_sim.common.errors import InputError
from astro_sim.common.files import alone
from astro_sim.common.settings import load_toml
from bridge.laws import Laws
from rmaat import reproduce as reproduction
from rmaat.__main__ import main
from rmaat.plans import (
    BASE,
    PRESETS,
    SHORT_TERM,
    SHORT_TERM_TASKS,
    TASKS,
    Place,
    Plan,
    ablations,
    longest,
    lra,
    short_term,
)
from rmaat.records import last_step, read_metrics, read_right, read_run, unpacked
from rmaat.reproduce import reproduce
from rmaat.settings import RunSettings, of_model
from rmaat.tasks import data_folder
from rmaat.tasks.listops import ListOpsSettings
from rmaat.tasks.writer import prepare
from tests.rmaat.refusals import refuses

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = """
[model]
width = 8
heads = 2
depth = 1
feedforward = 8
segment_length = 16
memory_tokens = 2

[training]
batch = 8
steps = 6
log_every = 3
validate_every = 3
checkpoint_every = 2
device = "cpu"

[rmaat]
memory_rule = "scale"
"""


@pytest.fixture
def place(listops: Path, laws: Laws, tmp_path: Path) -> Place:
    shutil.copytree(listops, tmp_path / "data" / "listops")
    (tmp_path / "configs").mkdir()
    for task in TASKS:
        (tmp_path / "configs" / f"{task}.toml").write_text(TINY)
    laws.save(tmp_path / "laws.json")
    return Place(tmp_path / "data", tmp_path / "runs", tmp_path / "laws.json", tmp_path / "configs")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verbs without a process of their own, most of whose time is the import of torch."""

    def rmaat(words: Sequence[str]) -> str | None:
        errors = io.StringIO()
        with redirect_stdout(io.StringIO()), redirect_stderr(errors):
            status = main(list(words))
        return errors.getvalue().splitlines()[-1] if status else None

    monkeypatch.setattr(reproduction, "_rmaat", rmaat)


def replace_data(place: Place, train: int) -> None:
    shutil.rmtree(place.data / "listops")
    settings = ListOpsSettings(train=train, valid=8, test=8, min_length=10, max_length=60)
    prepare("listops", place.data / "listops", settings, seed=7)


def test_the_table_has_every_model_on_every_task_and_seed():
    plans = lra(TASKS, ("rmaat", "rmt"), 3)
    assert len(plans) == len({plan.folder for plan in plans}) == 5 * 2 * 3
    assert all(not plan.changes for plan in plans)
    refuses("seeds: expected at least 1, got 0", lra, ("listops",), ("rmaat",), 0)


def test_ablations_differ_from_the_base_in_what_they_say(laws):
    """Segments of other lengths: the curriculum and the replay see as many symbols as the preset's."""
    preset = {"segment_length": 256, "curriculum": [1, 2, 4], "kept_segments": 8}
    plans = ablations(("listops",), 1, laws, {"listops": 1999}, {"listops": preset})
    changes = {plan.name: plan.changes for plan in plans}
    assert len(changes) == len(plans) == len({plan.folder for plan in plans})
    assert changes[BASE] == {}
    assert changes["no retention"] == {"memory_rule": "none"}
    assert changes["16 segments"] == {"segment_length": 125, "curriculum": (2, 4, 8), "kept_segments": 17}
    assert changes["8 segments"] == {"segment_length": 250, "curriculum": (1, 2, 4), "kept_segments": 9}
    assert changes["4 segments"] == {"segment_length": 500, "curriculum": (1, 1, 2), "kept_segments": 5}
    assert all(-(-1999 // changes[f"{n} segments"]["segment_length"]) == n for n in (16, 8, 4))
    assert next(plan for plan in plans if plan.name == "RLT with AMRB").model == "rlt"
    assert "alpha fitted" not in changes  # these laws have no exponent
    assert not any(plan.name.endswith("segments") for plan in ablations(("text",), 1, laws, {}, {}))


def test_short_term_rows_are_the_ladder_and_what_could_stand_in_its_place(laws_with_times):
    """Of cycles of 10 s over 256 tokens, 4 heads: quantiles in the logarithm of 0.52, 2.3 and 40 s."""
    laws = laws_with_times({"s": 0.52, "p_s": 2.3, "eSP": 40.0})
    presets = {
        task: of_model(load_toml(CONFIGS / SHORT_TERM / f"{task}.toml"), "rmaat", task) for task in SHORT_TERM_TASKS
    }
    plans = short_term(SHORT_TERM_TASKS, 2, laws, presets)
    assert len(plans) == len({plan.folder for plan in plans})
    one = {plan.name: plan.changes for plan in plans if (plan.task, plan.seed) == ("enwik8", 0)}
    assert one["laws"] == {"short_term": "laws", "rotation": True}  # the model takes the ladder from the laws
    ladder = np.array(laws.time_constants(4, 256))
    np.testing.assert_allclose(one["ladder over 4"]["time_constants"], ladder / 4, rtol=1e-5)
    np.testing.assert_allclose(one["all at the median"]["time_constants"], np.sqrt(ladder[1] * ladder[2]), rtol=1e-5)
    retnet = [-1 / np.log(1 - 2.0 ** -(5 + h)) for h in range(4)]  # 31.5 to 255.5 tokens
    np.testing.assert_allclose(one["ladder of RetNet"]["time_constants"], retnet, rtol=1e-5)
    assert ladder[0] <= min(one["random"]["time_constants"]) < max(one["random"]["time_constants"]) <= ladder[-1]
    for plan in plans:
        RunSettings.build({**presets[plan.task], **plan.changes}, 257, 2)


def test_every_ablation_is_a_setting_that_its_model_takes(place, laws):
    """Built as training builds them, with nothing left without effect."""
    from rmaat.models.registry import build_model, without_effect
    from rmaat.settings import RunSettings

    for plan in ablations(("listops",), 1, laws, {"listops": 59}, {"listops": place.preset("listops", BASE)}):
        asked = RunSettings.build(place.settings(plan, {}), 16, 10)
        build_model(plan.model, asked.model, asked.laws.apply(laws))
        assert without_effect(plan.model, asked.model) == []


def test_the_longest_example_is_known_where_data_are_there(place):
    assert longest(("listops", "text"), place.data) == {
        "listops": max(s.longest for s in data_folder.load(place.data / "listops").manifest.splits.values())
    }


def test_runs_are_stopped_resumed_measured_and_not_run_again(place, tmp_path):
    """A sitting too short to train, one that finishes, and one that finds nothing left to do."""
    plans, out = lra(("listops",), ("rmaat",), 1), tmp_path / "lra.json"
    (first,) = reproduce(plans, place, out, "lra tiny", minutes=1e-9)
    assert first.state == "stopped at step 0"
    assert first.accuracy is None
    (second,) = reproduce(plans, place, out, "lra tiny")
    assert second.state == "finished"
    weights = place.runs / "listops" / "rmaat-0" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    (third,) = reproduce(plans, place, out, "lra tiny")
    assert weights.stat().st_mtime_ns == written
    assert third == second
    np.testing.assert_array_equal(unpacked(second.right, second.examples), read_right(read_run(weights.parent)))
    assert first.right is None
    table = json.loads(out.read_text())
    assert table["what"] == "lra tiny"
    assert table["rows"] == [second.dump()]
    assert second.settings["memory_rule"] == "scale"  # of the table [rmaat]
    assert second.data["digest"] == data_folder.load(place.data / "listops").manifest.digest
    assert second.data["content"] == "generated with the grammar of LRA"
    assert (second.examples, second.steps, second.over_preset) == (16, 6, {})
    assert second.tokens > 0
    assert second.seconds > 0
    assert second.memory_mb > 50
    assert second.machine["threads"]
    assert "path" not in second.data


@pytest.mark.usefixtures("in_this_process")
def test_a_finished_row_stands_without_its_run_folder(place, tmp_path, other_laws):
    """As on another machine: the row of the same settings, data and laws is kept, any other is run."""
    plans, out = [Plan("listops", "rmaat", 0, "flat", {"laws.perturbed": "flat"})], tmp_path / "lra.json"
    (first,) = reproduce(plans, place, out, "lra tiny")
    assert first.state == "finished"
    shutil.rmtree(place.runs)
    (again,) = reproduce(plans, place, out, "lra tiny")
    assert again == first
    assert not place.runs.exists()

    def is_run_for(change, made) -> bool:
        """Run again, but only where a new row was asked for in place of the old one."""
        if made is not None:
            with pytest.raises(
                InputError, match=f"lra.json: its row listops/flat-0 was made with {made}; choose anoth"
            ):
                list(reproduce(plans, change, out, "lra tiny"))
            assert not place.runs.exists()
        (row,) = reproduce(plans, change, out, "lra tiny", replace=True)
        ran = place.runs.exists()
        shutil.rmtree(place.runs, ignore_errors=True)
        assert row.state == "finished"
        return ran

    assert not is_run_for(place, None)
    (place.configs / "listops.toml").write_text(TINY.replace("batch = 8", "batch = 4"))
    assert is_run_for(place, "batch = 8, not 4")
    assert not is_run_for(place, None)
    other = tmp_path / "other.json"
    other_laws.save(other)
    assert is_run_for(Place(place.data, place.runs, other, place.configs), "other laws")
    replace_data(place, train=16)
    assert is_run_for(place, "other laws")
    assert is_run_for(Place(place.data, place.runs, other, place.configs), "other laws")
    replace_data(place, train=17)
    assert is_run_for(Place(place.data, place.runs, other, place.configs), "other data")


@pytest.mark.usefixtures("in_this_process")
def test_a_change_that_changes_nothing_is_not_run_again(place, tmp_path):
    """As 8 segments, where the preset has 8; `rmaat compare` leaves the second row out."""
    plans = [
        Plan("listops", "rmaat", 0, BASE),
        Plan("listops", "rmaat", 0, "as it is", {"segment_length": 16}),
        Plan("listops", "rmaat", 0, "short", {"segment_length": 8}),
    ]
    base, same, short = reproduce(plans, place, tmp_path / "t.json", "ablations tiny")
    about = {"name": "as it is", "changes": {"segment_length": 16}, "run": "listops/as-it-is-0"}
    assert same.dump() == {**base.dump(), **about, "same_as": "listops/rmaat-0"}
    assert short.same_as is None
    assert {path.name for path in (place.runs / "listops").iterdir()} == {"rmaat-0", "short-0"}
    found = analysis.compare([tmp_path / "t.json"])
    assert [arm.name for arm in found.arms] == [BASE, "short"]
    assert found.left_out[0].endswith("row 2 (listops, as it is, seed 0): the same run as listops/rmaat-0")
    (alone,) = reproduce(plans[1:2], place, tmp_path / "alone.json", "ablations tiny")
    assert alone.same_as is None


@pytest.mark.usefixtures("in_this_process")
def test_what_is_finished_is_not_lost_nor_mistaken(place, tmp_path, other_laws):
    """A trial of other steps, other laws, data that went away or were made anew, a run folder that is broken."""
    plans, out, trial = lra(("listops",), ("rmaat",), 1), tmp_path / "lra.json", {"steps": 2}
    (row,) = reproduce(plans, place, out, "lra tiny", over=trial)
    assert (row.state, row.steps, row.over_preset) == ("finished", 2, trial)
    table = out.read_text()
    other_laws.save(tmp_path / "other.json")
    other = Place(place.data, place.runs, tmp_path / "other.json", place.configs)
    elsewhere = Place(tmp_path / "nowhere", place.runs, place.laws, place.configs)
    for change, over, state in (
        (place, {}, "a run with steps = 2, the table asks for 6; remove it, or choose another --runs"),
        (other, trial, "a run with other laws; remove it, or choose another --runs"),
        (elsewhere, trial, "no data: make "),
    ):
        (row,) = reproduce(plans, change, out, "lra tiny", over=over, replace=True)
        assert state in row.state
        assert json.loads(out.read_text())["rows"] == json.loads(table)["rows"]
        new = tmp_path / "new.json"
        if change is not elsewhere:
            (row,) = reproduce(plans, change, new, "lra tiny", over=over)
            assert state in row.state
            new.unlink()
    replace_data(place, train=9)
    (row,) = reproduce(plans, place, tmp_path / "other.json.json", "lra tiny", over=trial)
    assert row.state.endswith("trained on other data than " + str(place.data / "listops") + " holds")
    (place.runs / "listops" / "rmaat-0" / "metrics.jsonl").write_text("nonsense\n")
    rows = list(
        reproduce(lra(("listops",), ("rmaat", "rmt"), 1), place, tmp_path / "other.json.json", "lra tiny", over=trial)
    )
    assert "metrics.jsonl, line 1: not JSON" in rows[0].state
    assert rows[1].state == "finished"


@pytest.mark.slow
def test_several_processes_fill_one_table(place, tmp_path, monkeypatch):
    """While one runs, another adds its row: neither loses the other's."""
    out, run = tmp_path / "lra.json", reproduction._run

    def slow(plan, *rest):
        monkeypatch.setattr(reproduction, "_run", run)
        list(reproduce(lra(("listops",), ("rlt",), 1), place, out, "lra tiny"))
        return run(plan, *rest)

    monkeypatch.setattr(reproduction, "_run", slow)
    list(reproduce(lra(("listops",), ("rmt",), 1), place, out, "lra tiny"))
    assert [row["run"] for row in json.loads(out.read_text())["rows"]] == ["listops/rlt-0", "listops/rmt-0"]


def test_a_run_that_was_stopped_is_told_so(place, tmp_path, monkeypatch):
    """SIGTERM to the run alone: its row says where it stands; Ctrl-C reaches both, and ends both."""
    plans, out = lra(("listops",), ("rmaat",), 1), tmp_path / "lra.json"
    list(reproduce(plans, place, out, "lra tiny", minutes=1e-9))

    def ends_with(status):
        monkeypatch.setattr(reproduction.sys, "executable", shutil.which("sh"))
        script = tmp_path / "stand-in.sh"
        script.write_text(f"echo told >&2; exit {status}\n")
        popen = subprocess.Popen
        monkeypatch.setattr(reproduction.subprocess, "Popen", lambda _, **how: popen(["sh", str(script)], **how))

    ends_with(143)
    (row,) = reproduce(plans, place, out, "lra tiny")
    assert row.state == "stopped at step 0"
    monkeypatch.undo()
    ends_with(7)
    (row,) = reproduce(plans, place, out, "lra tiny")
    assert row.state == "failed: told"
    monkeypatch.undo()
    ends_with(130)
    with pytest.raises(KeyboardInterrupt):
        list(reproduce(plans, place, out, "lra tiny"))


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_what_ends_reproduce_ends_its_run(place, tmp_path, number):
    """A signal to reproduce alone, as a batch system sends it: the run saves where it stands, and is nobody's then."""
    plans, run = lra(("listops",), ("rmaat",), 1), place.runs / "listops" / "rmaat-0"
    over = {"steps": 100_000, "log_every": 1, "checkpoint_every": 100_000, "validate_every": 100_000}
    code = f"""
from pathlib import Path, PosixPath
from rmaat.plans import Place, Plan
from rmaat.reproduce import reproduce
list(reproduce({plans!r}, {place!r}, Path({str(tmp_path / "lra.json")!r}), "lra tiny", over={over!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while process.poll() is None and len(read_metrics(run / "metrics.jsonl")) < 3:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait() == (128 + number if number == signal.SIGTERM else -number)  # Python's own end by Ctrl-C
    assert last_step(run) >= 3
    with alone(run / ".lock", "busy"):
        pass


@pytest.mark.usefixtures("in_this_process")
def test_rows_of_other_plans_stay_and_failures_are_told(place, tmp_path, monkeypatch):
    out = tmp_path / "table.json"
    plans = [
        Plan("text", "rmaat", 0, "rmaat"),
        Plan("listops", "rmaat", 0, "wild", {"learning_rate": 1e3, "clip": 1e30, "warmup": 0, "weight_decay": 1e3}),
    ]
    no_data, failed = reproduce(plans, place, out, "lra tiny")
    assert no_data.state == f"no data: make {place.data / 'text'} with rmaat data text"
    assert failed.state.startswith("failed: rmaat: step ")
    assert "try a smaller learning_rate" in failed.state
    again = list(reproduce(plans[:1], place, out, "lra tiny"))
    assert len(again) == 1
    assert [row["name"] for row in json.loads(out.read_text())["rows"]] == ["rmaat", "wild"]
    with pytest.raises(
        InputError, match="table.json: holds 'lra tiny', expected 'ablations tiny'; choose another --out"
    ):
        list(reproduce(plans, place, out, "ablations tiny"))


@pytest.mark.usefixtures("in_this_process")
def test_settings_over_the_preset_go_on_top(place, tmp_path):
    """But for what a plan changes, which the row is about; as text or by the default's name they are the same."""
    plans, out = [Plan("listops", "rmaat", 0, "2 rows", {"memory_tokens": 2})], tmp_path / "out.json"
    over = {"memory_tokens": 3, "laws.perturbed": "flat"}
    (row,) = reproduce(plans, place, out, "lra tiny", over={**over, "steps": 2})
    assert (row.settings["steps"], row.settings["memory_tokens"]) == (2, 2)
    assert row.over_preset == {**over, "steps": 2}
    shutil.rmtree(place.runs)
    (again,) = reproduce(plans, place, out, "lra tiny", over={**over, "steps": "2", "compile": "False"})
    assert (again.state, again.seconds) == ("finished", row.seconds)
    assert not place.runs.exists()


def test_what_is_wrong_is_told_before_anything_runs(place, tmp_path):
    out = tmp_path / "out.json"

    def refused(message, tasks=("listops",), **options):
        refuses(message, list, reproduce(lra(tasks, ("rmaat",), 1), place, out, "lra tiny", **options))
        assert not place.runs.exists()

    for over, message in (
        ({"steps": 0}, "steps"),
        ({"stesp": 2}, r"unknown setting 'stesp'; did you mean 'steps'\?"),
        ({"accumulate": 3}, r"batch: expected a multiple of accumulate, 3, got 8 \(listops\)"),
        ({"seed": 1}, "seed: the number of seeds decides it; leave it out"),
    ):
        refused(message, over=over)
    refused(r"^minutes: expected more than 0, got 0\.0$", minutes=0.0)
    assert not out.exists()
    for table in ({}, {"rows": {}}, {"rows": [1]}, {"rows": [{"run": "a"}]}):
        out.write_text(json.dumps({"schema_version": 1, "what": "lra tiny", **table}))
        refused(r"out\.json: expected 'rows', each with 'run' and 'state'$")
    out.write_text(json.dumps({"schema_version": 1, "what": "lra tiny", "rows": [{"run": "a", "state": "finished"}]}))
    refused(r"out\.json, row 1: task: missing; name: missing; ")
    for text, message in (
        ("[rmat]\nmemory_rule = 'scale'\n", r"text.toml: unknown table \[rmat\]"),
        ("[rmt]\nmemory_rle = 'scale'\n", "text.toml: unknown setting 'memory_rle'"),
    ):
        (place.configs / "text.toml").write_text(text)
        refused(message, ("listops", "text"))


@pytest.mark.usefixtures("in_this_process")
def test_a_trial_does_not_pass_for_the_presets_run(place, tmp_path):
    """Neither its run folder nor its row, where it changed what the preset leaves at the default."""
    plans = lra(("listops",), ("rmaat",), 1)
    (trial,) = reproduce(plans, place, tmp_path / "trial.json", "lra tiny", over={"weight_decay": 0.5})
    assert trial.settings["weight_decay"] == 0.5
    (row,) = reproduce(plans, place, tmp_path / "real.json", "lra tiny")
    assert "a run with weight_decay = 0.5, the table asks for 0.01; remove it" in row.state
    with pytest.raises(InputError, match=r"was made with weight_decay = 0\.5, not 0\.01; choose another --out"):
        list(reproduce(plans, place, tmp_path / "trial.json", "lra tiny"))


def test_the_front_door_refuses_in_one_line(place, tmp_path, capsys):
    words = ["--laws", str(place.laws), "--data", str(place.data), "--out", str(tmp_path / "out.json")]
    for arguments, message in (
        (["lra", *words, "--preset", "smal"], "rmaat: unknown preset 'smal'; did you mean 'small'?"),
        (["lra", *words, "--models", "rmta"], "rmaat: unknown model 'rmta'; did you mean 'rmt'?"),
        (["ablations", *words, "--only", "no P"], "rmaat: unknown row 'no P'"),
        (["ablations", *words, "--only", ","], "rmaat: expected at least one run"),
        (["ablations", *words, "--tasks", "txt"], "rmaat: unknown task 'txt'; did you mean 'text'?"),
        (["lra", *words, "--models", ","], "rmaat: expected at least one run"),
        (["lra", "--laws", str(tmp_path / "none.json")], "none.json: no such laws file"),
        (["lra", *words, "--tasks", "text,image"], f"no data: make {place.data / 'text'} with rmaat data text"),
        (["lra", *words, "--set", "stesp=2"], "unknown setting 'stesp'; did you mean 'steps'?"),
        (["lra", "--lws", "x"], "see rmaat reproduce lra --help"),
    ):
        assert main(["reproduce", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


def test_runs_that_could_not_be_made_are_told_by_the_exit_status(place, tmp_path, capsys, monkeypatch):
    """One task has data, the other has none: the table is written, and 1 says that it is not whole."""
    monkeypatch.setattr("rmaat.reproduce._rmaat", lambda words: "step 1: the loss is nan")
    words = ["--laws", str(place.laws), "--data", str(place.data), "--runs", str(tmp_path / "runs")]
    assert main(["reproduce", "lra", *words, "--tasks", "listops,text", "--out", str(tmp_path / "out.json")]) == 1
    printed = capsys.readouterr().out
    assert "failed: step 1: the loss is nan" in printed
    assert "no data: make" in printed
    assert [row["task"] for row in json.loads((tmp_path / "out.json").read_text())["rows"]] == ["listops", "text"]


@pytest.mark.parametrize("name", ["lra", "ablations"])
def test_the_tables_of_the_project_stay_what_they_are(name):
    path = Path(__file__).parents[2] / "results" / f"{name}.json"
    table = json.loads(path.read_text())
    rows = reproduction.read_rows(path, table["what"])
    assert list(rows) == [row["run"] for row in table["rows"]]
    assert [row.dump() for row in rows.values()] == table["rows"]


def test_presets_are_folders_with_a_file_a_task():
    for folder in PRESETS.values():
        assert {path.stem for path in (CONFIGS / folder).glob("*.toml")} == set(TASKS)
    assert {path.stem for path in (CONFIGS / SHORT_TERM).glob("*.toml")} == set(SHORT_TERM_TASKS)
