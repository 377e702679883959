"""A plugin that makes the tests run as on other machines: ``python -m pytest -p tests.elsewhere``.

The file system refuses to change modes and to wait for folders, and the system does not tell of cores and memory. Run
it in a folder whose name has a space and an umlaut, with a home and a checkout that cannot be written to, and with
``PYTHONIOENCODING=ascii``, and most of what users have met is there.
"""

import errno
import os
import stat
import sys
from typing import Any

_fsync = os.fsync


def _refuse(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _files_alone(handle: int) -> None:
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    _fsync(handle)


os.chmod, os.fchmod, os.fsync = _refuse, _refuse, _files_alone
del os.sched_getaffinity
sys.modules["resource"] = None  # pyright: ignore[reportArgumentType]  # "import resource" raises ImportError
