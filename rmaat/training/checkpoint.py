"""Checkpoints: weights, AdamW's moments and the random state in safetensors, the rest in JSON. No pickle anywhere.

    RUN/checkpoints/step-00000250/model.safetensors       weights
                                  optimizer.safetensors   exp_avg, exp_avg_sq and step of every parameter; random states
                                  state.json              step, sums, totals, best validation, laws digest
    RUN/checkpoints/best-00000200.safetensors             weights of the best validation so far

A checkpoint is a folder that appears whole or not at all; the newest two are kept, and the best weights they name.
"""

import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import torch
from pydantic import field_validator
from torch import Tensor, nn

from astro_sim.common.errors import InputError, brief
from astro_sim.common.files import recover, whole_file, whole_folder, write_json
from rmaat.models.weights import (
    gather_weights,
    gathered,
    load_weights,
    placed_like,
    read_tensors,
    write_tensors,
    write_weights,
)
from rmaat.records import WEIGHTS, Best, Count, Number, Record, Text, checkpoints, step_of
from rmaat.training.processes import Processes

KEPT = 2
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
SCHEMA_VERSION = 2
SUMMED = ("tokens", "places", "segments", "idle_segments", "seconds", "waited")  # over a run, from line to line
# What its totals hold once a line was logged; shares of the places and of the segments are formed at the end.
TOTALS = frozenset({*SUMMED, "memory_mb"})


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
    best : Best or None
        The best validation so far.
    misses : int
        Validations since then.
    """

    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    best: Best | None = None
    misses: int = 0


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
    weights = gather_weights(model)
    moments = {
        f"{name}.{key}": gathered(value)
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    moments |= _numbered("random.cpu", processes.gather(torch.get_rng_state()))
    if processes.device.type == "cuda":
        moments |= _numbered("random.cuda", processes.gather(torch.cuda.get_rng_state(processes.device)))
    if not processes.main:
        return
    with whole_folder(run / "checkpoints" / f"step-{state.step:08d}", replace=True) as temporary:
        write_weights(weights, temporary / WEIGHTS, laws_digest, state.step)
        with whole_file(temporary / "optimizer.safetensors") as file:
            write_tensors(moments, file, {})
        stored = StoredState(laws_digest=laws_digest, optimizer_tensors=len(moments), **vars(state))
        write_json(temporary / "state.json", stored.model_dump())
    folders = checkpoints(run)
    for old in folders[:-KEPT]:
        shutil.rmtree(old)
    bests = [_read_state(folder, laws_digest).best for folder in folders[-KEPT:]]
    named = {best_weights(run, best.step) for best in bests if best is not None}
    for old in set((run / "checkpoints").glob("best-*.safetensors")) - named:
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
    return State(**{part.name: getattr(stored, part.name) for part in fields(State)})


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
    moments, _ = read_tensors(file)
    random = {name for name in moments if name.startswith("random.")}
    # A parameter without a gradient has no moments, so each has all of them or none.
    known = {f"{name}.{key}" for name, _ in model.named_parameters() for key in MOMENTS}
    if "random.cpu" not in moments or len(moments) != count or not moments.keys() - random <= known:
        raise InputError(f"{file}: not the optimiser state of this model")
    for name, parameter in model.named_parameters():
        own = {key: moments[f"{name}.{key}"] for key in MOMENTS if f"{name}.{key}" in moments}
        if not own:
            continue
        fits = len(own) == len(MOMENTS) and all(
            own[key].shape == parameter.shape and own[key].dtype == parameter.dtype for key in MOMENTS[1:]
        )
        # Of none, or not a number, the first step would make weights that are not numbers either.
        if not (fits and own["step"].shape == () and float(own["step"]) >= 1):
            raise InputError(f"{file}: the moments of {name!r} do not fit the model")
        # AdamW counts its steps on the CPU, and keeps the moments where the parameter is.
        optimizer.state[parameter] = {
            key: value if key == "step" else placed_like(value, parameter) for key, value in own.items()
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
