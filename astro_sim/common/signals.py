"""Signals that end a run: the one place in which handlers are installed, refused and put back.

A library may install a handler of its own when it is imported (Brian2 does): it then fails in every thread but the
main one, or takes an interrupt for a wish to stop early and lets a run end as if it were whole.
"""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from astro_sim.common.errors import InputError

ENDS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C, and what `kill`, a batch system at its time limit and torchrun send
Handler = Callable[[int, FrameType | None], Any]

_install = signal.signal
_LOCK = threading.Lock()
_refusing: dict[int, int] = {}  # thread -> how many blocks it is in


@contextmanager
def handled(handler: Handler, numbers: Iterable[signal.Signals] = ENDS) -> Iterator[dict[signal.Signals, Any]]:
    """Have ``handler(number, frame)`` called for signals in the block, and yield the handlers whose place it takes.

    They are put back afterwards. In a thread other than the main one signals cannot be had: nothing is changed there,
    and nothing yielded.
    """
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    before = {number: signal.getsignal(number) for number in numbers}
    for number in before:
        _install(number, handler)
    try:
        yield before
    finally:
        for number, earlier in before.items():
            _install(number, earlier)


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


def _refuse(number: int, handler: Any) -> Any:
    if number in ENDS and threading.get_ident() in _refusing:
        return signal.getsignal(number)
    return _install(number, handler)


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
    came, replaced = False, []

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        before[signal.Signals(number)](number, frame)

    # Ignored on purpose (a job in the background of a shell), the system's own, or a handler that is not Python's.
    ours = [number for number in ENDS if callable(signal.getsignal(number))]
    with handled(note, ours) as before, handlers_refused():
        try:
            yield
        finally:
            replaced += [number.name for number in before if signal.getsignal(number) is not note]
    if came:
        raise KeyboardInterrupt
    if replaced:
        raise InputError(
            f"{', '.join(replaced)}: a handler was installed meanwhile, so an interrupt may have been lost"
        )


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let a process that starts be born deaf to Ctrl-C: until it ignores it, it would answer with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which lets interrupts through again as it starts; so before they are held
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
