"""What a signal that ends a process means to a run: it stops after its step, or the process that trains it is told."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from astro_sim.common.signals import ENDS, handled

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
    asked, echo_until = Asked(), 0.0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal echo_until
        if asked.number is None:
            asked.number, echo_until = number, time.monotonic() + ECHO
        elif time.monotonic() > echo_until:
            for ending, earlier in before.items():
                signal.signal(ending, earlier)
            signal.raise_signal(number)

    with handled(note) as before:
        yield asked


@contextmanager
def passed_on(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Hand signals on to the process, which saves where it stands, in place of leaving it behind; those that came.

    On a terminal the process has Ctrl-C already, and takes the second one for the echo that it is.
    """
    passed: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        passed.append(number)
        process.send_signal(number)

    with handled(pass_on, ENDS):
        yield passed
