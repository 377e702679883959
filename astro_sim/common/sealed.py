"""HDF5 files with a checksum over all their bytes, and reading them so that no damage hangs or ends the reader.

HDF5 holds its own checksums over data and some headers, not over the rest, and a flipped bit there can send its library
into a loop that nothing interrupts. So files of ours end in a *seal*, a mark and the SHA-256 of all before it, which is
held before the library sees the file; HDF5 and netCDF readers pass over what follows their end of file. What has no
seal was written by something else, or is cut off, and is tried first in a process of its own that may take so long and
no longer.
"""

import hashlib
import io
import subprocess
import sys
from pathlib import Path

from astro_sim.common.errors import InputError, brief

MARK = b"\x00rmaat sha256\x00\x00\x00"
LENGTH = len(MARK) + hashlib.sha256().digest_size
PATIENCE = 60.0  # s, for a file without a seal
BYTES_A_SECOND = 5e6  # of patience more for a large one; compressed data grow when they are read
ROOM = 8 * 2**30  # bytes of memory that such a file may take, and `TIMES` its own size more
TIMES = 50

# Needs no module of ours: it runs whatever the working folder and the path are.
_TRIAL = f"""
import io, sys
try:
    import resource
except ImportError:
    pass
else:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
content = sys.stdin.buffer.read()
try:
    resource.setrlimit(resource.RLIMIT_AS, ({ROOM} + {TIMES} * len(content),) * 2)
except (NameError, ValueError, OSError):
    pass
import h5py, xarray
try:
    with h5py.File(io.BytesIO(content)) as file:
        dict(file.attrs)
        file.visititems(lambda _, item: dict(item.attrs) and None)
    with xarray.open_dataset(io.BytesIO(content), engine="h5netcdf", decode_times=False) as stored:
        stored.load()
except BaseException as error:
    print(type(error).__name__, error, file=sys.stderr)
    sys.exit(1)
"""


def seal(content: bytes) -> bytes:
    """``content`` with its seal behind it."""
    return content + MARK + hashlib.sha256(content).digest()


def unseal(content: bytes) -> bytes | None:
    """What was sealed; None where there is no seal.

    Raises
    ------
    InputError
        The seal does not hold.
    """
    if content[-LENGTH : len(MARK) - LENGTH] != MARK:
        return None
    if hashlib.sha256(content[:-LENGTH]).digest() != content[len(MARK) - LENGTH :]:
        raise InputError("damaged or changed after it was written: its checksum does not hold")
    return content[:-LENGTH]


def read_hdf5(path: Path) -> io.BytesIO:
    """The contents of a netCDF 4 file, once it is known that they can be read.

    Raises
    ------
    InputError
        A seal that does not hold; without one, contents that cannot be read, or not in time.
    """
    content = path.read_bytes()
    sealed = unseal(content)
    if sealed is None:
        _try(content)
    return io.BytesIO(content if sealed is None else sealed)


def _try(content: bytes) -> None:
    """Read in a process of its own, which is ended when it takes too long, and by an interrupt."""
    patience = PATIENCE + len(content) / BYTES_A_SECOND
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _TRIAL], input=content, capture_output=True, timeout=patience, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"reading it did not end within {patience:.0f} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(brief(lines[-1]) if lines else f"reading it ended with status {done.returncode}")
