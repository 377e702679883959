"""A model's weights as a file (safetensors), with a checksum, the digest of its laws and the step that they are of."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from astro_sim.common.errors import InputError, brief
from astro_sim.common.files import whole_file

TENSORS = "tensors_sha256"  # in the metadata of a file
# Parts that may be new, as the head, where other weights begin a run. The law always is, since how far it was moved is
# told from where that run's laws put it. The others depend on how a segment is laid out.
LAW = "retention law"
PARTS = {
    "encoder.relative.": "relative position", "encoder.write": "rows that write memory", "encoder.retention.": LAW,
}  # fmt: skip


def save_weights(model: nn.Module, path: Path, laws_digest: str, step: int | None = None, write: bool = True) -> None:
    """Write a model's weights with the digest of the laws they were trained under, and the step.

    Of a sharded model all processes must call it, and one of them ``write``.
    """
    tensors = gather_weights(model)
    if write:
        write_weights(tensors, path, laws_digest, step)


def gather_weights(model: nn.Module) -> dict[str, Tensor]:
    """A model's state with all its shards, on the CPU; all processes must ask together."""
    return {name: gathered(value) for name, value in model.state_dict().items()}


def write_weights(tensors: dict[str, Tensor], path: Path, laws_digest: str, step: int | None) -> None:
    """What `save_weights` writes of what `gather_weights` gave."""
    about = {} if step is None else {"step": str(step)}
    with whole_file(path) as temporary:
        write_tensors(tensors, temporary, {"laws_digest": laws_digest, "format": "pt", **about})


def load_weights(model: nn.Module, path: Path, laws_digest: str) -> int | None:
    """Load weights, refusing those of other laws or of another shape; the step they are of, where the file says it.

    Raises
    ------
    InputError
        No such file, not safetensors or truncated, other laws, or tensors that do not fit the model.
    """
    tensors, metadata = read_tensors(path)
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
    model.load_state_dict({name: placed_like(tensors[name], value) for name, value in expected.items()})
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
    tensors, _ = read_tensors(path)
    expected = model.state_dict()
    anew = set[str]()
    for name in sorted({*tensors, *expected}):
        given, wanted = (list(state[name].shape) if name in state else None for state in (tensors, expected))
        part = _part(name)
        if given == wanted and part != LAW:
            continue
        if part is None:
            had, asked = ("no such tensor" if shape is None else f"the shape {shape}" for shape in (given, wanted))
            raise InputError(f"{path}: not to begin with: {name!r} has {had} there, {asked} in this model")
        anew.add(part)
    model.load_state_dict({n: value if _part(n) in anew else tensors[n] for n, value in expected.items()})
    return sorted(anew & {_part(name) for name in expected})


def _part(name: str) -> str | None:
    """The part of a model that a tensor belongs to, if it may be new where other weights begin a run."""
    if not name.startswith("encoder."):
        return "head"
    return next((part for start, part in PARTS.items() if name.startswith(start)), None)


def write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors with a checksum; ``path`` is a temporary one (`whole_file`)."""
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


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and metadata of a file; raises `InputError` where it is missing, truncated or damaged."""
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


def gathered(tensor: Tensor) -> Tensor:
    """A tensor with all its shards, on the CPU; all processes must ask together."""
    gather = getattr(tensor, "full_tensor", None)  # of a DTensor, whose module takes a second to import
    return (tensor if gather is None else gather()).detach().cpu().contiguous()


def placed_like(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor, where and sharded as ``parameter`` is."""
    value = value.to(parameter.device)
    if not hasattr(parameter, "full_tensor"):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(parameter, DTensor)
    return distribute_tensor(value, parameter.device_mesh, parameter.placements)
