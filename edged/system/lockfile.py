"""One daemon for one spool."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from edged.errors import StateBusy

if TYPE_CHECKING:
    from pathlib import Path


class Lock:
    """A file that one process has locked; the kernel frees it when that process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._fd is not None

    def take(self) -> None:
        """Lock it; harmless when it is held. Raises ``StateBusy``, or ``OSError`` where the disk says no."""
        if self._fd is not None and self._same(self._fd):
            return
        self.free()
        fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise StateBusy(self._path.parent, int(holder) if holder.isdigit() else None) from None
        except OSError:
            os.close(fd)
            raise
        self._fd = fd
        self._sign()

    def free(self) -> None:
        """Unlock it; harmless when it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            if not self._path.exists():
                raise
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)  # a read-only disk; it will do for flock

    def _same(self, fd: int) -> bool:
        """Whether the file is still the one at that path; another disk may be mounted there by now."""
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _sign(self) -> None:
        """Write down who holds it; a full disk spoils only the sentence that names him."""
        assert self._fd is not None  # noqa: S101  # take() has it
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            return
