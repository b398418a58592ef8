"""Rows that the broker acknowledged a moment ago, in case it forgets them.

mosquitto writes its database after it acknowledged: killed in that instant it loses what the spool does not
have any more (at 1,000 events/s 7 of 2,355 over 12 kills were measured). So when a connection breaks, what
was acknowledged last is said once more on the next one, under the same id and marked as replayed. It is no
part of the spool's account: that has them as acknowledged, which they were.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.spool import Row

FLUSH_S = 1.0  # in which a broker has written what it acknowledged, on a slow card too
MOST = 2000  # rows that are remembered


class Echo:
    """Remembers rows for a moment. Times are monotonic, in s.

    Args:
        silence_s: after which a connection without a sign of life is given up; what was acknowledged before
            that was acknowledged by a broker that lived on.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._rows: deque[tuple[float, Row]] = deque(maxlen=MOST)  # by the time of their answers
        self._out: dict[int, Row] = {}  # said again and not answered yet
        self._again: list[Row] = []  # to be said again, by sequence

    def __len__(self) -> int:
        """How many were said again and are not answered."""
        return len(self._out)

    def heard(self, row: Row | None, now: float) -> bool:
        """The broker answered, for a row or (None) something else; tells whether the row was an echo."""
        echo = row is not None and self._out.pop(row.sequence, None) is not None
        while self._rows and self._rows[0][0] < now - FLUSH_S:
            self._rows.popleft()
        if row is not None:
            self._rows.append((now, row))
        return echo

    def lost(self, now: float, *, told: bool = False) -> None:
        """The connection ended: decide what is said again on the next one.

        Args:
            now: when it was noticed.
            told: by a broker that said goodbye, so it was not killed and forgets nothing.
        """
        since = math.inf if told else now - self._silence_s - FLUSH_S
        recent = {row.sequence: row for at, row in self._rows if at >= since}
        kept = {row.sequence: row for row in self._again} | self._out | recent
        self._again = [replace(row, waited=True) for _, row in sorted(kept.items())][-MOST:]
        self._rows.clear()
        self._out.clear()

    def take(self, limit: int) -> list[Row]:
        """Hand out what is to be said again now."""
        rows, self._again = self._again[: max(0, limit)], self._again[max(0, limit) :]
        self._out |= {row.sequence: row for row in rows}
        return rows

    def refused(self, row: Row) -> bool:
        """The broker does not want a row; tells whether it was an echo, which is then given up."""
        return self._out.pop(row.sequence, None) is not None
