"""Publishes on their way: those without an answer, and the retained topics that the broker does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edged.spool import Row

# A connection is thrown away, however healthy it looks, when an answer is due and none came for ACK_S, or
# when one message has had no answer for OVERDUE_S although others were answered.
ACK_S = 15.0
OVERDUE_S = 120.0


class Publish(NamedTuple):
    """A publish in flight: a row of the spool, or (None) the value of a retained topic."""

    at: float
    topic: str
    row: Row | None = None


class InFlight:
    """The publishes in flight, by message id. Times are monotonic, in s."""

    def __init__(self) -> None:
        self._publishes: dict[int, Publish] = {}  # the oldest first
        self._answered_at = 0.0

    def __len__(self) -> int:
        return len(self._publishes)

    @property
    def answer_due(self) -> float | None:
        """The time by which a healthy connection has answered; None while nothing is in flight."""
        oldest = next(iter(self._publishes.values()), None)
        if oldest is None:
            return None
        return min(max(oldest.at, self._answered_at) + ACK_S, oldest.at + OVERDUE_S)

    def add(self, mid: int, publish: Publish) -> None:
        """Wait for the answer to a publish."""
        self._publishes[mid] = publish

    def answered(self, mid: int, now: float) -> Publish | None:
        """Return the publish that was answered, or None where nothing waits for this answer."""
        publish = self._publishes.pop(mid, None)
        if publish is not None:
            self._answered_at = now
        return publish

    def holds(self, topic: str) -> bool:
        """Whether a publish on this topic is in flight."""
        return any(publish.topic == topic for publish in self._publishes.values())

    def forget_retained(self) -> None:
        """Stop waiting for the answers to retained values."""
        self._publishes = {mid: sent for mid, sent in self._publishes.items() if sent.row is not None}

    def clear(self) -> None:
        """Forget everything: the connection is gone, and nothing will be answered."""
        self._publishes.clear()


class RetainedTopics:
    """The latest value of each retained topic, and which of them the broker does not have yet."""

    def __init__(self, topic: str, payload: bytes) -> None:
        self._latest = {topic: payload}
        self._unsent: dict[str, None] = {}  # an ordered set, in the order of the changes

    def __len__(self) -> int:
        """Return how many values the broker does not have."""
        return len(self._unsent)

    def put(self, topic: str, payload: bytes) -> bool:
        """Note a value; return whether it is a new one."""
        if self._latest.get(topic) == payload:
            return False
        self._latest[topic] = payload
        self._unsent[topic] = None
        return True

    def take(self) -> tuple[str, bytes]:
        """Return the next topic and value to send; from now on the broker is assumed to have it."""
        topic = next(iter(self._unsent))
        del self._unsent[topic]
        return topic, self._latest[topic]

    def send_all(self) -> None:
        """Have every value sent: nobody knows what the broker of a new connection has."""
        self._unsent = dict.fromkeys(self._latest)

    def send_again(self, topic: str) -> None:
        """Have one value sent, though the broker was assumed to have it."""
        self._unsent[topic] = None

    def send_nothing(self) -> None:
        """Leave out what was not sent."""
        self._unsent.clear()
