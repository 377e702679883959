"""What a task fills: a data folder in the making, whole or not at all (`rmaat.tasks.data_folder`)."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import chdir
from operator import index
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError, brief, quoted, require_known
from astro_sim.common.files import digest, whole_folder, write_json
from astro_sim.common.settings import Settings
from astro_sim.common.signals import interrupts_heard
from astro_sim.common.user_file import PASSED, located
from rmaat import tasks
from rmaat.tasks.data_folder import (
    MANIFEST,
    PARTS,
    SPLITS,
    Manifest,
    SplitSummary,
    array_file,
    counts,
    fingerprint,
    split_digest,
    symbol_type,
)
from rmaat.tasks.task import Task

Sequence = bytes | NDArray[np.integer] | Collection[int]
Symbols = Sequence | tuple[Sequence, Sequence]  # of one example: a sequence, or a pair of them


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
    lookup = tasks.find(task)
    definition = lookup.task
    if seed < 0:
        raise InputError(f"seed: expected a whole number from 0, got {seed}")
    if not isinstance(settings, Settings):
        settings = lookup.configure(settings or {})
    idle = frozenset() if source is None else definition.generated_only
    if given := sorted(idle & settings.model_fields_set):
        raise InputError(f"{given[0]}: without effect where files are converted; leave it out")
    try:
        asked = settings.model_dump(mode="json", exclude=set(idle))
    except ValueError as error:  # of a type of one's own
        raise InputError(f"{task}: settings: cannot be kept as JSON ({brief(error)})") from None
    with whole_folder(out) as folder:
        writer = Writer(folder.absolute(), definition)
        try:
            with chdir("."), interrupts_heard():  # wherever a task goes, we come back
                content = definition.prepare(settings, None if source is None else Path(source), seed, writer)
            splits = writer.finish()
            if not (isinstance(content, str) and content.strip()):
                raise InputError(f"prepare: expected it to say in one line what the data are, got {_type_of(content)}")
        except BaseException as error:
            if isinstance(error, PASSED):
                raise
            if isinstance(error, OSError) and str(error.filename).startswith(str(writer.folder)):
                # Nobody has named the folder in the making.
                raise OSError(error.errno, error.strerror or str(error), str(out)) from error
            if not lookup.path:
                raise
            raise located(error, lookup.path, task) from error
        if not splits["train"].examples:
            raise InputError(f"{source or task}: no training examples")
        digests: dict[str, Any] = {name: split.digest for name, split in splits.items()}
        if lookup.path:  # one's own file may count other symbols and classes tomorrow
            digests |= {"symbols": definition.symbols, "classes": definition.classes}
        manifest = Manifest(
            task=lookup.name,
            origin="generated" if source is None else "converted",
            content=" ".join(content.split()),
            seed=seed,
            settings=asked,
            vocabulary=definition.symbols + 1,
            classes=definition.classes,
            towers=definition.towers,
            splits=splits,
            digest=digest(digests),
            own_source=lookup.source,
        )
        write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


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

    def split(self, name: str, examples: Iterable[tuple[Symbols, int]]) -> None:
        """Write one split.

        Parameters
        ----------
        name : {"train", "valid", "test"}
        examples : iterable of (symbols, label)
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
        lengths: list[int] = []  # of every sequence, in symbols
        labels: list[int] = []
        written: set[bytes] = set()
        left_out = 0
        with TemporaryFile(dir=self.folder) as stream:
            for number, example in enumerate(examples):
                try:
                    sequences, label = self._stored(example)
                except InputError as error:
                    raise InputError(f"split {name!r}, example {number}: {error}") from None
                if (mark := fingerprint(sequences)) in self._known:
                    left_out += 1
                    continue
                written.add(mark)
                for sequence in sequences:
                    stream.write(sequence)
                    lengths.append(len(sequence) // self._type.itemsize)
                labels.append(label)
            stream.flush()
            stream.seek(0)
            tokens = np.fromfile(stream, dtype=self._type)
        self._known |= written
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        arrays = tokens, offsets, np.array(labels, dtype=np.int64)
        for part, array in zip(PARTS, arrays, strict=True):
            np.save(array_file(self.folder, name, part), array)
        self.splits[name] = SplitSummary(**counts(*arrays), left_out=left_out, digest=split_digest(self.folder, name))

    def finish(self) -> dict[str, SplitSummary]:
        """All splits, in the order of `SPLITS`; raises `InputError` if one is damaged, or that of training missing."""
        if "train" not in self.splits:
            raise InputError("no split 'train' was written")
        for name, split in self.splits.items():
            files = [array_file(self.folder, name, part) for part in PARTS]
            if not all(file.is_file() for file in files) or split_digest(self.folder, name) != split.digest:
                raise InputError(f"split {name!r}: its files were removed or changed after they were written")
        return {name: self.splits[name] for name in SPLITS if name in self.splits}

    def _stored(self, example: Any) -> tuple[list[bytes], int]:
        """The sequences of an example, as they are stored, and its label."""
        try:
            symbols, label = example
        except (TypeError, ValueError):
            raise InputError(f"expected (symbols, label), got {_type_of(example)}") from None
        if self.task.towers == 1:
            return [self._stored_sequence(symbols)], self._label(label)
        if not (isinstance(symbols, tuple | list) and len(symbols) == 2):
            raise InputError(f"expected a pair of sequences, got {_type_of(symbols)}")
        return [self._stored_sequence(sequence) for sequence in symbols], self._label(label)

    def _stored_sequence(self, sequence: Any) -> bytes:
        most = self.task.symbols - 1
        if isinstance(sequence, bytes) and most > 255:
            raise InputError("expected whole numbers, since the task has more than 256 symbols; got bytes")
        try:
            symbols = np.frombuffer(sequence, np.uint8) if isinstance(sequence, bytes) else np.asarray(sequence)
        except (TypeError, ValueError, RuntimeError):  # ragged, or what no array can be made of
            symbols = np.empty((), object)
        if symbols.ndim == 1 and not symbols.size:
            raise InputError("no symbols")
        if symbols.ndim != 1 or symbols.dtype.kind not in "iu":
            raise InputError(f"expected a sequence of whole numbers, got {_type_of(sequence)}")
        smallest, largest = int(symbols.min()), int(symbols.max())
        if smallest < 0 or largest > most:
            raise InputError(f"expected symbols from 0 to {most}, got {smallest if smallest < 0 else largest}")
        return symbols.astype(self._type, copy=False).tobytes()

    def _label(self, given: Any) -> int:
        most = (self.task.classes or 1) - 1
        try:
            label = int(given) if isinstance(given, np.bool_) else index(given)
        except TypeError:
            label = -1
        if not 0 <= label <= most:
            raise InputError(f"expected a label, a whole number from 0 to {most}, got {_type_of(given)}")
        return label


def _type_of(value: Any) -> str:
    """What something is, for a message: a number or a text itself, of an array type and shape."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} {tuple(value.shape)}"
    return quoted(value) if isinstance(value, int | float | str | None) else type(value).__name__
