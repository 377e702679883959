"""Files that appear whole or not at all, and digests that say what was in them."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from astro_sim.common.errors import InputError

HDF5 = b"\x89HDF\r\n\x1a\n"  # how every netCDF 4 file begins


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there when the block ends well, remove it when not."""
    path = Path(os.path.realpath(path))  # a link is followed, not replaced
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: exists and is not a regular file")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:  # name the file that was asked for, not the temporary one
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        if temporary is not None:
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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        for inside in (*temporary.rglob("*"), temporary):
            _to_disk(inside)
        if path.exists() and replace:
            # Two renames, so that a crash between them leaves the old folder under a telling name.
            old = path.with_name(f".{path.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            os.rename(path, old)
            os.rename(temporary, path)
            shutil.rmtree(old)
        else:
            require_free(path)  # somebody may have made it meanwhile; an empty folder is replaced by the rename
            os.rename(temporary, path)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(temporary)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
        if found := re.fullmatch(rf"\.(?P<name>{names})\.(?P<end>old|[a-z0-9_]{{8}}(\.\w+)?)", path.name):
            place = folder / found["name"]
            if found["end"] == "old" and path.is_dir() and not place.exists():
                path.rename(place)
            else:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk, so that a loss of power after its renaming cannot leave it empty."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def alone(lock: Path, busy: str | None = None) -> Iterator[None]:
    """Hold a lock file; it is free again when this process ends, however it does.

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
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: a folder; expected a {what}") from None
    except UnicodeDecodeError:
        found = "a netCDF dataset" if path.read_bytes().startswith(HDF5) else "not text"
        raise InputError(f"{path}: {found}; expected a {what} (JSON)") from None
    except (ValueError, RecursionError) as error:  # broken JSON, endless digits, endless brackets
        raise InputError(f"{path}: not a {what}: {error}") from None


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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
