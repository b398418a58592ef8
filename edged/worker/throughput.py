"""A pipeline's throughput, from its latest frames; cheap enough to update for every frame."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

from edged.system.quantiles import share

_FRAMES = 256  # that percentiles and rates look back
_RATE_S = 10.0  # the rate looks back at most this long


class Rates(NamedTuple):
    """The current figures; 0 where there are none yet."""

    fps: float
    capture_ms: float
    invoke_p50_ms: float
    invoke_p95_ms: float


class Throughput:
    """Throughput of one pipeline.

    Attributes:
        frames: classified since the start.
        dropped: not classified, by reason.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.dropped: Counter[str] = Counter()
        self._frames: deque[tuple[float, float, float]] = deque(maxlen=_FRAMES)

    def add(self, at: float, capture_ms: float, invoke_ms: float) -> None:
        """Count a frame that was classified at a monotonic time."""
        self.frames += 1
        self._frames.append((at, capture_ms, invoke_ms))

    def rates(self, now: float) -> Rates:
        """Return the figures of the latest frames."""
        if not self._frames:
            return Rates(0.0, 0.0, 0.0, 0.0)
        captures = sorted(capture_ms for _, capture_ms, _ in self._frames)
        invokes = sorted(invoke_ms for _, _, invoke_ms in self._frames)
        return Rates(self._fps(now), share(captures, 0.5), share(invokes, 0.5), share(invokes, 0.95))

    def _fps(self, now: float) -> float:
        """Return the frames per second; they fade when no more come."""
        times = [at for at, _, _ in self._frames if now - at <= _RATE_S] or [self._frames[-1][0]]
        if len(times) == 1:
            times = [at for at, _, _ in self._frames][-2:]
        count = len(times) - 1
        if not count:
            return 0.0
        mean_s = (times[-1] - times[0]) / count
        quiet_s = now - times[-1]
        return 1 / max(mean_s, 1e-6) if quiet_s <= 2 * mean_s else count / max(now - times[0], count * 1e-6)
