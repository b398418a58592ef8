"""Paces frames: waits until the next one is due, and counts those that are late."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edged.errors import Reason, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable


class Pace:
    """A grid of times.

    Args:
        monotonic: returns the time, in s.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._period_s = 0.0
        self._due = 0.0

    def begin(self, period_s: float) -> None:
        """Start: the first frame is due now, then one every ``period_s``; with 0, one is always due."""
        self._period_s = period_s
        self._due = self._monotonic()

    def wait(self, timeout_s: float) -> int:
        """Wait until a frame is due and return how many were missed before it.

        Raises:
            Unavailable: TIMEOUT: no frame is due within ``timeout_s``, which has passed.
        """
        if self._period_s == 0:
            return 0
        wait_s = self._due - self._monotonic()
        if wait_s > timeout_s:
            self._sleep(timeout_s)
            raise Unavailable(Reason.TIMEOUT, f"no frame is due within {timeout_s:g} s")
        if wait_s > 0:
            self._sleep(wait_s)
        missed = max(0, int(-wait_s / self._period_s))
        self._due += (missed + 1) * self._period_s
        return missed
