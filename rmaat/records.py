"""The run folder: what a training run leaves behind for people, the report and a resume.

    RUN/run.json             what was asked: task, model, every setting, data, laws digest, versions, machine, sittings
    RUN/laws.json            the laws the model was built with
    RUN/laws.trained.json    where training moved them, if it was allowed to
    RUN/start.safetensors    the weights it began with, if they were another run's
    RUN/metrics.jsonl        one line a logged step: split, step, loss, accuracy, ..., parameters of trainable laws
    RUN/model.safetensors    the weights at the end (settings: of the best validation, or the last), the laws' digest
    RUN/summary.json         how it ended: steps, tokens, seconds, memory, the best validation
    RUN/evaluation.json      accuracy on the test split, written by `rmaat evaluate`
    RUN/predictions.npy      what it answered there and what was right, for paired comparisons; by `rmaat evaluate` too
    RUN/diagnostics.json     how its memory works, written by `rmaat inspect`
    RUN/checkpoints/         what `--resume` continues from
    RUN/tensorboard/         event files, where asked for

This module reads it without importing torch.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError, brief
from astro_sim.common.files import read_array, read_json
from astro_sim.common.settings import Settings
from bridge.laws import Laws
from rmaat.config import RMAATConfig
from rmaat.training.settings import LawSettings, TrainSettings

SCHEMA_VERSION = 3
TRAINED_LAWS = "laws.trained.json"
START, WEIGHTS = "start.safetensors", "model.safetensors"
METRICS = "metrics.jsonl"
PREDICTIONS = "predictions.npy"  # classes answered and labels of the test split, (2, examples)
EVALUATION = "evaluation.json"
DIAGNOSTICS, DIAGNOSTICS_VERSION = "diagnostics.json", 1
SUMMARY, SUMMARY_VERSION = "summary.json", 1
# Of run.json, by name; behind a dot what is inside.
REQUIRED = {
    "task": str, "model": str, "settings": dict, "laws": dict, "model_settings": dict, "model_config": dict,
    "data": dict, "laws_digest": str, "data.path": str, "data.digest": str,
}  # fmt: skip
OPTIONAL = {
    "parameters": int, "position_parameters": int, "without_effect": list[str], "commit": str,
    "versions": dict[str, str], "machine": dict[str, str], "sittings": list[dict], "data.segments": int,
    "data.longest": int, "data.train": int, "data.valid": int, "data.test": int, "init_from": dict,
    "init_from.path": str, "init_from.digest": str, "init_from.task": str, "init_from.anew": list[str],
}  # fmt: skip
SETTINGS: dict[str, type[Settings]] = {
    "settings": TrainSettings, "laws": LawSettings, "model_config": RMAATConfig, "model_settings": RMAATConfig,
}  # fmt: skip
NAMES = {str: "a str", dict: "a dict", int: "an int"}
LARGEST = 1e15  # of the numbers that are read: all are counts, seconds, losses or shares


@dataclass(frozen=True)
class RunRecord:
    """A run folder, read.

    Attributes
    ----------
    path : Path
    run : dict
        Contents of run.json: ``task``, ``model``, ``settings``, ``laws`` (what was done with them), ``model_settings``
        (as asked), ``model_config`` (nothing left open, as built), ``without_effect`` (settings that were given and
        that this model has no use for), ``data``, ``laws_digest``, ``commit`` (of a checkout),
        ``parameters`` and ``position_parameters`` (their numbers), ``init_from`` (None, or the ``path``, ``digest``
        and ``task`` of the weights that it began with, and which parts are ``anew``), ``versions``, ``machine``,
        and ``sittings``: ``from_step``, commit, versions and machine of the start and of each resume.
    laws, trained_laws : Laws or None
        Before training, and after it where it moved them.
    metrics : list of dict
        Each with ``split`` ("train" or "valid"), ``step``, ``loss``, ``accuracy`` and ``seconds``.
    evaluation : dict or None
        ``split``, ``accuracy``, ``loss``, ``examples``, ``majority`` (share of the most frequent class), ``step``; of
        language models also ``bits_per_token``.
    diagnostics : dict or None
        ``split``, ``examples``, and what `rmaat.diagnostics.look` says: ``influence``, ``memory_norm`` and ``first``.
    summary : dict or None
        Of a finished run: ``end`` ("steps" or "patience"), ``steps`` done, ``weights_of_step``, ``best`` validation,
        ``tokens`` seen (padding not among them), ``padding`` and ``idle_segments`` (shares), ``seconds`` of training
        steps, ``waited`` (of those, for data) and ``memory_mb``.
    finished : bool
        Whether the final weights are there.
    """

    path: Path
    run: dict[str, Any]
    laws: Laws | None
    trained_laws: Laws | None
    metrics: list[dict[str, Any]]
    evaluation: dict[str, Any] | None
    diagnostics: dict[str, Any] | None
    summary: dict[str, Any] | None
    finished: bool


def checkpoints(run: Path) -> list[Path]:
    """Folders of a run's checkpoints, the newest last; what else lies there is passed over."""
    found = (run / "checkpoints").glob("step-*")
    return sorted((each for each in found if re.fullmatch("step-[0-9]+", each.name) and each.is_dir()), key=step_of)


def last_step(run: Path) -> int:
    """Steps done at the newest checkpoint; 0 if there is none."""
    return max(map(step_of, checkpoints(run)), default=0)


def step_of(checkpoint: Path) -> int:
    """Steps done at a checkpoint, which its folder is named after."""
    return int(checkpoint.name.removeprefix("step-"))


def is_run(path: str | Path) -> bool:
    """Whether ``path`` looks like a run folder."""
    return (Path(path) / "run.json").is_file()


def read_run(path: str | Path) -> RunRecord:
    """Read a run folder, finished or not.

    Raises
    ------
    InputError
        No run.json, another schema version, or a broken file inside.
    """
    path = Path(path)
    if path.is_file():
        raise InputError(f"{path}: a file; expected a run folder, as rmaat train makes it")
    if not path.is_dir():
        raise InputError(f"{path}: no such run folder")
    run = read_json(path / "run.json", "run record (run.json)")
    if not isinstance(run, dict) or run.get("schema_version") != SCHEMA_VERSION:
        version = run.get("schema_version") if isinstance(run, dict) else None
        raise InputError(f"{path / 'run.json'}: run schema {brief(version)}; this version reads {SCHEMA_VERSION}")
    _require_run(run, path / "run.json")
    laws, trained = path / "laws.json", path / TRAINED_LAWS
    return RunRecord(
        path=path,
        run=run,
        laws=Laws.load(laws) if laws.is_file() else None,
        trained_laws=Laws.load(trained) if trained.is_file() else None,
        metrics=read_metrics(path / METRICS),
        evaluation=_read_evaluation(path / EVALUATION),
        diagnostics=_read_diagnostics(path / DIAGNOSTICS),
        summary=_read_summary(path / SUMMARY),
        finished=(path / WEIGHTS).is_file(),
    )


def read_right(run: RunRecord) -> NDArray[np.bool_] | None:
    """Which test examples an evaluated run has right, in the order of the split; None where that was not kept.

    Raises
    ------
    InputError
        Predictions that are broken, or of another evaluation.
    """
    path, evaluation = run.path / PREDICTIONS, run.evaluation
    if not path.is_file():
        return None
    both = read_array(path)
    if evaluation is None:
        raise InputError(f"{path}: without {EVALUATION}; make both with rmaat evaluate {run.path}")
    if both.shape != (2, evaluation["examples"]) or not np.issubdtype(both.dtype, np.integer):
        raise InputError(f"{path}: expected whole numbers (2, {evaluation['examples']}), got {both.dtype} {both.shape}")
    right = both[0] == both[1]
    if right.sum() != round(evaluation["accuracy"] * len(right)):
        raise InputError(
            f"{path}: of another evaluation than evaluation.json; make both with rmaat evaluate {run.path}"
        )
    return right


def packed(right: NDArray[np.bool_]) -> str:
    """Which examples are right as text for a table: a bit an example, the first one highest, in base64.

    Examples
    --------
    >>> packed(np.array([True, False, True]))
    'oA=='
    """
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def unpacked(text: Any, examples: int) -> NDArray[np.bool_]:
    """What `packed` wrote; raises `InputError` where ``text`` is not that of so many examples."""
    try:
        found = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except (TypeError, ValueError, binascii.Error):
        raise InputError("expected base64") from None
    if len(found) != -(-examples // 8):
        raise InputError(f"expected the bits of {examples} examples, got {len(found)} bytes")
    return np.unpackbits(found, count=examples).astype(bool)


def _require_run(run: Mapping[str, Any], path: Path) -> None:
    """Refuse a run record in which something is missing or of another type than whoever reads it takes it for."""
    for name, kind in {**REQUIRED, **OPTIONAL}.items():
        outer, _, inner = name.rpartition(".")
        value = ((run.get(outer) or {}) if outer else run).get(inner)
        wanted = name in REQUIRED or (outer == "init_from" and run.get(outer) is not None)
        if not _is(value, kind) and (wanted or value is not None):
            raise InputError(f"{path}: expected {name!r}, {NAMES.get(kind, f'a {kind}')}")
    for name, kind in SETTINGS.items():
        needed = {key: 2 for key, field in kind.model_fields.items() if field.is_required() or key == "classes"}
        known = {key: value for key, value in run[name].items() if key in kind.model_fields}
        try:
            kind(**{**needed, **known})  # a report can do without what a model needs
        except InputError as error:
            raise InputError(f"{path}: {name}: {error}") from None
    for sitting in run.get("sittings") or ():
        inside = (sitting.get(name) for name in ("versions", "machine"))
        if not is_count(sitting.get("from_step")) or not all(each is None or _is(each, dict) for each in inside):
            raise InputError(f"{path}: expected 'sittings' with from_step, versions and machine")


def _is(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of a type, which may say what it holds."""
    outer, inside = get_origin(kind) or kind, get_args(kind)
    if outer is int:
        return is_count(value)
    if not isinstance(value, outer):
        return False
    return not inside or all(isinstance(each, inside[-1]) for each in (value.values() if outer is dict else value))


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that can have been measured; NaN and true are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def is_count(value: Any) -> bool:
    """Whether a value of JSON is a whole number from 0."""
    return isinstance(value, int) and is_number(value) and value >= 0


def _read_evaluation(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found = read_json(path, "evaluation")
    if not (isinstance(found, dict) and _numbers(found, ("accuracy", "majority")) and is_count(found.get("examples"))):
        raise InputError(f"{path}: expected an object with 'accuracy', 'majority' and 'examples'")
    _require_optional(found, path, ("loss", "first_symbol", "bits_per_token", "step"), ("split", "data_digest"))
    return found


def _require_optional(found: Mapping[str, Any], path: Path, numbers: Iterable[str], texts: Iterable[str]) -> None:
    for names, holds, what in ((numbers, is_number, "number"), (texts, lambda value: isinstance(value, str), "text")):
        for name in names:
            if found.get(name) is not None and not holds(found[name]):
                raise InputError(f"{path}: {name}: expected a {what}, got {brief(found[name])}")


def _read_diagnostics(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found = read_json(path, "diagnostics")
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != DIAGNOSTICS_VERSION:
        raise InputError(f"{path}: diagnostics schema {brief(version)}; this version reads {DIAGNOSTICS_VERSION}")
    lists: list[Any] = [found.get("influence"), *(row for row in [found.get("memory_norm")] if row is not None)]
    sound = all(isinstance(row, list) and row and all(map(is_number, row)) for row in lists)
    rows = [] if found.get("first") is None else found["first"]
    sound = sound and isinstance(rows, list)
    if not (sound and all(isinstance(row, dict) and _numbers(row, ("T", "measured", "direct")) for row in rows)):
        raise InputError(
            f"{path}: expected lists of numbers influence and memory_norm, and first with T, measured, direct"
        )
    _require_optional(found, path, ("examples",), ("split", "data_digest"))
    return found


def _read_summary(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found = read_json(path, "summary")
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SUMMARY_VERSION:
        raise InputError(f"{path}: summary schema {brief(version)}; this version reads {SUMMARY_VERSION}")
    if not _numbers(found, ("steps", "weights_of_step", "tokens", "seconds", "memory_mb")):
        raise InputError(f"{path}: expected steps, weights_of_step, tokens, seconds and memory_mb")
    _require_optional(found, path, ("padding", "idle_segments", "waited"), ("end",))
    best = found.get("best")
    if best is not None and not (isinstance(best, dict) and _numbers(best, ("step", "loss", "accuracy"))):
        raise InputError(f"{path}: expected best with step, loss and accuracy, or null")
    return found


def _numbers(row: Mapping[Any, Any], names: Iterable[Any]) -> bool:
    return all(is_number(row.get(name)) for name in names)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Parse metrics.jsonl. A last line without newline is a write that was cut off, and is left out."""
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text: {brief(error)}") from None
    rows = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: not JSON: {brief(error)}") from None
        if not (
            isinstance(row, dict)
            and isinstance(row.get("split"), str)
            and is_count(row.get("step"))
            and _numbers(row, ("loss", "accuracy"))
        ):
            raise InputError(f"{path}, line {number}: expected an object with 'split', 'step', 'loss' and 'accuracy'")
        others = {name: value for name, value in row.items() if name not in ("split", "laws") and value is not None}
        laws = row.get("laws", {})
        if not (isinstance(laws, dict) and _numbers(others, others) and _numbers(laws, laws)):
            raise InputError(f"{path}, line {number}: expected numbers, and 'laws' that hold numbers")
        rows.append(row)
    return rows
