"""The resident memory of processes."""

from __future__ import annotations

import os

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


def megabytes(pid: int) -> float | None:
    """Return the resident memory of a process in MB; None for one that is gone or hidden."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - once a second per process
            return int(file.read().split()[1]) * _PAGE_MB
    except (OSError, ValueError, IndexError):
        return None
