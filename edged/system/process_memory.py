"""The memory of processes: how much is resident, and how this one takes it."""

from __future__ import annotations

import contextlib
import ctypes
import os

_M_ARENA_MAX = -8  # of mallopt(3)
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


def megabytes(pid: int) -> float | None:
    """Return the resident memory of a process in MB; None for one that is gone or hidden."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - once a second per process
            return int(file.read().split()[1]) * _PAGE_MB
    except (OSError, ValueError, IndexError):
        return None


def use_one_heap() -> None:
    """Let all threads of this process take memory from one heap, where the C library is glibc.

    By default each new thread begins a heap of its own and returns little of it: main, which starts a thread
    for each call that may hang, would keep 1.5 MB for each pipeline.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
