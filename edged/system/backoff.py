"""How long to wait before the next attempt: at once the first time, then longer and longer."""

from __future__ import annotations


class Backoff:
    """Pauses of 0, then ``shortest_s`` doubled up to ``longest_s``; a quiet time starts them anew.

    Args:
        shortest_s: the second pause.
        longest_s: no pause is longer.
        stable_s: after so long without a failure the next one counts as the first.

    Attributes:
        stable_s: as above.
    """

    def __init__(self, shortest_s: float = 0.1, longest_s: float = 60.0, stable_s: float = 20.0) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self.stable_s = stable_s
        self._failures = 0
        self._at: float | None = None

    def pause_s(self, now: float) -> float:
        """Count a failure at a monotonic time and return how long to wait."""
        if self._at is not None and now - self._at > self.stable_s + self._last():
            self._failures = 0
        self._at = now
        self._failures += 1
        return self._last()

    def _last(self) -> float:
        if self._failures <= 1:
            return 0.0
        return min(self._longest_s, self._shortest_s * 2.0 ** min(self._failures - 2, 30))
