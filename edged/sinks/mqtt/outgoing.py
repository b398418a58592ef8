"""What was published on this connection and is not answered yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edged.spool import Row

# A connection is thrown away, however healthy it looks, when no answer came for so long although one is due,
ACK_S = 15.0
OVERDUE_S = 120.0  # or when one message was not answered for so long although others were.


class Sent(NamedTuple):
    """A publish in flight: a row of the spool, or (None) a topic that is retained."""

    at: float
    topic: str
    row: Row | None = None


class Window:
    """Publishes in flight by their message ids. Times are monotonic, in s."""

    def __init__(self) -> None:
        self._flying: dict[int, Sent] = {}  # the oldest first
        self._answered_at = 0.0

    def __len__(self) -> int:
        return len(self._flying)

    @property
    def answer_due(self) -> float | None:
        """When a healthy connection would have answered at the latest; None where nothing is asked."""
        oldest = next(iter(self._flying.values()), None)
        if oldest is None:
            return None
        return min(max(oldest.at, self._answered_at) + ACK_S, oldest.at + OVERDUE_S)

    def add(self, mid: int, sent: Sent) -> None:
        """Wait for the answer to a publish."""
        self._flying[mid] = sent

    def answered(self, mid: int, now: float) -> Sent | None:
        """Return what this was the answer to, or None where nobody waits for it."""
        sent = self._flying.pop(mid, None)
        if sent is not None:
            self._answered_at = now
        return sent

    def holds(self, topic: str) -> bool:
        """Whether something on this topic is not answered."""
        return any(sent.topic == topic for sent in self._flying.values())

    def forget_retained(self) -> None:
        """Do not wait for the retained values any more."""
        self._flying = {mid: sent for mid, sent in self._flying.items() if sent.row is not None}

    def clear(self) -> None:
        """The connection is gone, and nothing will be answered."""
        self._flying.clear()
