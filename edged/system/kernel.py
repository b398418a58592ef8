"""Process attributes of Linux: die with the parent, a name, a closed memory, no new privileges, stuck."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NAME, _PR_SET_NO_NEW_PRIVS = 1, 4, 15, 38


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, and end if that happened already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def close_memory() -> None:
    """Keep other processes of the same user out of this one's memory, environment and descriptors."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def give_up_privileges() -> bool:
    """Gain no privilege by starting a program, for good; the kernel asks for this before a filter."""
    return bool(ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def name_process(name: str) -> None:
    """Name this process in the process list (the first 15 characters)."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def is_stuck(pid: int, proc: Path = Path("/proc")) -> bool:
    """Return whether a thread of a process waits in the kernel where no signal reaches it (state D)."""
    for status in proc.glob(f"{pid}/task/*/stat"):
        with contextlib.suppress(OSError):  # the thread has ended
            if status.read_text(errors="replace").rpartition(") ")[2].startswith("D"):
                return True
    return False
