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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from astro_sim.common.files import read_json
from bridge.laws import Laws

SCHEMA_VERSION = 3
TRAINED_LAWS = "laws.trained.json"
START, WEIGHTS = "start.safetensors", "model.safetensors"
METRICS = "metrics.jsonl"
PREDICTIONS = "predictions.npy"  # classes answered and labels of the test split, (2, examples)
DIAGNOSTICS, DIAGNOSTICS_VERSION = "diagnostics.json", 1
SUMMARY, SUMMARY_VERSION = "summary.json", 1
REQUIRED = {
    "task": str, "model": str, "settings": dict, "laws": dict, "model_settings": dict, "model_config": dict,
    "data": dict, "laws_digest": str,
}  # fmt: skip


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
    """Folders of a run's checkpoints, the newest last."""
    return sorted((run / "checkpoints").glob("step-*"), key=_step)


def last_step(run: Path) -> int:
    """Steps done at the newest checkpoint; 0 if there is none."""
    return max(map(_step, checkpoints(run)), default=0)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


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
        raise InputError(f"{path / 'run.json'}: run schema {version}; this version reads {SCHEMA_VERSION}")
    for name, kind in REQUIRED.items():
        if not isinstance(run.get(name), kind):
            raise InputError(f"{path / 'run.json'}: expected {name!r}, a {kind.__name__}")
    evaluation = path / "evaluation.json"
    result = read_json(evaluation, "evaluation") if evaluation.is_file() else None
    if result is not None and not (isinstance(result, dict) and _numbers(result, ("accuracy", "majority", "examples"))):
        raise InputError(f"{evaluation}: expected an object with 'accuracy', 'majority' and 'examples'")
    laws, trained = path / "laws.json", path / TRAINED_LAWS
    return RunRecord(
        path=path,
        run=run,
        laws=Laws.load(laws) if laws.is_file() else None,
        trained_laws=Laws.load(trained) if trained.is_file() else None,
        metrics=read_metrics(path / METRICS),
        evaluation=result,
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
    path, evaluation = run.path / PREDICTIONS, run.evaluation or {}
    if not path.is_file():
        return None
    try:
        both = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: not a readable array, perhaps truncated ({error})") from None
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


def _read_diagnostics(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found = read_json(path, "diagnostics")
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != DIAGNOSTICS_VERSION:
        raise InputError(f"{path}: diagnostics schema {version}; this version reads {DIAGNOSTICS_VERSION}")
    first = found.get("first")
    lists = [found.get("influence")] + [found[name] for name in ("memory_norm",) if found.get(name) is not None]
    sound = all(isinstance(row, list) and row and _numbers(dict(enumerate(row)), range(len(row))) for row in lists)
    rows = [] if first is None else first
    sound = sound and isinstance(rows, list)
    if not (sound and all(isinstance(row, dict) and _numbers(row, ("T", "measured", "direct")) for row in rows)):
        raise InputError(
            f"{path}: expected lists of numbers influence and memory_norm, and first with T, measured, direct"
        )
    return found


def _read_summary(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found = read_json(path, "summary")
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SUMMARY_VERSION:
        raise InputError(f"{path}: summary schema {version}; this version reads {SUMMARY_VERSION}")
    if not _numbers(found, ("steps", "weights_of_step", "tokens", "seconds", "memory_mb")):
        raise InputError(f"{path}: expected steps, weights_of_step, tokens, seconds and memory_mb")
    return found


def _numbers(row: Mapping[Any, Any], names: Iterable[Any]) -> bool:
    values = [row.get(name) for name in names]
    return all(isinstance(value, int | float) and abs(value) < 1e15 for value in values)  # NaN compares as false


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Parse metrics.jsonl. A last line without newline is a write that was cut off, and is left out."""
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text: {error}") from None
    rows = []
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: not JSON: {error}") from None
        if not (
            isinstance(row, dict) and isinstance(row.get("split"), str) and _numbers(row, ("step", "loss", "accuracy"))
        ):
            raise InputError(f"{path}, line {number}: expected an object with 'split', 'step', 'loss' and 'accuracy'")
        rows.append(row)
    return rows
