"""Interrupts reach the run that they are meant for, whatever library or file of the user's installs a handler.

A library may install a handler of its own when it is imported (Brian2 does): it then fails in every thread but the
main one, or takes an interrupt for a wish to stop early and lets a run end as if it were whole.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and `kill` or a batch system

_install = signal.signal
_LOCK = threading.Lock()
_refusing: dict[int, int] = {}  # thread -> how many blocks it is in


def _refuse(number: int, handler: Any) -> Any:
    if number in ENDS and threading.get_ident() in _refusing:
        return signal.getsignal(number)
    return _install(number, handler)


@contextmanager
def handlers_refused() -> Iterator[None]:
    """Nothing that runs in this thread meanwhile installs a handler for `ENDS`; what tries to is not told."""
    me = threading.get_ident()
    with _LOCK:
        _refusing[me] = _refusing.get(me, 0) + 1
        signal.signal = _refuse
    try:
        yield
    finally:
        with _LOCK:
            _refusing[me] -= 1
            if not _refusing[me]:
                del _refusing[me]
            if not _refusing:
                signal.signal = _install


@contextmanager
def interrupts_heard() -> Iterator[None]:
    """An interrupt in the block ends as `KeyboardInterrupt`, even where a handler swallows it.

    The handler that is there is called first, as always; if it lets the block go on, the interrupt is raised at the
    end, so that what the block gives is not taken for whole. In a thread other than the main one signals cannot be
    had, and only handlers are refused.
    """
    before = signal.getsignal(signal.SIGINT)
    # Ignored on purpose (a job in the background of a shell), or a handler that is not Python's.
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        with handlers_refused():
            yield
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        before(number, frame)

    _install(signal.SIGINT, note)
    try:
        with handlers_refused():
            yield
    finally:
        _install(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
