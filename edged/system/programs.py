"""Ends a program that a source started, with what that started itself.

Such a program stays in its worker's process group, so that it also ends where its worker is killed: the fork
server ends the group. In a session of its own it would live on, and keep a device from the next worker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

_ENDS_S = 2.0


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and its descendants; one that hangs in the kernel is left behind."""
    for pid in (process.pid, *descendants(process.pid)):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_ENDS_S)


def descendants(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """Return the processes that a process started, and those that these started.

    Args:
        pid: the process.
        proc: the kernel's list of processes; another one in tests.
    """
    children: dict[int, list[int]] = {}
    for stat in proc.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(stat.read_bytes().rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found[1:]
