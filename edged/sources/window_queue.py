"""Windows that wait for the model: a bounded queue that forgets those that are out of date."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections import Counter

_MOST = 16  # windows; those behind a model that does not keep up
OLD_S = 1.0  # a window that ended longer ago than this, or than a hop, is out of date


class Timed(Protocol):
    """What may wait."""

    @property
    def ends_at(self) -> float:
        """The monotonic time of its last sample, in s."""


T = TypeVar("T", bound=Timed)


class WindowQueue(Generic[T]):
    """The oldest window first.

    Args:
        hop_s: the time from the start of a window to the next.
        dropped: counts ``skipped``: windows for which the model had no time.
        most: how many may wait; never fewer than 16.
    """

    def __init__(self, hop_s: float, dropped: Counter[str], most: int = 0) -> None:
        self._windows: deque[T] = deque()
        self._old_s = max(OLD_S, hop_s)
        self._dropped = dropped
        self._most = max(_MOST, most)

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._windows)

    def add(self, window: T) -> None:
        """Let a window wait; where there are too many, the oldest is dropped and counted."""
        self._windows.append(window)
        if len(self._windows) > self._most:
            self._windows.popleft()
            self._dropped["skipped"] += 1

    def next(self, now: float) -> T | None:
        """Drop and count what is out of date; take the oldest of the rest, None where there is none."""
        self._drop_old(now, wanted=True)
        return self._windows.popleft() if self._windows else None

    def idle(self, now: float, keep: int | None) -> None:
        """Forget, while no window is wanted, all but the newest ``keep``; None: all may be needed."""
        while keep is not None and len(self._windows) > keep:
            self._windows.popleft()
        self._drop_old(now, wanted=keep is None)

    def clear(self) -> None:
        """Forget all."""
        self._windows.clear()

    def _drop_old(self, now: float, *, wanted: bool) -> None:
        while self._windows and now - self._windows[0].ends_at > self._old_s:
            self._windows.popleft()
            if wanted:
                self._dropped["skipped"] += 1
