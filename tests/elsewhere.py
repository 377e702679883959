"""A plugin that makes the tests run as on other machines: ``python -m pytest -p tests.elsewhere``.

The file system refuses to change modes and to wait for folders, and the system does not tell of cores and memory. Run
it in a folder whose name has a space and an umlaut, with a home and a checkout that cannot be written to, and with
``PYTHONIOENCODING=ascii``, and most of what users have met is there.
"""

import builtins
import errno
import os
import stat
import sys
from typing import Any

ROOMS = ("astro_sim", "bridge", "rmaat", "analysis")
_import, _fsync, _chmod = builtins.__import__, os.fsync, os.chmod


def _ours(module: str) -> bool:
    """Whether it is our code that asks: what tests and other packages need for themselves is left to them."""
    return module.split(".")[0] in ROOMS


def _import_less(name: str, *arguments: Any, **named: Any) -> Any:
    asking = arguments[0] if arguments else named.get("globals")
    if name == "resource" and asking and _ours(asking.get("__name__") or ""):
        raise ImportError("No module named 'resource'")
    return _import(name, *arguments, **named)


def _refuse(*arguments: Any, **named: Any) -> None:
    if _ours(sys._getframe(1).f_globals.get("__name__") or ""):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))
    _chmod(*arguments, **named)


def _files_alone(handle: int) -> None:
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    _fsync(handle)


builtins.__import__ = _import_less
os.chmod, os.fsync = _refuse, _files_alone
del os.sched_getaffinity
