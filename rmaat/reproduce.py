"""The paper's experiments, run or resumed: the table of the Long Range Arena, and the ablations.

Every run is a run folder of its own, trained by `rmaat train` and measured by `rmaat evaluate` in a process of its own,
so that its peak of memory is its own and a failure stops nothing else. After each one the whole result is written
anew, so whatever is finished is in it. What is finished is not run again: neither a run folder nor a row of the table
whose run folder is gone, as on another machine, if it was made with the same settings, data and laws.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astro_sim.common.errors import InputError, require_known
from astro_sim.common.files import digest, read_json, write_json
from astro_sim.common.machine import commit, processor
from astro_sim.common.settings import load_toml
from bridge.laws import Laws
from rmaat.config import MODELS
from rmaat.records import RunRecord, is_run, packed, read_right, read_run
from rmaat.tasks.storage import load
from rmaat.training.settings import LawSettings, build_settings, of_model

TASKS = ("listops", "text", "retrieval", "image", "pathfinder")
PRESETS = {"small": "lra-small", "paper": "lra"}
SCHEMA_VERSION = 1
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


def ablations(tasks: Sequence[str], seeds: int, laws: Laws, lengths: Mapping[str, int]) -> list[Plan]:
    """What each part of RMAAT is worth; ``lengths`` are the longest examples of the tasks, to cut into segments."""
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
        ("AMRB, all replayed", "rmaat", {"kept_segments": 0}),
        ("BPTT", "rmaat", {"backward": "bptt"}),
        ("RLT with AMRB", "rlt", {"kept_segments": 0}),
        ("RLT with BPTT", "rlt", {"backward": "bptt"}),
        ("RMT with AMRB", "rmt", {"kept_segments": 0}),
        ("RMT with BPTT", "rmt", {"backward": "bptt"}),
    ]
    plans = []
    for seed in range(seeds):
        for task in tasks:
            cuts = [(f"{n} segments", "rmaat", {"segment_length": -(-lengths[task] // n)})
                    for n in (16, 8, 4) if task in lengths]  # fmt: skip
            plans += [Plan(task, model, seed, name, change) for name, model, change in [*changes, *cuts]]
    return plans


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

    def config(self, task: str) -> Path:
        """Settings file of a task."""
        return self.configs / f"{task}.toml"


def reproduce(
    plans: Sequence[Plan], place: Place, out: Path, what: str,
    minutes: float | None = None, over: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Run, or resume, one plan after the other; a row each, and the whole table in ``out`` after each.

    Parameters
    ----------
    plans : sequence of Plan
    place : Place
    out : Path
        JSON file. Rows of other plans that it has already are kept.
    what : str
        "lra small" and the like: a file holds one kind of table.
    minutes : float, optional
        Longest sitting for a run; it goes on at the next call.
    over : mapping, optional
        Settings in place of the preset's, for trying things out or for less time. Such runs are not the preset's, and
        the table says so. What a plan changes goes on top.

    Raises
    ------
    InputError
        Settings files that are missing; settings that are unknown or out of bounds; a seed among ``over``; no data at
        all and no table; a file in the way that holds something else.
    """
    over = over or {}
    if "seed" in over:
        raise InputError("seed: the number of seeds decides it; leave it out")
    for plan in plans:  # what is wrong is told before hours are spent
        build_settings(_settings(plan, place, over), vocabulary=2, classes=2)
    if not out.exists() and all(_no_data(plan, place) for plan in plans):
        raise InputError(str(_no_data(plans[0], place)))
    rows = _rows_before(out, what)
    laws = Laws.load(place.laws)
    first: dict[str, str] = {}  # settings -> the folder of the plan that has them, too
    for plan in plans:
        about = {"task": plan.task, "name": plan.name, "model": plan.model, "seed": plan.seed}
        row = {**about, "changes": dict(plan.changes), "run": plan.folder}
        twin = first.setdefault(digest([plan.task, plan.model, _as_json(_settings(plan, place, over))]), plan.folder)
        try:
            known = rows.get(row["run"], {})
            if twin != plan.folder:  # a change that changes nothing, as 8 segments where the preset has 8
                row = {**rows[twin], **row, "same_as": twin}
            else:
                row = known if _stands(known, plan, place, laws, over) else row | _run(plan, place, minutes, over)
        except InputError as error:  # a broken run or data folder stops nothing else
            row["state"] = f"failed: {error}"
        before = rows.get(row["run"], row)
        if before["state"] == "finished" and row["state"] != "finished":
            row = {**before, "note": f"as it was written before; now {row['state']}"}
        rows[row["run"]] = row
        table = {"schema_version": SCHEMA_VERSION, "what": what, "commit": commit(), "processor": processor()}
        write_json(out, {**table, "rows": list(rows.values())})
        yield row


def _settings(plan: Plan, place: Place, over: Mapping[str, Any]) -> dict[str, Any]:
    path = place.config(plan.task)
    return {**of_model(load_toml(path), plan.model, str(path)), **over, **plan.changes, "seed": plan.seed}


def _rows_before(out: Path, what: str) -> dict[str, dict[str, Any]]:
    if not out.exists():
        return {}
    found = read_json(out, "table of results")
    if not isinstance(found, dict) or found.get("what") != what or found.get("schema_version") != SCHEMA_VERSION:
        held = found.get("what") if isinstance(found, dict) else None
        raise InputError(f"{out}: holds {held!r}, expected {what!r}; choose another --out")
    return {row["run"]: row for row in found["rows"]}


def _stands(row: Mapping[str, Any], plan: Plan, place: Place, laws: Laws, over: Mapping[str, Any]) -> bool:
    """Whether a row of the table is this plan's, finished elsewhere: its run folder is not here."""
    if row.get("state") != "finished" or (place.runs / plan.folder).exists():
        return False
    settings = _settings(plan, place, over)
    perturbed = {name: value for name, value in plan.changes.items() if name.startswith("laws.")}
    expected = (
        LawSettings(**{name.removeprefix("laws."): value for name, value in perturbed.items()}).apply(laws).digest
    )
    manifest = place.data / plan.task / "manifest.json"
    if row.get("asked") != _as_json(settings) or row.get("laws_digest") != expected:
        return False
    had = (row.get("data") or {}).get("digest")
    return not manifest.is_file() or had == load(manifest.parent, plan.task).manifest.digest


def _no_data(plan: Plan, place: Place) -> str | None:
    data = place.data / plan.task
    return None if (data / "manifest.json").is_file() else f"no data: make {data} with rmaat data {plan.task}"


def _run(plan: Plan, place: Place, minutes: float | None, over: Mapping[str, Any]) -> dict[str, Any]:
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
        words += [word for name, value in settings.items() for word in ("--set", f"{name}={_written(value)}")]
        words += [] if minutes is None else ["--minutes", str(minutes)]
        if (error := _rmaat(words)) is not None:
            return {"state": f"failed: {error}"}
    record = read_run(run)
    _require_asked(record, settings)
    manifest = load(data, plan.task).manifest
    if manifest.digest != record.run["data"]["digest"]:
        raise InputError(f"{run}: trained on other data than {data} holds")
    if record.finished and record.evaluation is None:
        if (error := _rmaat(["evaluate", str(run), "--data", str(data)])) is not None:
            return {"state": f"failed: {error}"}
        record = read_run(run)
    done = max((int(each["step"]) for each in record.metrics), default=0)
    about = {
        "state": "finished" if record.finished else f"stopped at step {done}",
        "steps": record.run["settings"]["steps"],
        "over_preset": _as_json(over),
        "asked": _as_json(settings),
        "parameters": record.run["parameters"],
        "machine": record.run["machine"],
        "commit": record.run.get("commit"),
        "versions": record.run["versions"],
        "laws_digest": record.run["laws_digest"],
        "data": {**record.run["data"], "settings": manifest.settings},
        "settings": {**record.run["settings"], **record.run["model_config"]},
    }
    about["data"].pop("path")
    right = read_right(record) if record.evaluation is not None else None
    about["right"] = None if right is None else packed(right)  # pairs over examples, when the run folder is gone
    summary, evaluation = record.summary or {}, record.evaluation or {}
    for name in ("accuracy", "majority", "first_symbol", "loss", "examples"):
        about[name] = evaluation.get(name)
    for name in ("tokens", "padding", "idle_segments", "seconds", "waited", "memory_mb", "weights_of_step", "best"):
        about[name] = summary.get(name)
    return about


def _require_asked(record: RunRecord, settings: Mapping[str, Any]) -> None:
    """Refuse a run of other settings than the table asks for: a trial, or one from before a preset was changed."""
    had = {**record.run["model_settings"], **record.run["settings"]}
    had |= {f"laws.{name}": value for name, value in record.run["laws"].items()}
    for name, value in _as_json(settings).items():
        if had.get(name) != value:
            raise InputError(
                f"{record.path}: a run with {name} = {had.get(name)!r}, the table asks for {value!r}; "
                "remove it, or choose another --runs"
            )


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file: a tuple is a list."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def _rmaat(words: Sequence[str]) -> str | None:
    """Run a verb in a process of its own; what it complained of, if it did."""
    # On a terminal its progress line is seen as it comes, elsewhere the last line is kept for the table.
    stderr = None if sys.stderr.isatty() else subprocess.PIPE
    command = [sys.executable, "-m", "rmaat", *words]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=stderr, text=True, check=False)
    if done.returncode == 130:
        raise KeyboardInterrupt
    lines = [line for line in (done.stderr or "").strip().splitlines() if line]
    return None if done.returncode == 0 else (lines[-1] if lines else f"exit status {done.returncode}")


def _written(value: Any) -> str:
    """A setting as ``--set`` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(list(value) if isinstance(value, tuple) else value)


def _check(tasks: Sequence[str], seeds: int) -> None:
    for task in tasks:
        require_known("task", task, TASKS)
    if seeds < 1:
        raise InputError(f"seeds: expected at least 1, got {seeds}")
