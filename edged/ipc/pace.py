"""The number of events that a pipeline may send: main enforces this bound and workers keep it.

It is the width of the one channel out of a worker; ``docs/security.md`` works out what it comes to in bits. A
worker waits before it sends more, so one that exceeds the bound is not in order and is replaced. Its own
burst is half of main's, for what lies in the pipe while main is busy.
"""

from __future__ import annotations

from typing import NamedTuple

LEAST_PER_S, MOST_PER_S = 1.0, 1000.0
BURST = 20.0
SEVERAL = 3.0  # times as many where several labels are decided at a time, each with events of its own
_BUSY_S = 3.0  # the time for which main may leave messages in the pipe


class Pace(NamedTuple):
    """A bound.

    Attributes:
        per_second: events a second, on average.
        burst: events at once.
    """

    per_second: float
    burst: float

    @property
    def workers_burst(self) -> float:
        """Events at once, as a worker keeps it."""
        return self.burst / 2


def pace(every_s: float, *, by_label: bool = False) -> Pace:
    """Return the bound for the news of a pipeline; its results have the same again.

    Args:
        every_s: the least time between two samples of its source, in s; 0: there is none.
        by_label: several labels are decided at a time.
    """
    times = SEVERAL if by_label else 1.0
    per_second = MOST_PER_S if every_s <= 0 else min(MOST_PER_S, times * max(LEAST_PER_S, 2 / every_s))
    return Pace(per_second, max(BURST, min(MOST_PER_S, _BUSY_S * per_second)))
