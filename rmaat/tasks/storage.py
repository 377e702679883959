"""The data folder: flat memory-mapped arrays, one set a split, and a manifest that says what is in them.

DIR/manifest.json        task, where it came from, settings, and for every split: counts, lengths, labels, digest
DIR/SPLIT.tokens.npy     uint8, all sequences one after another; token id = stored value + 1, 0 is padding
DIR/SPLIT.offsets.npy    int64, where each sequence starts, and the end
DIR/SPLIT.labels.npy     int64
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from astro_sim.common.files import digest, file_digest, read_json, whole_folder, write_json
from astro_sim.common.settings import Settings
from rmaat import tasks

KIND = "rmaat-data"
SCHEMA_VERSION = 1
PARTS = ("tokens", "offsets", "labels")
SPLITS = ("train", "valid", "test")


def prepare(
    task: str, out: str | Path, settings: Settings, source: str | Path | None = None, seed: int = 0
) -> dict[str, Any]:
    """Generate or convert a task's data into the folder ``out``, whole or not at all.

    Parameters
    ----------
    task : str
    out : path
        Must not exist, or be empty.
    settings : Settings
        The task's own.
    source : path, optional
        What the user downloaded; None: generate, where the task can.
    seed : int

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    InputError
        A source that is missing or broken (file and line named), or ``out`` taken.
    """
    chosen = tasks.get(task)
    with whole_folder(out) as folder:
        splits = chosen.prepare(settings, None if source is None else Path(source), seed, folder)
        manifest = {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "task": task,
            "origin": "generated" if source is None else "converted",
            "seed": seed,
            "settings": settings.model_dump(mode="json"),
            "vocabulary": chosen.symbols + 1,
            "classes": chosen.classes,
            "splits": splits,
        }
        manifest["digest"] = digest({name: split["digest"] for name, split in splits.items()})
        write_json(folder / "manifest.json", manifest)
    return manifest


def write_split(folder: Path, name: str, rows: Iterable[tuple[bytes, int]]) -> dict[str, Any]:
    """Write one split and describe it: examples, tokens, shortest and longest, label counts, digest of its bytes."""
    lengths, labels = [], []
    with (folder / "raw").open("wb") as raw:
        for symbols, label in rows:
            raw.write(symbols)
            lengths.append(len(symbols))
            labels.append(label)
    tokens = np.fromfile(folder / "raw", dtype=np.uint8)
    (folder / "raw").unlink()
    arrays = {
        "tokens": tokens,
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        "labels": np.array(labels, dtype=np.int64),
    }
    for part, array in arrays.items():
        np.save(folder / f"{name}.{part}.npy", array)
    values, counts = np.unique(arrays["labels"], return_counts=True)
    return {
        "examples": len(labels),
        "tokens": len(tokens),
        "shortest": min(lengths, default=0),
        "longest": max(lengths, default=0),
        "labels": {str(value): int(count) for value, count in zip(values, counts, strict=True)},
        "digest": digest([file_digest(folder / f"{name}.{part}.npy") for part in PARTS]),
    }


@dataclass(frozen=True)
class Split:
    """One split, memory-mapped."""

    name: str
    tokens: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every example."""
        return np.diff(self.offsets)

    @property
    def majority(self) -> float:
        """Share of the most frequent label: what a model that learned nothing can reach."""
        return float(np.bincount(self.labels).max() / len(self)) if len(self) else float("nan")

    def batch(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Token ids (batch, longest) padded with 0, lengths (batch,), labels (batch,)."""
        lengths = self.lengths[indices]
        ids = np.zeros((len(indices), lengths.max()), dtype=np.int64)
        for row, index, length in zip(ids, indices, lengths, strict=True):
            start = self.offsets[index]
            row[:length] = self.tokens[start : start + length]
            row[:length] += 1
        return ids, lengths, self.labels[indices]


@dataclass(frozen=True)
class Data:
    """A data folder, opened."""

    path: Path
    manifest: dict[str, Any]
    splits: dict[str, Split]


def load(path: str | Path, task: str | None = None) -> Data:
    """Open a data folder.

    Raises
    ------
    InputError
        No manifest, another kind, schema or task, or an array that is missing, truncated or of another size.
    """
    path = Path(path)
    hint = f"; make it with: rmaat data {task or 'TASK'} --out {path}"
    if not (path / "manifest.json").is_file():
        raise InputError(f"{path}: no data folder (manifest.json is missing){hint}")
    manifest = read_json(path / "manifest.json", "data manifest")
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise InputError(f"{path / 'manifest.json'}: not a data manifest")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        version = manifest.get("schema_version")
        raise InputError(f"{path / 'manifest.json'}: data schema {version}; this version reads {SCHEMA_VERSION}")
    if task is not None and manifest.get("task") != task:
        raise InputError(f"{path}: holds the task {manifest.get('task')!r}, expected {task!r}")
    splits = {name: _open(path, name, described) for name, described in manifest["splits"].items()}
    return Data(path, manifest, splits)


def _open(path: Path, name: str, described: dict[str, Any]) -> Split:
    arrays = {}
    for part in PARTS:
        file = path / f"{name}.{part}.npy"
        try:
            # An empty array cannot be memory-mapped.
            arrays[part] = np.load(file, mmap_mode="r" if described["tokens"] else None, allow_pickle=False)
        except FileNotFoundError:
            raise InputError(f"{file}: missing; convert or generate the data again") from None
        except (ValueError, OSError) as error:
            raise InputError(f"{file}: not a readable array, perhaps truncated ({error})") from None
    split = Split(name, **arrays)
    if len(split.tokens) != described["tokens"] or len(split) != described["examples"]:
        raise InputError(f"{path}: the split {name!r} does not have the size that manifest.json states")
    return split
