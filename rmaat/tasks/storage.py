"""The data folder: flat memory-mapped arrays, one set a split, and a manifest that says what is in them.

DIR/manifest.json        task, where it came from, settings, and for every split: counts, lengths, labels, digest
DIR/SPLIT.tokens.npy     uint8, all sequences one after another; token id = stored value + 1, 0 is padding
DIR/SPLIT.offsets.npy    int64, where each sequence starts, and the end
DIR/SPLIT.labels.npy     int64
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from astro_sim.common.errors import InputError
from astro_sim.common.files import digest, file_digest, read_json, whole_folder, write_json
from astro_sim.common.settings import Settings, explain
from rmaat import tasks

KIND = "rmaat-data"
SCHEMA_VERSION = 1
PARTS = ("tokens", "offsets", "labels")
DTYPES = (np.uint8, np.int64, np.int64)


class SplitSummary(BaseModel):
    """What the manifest says of one split."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    examples: int = Field(ge=0)
    tokens: int = Field(ge=0)
    shortest: int = Field(ge=0)
    longest: int = Field(ge=0)
    labels: dict[str, int] = Field(description="label -> examples")
    digest: str


class Manifest(BaseModel):
    """Contents of manifest.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["rmaat-data"] = KIND
    schema_version: Literal[1] = SCHEMA_VERSION
    task: str
    origin: Literal["generated", "converted"]
    seed: int
    settings: dict[str, Any]
    vocabulary: int = Field(ge=2, description="symbols and the padding")
    classes: int | None = Field(ge=2, description="none where each next symbol is asked for")
    splits: dict[str, SplitSummary]
    digest: str


def prepare(
    task: str, out: str | Path, settings: Settings, source: str | Path | None = None, seed: int = 0
) -> Manifest:
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
    Manifest

    Raises
    ------
    InputError
        A source that is missing or broken (file and line named), or ``out`` taken.
    """
    chosen = tasks.get(task)
    if seed < 0:
        raise InputError(f"seed: expected a whole number from 0, got {seed}")
    with whole_folder(out) as folder:
        splits = chosen.prepare(settings, None if source is None else Path(source), seed, folder)
        if not splits["train"].examples:
            raise InputError(f"{source or task}: no training examples")
        manifest = Manifest(
            task=task,
            origin="generated" if source is None else "converted",
            seed=seed,
            settings=settings.model_dump(mode="json"),
            vocabulary=chosen.symbols + 1,
            classes=chosen.classes,
            splits=splits,
            digest=digest({name: split.digest for name, split in splits.items()}),
        )
        write_json(folder / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def write_split(folder: Path, name: str, rows: Iterable[tuple[bytes, int]]) -> SplitSummary:
    """Write one split and describe it."""
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
    return SplitSummary(
        examples=len(labels),
        tokens=len(tokens),
        shortest=min(lengths, default=0),
        longest=max(lengths, default=0),
        labels={str(value): int(count) for value, count in zip(values, counts, strict=True)},
        digest=_split_digest(folder, name),
    )


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

    @property
    def likeliest_symbol(self) -> float:
        """Share of the most frequent symbol: what a language model that learned nothing else can reach."""
        return float(np.bincount(self.tokens).max() / len(self.tokens)) if len(self.tokens) else float("nan")

    def batch(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Token ids (batch, longest) padded with 0, lengths (batch,), labels (batch,)."""
        lengths = self.lengths[indices]
        ids = np.zeros((len(indices), lengths.max()), dtype=np.int64)
        for row, index, length in zip(ids, indices, lengths, strict=True):
            start = self.offsets[index]
            row[:length] = self.tokens[start : start + length]
            row[:length] += 1
        return ids, lengths, self.labels[indices]


def first_symbol_accuracy(train: Split, split: Split) -> float:
    """Accuracy of a table from the first symbol to its most frequent label in ``train``: a baseline without a model."""
    counts = np.zeros((256, int(max(train.labels.max(), split.labels.max())) + 1))
    np.add.at(counts, (train.tokens[train.offsets[:-1]], train.labels), 1)
    return float((counts.argmax(1)[split.tokens[split.offsets[:-1]]] == split.labels).mean())


@dataclass(frozen=True)
class Data:
    """A data folder, opened."""

    path: Path
    manifest: Manifest
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
    file = path / "manifest.json"
    raw = read_json(file, "data manifest")
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise InputError(f"{file}: not a data manifest")
    if raw.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{file}: data schema {raw.get('schema_version')}; this version reads {SCHEMA_VERSION}")
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{file}: {explain(error, Manifest)}") from None
    if task is not None and manifest.task != task:
        raise InputError(f"{path}: holds the task {manifest.task!r}, expected {task!r}")
    if "train" not in manifest.splits or not manifest.splits["train"].examples:
        raise InputError(f"{file}: the training split is missing or empty")
    return Data(path, manifest, {name: _open(path, name, manifest) for name in manifest.splits})


def _open(path: Path, name: str, manifest: Manifest) -> Split:
    arrays, described = {}, manifest.splits[name]
    for part in PARTS:
        file = path / f"{name}.{part}.npy"
        try:
            # An empty array cannot be memory-mapped.
            arrays[part] = np.load(file, mmap_mode="r" if described.tokens else None, allow_pickle=False)
        except FileNotFoundError:
            raise InputError(f"{file}: missing; convert or generate the data again") from None
        except (ValueError, OSError, EOFError) as error:
            raise InputError(f"{file}: not a readable array, perhaps truncated ({error})") from None
    split = Split(name, **arrays)
    if any(array.ndim != 1 or array.dtype != dtype for array, dtype in zip(arrays.values(), DTYPES, strict=True)):
        raise InputError(f"{path}: the arrays of the split {name!r} are of another type; convert or generate again")
    if len(split.tokens) != described.tokens or len(split) != described.examples:
        raise InputError(f"{path}: the split {name!r} does not have the size that manifest.json states")
    sound = len(split.offsets) == len(split) + 1 and split.offsets[0] == 0 and split.offsets[-1] == len(split.tokens)
    sound = sound and (split.lengths > 0).all() and split.tokens.max(initial=0) < manifest.vocabulary - 1
    if not (sound and ((split.labels >= 0) & (split.labels < (manifest.classes or 1))).all()):
        raise InputError(f"{path}: the arrays of the split {name!r} do not fit together; convert or generate again")
    if _split_digest(path, name) != described.digest:
        raise InputError(f"{path}: the digest of the split {name!r} does not hold; the arrays were changed")
    return split


def _split_digest(folder: Path, name: str) -> str:
    return digest([file_digest(folder / f"{name}.{part}.npy") for part in PARTS])
