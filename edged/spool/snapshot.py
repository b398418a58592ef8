"""A copy of a spool that is in use, taken without a lock: the daemon never waits for whoever looks at it.

The file is copied first, then its log. What the daemon carries over from the log into the file meanwhile is
still in the log, so the copy is whole as long as the log was not begun anew; its salts tell.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from edged.spool.database import DiskError, Trouble
from edged.spool.store import beside

if TYPE_CHECKING:
    from pathlib import Path

ATTEMPTS = 20
_SALTS = slice(12, 24)  # of the log's header: its number and the two salts


def copy(path: Path, to: Path) -> None:
    """Copy a spool. Raises ``OSError``; ``DiskError`` where it changes faster than it can be copied."""
    log, log_to = beside(path, "-wal"), beside(to, "-wal")
    for _ in range(ATTEMPTS):
        before = _salts(log)
        shutil.copyfile(path, to)
        log_to.unlink(missing_ok=True)
        if before:
            shutil.copyfile(log, log_to)
        if _salts(log) == before:
            return
    raise DiskError(Trouble.LOCKED, f"{path} changes faster than it can be read")


def _salts(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            return file.read(32)[_SALTS]
    except FileNotFoundError:
        return b""
