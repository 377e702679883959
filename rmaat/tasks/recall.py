"""Recall: a value that stands a given number of segments back must still be known at the end.

Every sequence is noise but for two places: a mark followed by one of eight symbols, somewhere in one segment, and a
query as the last symbol of the last segment. The label is the value. Between the two lie ``lag`` segments; what a
model still knows of the value has come through its memory.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astro_sim.common.errors import InputError
from astro_sim.common.settings import Settings, quantity
from rmaat.tasks.data_folder import SPLITS
from rmaat.tasks.task import MOST_EXAMPLES, Task
from rmaat.tasks.writer import Writer

VALUES, NOISE = 8, 16  # symbols: values from 0, then the mark, the query, and noise
MARK, QUERY = VALUES, VALUES + 1
SYMBOLS = VALUES + 2 + NOISE


class RecallSettings(Settings):
    """Which sequences are made."""

    segment: int = quantity(32, "symbols", "length of a segment", "chosen", ge=4, le=4096)
    segments: int = quantity(4, "segments", "T: length of a sequence", "chosen", ge=1, le=4096)
    lag: int | None = quantity(
        None, "segments", "from the value to the query; by default the value is in the first segment", "chosen", ge=0
    )
    train: int = quantity(8_000, "examples", "training sequences", "chosen", ge=1, le=MOST_EXAMPLES)
    valid: int = quantity(500, "examples", "validation sequences", "chosen", ge=0, le=MOST_EXAMPLES)
    test: int = quantity(1_000, "examples", "test sequences", "chosen", ge=0, le=MOST_EXAMPLES)

    def model_post_init(self, _: object) -> None:
        if self.lag is not None and self.lag >= self.segments:
            raise ValueError(f"lag: expected less than segments = {self.segments}, got {self.lag}")


def sequences(
    generator: np.random.Generator, count: int, segment: int, segments: int, lag: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Random sequences.

    Parameters
    ----------
    generator : Generator
    count, segment, segments, lag : int

    Returns
    -------
    symbols : array, (count, segments * segment)
        Token ids are these plus one.
    labels : array, (count,)
    """
    symbols = generator.integers(VALUES + 2, SYMBOLS, (count, segments * segment), dtype=np.uint8)
    labels = generator.integers(0, VALUES, count)
    # Mark and value fit into the segment, and beside the query where that is the same one.
    start = (segments - 1 - lag) * segment + generator.integers(0, segment - 2, count)
    rows = np.arange(count)
    symbols[rows, start] = MARK
    symbols[rows, start + 1] = labels
    symbols[:, -1] = QUERY
    return symbols, labels


def prepare(settings: RecallSettings, source: Path | None, seed: int, writer: Writer) -> str:
    """Generate all splits; nothing can be converted."""
    if source is not None:
        raise InputError("recall: this task is generated; leave --source out")
    lag = settings.segments - 1 if settings.lag is None else settings.lag

    def examples(place: int, count: int) -> Iterator[tuple[bytes, int]]:
        generator = np.random.default_rng([seed, place])
        try:
            symbols, labels = sequences(generator, count, settings.segment, settings.segments, lag)
        except MemoryError:
            length = settings.segment * settings.segments
            raise InputError(
                f"{count:,} sequences of {length:,} symbols do not fit into memory; ask for fewer"
            ) from None
        for sequence, label in zip(symbols, labels, strict=True):
            yield sequence.tobytes(), int(label)

    for place, name in enumerate(SPLITS):
        writer.split(name, examples(place, getattr(settings, name)))
    return "generated"


TASK = Task("a value that lies some segments back, 8 classes", RecallSettings, SYMBOLS, VALUES, prepare)
