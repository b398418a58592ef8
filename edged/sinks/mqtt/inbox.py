"""How the link's thread speaks to the main thread."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

from edged.sinks.mqtt.defects import Defects

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)


class Inbox:
    """Calls to make on the main thread, in order.

    The event loop empties it when told to; while the main thread is busy closing, it takes calls out by hand.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._defects = Defects()
        self._scheduled = threading.Event()  # one wake-up of the event loop serves many calls

    def post(self, call: Callable[[], None]) -> None:
        """Have it called on the main thread; runs in any thread."""
        self._calls.put(call)
        if self._scheduled.is_set():
            return
        self._scheduled.set()
        try:
            self._call_soon(self.empty)
        except RuntimeError:
            self._scheduled.clear()  # the event loop is closed already

    def empty(self) -> None:
        """Make all calls that are here."""
        self._scheduled.clear()
        while self.take(0):
            pass

    def take(self, timeout_s: float) -> bool:
        """Make one call, waiting for it at most so long; tells whether there was one."""
        try:
            call = self._calls.get(timeout=timeout_s) if timeout_s > 0 else self._calls.get_nowait()
        except queue.Empty:
            return False
        try:
            call()
        except Exception as error:  # the calls behind it must be made all the same
            if self._defects.is_new(error):
                log.exception("a defect in what MQTT reported")
        return True
