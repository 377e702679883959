"""Brian2, loaded and run so that what it computes depends on nothing in the user's surroundings.

Brian2 reads preferences from files in the working folder and in the user's home. Those that can change a number are put
back to Brian2's own defaults while this package runs something: the digest of a dataset does not tell of them.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from astro_sim.common.errors import InputError, brief
from astro_sim.common.extras import extras_named
from astro_sim.common.signals import handlers_refused

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
    """Import Brian2 without the handler for interrupts that it installs.

    That handler cannot be installed from a thread (a worker of dask is one), and ends a run as if it were whole.

    Raises
    ------
    InputError
        A file of preferences that Brian2 cannot read, or no Brian2.
    """
    with _LOADING:
        if not sys.modules.get("brian2"):
            with handlers_refused(), _preferences_told(), extras_named():
                import_module("brian2")
            _require_cache()


@contextmanager
def own_preferences() -> Iterator[None]:
    """Brian2's defaults for all that can change a number, whatever files or the program have set; put back afterwards.

    They hold from its import on where that is in the block, whoever imports it. Preferences belong to the process:
    threads that overlap share them, and the last one puts the program's back.
    """
    global _inside  # noqa: PLW0603
    with _COUNTING:
        _inside += 1
        if _inside == 1:
            if sys.modules.get("brian2"):
                _overrule()
            else:
                sys.meta_path.insert(0, _WATCH)
    try:
        yield
    finally:
        with _COUNTING:
            _inside -= 1
            if _inside == 0:
                with suppress(ValueError):  # it was imported
                    sys.meta_path.remove(_WATCH)
                if _foreign:
                    _set(_foreign)
                    _foreign.clear()


def _overrule() -> None:
    from brian2 import prefs

    _foreign.update({name: prefs[name] for name in NUMERICAL})
    parts = {name: name.rpartition(".") for name in NUMERICAL}
    _set({name: prefs.pref_register[base][0][last].default for name, (base, _, last) in parts.items()})


class _Watch(MetaPathFinder):
    """Overrules preferences as soon as somebody has imported Brian2."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "brian2":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                with handlers_refused(), _preferences_told():
                    execute(module)
                _overrule()

            spec.loader.exec_module = exec_module
        return spec


_WATCH = _Watch()


@contextmanager
def _preferences_told() -> Iterator[None]:
    """Tell in one line of a file of preferences that Brian2 cannot read."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "PreferenceError":
            raise
        where = "./brian_preferences or ~/.brian/user_preferences"
        raise InputError(f"{where}: Brian2 cannot read it ({brief(error)}); mend or remove it") from None


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
    at = next(folder for folder in (Path(usual), *Path(usual).parents) if folder.exists())
    if not os.access(at, os.W_OK):
        owner = os.getuid() if hasattr(os, "getuid") else "all"
        prefs[CACHE] = str(Path(tempfile.gettempdir()) / f"brian_extensions_{owner}")
