"""SIGTERM, SIGINT and SIGHUP, from the first line of the program to its last.

The handlers are plain Python ones, so they also work before there is an event loop, and while a callback
keeps it busy. Even if something hangs, the process is gone ``DEADLINE_S`` after the signal.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import FrameType

log = logging.getLogger(__name__)

DEADLINE_S = 4.7


def name(number: int) -> str:
    """Return a signal's name, such as ``SIGKILL``, or ``signal N`` where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Signals:
    """Turns signals into calls on the event loop.

    Args:
        leave: ends the process at once, with an exit status.
        deadline_s: the longest time for an orderly end.
    """

    def __init__(self, leave: Callable[[int], object] = os._exit, deadline_s: float = DEADLINE_S) -> None:
        self._leave = leave
        self._deadline_s = deadline_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] | None = None
        self._reload: Callable[[], object] | None = None
        self._timer: threading.Timer | None = None

    def install(self) -> None:
        """Install the handlers; a signal that arrives before :meth:`attach` is remembered."""
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)

    def attach(
        self, loop: asyncio.AbstractEventLoop, stop: Callable[[], object], reload: Callable[[], object]
    ) -> None:
        """Call these on the loop from now on."""
        self._loop, self._stop, self._reload = loop, stop, reload
        if self._timer is not None:
            stop()  # requested before there was a loop

    def release(self) -> None:
        """Cancel the deadline: the end was reached in time."""
        if self._timer is not None:
            self._timer.cancel()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._deadline_s, self._too_late)
            self._timer.daemon = True
            self._timer.start()
        # No exception ends a program that still starts: Python drops one that falls into a finalizer.
        if self._stop is not None:
            self._soon(self._stop)

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        if self._reload is not None:  # before, the file was not read yet, or has just been read
            self._soon(self._reload)

    def _soon(self, call: Callable[[], object]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    def _too_late(self) -> None:
        log.error("stopping took longer than %g s; ending at once", self._deadline_s)
        self._leave(0)
