"""Rows that the broker acknowledged a moment ago, in case it forgets them.

mosquitto writes its database after it acknowledged: killed in that instant it loses what it has said to have
(at 1,000 events/s 7 of 2,355 over 12 kills were measured). So such rows rest in the spool until the broker
has lived on for ``FLUSH_S``, and wait again when the connection breaks before.
"""

from __future__ import annotations

import math
from collections import deque

FLUSH_S = 0.5  # in which a broker has written what it acknowledged, on a slow card too
_TOGETHER_S = 0.1  # rows are settled in groups


class Recent:
    """Remembers sequences for a moment. Times are monotonic, in s.

    Args:
        silence_s: after which a connection without a sign of life is given up; what was acknowledged before
            that was acknowledged by a broker that lived on.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._rows: deque[tuple[float, int]] = deque()  # by the time of their answers

    def add(self, sequence: int, now: float) -> None:
        """The broker acknowledged a row."""
        self._rows.append((now, sequence))

    def settled(self, now: float) -> list[int]:
        """The broker gave an answer, whichever: return the rows that it had time to write before."""
        if not self._rows or self._rows[0][0] > now - FLUSH_S - _TOGETHER_S:
            return []
        return self._until(now - FLUSH_S)

    def lost(self, now: float, *, told: bool) -> tuple[list[int], list[int]]:
        """The connection ended: return what the broker has, and what it may have forgotten.

        Args:
            now: when it was noticed.
            told: by a broker that said goodbye, so it was not killed and forgets nothing.
        """
        safe = self._until(math.inf if told else now - self._silence_s - FLUSH_S)
        unsafe = [sequence for _, sequence in self._rows]
        self._rows.clear()
        return safe, unsafe

    def _until(self, at: float) -> list[int]:
        found = []
        while self._rows and self._rows[0][0] < at:
            found.append(self._rows.popleft()[1])
        return found
