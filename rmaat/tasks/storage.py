"""The data folder: flat memory-mapped arrays, one set a split, and a manifest that says what is in them.

DIR/manifest.json        task, where it came from, settings, and for every split: counts, lengths, labels, digest
DIR/SPLIT.tokens.npy     all sequences one after another; token id = stored value + 1, 0 is padding; uint8, of a task
                         with more than 256 symbols uint16, with more than 65,536 uint32
DIR/SPLIT.offsets.npy    int64, where each sequence starts, and the end; the two of a pair follow each other
DIR/SPLIT.labels.npy     int64
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import chdir
from dataclasses import dataclass
from itertools import pairwise
from operator import index
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from astro_sim.common.errors import InputError, brief, did_you_mean, quoted, require_known
from astro_sim.common.files import digest, file_digest, read_array, read_json, whole_folder, write_json
from astro_sim.common.settings import Settings, explain
from astro_sim.common.signals import interrupts_heard
from astro_sim.common.user_file import PASSED, located
from rmaat import tasks
from rmaat.tasks.task import Task

KIND = "rmaat-data"
SCHEMA_VERSION = 2
Sequence = bytes | NDArray[np.integer] | Collection[int]
Symbols = Sequence | tuple[Sequence, Sequence]  # of one example: a sequence, or a pair of them
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


def symbol_type(symbols: int) -> np.dtype[np.unsignedinteger]:
    """The smallest type that so many distinct symbols, stored from 0, fit into."""
    return np.dtype(np.min_scalar_type(symbols - 1))


def prepare(
    task: str | Path,
    out: str | Path,
    settings: Settings | Mapping[str, Any] | None = None,
    source: str | Path | None = None,
    seed: int = 0,
) -> Manifest:
    """Generate or convert a task's data into the folder ``out``, whole or not at all.

    Parameters
    ----------
    task : str or path
        A name, or the path of a file of one's own (.py), which is run.
    out : path
        Must not exist, or be empty.
    settings : Settings or mapping, optional
        The task's own; by default as they are.
    source : path, optional
        What the user downloaded; None: generate, where the task can.
    seed : int

    Returns
    -------
    Manifest

    Raises
    ------
    InputError
        A source that is missing or broken (file and line named), a setting without effect on it, or ``out`` taken; a
        mistake in a file of one's own, with its line.
    """
    found = tasks.find(task)
    chosen = found.task
    if seed < 0:
        raise InputError(f"seed: expected a whole number from 0, got {seed}")
    if not isinstance(settings, Settings):
        settings = found.configure(settings or {})
    idle = frozenset() if source is None else chosen.generated_only
    if given := sorted(idle & settings.model_fields_set):
        raise InputError(f"{given[0]}: without effect where files are converted; leave it out")
    try:
        asked = settings.model_dump(mode="json", exclude=set(idle))
    except ValueError as error:  # of a type of one's own
        raise InputError(f"{task}: settings: cannot be kept as JSON ({brief(error)})") from None
    with whole_folder(out) as folder:
        writer = Writer(folder.absolute(), chosen)
        try:
            with chdir("."), interrupts_heard():  # wherever a task goes, we come back
                content = chosen.prepare(settings, None if source is None else Path(source), seed, writer)
            splits = writer.finish()
            if not (isinstance(content, str) and content.strip()):
                raise InputError(f"prepare: expected it to say in one line what the data are, got {_told(content)}")
        except BaseException as error:
            if isinstance(error, PASSED):
                raise
            if isinstance(error, OSError) and str(error.filename).startswith(str(writer.folder)):
                # Nobody has named the folder in the making.
                raise OSError(error.errno, error.strerror or str(error), str(out)) from error
            if not found.path:
                raise
            raise located(error, found.path, task) from error
        if not splits["train"].examples:
            raise InputError(f"{source or task}: no training examples")
        manifest = Manifest(
            task=found.name,
            origin="generated" if source is None else "converted",
            content=" ".join(content.split()),
            seed=seed,
            settings=asked,
            vocabulary=chosen.symbols + 1,
            classes=chosen.classes,
            towers=chosen.towers,
            splits=splits,
            digest=digest({name: split.digest for name, split in splits.items()} | _own_counts(found)),
            own_source=found.source,
        )
        write_json(folder / "manifest.json", manifest.model_dump(mode="json"))
    return manifest


def _own_counts(found: tasks.FoundTask) -> dict[str, int | None]:
    """What the digest covers besides the arrays: one's own file may count other symbols and classes tomorrow."""
    return {"symbols": found.task.symbols, "classes": found.task.classes} if found.path else {}


class Writer:
    """What a task fills.

    An example that stands in a split written before is left out, and counted. So a task that converts files writes its
    test split first: nothing of it is trained on.

    Attributes
    ----------
    folder : Path
        Where the task may leave files of its own.
    task : Task
        What symbols and labels there are; the two sequences of a pair are the same pair in either order.
    splits : dict of str to SplitSummary
    """

    def __init__(self, folder: Path, task: Task) -> None:
        self.folder, self.task = folder, task
        self.splits: dict[str, SplitSummary] = {}
        self._type = symbol_type(task.symbols)
        self._known: set[bytes] = set()

    def split(self, name: str, rows: Iterable[tuple[Symbols, int]]) -> None:
        """Write one split.

        Parameters
        ----------
        name : {"train", "valid", "test"}
        rows : iterable of (symbols, label)
            Symbols from 0: bytes, where the task has 256 of them at most, or whole numbers; a pair of such where pairs
            are asked about. Labels from 0, each 0 where the next symbol is asked for.

        Raises
        ------
        InputError
            A split that is unknown or written already; an example without symbols, or what the task does not have.
        """
        require_known("split", name, SPLITS)
        if name in self.splits:
            raise InputError(f"split {name!r}: written already")
        lengths, labels, seen, left_out = [], [], set(), 0
        with TemporaryFile(dir=self.folder) as stream:
            for number, row in enumerate(rows):
                try:
                    parts, answer = self._read(row)
                except InputError as error:
                    raise InputError(f"split {name!r}, example {number}: {error}") from None
                if (mark := _mark(parts)) in self._known:
                    left_out += 1
                    continue
                seen.add(mark)
                for part in parts:
                    stream.write(part)
                    lengths.append(len(part) // self._type.itemsize)
                labels.append(answer)
            stream.flush()
            stream.seek(0)
            tokens = np.fromfile(stream, dtype=self._type)
        self._known |= seen
        arrays = {
            "tokens": tokens,
            "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            "labels": np.array(labels, dtype=np.int64),
        }
        for part, array in arrays.items():
            np.save(self.folder / f"{name}.{part}.npy", array)
        self.splits[name] = SplitSummary(
            **_counts(arrays["tokens"], arrays["offsets"], arrays["labels"]),
            left_out=left_out,
            digest=_split_digest(self.folder, name),
        )

    def finish(self) -> dict[str, SplitSummary]:
        """All splits, in the order of `SPLITS`; raises `InputError` if one is damaged, or that of training missing."""
        if "train" not in self.splits:
            raise InputError("no split 'train' was written")
        for name, split in self.splits.items():
            files = [self.folder / f"{name}.{part}.npy" for part in PARTS]
            if not all(file.is_file() for file in files) or _split_digest(self.folder, name) != split.digest:
                raise InputError(f"split {name!r}: its files were removed or changed after they were written")
        return {name: self.splits[name] for name in SPLITS if name in self.splits}

    def _read(self, row: Any) -> tuple[list[bytes], int]:
        """The sequences of an example, as they are stored, and its label."""
        try:
            symbols, label = row
        except (TypeError, ValueError):
            raise InputError(f"expected (symbols, label), got {_told(row)}") from None
        if self.task.towers == 1:
            return [self._stored(symbols)], self._label(label)
        if not (isinstance(symbols, tuple | list) and len(symbols) == 2):
            raise InputError(f"expected a pair of sequences, got {_told(symbols)}")
        return [self._stored(each) for each in symbols], self._label(label)

    def _stored(self, sequence: Any) -> bytes:
        most = self.task.symbols - 1
        if isinstance(sequence, bytes) and most > 255:
            raise InputError("expected whole numbers, since the task has more than 256 symbols; got bytes")
        try:
            found = np.frombuffer(sequence, np.uint8) if isinstance(sequence, bytes) else np.asarray(sequence)
        except (TypeError, ValueError, RuntimeError):  # ragged, or what no array can be made of
            found = np.empty((), object)
        if found.ndim == 1 and not found.size:
            raise InputError("no symbols")
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise InputError(f"expected a sequence of whole numbers, got {_told(sequence)}")
        least, largest = int(found.min()), int(found.max())
        if least < 0 or largest > most:
            raise InputError(f"expected symbols from 0 to {most}, got {least if least < 0 else largest}")
        return found.astype(self._type, copy=False).tobytes()

    def _label(self, label: Any) -> int:
        most = (self.task.classes or 1) - 1
        try:
            found = int(label) if isinstance(label, np.bool_) else index(label)
        except TypeError:
            found = -1
        if not 0 <= found <= most:
            raise InputError(f"expected a label, a whole number from 0 to {most}, got {_told(label)}")
        return found


def _told(value: Any) -> str:
    """What something is, for a message: of an array its type and shape."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} {tuple(value.shape)}"
    return quoted(value) if isinstance(value, int | float | str | None) else type(value).__name__


def _mark(parts: Iterable[bytes]) -> bytes:
    """What tells two examples apart, whatever the order of a pair."""
    found = hashlib.blake2b(digest_size=16)
    for part in sorted(parts):
        found.update(len(part).to_bytes(8) + part)
    return found.digest()


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


def shared(split: Split, other: Split) -> int:
    """How many examples of ``split`` stand in ``other`` too, whatever the order of a pair."""
    known = {_mark(parts) for parts in other.symbols()}
    return sum(_mark(parts) in known for parts in split.symbols())


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
    if not (path / "manifest.json").is_file():
        raise InputError(f"{path}: no data folder (manifest.json is missing); {_how_to_make(task, path)}")
    file = path / "manifest.json"
    raw = read_json(file, "data manifest")
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise InputError(f"{file}: not a data manifest")
    if raw.get("schema_version") != SCHEMA_VERSION:
        found = quoted(raw.get("schema_version"))
        raise InputError(f"{file}: data schema {found}; this version reads {SCHEMA_VERSION}")
    try:
        manifest = Manifest.model_validate(raw)
        digest(manifest.settings)  # which a run records
    except ValidationError as error:
        raise InputError(f"{file}: {brief(explain(error, Manifest))}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: settings: expected what JSON can hold ({brief(error)})") from None
    if task is not None and manifest.task != task:
        raise InputError(f"{path}: holds the task {quoted(manifest.task)}, expected {task!r}")
    if "train" not in manifest.splits or not manifest.splits["train"].examples:
        raise InputError(f"{file}: the training split is missing or empty")
    return Data(path, manifest, {name: _open(path, name, manifest) for name in manifest.splits})


def _how_to_make(task: str | None, path: Path) -> str:
    if task is None or task in tasks.NAMES:
        return f"make it with: rmaat data {task or 'TASK'} --out {path}"
    other = did_you_mean(task, tasks.NAMES)
    return f"make it with: rmaat data {task}.py --out {path}; {task!r} is no task of the package, {other}"


def _open(path: Path, name: str, manifest: Manifest) -> Split:
    arrays, described = {}, manifest.splits[name]
    for part in PARTS:
        file = path / f"{name}.{part}.npy"
        if not file.is_file():
            raise InputError(f"{file}: missing; convert or generate the data again")
        arrays[part] = read_array(file, mmap=described.tokens > 0)  # an empty array cannot be memory-mapped
    split = Split(name, **arrays, towers=manifest.towers)
    types = symbol_type(manifest.vocabulary - 1), np.int64, np.int64
    if any(array.ndim != 1 or array.dtype != each for array, each in zip(arrays.values(), types, strict=True)):
        raise InputError(f"{path}: the arrays of the split {name!r} are of another type; convert or generate again")
    if len(split.tokens) != described.tokens or len(split) != described.examples:
        raise InputError(f"{path}: the split {name!r} does not have the size that manifest.json states")
    sound = len(split.offsets) == split.towers * len(split) + 1
    sound = sound and split.offsets[0] == 0 and split.offsets[-1] == len(split.tokens)
    sound = sound and (split.offsets[1:] > split.offsets[:-1]).all()  # a difference could overflow
    sound = sound and split.tokens.max(initial=0) < manifest.vocabulary - 1
    if not (sound and ((split.labels >= 0) & (split.labels < (manifest.classes or 1))).all()):
        raise InputError(f"{path}: the arrays of the split {name!r} do not fit together; convert or generate again")
    counts = _counts(split.tokens, split.offsets, split.labels)
    if counts != described.model_dump(include=set(counts)):
        raise InputError(f"{path}: the split {name!r} does not have the counts that manifest.json states")
    if _split_digest(path, name) != described.digest:
        raise InputError(f"{path}: the digest of the split {name!r} does not hold; the arrays were changed")
    return split


def _counts(
    tokens: NDArray[np.unsignedinteger], offsets: NDArray[np.int64], labels: NDArray[np.int64]
) -> dict[str, Any]:
    """What is counted of a split, as in `SplitSummary`."""
    lengths = np.diff(offsets)
    values, counts = np.unique(labels, return_counts=True)
    return {
        "examples": len(labels),
        "tokens": len(tokens),
        "shortest": int(lengths.min()) if len(lengths) else 0,
        "longest": int(lengths.max(initial=0)),
        "labels": {str(value): int(count) for value, count in zip(values, counts, strict=True)},
    }


def _split_digest(folder: Path, name: str) -> str:
    return digest([file_digest(folder / f"{name}.{part}.npy") for part in PARTS])
