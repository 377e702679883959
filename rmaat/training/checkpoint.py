"""Checkpoints: weights, AdamW's moments and the random state in safetensors, the rest in JSON. No pickle anywhere.

    RUN/checkpoints/step-00000250/model.safetensors       weights
                                  optimizer.safetensors   exp_avg, exp_avg_sq and step of every parameter; random state
                                  state.json              step, sums since the last logged line, laws digest

A checkpoint is a folder that appears whole or not at all; the newest two are kept.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from astro_sim.common.errors import InputError
from astro_sim.common.files import read_json, whole_file, whole_folder, write_json

KEPT = 2
MOMENTS = ("step", "exp_avg", "exp_avg_sq")
SCHEMA_VERSION = 1


def save_weights(model: nn.Module, path: Path, laws_digest: str) -> None:
    """Write a model's weights with the digest of the laws they were trained under."""
    with whole_file(path) as temporary:
        tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        _write(tensors, temporary, {"laws_digest": laws_digest, "format": "pt"})


def load_weights(model: nn.Module, path: Path, laws_digest: str) -> None:
    """Load weights, refusing those of other laws or of another shape.

    Raises
    ------
    InputError
        No such file, not safetensors or truncated, other laws, or tensors that do not fit the model.
    """
    tensors, metadata = _read(path)
    if metadata.get("laws_digest") != laws_digest:
        found = str(metadata.get("laws_digest"))[:12]
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
        raise InputError(f"{path}: tensors that the model does not have: {', '.join(sorted(extra))}")
    model.load_state_dict(tensors)


def save(
    run: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    sums: dict[str, float],
    laws_digest: str,
) -> None:
    """Write the checkpoint of ``step`` (the number of steps done) and drop the oldest."""
    folder = run / "checkpoints" / f"step-{step:08d}"
    with whole_folder(folder, replace=True) as temporary:
        save_weights(model, temporary / "model.safetensors", laws_digest)
        moments = {
            f"{name}.{key}": value.detach().cpu().contiguous()
            for name, parameter in model.named_parameters()
            for key, value in optimizer.state.get(parameter, {}).items()
        }
        moments["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            moments["random.cuda"] = torch.cuda.get_rng_state()
        with whole_file(temporary / "optimizer.safetensors") as file:
            _write(moments, file, {})
        state = {"schema_version": SCHEMA_VERSION, "step": step, "sums": sums, "laws_digest": laws_digest}
        state["optimizer_tensors"] = len(moments)
        write_json(temporary / "state.json", state)
    for old in _folders(run)[:-KEPT]:
        shutil.rmtree(old)


def restore(
    run: Path, model: nn.Module, optimizer: torch.optim.Optimizer, laws_digest: str
) -> tuple[int, dict[str, float]]:
    """Bring model, optimizer and random state to the newest checkpoint.

    Returns
    -------
    step : int
        Steps done; 0 if there is no checkpoint yet.
    sums : dict
        Sums since the last logged line.
    """
    for stale in (run / "checkpoints").glob(".step-*"):  # a process was killed while it wrote them
        shutil.rmtree(stale)
    folders = _folders(run)
    if not folders:
        return 0, {}
    state = _read_state(folders[-1])
    if state["laws_digest"] != laws_digest:
        found = str(state["laws_digest"])[:12]
        raise InputError(f"{folders[-1]}: made with other laws (digest {found}, these have {laws_digest[:12]})")
    try:
        load_weights(model, folders[-1] / "model.safetensors", laws_digest)
        _load_moments(model, optimizer, folders[-1] / "optimizer.safetensors", state["optimizer_tensors"])
    except InputError as error:
        raise InputError(
            f"{error}; without the folder {folders[-1].name} the run goes on from the one before"
        ) from None
    return state["step"], state["sums"]


def _read_state(folder: Path) -> dict[str, Any]:
    state = read_json(folder / "state.json", "checkpoint state")
    version = state.get("schema_version") if isinstance(state, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(f"{folder}: checkpoint schema {version}; this version reads {SCHEMA_VERSION}")
    whole = all(isinstance(state.get(name), int) and state[name] > 0 for name in ("step", "optimizer_tensors"))
    sums = state.get("sums")
    numbers = isinstance(sums, dict) and all(isinstance(value, int | float) for value in sums.values())
    if not (whole and numbers and isinstance(state.get("laws_digest"), str)):
        raise InputError(f"{folder / 'state.json'}: expected step, optimizer_tensors, sums and laws_digest")
    return state


def _load_moments(model: nn.Module, optimizer: torch.optim.Optimizer, file: Path, count: int) -> None:
    moments, _ = _read(file)
    # A parameter without a gradient has no moments, so each has all of them or none.
    known = {f"{name}.{key}" for name, _ in model.named_parameters() for key in MOMENTS} | {"random.cpu", "random.cuda"}
    if "random.cpu" not in moments or len(moments) != count or not moments.keys() <= known:
        raise InputError(f"{file}: not the optimiser state of this model")
    for name, parameter in model.named_parameters():
        found = {key: moments[f"{name}.{key}"] for key in MOMENTS if f"{name}.{key}" in moments}
        if not found:
            continue
        if len(found) < len(MOMENTS) or any(found[key].shape != parameter.shape for key in MOMENTS[1:]):
            raise InputError(f"{file}: the moments of {name!r} do not fit the model")
        # AdamW counts its steps on the CPU, and keeps the moments where the parameter is.
        optimizer.state[parameter] = {
            key: value if key == "step" else value.to(parameter.device) for key, value in found.items()
        }
    torch.set_rng_state(moments["random.cpu"])
    if "random.cuda" in moments and torch.cuda.is_available():
        torch.cuda.set_rng_state(moments["random.cuda"])


def _folders(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step-*"))


def _write(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:  # what a full disk is told as
        raise OSError(0, str(error), str(path)) from None


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such weights") from None
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a readable safetensors file, perhaps truncated ({error})") from None
