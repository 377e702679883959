"""The paper's experiments, run or resumed: the table of the Long Range Arena, and the ablations.

Every run is a run folder of its own, trained by `rmaat train` and measured by `rmaat evaluate` in a process of its own,
so that its peak of memory is its own and a failure stops nothing else. After each one the whole result is written
anew, so whatever is finished is in it. What is finished is not run again: neither a run folder nor a row of the table
whose run folder is gone, as on another machine, if it was made with the same settings, data and laws; and a row that
was made with others is not replaced unless that is asked for. Several processes may fill one table.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astro_sim.common.errors import InputError, require_known
from astro_sim.common.files import alone, digest, read_json, write_json
from astro_sim.common.machine import commit, processor
from astro_sim.common.progress import on_terminal
from astro_sim.common.settings import assignments, load_toml
from bridge.laws import Laws
from rmaat.config import MODELS, RMAATConfig
from rmaat.records import RunRecord, is_run, last_step, packed, read_right, read_run
from rmaat.settings import RunSettings, beyond, of_model
from rmaat.signals import passed_on
from rmaat.tasks.data_folder import load

TASKS = ("listops", "text", "retrieval", "image", "pathfinder")
PRESETS = {"small": "lra-small", "paper": "lra"}
SCHEMA_VERSION = 1
# What a row of a table takes from run.json, evaluation.json and summary.json.
TAKEN = ("parameters", "machine", "commit", "versions", "sittings", "laws_digest")
MEASURED = ("accuracy", "majority", "first_symbol", "loss", "examples")
SPENT = ("tokens", "padding", "idle_segments", "seconds", "waited", "memory_mb", "weights_of_step", "best")
BASE = "rmaat"  # the name of the row that ablations differ from


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes
    ----------
    task, model : str
    seed : int
    name : str
        What it is called in the table: the model, or what an ablation changes.
    changes : mapping
        Settings over those of the preset.
    """

    task: str
    model: str
    seed: int
    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Path of its run below the folder of all runs."""
        return f"{self.task}/{self.name.replace(' ', '-').replace('/', '-')}-{self.seed}"


def lra(tasks: Sequence[str], models: Sequence[str], seeds: int) -> list[Plan]:
    """The table: every model on every task, all with the preset's settings."""
    _check(tasks, seeds)
    for model in models:
        require_known("model", model, MODELS)
    return [Plan(t, m, seed, m) for seed in range(seeds) for t in tasks for m in models]


def ablations(
    tasks: Sequence[str], seeds: int, laws: Laws, lengths: Mapping[str, int], presets: Mapping[str, Mapping[str, Any]]
) -> list[Plan]:
    """What each part of RMAAT is worth.

    Parameters
    ----------
    tasks : sequence of str
    seeds : int
    laws : Laws
    lengths : mapping
        Symbols of the longest example of a task (of a pair: of the longer document), to cut into segments.
    presets : mapping
        RMAAT's settings on each task.
    """
    _check(tasks, seeds)
    exponent = laws.presynaptic_exponent
    changes: list[tuple[str, str, dict[str, Any]]] = [
        (BASE, "rmaat", {}),
        ("no retention", "rmaat", {"memory_rule": "none"}),
        ("consolidate", "rmaat", {"memory_rule": "consolidate"}),
        *(
            (f"{kind} law", "rmaat", {"laws.perturbed": kind})
            for kind in ("flat", "reversed", "faster", "slower", "random")
        ),
        ("no H_astro", "rmaat", {"relative_position": False}),
        ("no feedback P", "rmaat", {"feedback": False}),
        ("alpha 1", "rmaat", {"presynaptic_exponent": 1.0}),
        *([("alpha fitted", "rmaat", {"presynaptic_exponent": exponent})] if exponent is not None else []),
        ("AMRB all replayed", "rmaat", {"kept_segments": 0}),
        ("BPTT", "rmaat", {"backward": "bptt"}),
        ("RLT with AMRB", "rlt", {"kept_segments": 0}),
        ("RLT with BPTT", "rlt", {"backward": "bptt"}),
        ("RMT with AMRB", "rmt", {"kept_segments": 0}),
        ("RMT with BPTT", "rmt", {"backward": "bptt"}),
    ]
    plans = []
    for seed in range(seeds):
        for task in tasks:
            cuts = [(f"{n} segments", "rmaat", _cut(presets[task], lengths[task], n))
                    for n in (16, 8, 4) if task in lengths]  # fmt: skip
            plans += [Plan(task, model, seed, name, change) for name, model, change in [*changes, *cuts]]
    return plans


def _cut(preset: Mapping[str, Any], length: int, segments: int) -> dict[str, Any]:
    """Settings that cut so long an example into so many segments, and else show and keep as much as the preset does."""
    before = preset.get("segment_length", RMAATConfig.model_fields["segment_length"].default)
    size = -(-length // segments)
    found: dict[str, Any] = {"segment_length": size}
    if curriculum := preset.get("curriculum"):
        found["curriculum"] = tuple(max(1, round(shown * before / size)) for shown in curriculum)
    if kept := preset.get("kept_segments"):
        found["kept_segments"] = -(-kept * before // size)
    return found


def longest(tasks: Sequence[str], data: Path) -> dict[str, int]:
    """Symbols of the longest example of every task whose data are there."""
    found = {}
    for task in tasks:
        if (data / task / "manifest.json").is_file():
            found[task] = max(split.longest for split in load(data / task, task).manifest.splits.values())
    return found


@dataclass(frozen=True)
class Place:
    """Where things lie: folders of data (a folder a task) and of runs, the laws file, the configurations."""

    data: Path
    runs: Path
    laws: Path
    configs: Path

    def preset(self, task: str, model: str) -> dict[str, Any]:
        """What the settings file of a task says for a model."""
        path = self.configs / f"{task}.toml"
        return of_model(load_toml(path), model, str(path))


def reproduce(
    plans: Sequence[Plan], place: Place, out: Path, what: str,
    minutes: float | None = None, over: Mapping[str, Any] | None = None, replace: bool = False,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Run, or resume, one plan after the other; how each went, and the whole table in ``out`` after each.

    A finished row stays in the table where its plan cannot be run any more; what is given back says why it could not.

    Parameters
    ----------
    plans : sequence of Plan
    place : Place
    out : Path
        JSON file. Rows of other plans that it has already are kept, and what other processes add meanwhile.
    what : str
        "lra small" and the like: a file holds one kind of table.
    minutes : float, optional
        Longest sitting for a run; it goes on at the next call.
    over : mapping, optional
        Settings in place of the preset's, for trying things out or for less time. Such runs are not the preset's, and
        the table says so. What a plan changes goes on top.
    replace : bool
        Put new rows in place of finished ones that were made with other settings, data or laws.

    Raises
    ------
    InputError
        Nothing to run, or no time for it; settings files that are missing; settings that are unknown, out of bounds or
        do not fit together; a seed among ``over``; no data at all and no table; a file in the way that holds something
        else; a finished row that was made otherwise, without ``replace``.
    """
    over = over or {}
    if not plans:
        raise InputError("expected at least one run")
    if "seed" in over:
        raise InputError("seed: the number of seeds decides it; leave it out")
    if minutes is not None and not minutes > 0:
        raise InputError(f"minutes: expected more than 0, got {minutes}")
    for plan in plans:  # what is wrong is told before hours are spent
        training = RunSettings.build(_settings(plan, place, over)).training
        if training.batch % training.accumulate:
            raise InputError(
                f"batch: expected a multiple of accumulate, {training.accumulate}, got {training.batch} ({plan.task})"
            )
    if not out.exists() and all(_no_data(plan, place) for plan in plans):
        raise InputError(str(_no_data(plans[0], place)))
    rows, laws = _rows_before(out, what), Laws.load(place.laws)
    for plan in plans if not replace else ():
        row = rows.get(plan.folder, {})
        if row.get("state") == "finished" and (made := _difference(row, plan, place, laws, over)):
            raise InputError(
                f"{out}: its row {plan.folder} was made with {made}; choose another --out, or --replace such rows"
            )
    first: dict[str, str] = {}  # settings -> the folder of the plan that has them, too
    for plan in plans:
        about = {"task": plan.task, "name": plan.name, "model": plan.model, "seed": plan.seed}
        row = {**about, "changes": dict(plan.changes), "run": plan.folder}
        twin = first.setdefault(digest([plan.task, plan.model, _whole(_settings(plan, place, over))]), plan.folder)
        try:
            known = rows.get(row["run"], {})
            if twin != plan.folder:  # a change that changes nothing, as 8 segments where the preset has 8
                row = {**rows[twin], **row, "same_as": twin}
            else:
                stands = _stands(known, plan, place, laws, over)
                row = known if stands else row | _run(plan, place, laws, minutes, over)
        except InputError as error:  # a broken run or data folder stops nothing else
            row["state"] = f"failed: {error}"
        with alone(out.with_name(f".{out.name}.lock")):
            rows = _rows_before(out, what)
            if row["state"] == "finished" or rows.get(row["run"], row)["state"] != "finished":
                rows[row["run"]] = row
            table = {"schema_version": SCHEMA_VERSION, "what": what, "commit": commit(), "processor": processor()}
            write_json(out, {**table, "rows": list(rows.values())})
        yield row


def unreached(plans: Sequence[Plan], place: Place, over: Mapping[str, Any]) -> list[str]:
    """What of their schedules runs never come to, a line a task."""
    found = {plan.task: beyond(RunSettings.build(_settings(plan, place, over)).training) for plan in plans}
    return [f"{task}: {line}" for task, line in found.items() if line is not None]


def _settings(plan: Plan, place: Place, over: Mapping[str, Any]) -> dict[str, Any]:
    return {**place.preset(plan.task, plan.model), **over, **plan.changes, "seed": plan.seed}


def _rows_before(out: Path, what: str) -> dict[str, dict[str, Any]]:
    if not out.exists():
        return {}
    found = read_json(out, "table of results")
    if not isinstance(found, dict) or found.get("what") != what or found.get("schema_version") != SCHEMA_VERSION:
        held = found.get("what") if isinstance(found, dict) else None
        raise InputError(f"{out}: holds {held!r}, expected {what!r}; choose another --out")
    rows = found.get("rows")
    if not (isinstance(rows, list) and all(isinstance(row, dict) and {"run", "state"} <= row.keys() for row in rows)):
        raise InputError(f"{out}: expected 'rows', each with 'run' and 'state'")
    return {row["run"]: row for row in rows}


def _stands(row: Mapping[str, Any], plan: Plan, place: Place, laws: Laws, over: Mapping[str, Any]) -> bool:
    """Whether a row of the table is this plan's, finished elsewhere: its run folder is not here."""
    if row.get("state") != "finished" or (place.runs / plan.folder).exists():
        return False
    return _difference(row, plan, place, laws, over) is None


def _difference(row: Mapping[str, Any], plan: Plan, place: Place, laws: Laws, over: Mapping[str, Any]) -> str | None:
    """What a finished row was made with that is not asked for now; None if all is the same."""
    settings = _settings(plan, place, over)
    if found := _unlike(_whole(row.get("asked") or {}), settings):
        name, had, asked = found
        return f"{name} = {had!r}, not {asked!r}"
    if row.get("laws_digest") != _laws_digest(settings, laws):
        return "other laws"
    manifest = place.data / plan.task / "manifest.json"
    known = (row.get("data") or {}).get("digest")
    same = not manifest.is_file() or known == load(manifest.parent, plan.task).manifest.digest
    return None if same else "other data"


def _laws_digest(settings: Mapping[str, Any], laws: Laws) -> str:
    """Digest of the laws that a run with these settings has."""
    return RunSettings.build(settings).laws.apply(laws).digest


def _no_data(plan: Plan, place: Place) -> str | None:
    data = place.data / plan.task
    return None if (data / "manifest.json").is_file() else f"no data: make {data} with rmaat data {plan.task}"


def _run(plan: Plan, place: Place, laws: Laws, minutes: float | None, over: Mapping[str, Any]) -> dict[str, Any]:
    """Train, measure, and say how it went."""
    run, data = place.runs / plan.folder, place.data / plan.task
    settings = _settings(plan, place, over)
    if missing := _no_data(plan, place):
        return {"state": missing}
    if not (is_run(run) and read_run(run).finished):
        words = ["train", plan.task, "--laws", str(place.laws), "--data", str(data), "--out", str(run)]
        words += ["--model", plan.model]
        if is_run(run):
            words += ["--resume"]
        words += assignments(settings)
        words += [] if minutes is None else ["--minutes", str(minutes)]
        if (error := _rmaat(words)) is not None:
            return {"state": f"failed: {error}"}
    record = read_run(run)
    _require_asked(record, settings, laws)
    manifest = load(data, plan.task).manifest
    if manifest.digest != record.run.data.digest:
        raise InputError(f"{run}: trained on other data than {data} holds")
    if record.finished and record.evaluation is None:
        if (error := _rmaat(["evaluate", str(run), "--data", str(data)])) is not None:
            return {"state": f"failed: {error}"}
        record = read_run(run)
    run_record = record.run.dump()
    about = {
        "state": "finished" if record.finished else f"stopped at step {last_step(run)}",
        "steps": record.run.settings.steps,
        "over_preset": _as_json(over),
        "asked": _as_json(settings),
        **{name: run_record[name] for name in TAKEN},
        "data": {**run_record["data"], "settings": manifest.settings},
        "settings": {**run_record["settings"], **run_record["model_config"]},
    }
    about["data"].pop("path")
    right = read_right(record) if record.evaluation is not None else None
    about["right"] = None if right is None else packed(right)  # pairs over examples, when the run folder is gone
    summary = {} if record.summary is None else record.summary.model_dump()
    evaluation = {} if record.evaluation is None else record.evaluation.model_dump()
    return about | {name: evaluation.get(name) for name in MEASURED} | {name: summary.get(name) for name in SPENT}


def _require_asked(record: RunRecord, settings: Mapping[str, Any], laws: Laws) -> None:
    """Refuse a run of other settings or laws than the table asks for: a trial, or one from before a preset's change."""
    if found := _unlike(record.run.asked, settings):
        name, was, asked = found
        raise InputError(
            f"{record.path}: a run with {name} = {was!r}, the table asks for {asked!r}; "
            "remove it, or choose another --runs"
        )
    if record.run.laws_digest != _laws_digest(settings, laws):
        raise InputError(f"{record.path}: a run with other laws; remove it, or choose another --runs")


def _unlike(had: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first setting that is not as it is asked for, by name or by default: its name, what it was, what is asked."""
    pairs = ((name, had.get(name), asked) for name, asked in _whole(settings).items())
    return next((found for found in pairs if found[1] != found[2]), None)


def _whole(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with all that are left at their defaults, as run.json has them, but for what the data decide."""
    complete = RunSettings.build(settings).flat()
    return {name: value for name, value in complete.items() if name != "max_length" or name in settings}


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file: a tuple is a list."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def _rmaat(words: Sequence[str]) -> str | None:
    """Run a verb in a process of its own; what it complained of, if it did."""
    # On a terminal its progress line is seen as it comes, elsewhere the last line is kept for the table.
    stderr = None if on_terminal() else subprocess.PIPE
    command = [sys.executable, "-m", "rmaat", *words]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, text=True) as process,
        passed_on(process) as passed,
    ):
        _, told = process.communicate()
    if signal.SIGTERM in passed:
        raise SystemExit(128 + signal.SIGTERM)
    if passed or process.returncode == 128 + signal.SIGINT:
        raise KeyboardInterrupt
    if process.returncode in (0, 128 + signal.SIGTERM):  # stopped, with a checkpoint to go on from
        return None
    lines = [line for line in (told or "").strip().splitlines() if line]
    return lines[-1] if lines else f"exit status {process.returncode}"


def _check(tasks: Sequence[str], seeds: int) -> None:
    for task in tasks:
        require_known("task", task, TASKS)
    if seeds < 1:
        raise InputError(f"seeds: expected at least 1, got {seeds}")
