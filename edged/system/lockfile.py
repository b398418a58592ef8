"""A lock that belongs to one process, and that the kernel frees when that process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class LockFile:
    """A file that one process has locked; its content is that process's id.

    The file is never removed: a lock on a removed file would exclude nobody.

    Args:
        path: the file; created where it is missing.
        busy: returns the error to raise where another process holds the lock, for that process's id (None
            where it is not known).
        mode: the file's permissions.
    """

    def __init__(self, path: Path, *, busy: Callable[[int | None], Exception], mode: int = 0o600) -> None:
        self._path = path
        self._busy = busy
        self._mode = mode
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Return whether this process holds the lock."""
        return self._fd is not None

    def take(self) -> None:
        """Take the lock; harmless where it is held.

        Raises:
            OSError: the file cannot be created or opened.
            Exception: what ``busy`` returns, where another process holds the lock.
        """
        if self._fd is not None and self._is_current(self._fd):
            return
        self.free()
        fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise self._busy(int(holder) if holder.isdigit() else None) from None
        except OSError:
            os.close(fd)
            raise
        self._fd = fd
        self._write_pid(fd)

    def free(self) -> None:
        """Free the lock; harmless where it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, self._mode)
        except OSError:
            if not self._path.exists():
                raise
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)  # a read-only disk; enough for flock

    def _is_current(self, fd: int) -> bool:
        """Return whether the open file is still the one at the path: another disk may be mounted there."""
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    @staticmethod
    def _write_pid(fd: int) -> None:
        """Write who holds the lock; where the disk is full, only the sentence that names it suffers."""
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            return
