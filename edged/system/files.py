"""Reads regular files: never a pipe that waits for ever, a device, or more than is wanted.

And writes files that a power cut does not take back.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from typing import IO, TYPE_CHECKING

from edged.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

_IRREGULAR = errno.ENOTSUP


def open_regular(path: Path | str) -> IO[bytes]:
    """Open a regular file for reading, without waiting.

    Raises:
        IsADirectoryError: it is a folder.
        OSError: it cannot be opened, or is a device, pipe or socket, or a link to one.
    """
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "this is a folder, not a file", str(path))
        raise OSError(_IRREGULAR, "this is a device or pipe, not a file", str(path))
    return os.fdopen(descriptor, "rb")


def copy_regular(path: Path, to: Path, most: int) -> None:
    """Copy a regular file.

    Args:
        path: the file.
        to: the copy, made anew.
        most: bytes; a longer file is refused before it is copied.

    Raises:
        OSError: it cannot be read or written, is not a regular file, or is too long.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"the file is longer than {most} bytes", str(path))
        with to.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)


def read_regular(path: Path | str, most: int, *, if_missing: str = "") -> tuple[bytes, os.stat_result]:
    """Return a file's bytes and its status.

    Args:
        path: the file.
        most: the number of bytes that it may have.
        if_missing: the hint of the problem where there is no such file.

    Raises:
        ConfigError: one sentence; the path is the problem's ``where``.
    """
    name = str(path)
    try:
        with open_regular(path) as file:
            data, status = file.read(most + 1), os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        raise _refused(name, error, if_missing) from None
    if len(data) > most:
        raise ConfigError([Problem(name, f"the file is longer than {most} bytes")])
    return data, status


def write_flushed(path: Path, content: bytes | memoryview, mode: int) -> None:
    """Write a file anew, and flush it to the disk; the arguments are those of :func:`write_anew`."""
    with _anew(path, mode) as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def write_anew(path: Path, content: bytes | memoryview, mode: int) -> None:
    """Write a file anew.

    Args:
        path: the file; a link there is replaced, not followed.
        content: its bytes.
        mode: its permissions, less the umask.

    Raises:
        OSError: it cannot be written.
    """
    with _anew(path, mode) as out:
        out.write(content)


def _anew(path: Path, mode: int) -> IO[bytes]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb")


def flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(name: str, error: OSError | ValueError, if_missing: str) -> ConfigError:
    if isinstance(error, FileNotFoundError):
        return ConfigError([Problem(name, "there is no such file", if_missing)])
    if isinstance(error, OSError) and error.errno in (errno.EISDIR, _IRREGULAR):
        return ConfigError([Problem(name, str(error.strerror))])
    if isinstance(error, PermissionError):
        return ConfigError([Problem(name, "the file may not be read", "look at its owner and mode")])
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return ConfigError([Problem(name, f"the file cannot be opened: {reason}")])
