"""Runs as arms: what is compared is a model with its settings and laws; runs of one arm differ in their seed alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from astro_sim.common.files import digest, read_json, walk
from rmaat.records import RunRecord, is_run, read_right, read_run, unpacked
from rmaat.settings import DECIDED

EXPECTED = "expected run folders, folders of them, or tables that rmaat reproduce wrote (.json)"
NEUTRAL = ("seed", "device", "log_every", "checkpoint_every", "tensorboard")  # no arm of their own
IN_A_ROW = {
    "task": str, "model": str, "name": str, "seed": int, "data": dict, "asked": dict, "settings": dict,
    "laws_digest": str, "accuracy": (float, int), "examples": int,
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One evaluated run.

    Attributes
    ----------
    label : str
        Its path, or table and row.
    task, model : str
    seed : int
    data, laws : str
        Digests.
    asked, built : mapping
        Settings as asked for, and with nothing left open; without those that change no result.
    row : str or None
        What its table calls it.
    accuracy : float
    examples : int
        Of the test split.
    bits : float or None
        Bits a token, of a language model.
    answers : array of bool (examples,) or None
        Which examples are right, in the order of the test split.
    commit : str or None
    """

    label: str
    task: str
    model: str
    seed: int
    data: str
    laws: str
    asked: Mapping[str, Any]
    built: Mapping[str, Any]
    row: str | None
    accuracy: float
    examples: int
    bits: float | None = None
    answers: NDArray[np.bool_] | None = None
    commit: str | None = None

    @property
    def arm(self) -> str:
        """Digest of what makes its arm: everything but the seed."""
        return digest([self.model, self.laws, dict(self.built)])

    @property
    def right(self) -> int:
        """Examples that are right."""
        return round(self.accuracy * self.examples)


def split(read: Iterable[Result | str]) -> tuple[list[Result], list[str]]:
    """Results in the order given, and the sentence for each run that has none."""
    both = list(read)
    return [one for one in both if isinstance(one, Result)], [one for one in both if isinstance(one, str)]


def find(paths: Sequence[str | Path]) -> tuple[list[Result], list[str]]:
    """Read the results of runs and tables, as `split` gives them; a run that is given twice is taken once.

    Raises
    ------
    InputError
        A path of another kind, a folder without runs, or a broken file.
    """
    if not paths:
        raise InputError(f"compare: no path given; {EXPECTED}")
    files: dict[Path, Path] = {}
    for path in (path for given in paths for path in _candidates(Path(given))):
        files.setdefault(path.resolve(), path)
    return split(
        one for path in files.values() for one in (_of_table(path) if path.is_file() else [of_run(read_run(path))])
    )


def of_run(run: RunRecord) -> Result | str:
    """The result of a run, or a sentence that says why it has none.

    Raises
    ------
    InputError
        Predictions that are broken or of another evaluation.
    """
    if not run.finished:
        return f"{run.path}: not finished; go on with rmaat train ... --resume"
    if run.evaluation is None:
        return f"{run.path}: not evaluated; make it with rmaat evaluate {run.path}"
    asked, evaluation = run.run, run.evaluation
    # By its task: seeds that began with weights of as many seeds are one arm.
    start = {} if asked.init_from is None else {"init_from": asked.init_from.task}
    built = {**asked.settings.model_dump(mode="json"), **asked.config.model_dump(mode="json"), **start}
    return Result(
        label=str(run.path),
        task=asked.task,
        model=asked.model,
        seed=asked.settings.seed,
        data=asked.data.digest,
        laws=asked.laws_digest,
        asked={
            name: value for name, value in _effective(asked.asked | start).items() if name not in asked.without_effect
        },
        built=_effective(built),
        row=None,
        accuracy=evaluation.accuracy,
        examples=evaluation.examples,
        bits=evaluation.bits_per_token,
        answers=None if evaluation.bits_per_token is not None else read_right(run),
        commit=asked.commit,
    )


def arms(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Results by the names of their arms, in the order of their first runs; seeds in order.

    Raises
    ------
    InputError
        A seed that an arm has twice.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.arm, []).append(result)
    names = _names([group[0] for group in groups.values()])
    for name, group in zip(names, groups.values(), strict=True):
        group.sort(key=lambda result: result.seed)
        for one, other in pairwise(group):
            if one.seed == other.seed:
                raise InputError(
                    f"{other.label}: seed {other.seed} of {name} a second time (first: {one.label}); give each run once"
                )
    return dict(zip(names, groups.values(), strict=True))


def _candidates(given: Path) -> list[Path]:
    """The tables and run folders that ``given`` stands for."""
    if not given.exists():
        raise InputError(f"{given}: no such file or folder; {EXPECTED}")
    if given.is_file() and given.suffix != ".json":
        raise InputError(f"{given}: no run; {EXPECTED}")
    if given.is_file() or is_run(given):
        return [given]
    runs = []
    for at, folders, _ in walk(given):
        inside = [name for name in folders if is_run(at / name)]
        folders[:] = [name for name in folders if name not in inside]
        runs += [at / name for name in inside]
    if not runs:
        raise InputError(f"{given}: no run in this folder; {EXPECTED}")
    return sorted(runs)


def _of_table(path: Path) -> Iterator[Result | str]:
    raw = read_json(path, "table of results")
    rows = raw.get("rows") if isinstance(raw, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "state" in row for row in rows):
        raise InputError(f"{path}: not a table of rmaat reproduce; {EXPECTED}")
    yield from of_rows(rows, str(path))


def of_rows(rows: Sequence[Mapping[str, Any]], where: str) -> Iterator[Result | str]:
    """The results of the rows of a table, or for each the sentence that says why it has none.

    Raises
    ------
    InputError
        A row that lacks something or contradicts itself; ``where`` names the table.
    """
    for number, row in enumerate(rows, start=1):
        label = f"{where}, row {number} ({row.get('task')}, {row.get('name')}, seed {row.get('seed')})"
        if row.get("same_as") is not None:
            yield f"{label}: the same run as {row['same_as']}"
            continue
        if row["state"] != "finished" or row.get("accuracy") is None:
            yield f"{label}: {row['state'] if row['state'] != 'finished' else 'not evaluated'}"
            continue
        for name, kind in IN_A_ROW.items():
            if not isinstance(row.get(name), kind):
                wanted = kind.__name__ if isinstance(kind, type) else " or ".join(one.__name__ for one in kind)
                raise InputError(f"{label}: expected {name!r}, a {wanted}")
        if not 0 <= row["accuracy"] <= 1:
            raise InputError(f"{label}: accuracy: expected a share, got {row['accuracy']}")
        yield Result(
            label=label,
            task=row["task"],
            model=row["model"],
            seed=row["seed"],
            data=str(row["data"].get("digest")),
            laws=row["laws_digest"],
            asked=_effective(row["asked"]),
            built=_effective(row["settings"]),
            row=row["name"],
            accuracy=row["accuracy"],
            examples=row["examples"],
            answers=_right(row, label),
            commit=row.get("commit"),
        )


def _right(row: Mapping[str, Any], label: str) -> NDArray[np.bool_] | None:
    """Which examples a row of a table has right; None where its run kept no predictions."""
    if row.get("right") is None:
        return None
    try:
        right = unpacked(row["right"], row["examples"])
    except InputError as error:
        raise InputError(f"{label}: right: {error}") from None
    if right.sum() != round(row["accuracy"] * row["examples"]):
        raise InputError(f"{label}: right: {right.sum()} of {len(right)} examples, the accuracy says otherwise")
    return right


def _effective(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in NEUTRAL}


def _names(arms: list[Result]) -> list[str]:
    """A name for each arm: that of its table, else the model and the settings that were asked for and differ."""
    rows = [arm.row for arm in arms if arm.row is not None]
    if len(set(rows)) == len(arms):
        return rows
    differing = _differing([arm.asked for arm in arms])
    if len({arm.row is None for arm in arms}) > 1:  # tables tell what was asked, runs what was left open, too
        differing = [name for name in differing if all(name in arm.asked for arm in arms)]
    names = []
    for arm in arms:
        settings = [_setting(arm.asked, name) for name in differing if arm.asked.get(name) is not None]
        alike = {other.laws for other in arms if _laws_asked(other) == _laws_asked(arm)}
        names.append(", ".join([arm.model, *settings, *([f"laws={arm.laws[:8]}"] if len(alike) > 1 else [])]))
    apart = []
    for arm, name in zip(arms, names, strict=True):  # what was built differently, where another has the same name
        same = [other.built for other, its in zip(arms, names, strict=True) if its == name]
        apart.append(", ".join([name, *(_setting(arm.built, built) for built in _differing(same))]))
    return apart


def _differing(settings: list[Mapping[str, Any]]) -> list[str]:
    """Names of settings that are not the same in all."""
    known = dict.fromkeys(name for one in settings for name in one if name not in DECIDED)
    return [name for name in known if len({_setting(one, name) for one in settings}) > 1]


def _laws_asked(arm: Result) -> tuple[Any, ...]:
    return tuple(arm.asked.get(f"laws.{name}") for name in ("perturbed", "factor", "seed"))


def _setting(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    if isinstance(value, bool) or value is None:
        return f"{name}={'default' if value is None else str(value).lower()}"
    return f"{name}={':'.join(map(str, value)) if isinstance(value, list | tuple) else value}"
