"""A process that the fork server forked, as main holds it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.system.ending import Ending


class Process:
    """One process. Its parent, the fork server, reports its end; kills go directly where that is allowed.

    Args:
        number: its process id as the fork server knows it.
        pidfd: a handle that cannot hit another process; owned by this object.
        kill: asks the fork server to kill it.

    Attributes:
        number: as above.
        pid: its process id here; 0 where it was gone already.
        ended: set when it is gone.
    """

    def __init__(self, number: int, pidfd: int, kill: Callable[[int], object]) -> None:
        self.number = number
        self.pid = pid_of(pidfd)
        self.ended = asyncio.Event()
        self._pidfd = pidfd
        self._ask_to_kill = kill
        self._ending: Ending | None = None
        self._exited: Callable[[Ending], object] = lambda _ending: None

    def when_it_ends(self, exited: Callable[[Ending], object]) -> None:
        """Call a function once, on the event loop, with how it ended, also where it has ended already."""
        self._exited = exited
        if self._ending is not None:
            asyncio.get_running_loop().call_soon(exited, self._ending)

    def kill(self) -> None:
        """End it now."""
        if self._ending is not None:
            return
        try:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        except PermissionError:  # another user's, whom only its parent may kill
            self._ask_to_kill(self.number)
        except ProcessLookupError:
            return

    def finish(self, ending: Ending) -> None:
        """Take the fork server's report that it is gone."""
        if self._ending is not None:
            return
        self._ending = ending
        os.close(self._pidfd)
        self.ended.set()
        self._exited(ending)


def pid_of(pidfd: int) -> int:
    """Return a process's id as it is here, whichever PID namespace it lives in; 0 for one that is gone."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text("ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "Pid":
                return max(0, int(value))
    return 0
