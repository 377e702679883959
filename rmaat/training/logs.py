"""What a run writes while it goes: metrics.jsonl, a line a logged step, and TensorBoard's event files where asked."""

import json
import os
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from astro_sim.common.extras import extras_named
from astro_sim.common.files import write_text
from rmaat.records import METRICS, read_metrics

EVENTS = "tensorboard"


class Logs:
    """The logs of a run that goes on after ``done`` steps: what was logged later is dropped, it will come again.

    Parameters
    ----------
    run : Path
    done : int
    tensorboard : bool
    write : bool
        False in processes that leave writing to another.

    Raises
    ------
    InputError
        TensorBoard is asked for and not installed.
    """

    def __init__(self, run: Path, done: int, tensorboard: bool, write: bool) -> None:
        self._stream = self._events = None
        if not write:
            return
        path = run / METRICS
        kept = [row for row in read_metrics(path) if row["step"] <= done]
        write_text(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._stream = path.open("a")
        if tensorboard:
            self._events = event_writer()(str(run / EVENTS), purge_step=done + 1)

    def add(self, row: dict[str, Any]) -> None:
        """A row of ``split``, ``step`` and numbers."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(row, allow_nan=False) + "\n")
            self._stream.flush()
        except OSError as error:  # a full disk
            raise OSError(error.errno, error.strerror, self._stream.name) from error
        if self._events is not None:
            for name, value in row.items():
                if name not in ("split", "step") and isinstance(value, int | float):
                    self._events.add_scalar(f"{row['split']}/{name}", value, row["step"])

    def sync(self) -> None:
        """Onto the disk, before the checkpoint that stands for it."""
        if self._stream is not None:
            os.fsync(self._stream.fileno())
        if self._events is not None:
            self._events.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self._stream, self._events):
            if stream is not None:
                # What could not be written before the error cannot be written now; the error has been told.
                with nullcontext() if value is None else suppress(OSError):
                    stream.close()


def event_writer() -> Any:
    """TensorBoard's writer, which is an extra."""
    with extras_named():
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter
