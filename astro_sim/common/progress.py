"""A progress line with an estimate of the time left: on a terminal only, and only for work past two seconds."""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

Item = TypeVar("Item")
_open_lines = 0  # of this process: a second one would be drawn over the first


def on_terminal() -> bool:
    """Whether a person reads stderr as it comes; without one (closed, or a program without a console) nobody does."""
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


class Progress:
    """Context manager around a rich progress line on stderr; silent where that is no terminal, or has a line already.

    Parameters
    ----------
    label : str
        What is being done.
    total : int
        Number of steps; `advance` counts them.
    patience : float
        Seconds of work before the line appears.
    """

    def __init__(self, label: str, total: int, patience: float = 2.0) -> None:
        self.label, self.total, self.patience = label, total, patience
        self.done = 0
        self._started = time.monotonic()
        self._bar = None

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count ``steps`` as done and show ``note`` (loss, accuracy, ...) behind the line."""
        self.done += steps
        late = time.monotonic() - self._started > self.patience
        if self._bar is None and late and not _open_lines and on_terminal():
            self._open()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=note)

    def _open(self) -> None:
        global _open_lines  # noqa: PLW0603
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,  # stdout is for results, and may be a file
        )
        self._bar.start()
        _open_lines += 1
        self._task = self._bar.add_task(self.label, total=self.total, note="")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _open_lines  # noqa: PLW0603
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            _open_lines -= 1


def track(items: Iterable[Item], label: str, total: int) -> Iterator[Item]:
    """Iterate with a progress line."""
    with Progress(label, total) as progress:
        for item in items:
            yield item
            progress.advance()
