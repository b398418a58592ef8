"""When to run on the Edge TPU and when on the CPU twin: a breaker with growing pauses; pure.

::

    usable ── failure ──▶ on the CPU for 5 minutes, doubled up to 1 hour ── a probe works ──▶ usable
                           ├─ the device appears: probe at once
                           └─ 3 failures in 10 minutes: 1 hour, whatever appears
"""

from __future__ import annotations

import math
from collections import deque

FIRST_S, LONGEST_S = 300.0, 3600.0
BREAKER_COUNT, BREAKER_S = 3, 600.0
STABLE_S = 600.0  # of use, after which the pauses begin anew
SETTLE_S = 1.0  # for a device that appeared to get its permissions


class Choice:
    """Decides for one accelerator; times are monotonic, in s."""

    def __init__(self) -> None:
        self._failures: deque[float] = deque(maxlen=BREAKER_COUNT)
        self._pause_s = FIRST_S
        self._since = -math.inf  # usable
        self._probe_at: float | None = None
        self._tripped_until = -math.inf

    @property
    def usable(self) -> bool:
        """Whether to run on the accelerator."""
        return self._probe_at is None

    def failed(self, now: float) -> float:
        """Count a failure, of use or of a probe; returns for how long the CPU serves now, in s."""
        if self.usable and now - self._since > STABLE_S:
            self._pause_s = FIRST_S
        self._failures.append(now)
        pause_s = self._pause_s
        if len(self._failures) == BREAKER_COUNT and now - self._failures[0] <= BREAKER_S:
            pause_s, self._tripped_until = LONGEST_S, now + LONGEST_S
        self._pause_s = min(2 * self._pause_s, LONGEST_S)
        self._probe_at = now + pause_s
        return pause_s

    def due(self, now: float) -> bool:
        """Whether it is time for a probe."""
        return self._probe_at is not None and now >= self._probe_at

    def proved(self, now: float) -> None:
        """A probe worked."""
        self._probe_at, self._since = None, now

    def appeared(self, now: float) -> None:
        """The device was plugged in: probe at once, unless it comes and goes."""
        if self._probe_at is not None and now >= self._tripped_until:
            self._probe_at = min(self._probe_at, now + SETTLE_S)
            self._pause_s = FIRST_S
