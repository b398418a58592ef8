"""The worker's end of the pipe."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

from edged import wire

if TYPE_CHECKING:
    from collections.abc import Callable


class Reports:
    """Sends reports from any thread; when main is gone, so is this process."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self.unsent = 0

    def send(self, report: wire.Report) -> None:
        """Send a report that must arrive: waits where main is behind."""
        try:
            self._pipe.send(wire.encode(report))
        except OSError:
            os._exit(0)

    def offer(self, report: wire.Report) -> bool:
        """Send a report that main can do without; False where main is behind."""
        try:
            self._pipe.send(wire.encode(report), socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.unsent += 1
            return False
        except OSError:
            os._exit(0)
        return True

    def watch(self, stop: Callable[[], None]) -> None:
        """Call ``stop`` when main closes its end."""

        def wait() -> None:
            try:
                while self._pipe.recv(64):
                    pass
            finally:
                stop()

        threading.Thread(target=wait, name="main", daemon=True).start()
