"""The data folder: flat memory-mapped arrays, one set a split, and a manifest that says what is in them.

DIR/manifest.json        task, where it came from, settings, and for every split: counts, lengths, labels, digest
DIR/SPLIT.tokens.npy     all sequences one after another; token id = stored value + 1, 0 is padding; uint8, of a task
                         with more than 256 symbols uint16, with more than 65,536 uint32
DIR/SPLIT.offsets.npy    int64, where each sequence starts, and the end; the two of a pair follow each other
DIR/SPLIT.labels.npy     int64

`load` opens and checks one; `rmaat.tasks.writer` makes it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from astro_sim.common.errors import InputError, brief, did_you_mean, quoted, require_known
from astro_sim.common.files import digest, file_digest, read_array, read_json
from astro_sim.common.settings import explain
from rmaat.tasks.task import NAMES

KIND = "rmaat-data"
SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
SPLITS = ("train", "valid", "test")
PARTS = ("tokens", "offsets", "labels")


class SplitSummary(BaseModel):
    """What the manifest says of one split."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    examples: int = Field(ge=0)
    tokens: int = Field(ge=0)
    shortest: int = Field(ge=0)
    longest: int = Field(ge=0)
    labels: dict[str, int] = Field(description="label -> examples")
    left_out: int = Field(ge=0, description="examples not taken because they stand in another split")
    digest: str


class Manifest(BaseModel):
    """Contents of manifest.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["rmaat-data"] = KIND
    schema_version: Literal[2] = SCHEMA_VERSION
    task: str
    origin: Literal["generated", "converted"]
    content: str = Field(description="what the data are, in one line")
    seed: int = Field(ge=0)
    settings: dict[str, Any]
    vocabulary: int = Field(ge=2, le=2**32 + 1, description="symbols and the padding")
    classes: int | None = Field(ge=2, lt=2**63, description="none where each next symbol is asked for")
    towers: Literal[1, 2] = Field(description="sequences of an example")
    splits: dict[str, SplitSummary]
    digest: str
    own_source: str = Field("", description="SHA-256 of a task's file of one's own, else nothing")

    @field_validator("splits")
    @classmethod
    def _are_known(cls, splits: dict[str, SplitSummary]) -> dict[str, SplitSummary]:
        for name in splits:  # they are names of files, too
            require_known("split", name, SPLITS)
        return splits

    @model_validator(mode="after")
    def _has_a_head(self) -> Self:
        if self.classes is None and self.towers == 2:
            raise ValueError("towers: expected 1 where each next symbol is asked for, got 2")
        return self

    @property
    def head(self) -> Literal["classify", "match", "language"]:
        """What a model is asked, as in `rmaat.config.RMAATConfig`."""
        if self.classes is None:
            return "language"
        return "match" if self.towers == 2 else "classify"

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence of all splits."""
        return max(split.longest for split in self.splits.values())


def symbol_type(symbols: int) -> np.dtype[np.unsignedinteger]:
    """The smallest type that so many distinct symbols, stored from 0, fit into."""
    return np.dtype(np.min_scalar_type(symbols - 1))


@dataclass(frozen=True)
class Split:
    """One split, memory-mapped."""

    name: str
    tokens: NDArray[np.unsignedinteger]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    towers: int = 1

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of every example; of the longer one of a pair."""
        return np.diff(self.offsets).reshape(-1, self.towers).max(1)

    def symbols(self) -> Iterator[tuple[bytes, ...]]:
        """The sequence, or the pair of them, of every example, as it was written."""
        sequences = (self.tokens[start:end].tobytes() for start, end in pairwise(self.offsets))
        return zip(*[sequences] * self.towers, strict=True)

    @property
    def first_symbols(self) -> NDArray[np.unsignedinteger]:
        """First symbol of every example; of the first one of a pair."""
        return self.tokens[self.offsets[: -1 : self.towers]]

    @property
    def majority(self) -> float:
        """Share of the most frequent label: what a model that learned nothing can reach."""
        return float(np.unique(self.labels, return_counts=True)[1].max() / len(self)) if len(self) else float("nan")

    @property
    def likeliest_symbol(self) -> float:
        """Share of the most frequent symbol: what a language model that learned nothing else can reach."""
        if not len(self.tokens):
            return float("nan")
        few = self.tokens.dtype.itemsize < 4  # else a count for every symbol there could be may not fit into memory
        counts = np.bincount(self.tokens) if few else np.unique(self.tokens, return_counts=True)[1]
        return float(counts.max() / len(self.tokens))

    def batch(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Token ids (batch, longest) padded with 0, lengths (batch,), labels (batch,).

        Of pairs (batch, 2, longest) and (batch, 2).
        """
        places = (np.asarray(indices)[:, None] * self.towers + np.arange(self.towers)).reshape(-1)
        starts, ends = self.offsets[places], self.offsets[places + 1]
        lengths = ends - starts
        ids = np.zeros((len(places), lengths.max()), dtype=np.int64)
        for row, start, end in zip(ids, starts, ends, strict=True):
            row[: end - start] = self.tokens[start:end]
            row[: end - start] += 1
        if self.towers == 2:
            return ids.reshape(len(indices), 2, -1), lengths.reshape(-1, 2), self.labels[indices]
        return ids, lengths, self.labels[indices]


def fingerprint(sequences: Iterable[bytes]) -> bytes:
    """What tells two examples apart, whatever the order of a pair."""
    fingerprint = hashlib.blake2b(digest_size=16)
    for sequence in sorted(sequences):
        fingerprint.update(len(sequence).to_bytes(8) + sequence)
    return fingerprint.digest()


def shared(split: Split, other: Split) -> int:
    """How many examples of ``split`` stand in ``other`` too, whatever the order of a pair."""
    known = set(map(fingerprint, other.symbols()))
    return sum(fingerprint(sequences) in known for sequences in split.symbols())


def first_symbol_accuracy(train: Split, split: Split) -> float:
    """Accuracy of a table from the first symbol to its most frequent label in ``train``: a baseline without a model."""
    first, answers = train.first_symbols.astype(np.int64), train.labels
    (symbols, labels), counts = np.unique(np.stack([first, answers]), axis=1, return_counts=True)
    order = np.lexsort((labels, -counts, symbols))  # of each symbol the most frequent label first, then the smallest
    known, at = np.unique(symbols[order], return_index=True)
    places = np.minimum(np.searchsorted(known, split.first_symbols), len(known) - 1)
    seen = known[places] == split.first_symbols
    return float((np.where(seen, labels[order][at][places], 0) == split.labels).mean())


@dataclass(frozen=True)
class DataFolder:
    """A data folder, opened."""

    path: Path
    manifest: Manifest
    splits: dict[str, Split]


def load(path: str | Path, task: str | None = None) -> DataFolder:
    """Open a data folder.

    Raises
    ------
    InputError
        No manifest, another kind, schema or task, or an array that is missing, truncated or of another size.
    """
    path = Path(path)
    file = path / MANIFEST
    if not file.is_file():
        raise InputError(f"{path}: no data folder ({MANIFEST} is missing); {_how_to_make(task, path)}")
    manifest = _read_manifest(file)
    if task is not None and manifest.task != task:
        raise InputError(f"{path}: holds the task {quoted(manifest.task)}, expected {task!r}")
    if "train" not in manifest.splits or not manifest.splits["train"].examples:
        raise InputError(f"{file}: the training split is missing or empty")
    return DataFolder(path, manifest, {name: _open(path, name, manifest) for name in manifest.splits})


def _read_manifest(file: Path) -> Manifest:
    content = read_json(file, "data manifest")
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise InputError(f"{file}: not a data manifest")
    if (version := content.get("schema_version")) != SCHEMA_VERSION:
        raise InputError(f"{file}: data schema {quoted(version)}; this version reads {SCHEMA_VERSION}")
    try:
        manifest = Manifest.model_validate(content)
        digest(manifest.settings)  # which a run records
    except ValidationError as error:
        raise InputError(f"{file}: {brief(explain(error, Manifest))}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: settings: expected what JSON can hold ({brief(error)})") from None
    return manifest


def _how_to_make(task: str | None, path: Path) -> str:
    if task is None or task in NAMES:
        return f"make it with: rmaat data {task or 'TASK'} --out {path}"
    nearest = did_you_mean(task, NAMES)
    return f"make it with: rmaat data {task}.py --out {path}; {task!r} is no task of the package, {nearest}"


def _open(folder: Path, name: str, manifest: Manifest) -> Split:
    """One split, its arrays compared with what the manifest says of them."""
    summary = manifest.splits[name]
    arrays = {}
    for part in PARTS:
        file = array_file(folder, name, part)
        if not file.is_file():
            raise InputError(f"{file}: missing; convert or generate the data again")
        arrays[part] = read_array(file, mmap=summary.tokens > 0)  # an empty array cannot be memory-mapped
    split = Split(name, **arrays, towers=manifest.towers)
    types = symbol_type(manifest.vocabulary - 1), np.int64, np.int64
    if any(array.ndim != 1 or array.dtype != type_ for array, type_ in zip(arrays.values(), types, strict=True)):
        raise InputError(f"{folder}: the arrays of the split {name!r} are of another type; convert or generate again")
    if len(split.tokens) != summary.tokens or len(split) != summary.examples:
        raise InputError(f"{folder}: the split {name!r} does not have the size that {MANIFEST} states")
    sound = (
        len(split.offsets) == split.towers * len(split) + 1
        and split.offsets[0] == 0
        and split.offsets[-1] == len(split.tokens)
        and (split.offsets[1:] > split.offsets[:-1]).all()  # a difference could overflow
        and split.tokens.max(initial=0) < manifest.vocabulary - 1
        and ((split.labels >= 0) & (split.labels < (manifest.classes or 1))).all()
    )
    if not sound:
        raise InputError(f"{folder}: the arrays of the split {name!r} do not fit together; convert or generate again")
    counted = counts(split.tokens, split.offsets, split.labels)
    if counted != summary.model_dump(include=set(counted)):
        raise InputError(f"{folder}: the split {name!r} does not have the counts that {MANIFEST} states")
    if split_digest(folder, name) != summary.digest:
        raise InputError(f"{folder}: the digest of the split {name!r} does not hold; the arrays were changed")
    return split


def counts(
    tokens: NDArray[np.unsignedinteger], offsets: NDArray[np.int64], labels: NDArray[np.int64]
) -> dict[str, Any]:
    """What is counted of a split's arrays, as in `SplitSummary`."""
    lengths = np.diff(offsets)
    values, examples = np.unique(labels, return_counts=True)
    return {
        "examples": len(labels),
        "tokens": len(tokens),
        "shortest": int(lengths.min()) if len(lengths) else 0,
        "longest": int(lengths.max(initial=0)),
        "labels": {str(value): int(number) for value, number in zip(values, examples, strict=True)},
    }


def array_file(folder: Path, split: str, part: str) -> Path:
    """Where one of the arrays of a split lies."""
    return folder / f"{split}.{part}.npy"


def split_digest(folder: Path, split: str) -> str:
    """What the manifest holds against a split's files: a digest of theirs."""
    return digest([file_digest(array_file(folder, split, part)) for part in PARTS])
