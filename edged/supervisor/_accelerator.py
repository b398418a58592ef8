"""When to run on the Edge TPU and when on the CPU twin: a breaker with growing pauses; pure.

::

    edgetpu ── failure ──▶ cpu, for 5 minutes, doubled up to 1 hour ── probe ──▶ edgetpu
                            └─ at once when the device appears; 3 failures in 10 minutes: 1 hour
"""

from __future__ import annotations

from collections import deque

FIRST_S, LONGEST_S = 300.0, 3600.0
BREAKER_COUNT, BREAKER_S = 3, 600.0


class Choice:
    """Decides for one accelerator with policy ``prefer``; times are monotonic, in s."""

    def __init__(self) -> None:
        self._failures: deque[float] = deque(maxlen=BREAKER_COUNT)
        self._pause_s = FIRST_S
        self._probe_at = 0.0

    def use_it(self, now: float) -> bool:
        """Whether the next worker runs on the accelerator."""
        return now >= self._probe_at

    def failed(self, now: float) -> float:
        """Count a failure; returns for how long the CPU serves now."""
        self._failures.append(now)
        tripped = len(self._failures) == BREAKER_COUNT and now - self._failures[0] <= BREAKER_S
        pause_s = LONGEST_S if tripped else self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_S)
        self._probe_at = now + pause_s
        return pause_s

    def worked(self) -> None:
        """It ran for a good while: the pauses begin anew."""
        self._pause_s = FIRST_S
        self._failures.clear()

    def appeared(self, now: float) -> None:
        """The device was plugged in: try it at once."""
        self._probe_at = min(self._probe_at, now)
