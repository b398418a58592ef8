"""Calls from the connection's thread to the main thread, and the log of those that failed."""

from __future__ import annotations

import logging
import queue
import threading
import traceback
from typing import TYPE_CHECKING

from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

AGAIN_S = 3600.0  # a defect at the same place is logged again after this time
MOST_PLACES = 100  # that are remembered


class DefectLog:
    """Logs defects in our own code with their traceback, each place in the code once an hour."""

    def __init__(self) -> None:
        self._logged_at: dict[tuple[str, str, int], float] = {}

    def add(self, where: str, error: Exception) -> None:
        """Log a defect, unless its place was logged a short while ago."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = (type(error).__name__, frame.filename, frame.lineno or 0)
        now = clock.monotonic()
        if now - self._logged_at.get(place, -AGAIN_S) < AGAIN_S:
            return
        if len(self._logged_at) >= MOST_PLACES:
            self._logged_at.clear()
        self._logged_at[place] = now
        log.error("a defect in %s", where, exc_info=error)


class Inbox:
    """Calls to make on the main thread, in order.

    The event loop empties it; while the main thread is busy closing, it takes calls out itself.

    Args:
        call_soon: runs a function on the main thread; callable from any thread.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._defects = DefectLog()
        self._scheduled = threading.Event()  # one wake-up of the event loop serves many calls

    def post(self, call: Callable[[], None]) -> None:
        """Have a function called on the main thread; runs in any thread."""
        self._calls.put(call)
        if self._scheduled.is_set():
            return
        self._scheduled.set()
        try:
            self._call_soon(self.empty)
        except RuntimeError:
            self._scheduled.clear()  # the event loop is closed already

    def empty(self) -> None:
        """Make all the calls that are waiting."""
        self._scheduled.clear()
        while self.take(0):
            pass

    def take(self, timeout_s: float) -> bool:
        """Make one call, waiting at most this long for one; return whether there was one."""
        try:
            call = self._calls.get(timeout=timeout_s) if timeout_s > 0 else self._calls.get_nowait()
        except queue.Empty:
            return False
        try:
            call()
        except Exception as error:  # noqa: BLE001  the calls behind it must still be made
            self._defects.add("the handling of what MQTT reported", error)
        return True
