"""One daemon for a run directory: two would throw each other off the broker and write one status file."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from edged.errors import Reason, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

NAME = "lock"


class Claim:
    """A lock that the kernel gives back when the process ends, however it ends."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / NAME
        self._fd = -1

    def take(self) -> None:
        """Claim the directory, where it can be written; what cannot is told when the status file is.

        Raises:
            Unavailable: another daemon has it.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            what = f"another edged runs already (process {holder or 'unknown'}, run_dir {self._path.parent})"
            raise Unavailable(Reason.BUSY, what) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give it back; harmless when called twice. The file stays, so that nobody locks one that is gone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
