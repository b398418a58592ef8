"""Pauses between attempts that grow with each failure in a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_DOUBLINGS = 30  # beyond any longest_s, and far from an overflow


class Backoff:
    """Pauses of ``first_s``, doubled for each failure in a row, up to ``longest_s``.

    Without ``reset_after_s`` and ``immediate`` it needs no clock::

        backoff = Backoff(1.0, 30.0)
        while not attempt():
            sleep(backoff.pause_s())  # 1, 2, 4, 8, 16, 30, 30, … s
        backoff.reset()

    Args:
        first_s: the shortest pause, in s.
        longest_s: no pause is longer, in s.
        immediate: after the first failure retry at once (a pause of 0); ``first_s`` follows the second one.
        reset_after_s: a failure that comes more than this many seconds after the end of the pause before it
            counts as the first one again, because what failed has worked meanwhile. Needs the time of each
            failure. By default only :meth:`reset` starts the pauses anew.
        jitter: draws a number between two, such as ``random.uniform``. Each pause is then drawn between
            ``first_s`` and twice its length (at most ``longest_s``), so that many nodes that failed at the
            same moment do not return at the same moment.

    Attributes:
        reset_after_s: as above.
    """

    def __init__(
        self,
        first_s: float,
        longest_s: float,
        *,
        immediate: bool = False,
        reset_after_s: float = math.inf,
        jitter: Callable[[float, float], float] | None = None,
    ) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._immediate = immediate
        self.reset_after_s = reset_after_s
        self._jitter = jitter
        self._failures = 0
        self._over_at = math.inf  # when the last pause was over

    def pause_s(self, now: float = 0.0, *, longest_s: float | None = None) -> float:
        """Count a failure and return how long to wait before the next attempt, in s.

        Args:
            now: monotonic time of the failure, in s; only ``reset_after_s`` needs it.
            longest_s: replaces the longest pause this once: another kind of failure may need more patience.
        """
        if now - self._over_at > self.reset_after_s:
            self._failures = 0
        self._failures += 1
        pause_s = self._length_s(self._longest_s if longest_s is None else longest_s)
        self._over_at = now + pause_s
        return pause_s

    def reset(self) -> None:
        """Forget the failures: an attempt succeeded."""
        self._failures = 0

    def _length_s(self, longest_s: float) -> float:
        doublings = self._failures - 1 - self._immediate
        if doublings < 0:
            return 0.0
        length_s = self._first_s * 2.0 ** min(doublings, _MOST_DOUBLINGS)
        if self._jitter is not None:
            return self._jitter(self._first_s, min(2 * length_s, longest_s))
        return min(length_s, longest_s)


def between_restarts() -> Backoff:
    """Return the pauses between two starts of a process that keeps ending: 0, 0.1, 0.2, … 60 s.

    A process that ran for more than 20 s is restarted at once.
    """
    return Backoff(0.1, 60.0, immediate=True, reset_after_s=20.0)
