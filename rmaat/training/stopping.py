"""A signal that ends a run ends it after the step that it is at, with a checkpoint to go on from."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

# What Ctrl-C sends, and what `kill`, a batch system at its time limit and torchrun send.
SIGNALS = (signal.SIGINT, signal.SIGTERM)
ECHO = 2.0  # seconds; torchrun sends its processes a second time what the terminal has sent to all


class Stopped(KeyboardInterrupt):
    """A run was asked to stop, and has saved where it stands.

    Attributes
    ----------
    status : int
        Exit status of a process that ends for this: 128 and the number of the signal.
    """

    def __init__(self, run: Path, step: int, number: int) -> None:
        super().__init__(f"{run}: stopped at step {step}; the same command with --resume goes on")
        self.status = 128 + number


class Asked:
    """Whether a signal asked to stop: its ``number``, or None."""

    number: int | None = None


@contextmanager
def until_asked() -> Iterator[Asked]:
    """Note a signal in place of what it does otherwise; one that comes later does that.

    In a thread other than the main one signals cannot be had, and nothing is changed.
    """
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    echo_until = 0.0
    before = {each: signal.getsignal(each) for each in SIGNALS}

    def put_back() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    def note(number: int, _: FrameType | None) -> None:
        nonlocal echo_until
        if asked.number is None:
            asked.number, echo_until = number, time.monotonic() + ECHO
        elif time.monotonic() > echo_until:
            put_back()
            signal.raise_signal(number)

    for each in SIGNALS:
        signal.signal(each, note)
    try:
        yield asked
    finally:
        put_back()
