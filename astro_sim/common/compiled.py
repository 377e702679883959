"""Functions compiled by numba, with a cache on disk where there is a place for one.

Numba refuses to compile with a cache where neither the package's folder nor the user's home can be written to, and a
cache on a disk that is full, or damaged, ends the run that meant to use it. None of it is worth a result.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core import config as numba_config

config: Any = numba_config  # its settings are made when it is loaded, unseen by a type checker


def compiled(cache: bool = True, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """``numba.njit(**options)``, with a cache where it can be had.

    An environment that turns compiling off (``NUMBA_DISABLE_JIT``) is overruled for the whole process: kernels are
    written for the compiler.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        config.DISABLE_JIT = 0  # and so it stays: numba compiles its own parts when a kernel is first called
        dispatcher: Any = njit(**options)(function)
        if cache:
            with suppress(RuntimeError):  # "cannot cache function ...: no locator available"
                dispatcher.enable_caching()
                _forgive(dispatcher._cache)
        return dispatcher

    return decorate


def _forgive(cache: Any) -> None:
    """Let a cache that cannot be read or written be as good as none."""
    load, save = cache.load_overload, cache.save_overload

    def load_overload(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        except Exception:  # a damaged file comes out of pickle as almost anything
            return None

    def save_overload(*arguments: Any) -> None:
        try:
            save(*arguments)
        except Exception:  # a full disk, or a damaged index, which is read before it is written
            with suppress(OSError):
                cache.flush()

    cache.load_overload, cache.save_overload = load_overload, save_overload
