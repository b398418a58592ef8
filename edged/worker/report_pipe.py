"""The worker's end of the pipe."""

from __future__ import annotations

import errno
import os
import socket
import threading
from typing import TYPE_CHECKING, Protocol

from edged.ipc import worker_messages

if TYPE_CHECKING:
    from collections.abc import Callable


class Reporter(Protocol):
    """Takes the reports of pipelines."""

    def send(self, report: worker_messages.Report) -> None:
        """Take a report that must arrive."""

    def offer(self, report: worker_messages.Report) -> None:
        """Take a report that can be done without."""


class Reports:
    """Sends reports from any thread; ends this process when main is gone."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._watched = False

    def send(self, report: worker_messages.Report) -> None:
        """Send a report that must arrive; wait where main is behind."""
        try:
            self._pipe.send(worker_messages.encode(report))
        except OSError as error:
            self._lost(error)

    def offer(self, report: worker_messages.Report) -> None:
        """Send a report that main can do without; drop it where main is behind."""
        try:
            self._pipe.send(worker_messages.encode(report), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error)

    def _lost(self, error: OSError) -> None:
        """End this process, whose main is gone; the thread that hears main does it in order.

        Where a driver closed the descriptor, that thread waits for ever.
        """
        if not self._watched or error.errno not in (errno.EPIPE, errno.ECONNRESET):
            os._exit(0)

    def watch(self, obey: Callable[[str, str], None], stop: Callable[[], None]) -> None:
        """Call ``obey`` with the pipeline and verb of each command, and ``stop`` when main closes its end."""

        def wait() -> None:
            try:
                while data := self._pipe.recv(128):
                    pipeline, _, verb = data.decode("ascii").partition(" ")
                    obey(pipeline, verb)
            finally:
                stop()

        self._watched = True
        threading.Thread(target=wait, name="main", daemon=True).start()
