"""A bound on how often something may happen: a burst at once, then so many a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable


class TokenBucket:
    """Each event takes a token; the bucket is full at first and fills up at a constant rate.

    Args:
        per_second: tokens that come in each second.
        burst: tokens that there is room for, at least 1.
        now: returns monotonic time in s.
    """

    def __init__(self, per_second: float, burst: float, now: Callable[[], float] = clock.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._now = now
        self._tokens = burst
        self._at = now()

    def take(self) -> bool:
        """Take a token; return whether there was one."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def wait_s(self) -> float:
        """Return the time until there is a token, in s."""
        self._fill()
        return max(0.0, (1 - self._tokens) / self._per_second)

    def refill(self) -> None:
        """Fill the bucket."""
        self._fill()
        self._tokens = self._burst

    def _fill(self) -> None:
        now = self._now()
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._per_second)
        self._at = now
