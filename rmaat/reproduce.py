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
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from astro_sim.common.errors import InputError
from astro_sim.common.files import alone, digest, read_json, write_json
from astro_sim.common.machine import commit, processor
from astro_sim.common.progress import on_terminal
from astro_sim.common.settings import assignments
from bridge.laws import Laws
from rmaat.plans import Place, Plan
from rmaat.records import (
    Best,
    Count,
    Number,
    Record,
    RunRecord,
    Sitting,
    Text,
    is_run,
    last_step,
    packed,
    read_right,
    read_run,
)
from rmaat.settings import RunSettings
from rmaat.signals import passed_on
from rmaat.tasks.data_folder import load

SCHEMA_VERSION = 1
FINISHED = "finished"
# What a row of a table takes from run.json, evaluation.json and summary.json.
TAKEN = ("parameters", "machine", "commit", "versions", "sittings", "laws_digest")
MEASURED = ("accuracy", "majority", "first_symbol", "loss", "examples")
SPENT = ("tokens", "padding", "idle_segments", "seconds", "waited", "memory_mb", "weights_of_step", "best")


class Row(Record):
    """A run in the table; what its run folder does not say yet is not there."""

    task: Text
    name: Text
    model: Text
    seed: Count
    changes: dict[str, Any]
    run: Text = Field(description="`Plan.folder`, which tells rows apart")
    state: Text = Field(description='"finished", or why it is not')

    steps: Count | None = None
    over_preset: dict[str, Any] = Field({}, description="settings in place of the preset's")
    asked: dict[str, Any] = Field({}, description="all settings, flat, but for those left at their defaults")
    parameters: Count | None = None
    machine: dict[str, Text] | None = None
    commit: Text | None = None
    versions: dict[str, Text] | None = None
    sittings: list[Sitting] | None = None
    laws_digest: Text | None = None
    data: dict[str, Any] = Field({}, description="as run.json has them but for their path, and the task's settings")
    settings: dict[str, Any] = Field({}, description="as built, with nothing left open")
    right: Text | None = Field(None, description="of `packed`: for pairs over examples, when the run folder is gone")

    accuracy: Number | None = None
    majority: Number | None = None
    first_symbol: Number | None = None
    loss: Number | None = None
    examples: Count | None = None

    tokens: Count | None = None
    padding: Number | None = None
    idle_segments: Number | None = None
    seconds: Number | None = None
    waited: Number | None = None
    memory_mb: Number | None = None
    weights_of_step: Count | None = None
    best: Best | None = None

    same_as: Text | None = Field(None, description="the row whose run is this one's, too")

    @classmethod
    def of(cls, plan: Plan, state: str, **known: Any) -> Self:
        """The row of a plan."""
        about = {"task": plan.task, "name": plan.name, "model": plan.model, "seed": plan.seed}
        return cls(**about, changes=dict(plan.changes), run=plan.folder, state=state, **known)

    @property
    def finished(self) -> bool:
        """Whether it has all that it will ever have."""
        return self.state == FINISHED

    def dump(self) -> dict[str, Any]:
        """What the table's file holds of it: nothing that is not there yet."""
        return self.model_dump(mode="json", exclude_unset=True)


def reproduce(
    plans: Sequence[Plan], place: Place, out: Path, what: str,
    minutes: float | None = None, over: Mapping[str, Any] | None = None, replace: bool = False,
) -> Iterator[Row]:  # fmt: skip
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
    asked = [place.settings(plan, over) for plan in plans]
    for plan, settings in zip(plans, asked, strict=True):  # what is wrong is told before hours are spent
        training = RunSettings.build(settings).training
        if training.batch % training.accumulate:
            raise InputError(
                f"batch: expected a multiple of accumulate, {training.accumulate}, got {training.batch} ({plan.task})"
            )
    if not out.exists() and all(map(place.missing, plans)):
        raise InputError(str(place.missing(plans[0])))
    rows, laws = read_rows(out, what), Laws.load(place.laws)
    for plan, settings in zip(plans, asked, strict=True) if not replace else ():
        row = rows.get(plan.folder)
        if row is not None and row.finished and (made := _difference(row, plan, settings, place, laws)):
            raise InputError(
                f"{out}: its row {plan.folder} was made with {made}; choose another --out, or --replace such rows"
            )
    first: dict[str, str] = {}  # settings -> the folder of the plan that has them, too
    for plan, settings in zip(plans, asked, strict=True):
        twin = first.setdefault(digest([plan.task, plan.model, _complete(settings)]), plan.folder)
        before = rows.get(plan.folder)
        try:
            if twin != plan.folder:  # a change that changes nothing, as 8 segments where the preset has 8
                same = rows[twin]
                row = same.model_copy(update={**Row.of(plan, same.state).dump(), "same_as": twin})
            elif (
                before is not None
                and before.finished
                and not (place.runs / plan.folder).exists()  # finished elsewhere
                and _difference(before, plan, settings, place, laws) is None
            ):
                row = before
            else:
                row = _run(plan, settings, place, laws, minutes, over)
        except InputError as error:  # a broken run or data folder stops nothing else
            row = Row.of(plan, f"failed: {error}")
        with alone(out.with_name(f".{out.name}.lock")):
            rows = read_rows(out, what)
            if row.finished or not (plan.folder in rows and rows[plan.folder].finished):
                rows[plan.folder] = row
            table = {"schema_version": SCHEMA_VERSION, "what": what, "commit": commit(), "processor": processor()}
            write_json(out, {**table, "rows": [row.dump() for row in rows.values()]})
        yield row


def read_rows(out: Path, what: str) -> dict[str, Row]:
    """The rows of a table by their runs; none where there is no table yet.

    Raises
    ------
    InputError
        A table of something else than ``what``, or a row that is broken.
    """
    if not out.exists():
        return {}
    table = read_json(out, "table of results")
    if not isinstance(table, dict) or table.get("what") != what or table.get("schema_version") != SCHEMA_VERSION:
        held = table.get("what") if isinstance(table, dict) else None
        raise InputError(f"{out}: holds {held!r}, expected {what!r}; choose another --out")
    listed = table.get("rows")
    if not (
        isinstance(listed, list) and all(isinstance(row, dict) and {"run", "state"} <= row.keys() for row in listed)
    ):
        raise InputError(f"{out}: expected 'rows', each with 'run' and 'state'")
    rows = [Row.parse(row, f"{out}, row {number}") for number, row in enumerate(listed, start=1)]
    return {row.run: row for row in rows}


def _difference(row: Row, plan: Plan, settings: Mapping[str, Any], place: Place, laws: Laws) -> str | None:
    """What a finished row was made with that is not asked for now; None if all is the same."""
    if unlike := _unlike(_complete(row.asked), settings):
        name, was, asked = unlike
        return f"{name} = {was!r}, not {asked!r}"
    if row.laws_digest != _laws_digest(settings, laws):
        return "other laws"
    if place.missing(plan):
        return None
    now = load(place.data / plan.task, plan.task).manifest.digest
    return None if row.data.get("digest") == now else "other data"


def _laws_digest(settings: Mapping[str, Any], laws: Laws) -> str:
    """Digest of the laws that a run with these settings has."""
    return RunSettings.build(settings).laws.apply(laws).digest


def _run(
    plan: Plan, settings: Mapping[str, Any], place: Place, laws: Laws, minutes: float | None, over: Mapping[str, Any]
) -> Row:
    """Train, measure, and say how it went."""
    run, data = place.runs / plan.folder, place.data / plan.task
    if missing := place.missing(plan):
        return Row.of(plan, missing)
    if not (is_run(run) and read_run(run).finished):
        words = ["train", plan.task, "--laws", str(place.laws), "--data", str(data), "--out", str(run)]
        words += ["--model", plan.model]
        if is_run(run):
            words += ["--resume"]
        words += assignments(settings)
        words += [] if minutes is None else ["--minutes", str(minutes)]
        if (error := _rmaat(words)) is not None:
            return Row.of(plan, f"failed: {error}")
    record = read_run(run)
    _require_asked(record, settings, laws)
    manifest = load(data, plan.task).manifest
    if manifest.digest != record.run.data.digest:
        raise InputError(f"{run}: trained on other data than {data} holds")
    if record.finished and record.evaluation is None:
        if (error := _rmaat(["evaluate", str(run), "--data", str(data)])) is not None:
            return Row.of(plan, f"failed: {error}")
        record = read_run(run)
    right = None if record.evaluation is None else read_right(record)
    return Row.of(
        plan,
        FINISHED if record.finished else f"stopped at step {last_step(run)}",
        steps=record.run.settings.steps,
        over_preset=dict(over),
        asked=settings,
        **{name: getattr(record.run, name) for name in TAKEN},
        data={**record.run.data.model_dump(exclude={"path"}), "settings": manifest.settings},
        settings=record.run.settings.model_dump(mode="json") | record.run.config.model_dump(mode="json"),
        right=None if right is None else packed(right),
        # All None where it is not measured, or not finished, yet.
        **{name: getattr(record.evaluation, name, None) for name in MEASURED},
        **{name: getattr(record.summary, name, None) for name in SPENT},
    )


def _require_asked(record: RunRecord, settings: Mapping[str, Any], laws: Laws) -> None:
    """Refuse a run of other settings or laws than the table asks for: a trial, or one from before a preset's change."""
    if unlike := _unlike(record.run.asked, settings):
        name, was, asked = unlike
        raise InputError(
            f"{record.path}: a run with {name} = {was!r}, the table asks for {asked!r}; "
            "remove it, or choose another --runs"
        )
    if record.run.laws_digest != _laws_digest(settings, laws):
        raise InputError(f"{record.path}: a run with other laws; remove it, or choose another --runs")


def _unlike(had: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first setting that is not as it is asked for, by name or by default: its name, what it was, what is asked."""
    pairs = ((name, had.get(name), asked) for name, asked in _complete(settings).items())
    return next(((name, was, asked) for name, was, asked in pairs if was != asked), None)


def _complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with all that are left at their defaults, as run.json has them, but for what the data decide."""
    flat = RunSettings.build(settings).flat()
    return {name: value for name, value in flat.items() if name != "max_length" or name in settings}


def _rmaat(words: Sequence[str]) -> str | None:
    """Run a verb in a process of its own; what it complained of, if it did."""
    # On a terminal its progress line is seen as it comes, elsewhere the last line is kept for the table.
    stderr = None if on_terminal() else subprocess.PIPE
    command = [sys.executable, "-m", "rmaat", *words]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr, text=True) as process,
        passed_on(process) as passed,
    ):
        _, complaint = process.communicate()
    if signal.SIGTERM in passed:
        raise SystemExit(128 + signal.SIGTERM)
    if passed or process.returncode == 128 + signal.SIGINT:
        raise KeyboardInterrupt
    if process.returncode in (0, 128 + signal.SIGTERM):  # stopped, with a checkpoint to go on from
        return None
    lines = [line for line in (complaint or "").strip().splitlines() if line]
    return lines[-1] if lines else f"exit status {process.returncode}"
