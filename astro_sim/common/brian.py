"""Brian2, loaded and run so that what it computes depends on nothing in the user's surroundings.

Brian2 reads preferences from files in the working folder and in the user's home. Those that can change a number are put
back to Brian2's own defaults while this package runs something: the digest of a dataset does not tell of them.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from astro_sim.common.interrupts import handlers_refused

# Preferences that can change a number. Where a compiler and its libraries lie is left to the user.
NUMERICAL = (
    "codegen.cpp.define_macros", "codegen.cpp.extra_compile_args", "codegen.cpp.extra_compile_args_gcc",
    "codegen.cpp.extra_compile_args_msvc", "codegen.cpp.headers", "codegen.generators.cpp.flush_denormals",
    "codegen.loop_invariant_optimisations", "codegen.runtime.numpy.discard_units", "codegen.string_expression_target",
    "core.default_float_dtype", "core.default_integer_dtype", "core.network.default_schedule",
    "devices.cpp_standalone.openmp_spatialneuron_strategy", "legacy.refractory_timing",
)  # fmt: skip
CACHE = "codegen.runtime.cython.cache_dir"

_LOADING = threading.Lock()
_COUNTING = threading.Lock()
_inside = 0  # runs under way in the threads of this process
_foreign: dict[str, Any] = {}


def load_brian2() -> None:
    """Import Brian2 without the handler for interrupts that it installs, and with its own defaults.

    That handler cannot be installed from a thread (a worker of dask is one), and ends a run as if it were whole.
    """
    with _LOADING:
        if "brian2" not in sys.modules:
            with handlers_refused():
                import_module("brian2")
            _set(_defaults())
            _require_cache()


@contextmanager
def own_preferences() -> Iterator[None]:
    """Brian2's defaults for all that can change a number, whatever the program around has set; put back afterwards.

    Preferences belong to the process. Threads that overlap share them: the last one puts the program's back.
    """
    global _inside  # noqa: PLW0603
    with _COUNTING:
        if _inside == 0 and "brian2" in sys.modules:
            from brian2 import prefs

            _foreign.update({name: prefs[name] for name in NUMERICAL})
            _set(_defaults())
        _inside += 1
    try:
        yield
    finally:
        with _COUNTING:
            _inside -= 1
            if _inside == 0 and _foreign:  # else Brian2 was not there when it began, and perhaps still is not
                _set(_foreign)
                _foreign.clear()


def _defaults() -> dict[str, Any]:
    from brian2 import prefs

    found = {}
    for name in NUMERICAL:
        base, _, last = name.rpartition(".")
        found[name] = prefs.pref_register[base][0][last].default
    return found


def _set(values: dict[str, Any]) -> None:
    from brian2 import prefs

    for name, value in values.items():
        prefs[name] = value


def _require_cache() -> None:
    """Let compiled code lie in the temporary folder where the user's home cannot be written to."""
    from brian2 import prefs
    from brian2.codegen.runtime.cython_rt.extension_manager import get_cython_cache_dir

    usual = get_cython_cache_dir()
    if usual is None:  # without Cython
        return
    at = next(each for each in (Path(usual), *Path(usual).parents) if each.exists())
    if not os.access(at, os.W_OK):
        owner = os.getuid() if hasattr(os, "getuid") else "all"
        prefs[CACHE] = str(Path(tempfile.gettempdir()) / f"brian_extensions_{owner}")
