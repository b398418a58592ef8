"""Child processes: held by a handle that cannot hit another one, reaped whatever becomes of their owner."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from edged.system import process_memory
from edged.system.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

_groups: set[int] = set()  # process groups that may still hold children of this process


class Process:
    """A worker process: alone in its process group, so that what it starts ends with it.

    Args:
        pid: a child of this process that was not reaped yet.
        exited: called once, on the event loop, with how it ended.
    """

    def __init__(self, pid: int, exited: Callable[[Ending], object]) -> None:
        self.pid = pid
        self.ended = asyncio.Event()
        self._exited = exited
        self._loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(pid)
        with contextlib.suppress(OSError):  # it ended already
            os.setpgid(pid, pid)
        self._loop.add_reader(self._pidfd, self._gone)

    def kill(self) -> None:
        """End it now."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _gone(self) -> None:
        self._loop.remove_reader(self._pidfd)
        kill_group(self.pid)
        how = _reap(self._pidfd)
        os.close(self._pidfd)
        self.ended.set()
        self._exited(how)


def kill_group(leader: int) -> None:
    """End what a process that was not reaped yet has left behind; :func:`sweep` reaps it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
        _groups.add(leader)


def sweep() -> None:
    """Reap what ended of the groups that were killed. They became children of this process, the subreaper."""
    for group in list(_groups):
        try:
            while os.waitid(os.P_PGID, group, os.WEXITED | os.WNOHANG) is not None:
                pass
        except ChildProcessError:
            _groups.discard(group)


def weight(pid: int) -> tuple[float, int]:
    """Return a process's memory in MB and the number of files it has open; zeros for one that is gone."""
    memory = process_memory.megabytes(pid) or 0.0
    try:
        return memory, len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names are enough
    except OSError:  # it is gone, or not readable for this user
        return memory, 0


def _reap(pidfd: int) -> Ending:
    """Collect the exit status of a process that ended."""
    try:
        found = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    except ChildProcessError:
        return Ending(None)
    if found is None:
        return Ending(0)
    return Ending(found.si_status if found.si_code == os.CLD_EXITED else -found.si_status)
