"""Files that appear whole or not at all, and digests that say what was in them."""

import errno
import fnmatch
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from astro_sim.common.errors import InputError, brief

if TYPE_CHECKING:
    from numpy.typing import NDArray

HDF5 = b"\x89HDF\r\n\x1a\n"  # how every netCDF 4 file begins
LONGEST_NAME = 255  # bytes; of ext4, XFS, APFS and NTFS alike
UNLOCKABLE = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
# What a file system says that has no permissions, no locks, or nothing to wait for.
UNSUPPORTED = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENOLCK, errno.ENOTTY}
)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there when the block ends well, remove it when not."""
    path = Path(os.path.realpath(path))  # a link is followed, not replaced
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: exists and is not a regular file")
    temporary = _beside(path, path.suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made here, and only here: with the permissions that the user's umask gives, and never over another's file.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise _of(path, error, temporary) from error
    finally:
        with suppress(OSError):  # the file system may be gone by now, which is told already
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; move it there when the block ends well, remove it when not.

    Raises
    ------
    InputError
        ``path`` exists, is not an empty folder, and ``replace`` was not asked for.
    """
    path = Path(path)
    require_free(path, replace)
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        for inside in (*temporary.rglob("*"), temporary):
            _to_disk(inside)
        if path.exists() and replace:
            # Two renames, so that a crash between them leaves the old folder under a telling name.
            old = _beside(path, mark="old")
            shutil.rmtree(old, ignore_errors=True)
            os.rename(path, old)
            os.rename(temporary, path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            require_free(path)  # somebody may have made it meanwhile; an empty folder is replaced by the rename
            os.rename(temporary, path)
    except OSError as error:
        raise _of(path, error, temporary) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path, suffix: str = "", mark: str = "") -> Path:
    """A hidden name in the same folder: what `recover` knows again, and no longer than a file's name may be."""
    ending, name = f".{mark or secrets.token_hex(4)}{suffix}", path.name
    while len(os.fsencode(f".{name}{ending}")) > LONGEST_NAME:
        name = name[:-1]
    return path.with_name(f".{name}{ending}")


def _of(path: Path, error: OSError, temporary: Path) -> OSError:
    """The same error, told of the file that was asked for and not of the temporary one; of others it stays as it is."""
    if error.filename is not None and not os.path.abspath(error.filename).startswith(os.path.abspath(temporary)):
        return error
    return OSError(error.errno, error.strerror or str(error), str(path))


def recover(folder: Path, names: str) -> None:
    """Clear a folder of what `whole_file` and `whole_folder` left there when their process was killed.

    What was half written is removed; a folder that was to be replaced, and is gone, comes back.

    Parameters
    ----------
    folder : Path
    names : str
        Regular expression of what they were to be called; other hidden files are somebody else's.
    """
    for path in folder.glob(".*"):
        if left := re.fullmatch(rf"\.(?P<name>{names})\.(?P<end>old|[a-z0-9_]{{8}}(\.\w+)?)", path.name):
            place = folder / left["name"]
            if left["end"] == "old" and path.is_dir() and not place.exists():
                path.rename(place)
            else:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk, so that a loss of power after its renaming cannot leave it empty.

    Not every file system can be asked to (some network and FUSE ones cannot), which is no reason to lose the file.
    """
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(handle)


@contextmanager
def alone(lock: Path, busy: str | None = None) -> Iterator[None]:
    """Hold a lock file; it is free again when this process ends, however it does.

    On a file system that has no locks a warning says so, and nothing is held.

    Raises
    ------
    InputError
        ``busy``, where another process holds it; without such a message it is waited for.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, blocking=busy is None)
    try:
        held.acquire()
    except Timeout:
        raise InputError(str(busy)) from None
    except (OSError, NotImplementedError) as error:  # the second where the system call is missing
        if isinstance(error, OSError) and error.errno not in UNLOCKABLE:
            raise OSError(error.errno, error.strerror or str(error), str(lock)) from error
        warnings.warn(
            f"{lock.parent}: its file system has no locks, so nothing keeps two processes apart there", stacklevel=3
        )
    try:
        yield
    finally:
        held.release()


def require_free(path: Path, replace: bool = False, instead: str = "choose another folder or remove it") -> None:
    """Raise `InputError` when a folder to be written is in the way; an empty one is not."""
    if path.is_dir() and (replace or not any(path.iterdir())):
        return
    if path.exists():
        raise InputError(f"{path}: exists already; {instead}")


def require_writable(path: str | Path) -> None:
    """Raise `OSError` where a file could not be made, before the work that would fill it."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: exists and is not a regular file")
    at = next(parent for parent in path.parents if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=at):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def require_suffix(path: str | Path, *suffixes: str) -> None:
    """Raise `InputError` unless a file to be written ends in one of them: no verb writes over another's file."""
    if Path(path).suffix.lower() not in suffixes:
        raise InputError(f"{path}: expected a name that ends in {', '.join(suffixes)}")


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write ``content`` whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all. NaN and infinity raise: JSON has neither."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path, what: str) -> Any:
    """Read a JSON file, or raise `InputError` that says which ``what`` is missing or broken, and where."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; expected a {what}") from None
    except UnicodeDecodeError:
        kind = "a netCDF dataset" if path.read_bytes().startswith(HDF5) else "not text"
        raise InputError(f"{path}: {kind}; expected a {what} (JSON)") from None
    except (ValueError, RecursionError) as error:  # broken JSON, endless digits, endless brackets
        raise InputError(f"{path}: not a {what}: {brief(error)}") from None


def visible(folder: Path, pattern: str = "*") -> list[Path]:
    """What lies in a folder, in the order of the names, without what a person does not see there.

    Hidden are names that begin with a dot (a Mac's companions ``._NAME``, an editor's drafts) and a Mac's folder
    ``__MACOSX`` in unpacked archives. Whatever is gathered as data is gathered through here.
    """
    names = filter(is_visible, os.listdir(folder))  # which raises for a folder that may not be read, as glob does not
    return sorted(folder / name for name in names if fnmatch.fnmatchcase(name, pattern))


def is_visible(name: str) -> bool:
    """Whether a file or folder of this name is meant to be seen; see `visible`."""
    return not name.startswith(".") and name != "__MACOSX"


def instead_of(kind: Literal["file", "folder"], path: Path) -> str:
    """What stands where a file or a folder is expected, for a message: nothing, or something of another kind."""
    if not path.exists():
        return f"no such {kind}"
    return "a folder, not a file" if path.is_dir() else f"not a {kind}"


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """What lies below a folder, as `os.walk`: visible names in order, links followed, no folder twice.

    The list of folders decides where the walk goes on, and may be changed.
    """
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link to a folder above, or a second one to the same
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(filter(is_visible, folders))
        yield Path(place), folders, sorted(filter(is_visible, files))


def read_array(path: Path, mmap: bool = False) -> "NDArray[Any]":
    """Read a .npy file, memory-mapped if asked; never a pickle.

    Raises
    ------
    InputError
        No such file, or not a whole array.
    """
    import numpy as np  # here, since the front door does without

    try:
        # An empty array cannot be memory-mapped.
        array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such array") from None
    # A damaged header is text that numpy hands to Python's parser, and what comes out of that is manifold.
    except Exception as error:
        raise InputError(f"{path}: not a readable array, perhaps truncated ({brief(error)})") from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: an archive of arrays under the name of one")
    return array


def parse_json(text: str) -> Any:
    """Parse JSON as it is defined: without NaN and infinity, neither in words nor as numbers that are too large.

    `read_json` lets these pass, since who validates its values can say where they stand.

    Raises
    ------
    ValueError
        Broken JSON, a number that no float64 holds, endless digits.
    RecursionError
        Brackets within brackets within brackets.
    """

    def refuse(word: str) -> float:
        raise ValueError(f"expected a number, got {brief(word)}")

    def number(word: str) -> float:
        return value if math.isfinite(value := float(word)) else refuse(word)

    return json.loads(text, parse_constant=refuse, parse_float=number)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of ``value`` (sorted keys, no spaces): the same settings, the same digest."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of ``packages``, for provenance."""
    return {package: _version(package) for package in packages}


@cache
def _version(package: str) -> str:
    return version(package)  # reads the package's metadata: 13 ms for a handful
