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

from astro_sim.common.errors import InputError

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
    """A signal that ends a run raises `KeyboardInterrupt` in the block, or at its end where something swallowed it.

    The handler that is there is called first, as always; if it lets the block go on, the interrupt is raised at the
    end, so that what the block gives is not taken for whole. In a thread other than the main one signals cannot be
    had, and only handlers are refused.

    Raises
    ------
    InputError
        A handler was installed all the same, past ``signal.signal``: it is not known whether the block is whole.
    """
    found = {number: signal.getsignal(number) for number in ENDS}
    # Ignored on purpose (a job in the background of a shell), the system's own, or a handler that is not Python's.
    before = {number: handler for number, handler in found.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread() or not before:
        with handlers_refused():
            yield
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        before[signal.Signals(number)](number, frame)

    for number in before:
        _install(number, note)
    replaced: list[str] = []
    try:
        with handlers_refused():
            yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not note:
                replaced.append(number.name)
            _install(number, handler)
    if came:
        raise KeyboardInterrupt
    if replaced:
        raise InputError(
            f"{', '.join(replaced)}: a handler was installed meanwhile, so an interrupt may have been lost"
        )
