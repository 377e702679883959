"""Checkpoints: weights, AdamW's moments and the random state in safetensors, the rest in JSON. No pickle anywhere.

    RUN/checkpoints/step-00000250/model.safetensors       weights
                                  optimizer.safetensors   exp_avg, exp_avg_sq and step of every parameter; random states
                                  state.json              step, sums, totals, best validation, laws digest
    RUN/checkpoints/best-00000200.safetensors             weights of the best validation so far

A checkpoint is a folder that appears whole or not at all; the newest two are kept, and the best weights they name.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import field_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from astro_sim.common.errors import InputError, brief
from astro_sim.common.files import recover, whole_file, whole_folder, write_json
from rmaat.records import WEIGHTS, Best, Count, Number, Record, Text, checkpoints, step_of
from rmaat.training.processes import Processes, like, whole

KEPT = 2
TENSORS = "tensors_sha256"  # in the metadata of a file
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
SCHEMA_VERSION = 2
# What the sums over a run hold once a line was logged; a share of the places and of the segments is told at the end.
TOTALS = frozenset({"tokens", "places", "segments", "idle_segments", "seconds", "waited", "memory_mb"})
# Parts that may be new, as the head, where other weights begin a run. The law always is, since how far it was moved is
# told from where that run's laws put it. The others depend on how a segment is laid out.
LAW = "retention law"
PARTS = {
    "encoder.relative.": "relative position", "encoder.write": "rows that write memory", "encoder.retention.": LAW,
}  # fmt: skip


class StoredState(Record):
    """What state.json holds."""

    schema_version: Literal[2] = SCHEMA_VERSION
    laws_digest: Text
    optimizer_tensors: Count
    step: Count
    sums: dict[str, Number]
    totals: dict[str, Number]
    best: Best | None
    misses: Count

    @field_validator("totals")
    @classmethod
    def _are_all(cls, totals: dict[str, float]) -> dict[str, float]:
        if totals and not (totals.keys() >= TOTALS and totals["places"] > 0 and totals["segments"] > 0):
            raise ValueError(f"totals: expected {', '.join(sorted(TOTALS))}")
        return totals


@dataclass
class State:
    """Where a run stands, but for tensors.

    Attributes
    ----------
    step : int
        Steps done.
    sums : dict of str to float
        Since the last logged line.
    totals : dict of str to float
        Since the beginning.
    best : dict of str to float, or None
        The best validation so far: ``step``, ``loss``, ``accuracy``.
    misses : int
        Validations since then.
    """

    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] | None = None
    misses: int = 0


def save_weights(model: nn.Module, path: Path, laws_digest: str, step: int | None = None, write: bool = True) -> None:
    """Write a model's weights with the digest of the laws they were trained under, and the step.

    Of a sharded model all processes must call it, and one of them ``write``.
    """
    tensors = _weights(model)
    if write:
        _write_weights(tensors, path, laws_digest, step)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: whole(value) for name, value in model.state_dict().items()}


def _write_weights(tensors: dict[str, Tensor], path: Path, laws_digest: str, step: int | None) -> None:
    about = {} if step is None else {"step": str(step)}
    with whole_file(path) as temporary:
        _write(tensors, temporary, {"laws_digest": laws_digest, "format": "pt", **about})


def load_weights(model: nn.Module, path: Path, laws_digest: str) -> int | None:
    """Load weights, refusing those of other laws or of another shape; the step they are of, where the file says it.

    Raises
    ------
    InputError
        No such file, not safetensors or truncated, other laws, or tensors that do not fit the model.
    """
    tensors, metadata = _read(path)
    if metadata.get("laws_digest") != laws_digest:
        found = brief(metadata.get("laws_digest"))[:12]
        raise InputError(f"{path}: made with other laws (digest {found}, these have {laws_digest[:12]})")
    expected = model.state_dict()
    for name, value in expected.items():
        if name not in tensors:
            raise InputError(f"{path}: the tensor {name!r} is missing")
        if tensors[name].shape != value.shape:
            raise InputError(f"{path}: {name!r} has the shape {[*tensors[name].shape]}, expected {[*value.shape]}")
        if tensors[name].dtype != value.dtype:
            raise InputError(f"{path}: {name!r} is {tensors[name].dtype}, expected {value.dtype}")
    if extra := set(tensors) - set(expected):
        raise InputError(f"{path}: tensors that the model does not have: {brief(', '.join(sorted(extra)))}")
    model.load_state_dict({name: like(tensors[name], value) for name, value in expected.items()})
    step = metadata.get("step", "")
    return int(step) if re.fullmatch("[0-9]{1,15}", step) else None


def begin_with(model: nn.Module, path: Path) -> list[str]:
    """Take over other weights; which parts are not taken: a trainable law, and of `PARTS` and head what does not fit.

    Raises
    ------
    InputError
        No such file, not safetensors or truncated, or another tensor that is missing, is one too many, or has another
        shape.
    """
    tensors, _ = _read(path)
    expected = model.state_dict()
    anew = set[str]()
    for name in sorted({*tensors, *expected}):
        found, wanted = (list(each[name].shape) if name in each else None for each in (tensors, expected))
        part = _part(name)
        if found == wanted and part != LAW:
            continue
        if part is None:
            had, asked = ("no such tensor" if each is None else f"the shape {each}" for each in (found, wanted))
            raise InputError(f"{path}: not to begin with: {name!r} has {had} there, {asked} in this model")
        anew.add(part)
    model.load_state_dict({n: value if _part(n) in anew else tensors[n] for n, value in expected.items()})
    return sorted(anew & {_part(name) for name in expected})


def _part(name: str) -> str | None:
    """The part of a model that a tensor belongs to, if it may be new where other weights begin a run."""
    if not name.startswith("encoder."):
        return "head"
    return next((part for start, part in PARTS.items() if name.startswith(start)), None)


def best_weights(run: Path, step: int) -> Path:
    """Where the weights of the best validation lie, which was after ``step``."""
    return run / "checkpoints" / f"best-{step:08d}.safetensors"


def save(
    run: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: State,
    laws_digest: str,
    processes: Processes,
) -> None:
    """Write a checkpoint and drop the oldest; all processes call it, the main one writes."""
    weights = _weights(model)
    moments = {
        f"{name}.{key}": whole(value)
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    moments |= _numbered("random.cpu", processes.gather(torch.get_rng_state()))
    if processes.device.type == "cuda":
        moments |= _numbered("random.cuda", processes.gather(torch.cuda.get_rng_state(processes.device)))
    if not processes.main:
        return
    with whole_folder(run / "checkpoints" / f"step-{state.step:08d}", replace=True) as temporary:
        _write_weights(weights, temporary / WEIGHTS, laws_digest, state.step)
        with whole_file(temporary / "optimizer.safetensors") as file:
            _write(moments, file, {})
        stored = StoredState(laws_digest=laws_digest, optimizer_tensors=len(moments), **asdict(state))
        write_json(temporary / "state.json", stored.model_dump())
    folders = checkpoints(run)
    for old in folders[:-KEPT]:
        shutil.rmtree(old)
    named = [_read_state(folder, laws_digest).best for folder in folders[-KEPT:]]
    wanted = {best_weights(run, best.step) for best in named if best is not None}
    for old in set((run / "checkpoints").glob("best-*.safetensors")) - wanted:
        old.unlink()


def tidy(run: Path) -> None:
    """Clear a run folder of what a process left there that was killed while it wrote."""
    for folder in (run, run / "checkpoints"):
        for path in folder.glob(".tmp??????"):  # what safetensors writes to, beside the file that it then becomes
            path.unlink()
    recover(run / "checkpoints", r"step-\d+|best-\d+\.safetensors")
    recover(run, r"[\w.]+\.(jsonl?|npy|safetensors)")


def restore(
    run: Path, model: nn.Module, optimizer: torch.optim.Optimizer, laws_digest: str, processes: Processes
) -> State:
    """Bring model, optimizer and random state to the newest checkpoint, and say where the run stands."""
    folders = checkpoints(run)
    if not folders:
        return State()
    try:
        stored = _read_state(folders[-1], laws_digest)
        load_weights(model, folders[-1] / WEIGHTS, laws_digest)
        _load_moments(model, optimizer, folders[-1] / "optimizer.safetensors", stored.optimizer_tensors, processes)
    except InputError as error:
        then = "goes on from the one before" if len(folders) > 1 else "begins anew"
        raise InputError(f"{error}; without the folder {folders[-1].name} the run {then}") from None
    return State(**stored.model_dump(include=set(State.__dataclass_fields__)))


def _read_state(folder: Path, laws_digest: str) -> StoredState:
    path = folder / "state.json"
    stored = StoredState.read(path, "checkpoint")
    if stored is None:
        raise InputError(f"{path}: no such checkpoint state")
    if stored.step != step_of(folder):
        raise InputError(f"{path}: is of step {stored.step}, its folder of step {step_of(folder)}")
    if stored.laws_digest != laws_digest:
        was, now = stored.laws_digest[:12], laws_digest[:12]
        raise InputError(f"{folder}: made with other laws (digest {was}, these have {now})")
    return stored


def _numbered(name: str, tensors: list[Tensor]) -> dict[str, Tensor]:
    """The first under its name, the others with a number behind it."""
    return {name if rank == 0 else f"{name}.{rank}": tensor for rank, tensor in enumerate(tensors)}


def _load_moments(
    model: nn.Module, optimizer: torch.optim.Optimizer, file: Path, count: int, processes: Processes
) -> None:
    moments, _ = _read(file)
    random = {name for name in moments if name.startswith("random.")}
    # A parameter without a gradient has no moments, so each has all of them or none.
    known = {f"{name}.{key}" for name, _ in model.named_parameters() for key in MOMENTS}
    if "random.cpu" not in moments or len(moments) != count or not moments.keys() - random <= known:
        raise InputError(f"{file}: not the optimiser state of this model")
    for name, parameter in model.named_parameters():
        found = {key: moments[f"{name}.{key}"] for key in MOMENTS if f"{name}.{key}" in moments}
        if not found:
            continue
        fits = len(found) == len(MOMENTS) and all(
            found[key].shape == parameter.shape and found[key].dtype == parameter.dtype for key in MOMENTS[1:]
        )
        # Of none, or not a number, the first step would make weights that are not numbers either.
        if not (fits and found["step"].shape == () and float(found["step"]) >= 1):
            raise InputError(f"{file}: the moments of {name!r} do not fit the model")
        # AdamW counts its steps on the CPU, and keeps the moments where the parameter is.
        optimizer.state[parameter] = {
            key: value if key == "step" else like(value, parameter) for key, value in found.items()
        }
    # A process that was not there before keeps the random state it began with.
    mine = "" if processes.main else f".{processes.rank}"
    try:
        if (cpu := moments.get(f"random.cpu{mine}")) is not None:
            torch.set_rng_state(cpu)
        if (cuda := moments.get(f"random.cuda{mine}")) is not None and processes.device.type == "cuda":
            torch.cuda.set_rng_state(cuda, processes.device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"{file}: not a random state ({brief(error)})") from None


def stored_weights(run: Path, which: str, laws_digest: str) -> Path:
    """Where the weights of a run's newest checkpoint lie ("last"), or of its best validation up to then ("best").

    Raises
    ------
    InputError
        No checkpoint, or a broken one; no validation before it, or a run that keeps no weights of its best one.
    """
    folders = checkpoints(run)
    if not folders:
        raise InputError(f"{run}: no checkpoint")
    if which == "last":
        return folders[-1] / WEIGHTS
    stored = _read_state(folders[-1], laws_digest)
    if stored.best is None:
        raise InputError(f"{run}: no validation before its checkpoint of step {stored.step}; expected last")
    if not (file := best_weights(run, stored.best.step)).is_file():
        raise InputError(f"{run}: keeps no weights of its best validation (select = 'last'); expected last")
    return file


def _write(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    try:
        save_file(tensors, path, {**metadata, TENSORS: _digest(tensors)})
    except SafetensorError as error:  # what a full disk is told as
        raise OSError(0, str(error), str(path)) from None
    order_metadata(path)


def order_metadata(path: Path) -> None:
    """Sort the metadata of a safetensors file, so that equal contents are equal bytes.

    Tensors are in order already; of metadata the library keeps none, and what it writes differs between processes.
    """
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        if about := header.get("__metadata__"):
            header["__metadata__"] = dict(sorted(about.items()))
        file.seek(8)
        # The same text in another order, and the spaces that fill it up to a multiple of 8 bytes.
        file.write(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors: the format itself has no checksum, and a flipped bit is a weight like any other."""
    held = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        held.update(f"{name} {value.dtype} {[*value.shape]} ".encode())
        held.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return held.hexdigest()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise InputError(f"{path}: no such weights") from None
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a readable safetensors file, perhaps truncated ({brief(error)})") from None
    if metadata.get(TENSORS, held := _digest(tensors)) != held:
        raise InputError(f"{path}: its tensors were damaged or changed after they were written")
    return tensors, metadata
