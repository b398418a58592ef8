"""Publishes on their way: those without an answer, and the retained topics that the broker does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edged.sinks.mqtt.hangups import Sent

if TYPE_CHECKING:
    from edged.spool import Row

# A connection is thrown away, however healthy it looks, when an answer is due and none came for ACK_S, or
# when one message has had no answer for OVERDUE_S although others were answered.
ACK_S = 15.0
OVERDUE_S = 30.0


class Publish(NamedTuple):
    """A message in flight: a row of the spool, the value of a retained topic, or something else."""

    at: float
    topic: str
    row: Row | None = None
    retained: bool = False

    @property
    def sent(self) -> Sent:
        """The message, to be told from others."""
        return Sent(self.topic, 0 if self.row is None else self.row.sequence)


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
        """Return whether a publish on this topic is in flight."""
        return any(publish.topic == topic for publish in self._publishes.values())

    def forget_retained(self) -> None:
        """Stop waiting for the answers to retained values."""
        self._publishes = {mid: sent for mid, sent in self._publishes.items() if sent.row is not None}

    def waiting(self, since: float) -> list[Publish]:
        """Return the publishes that were made after a moment and have no answer."""
        return [publish for publish in self._publishes.values() if publish.at >= since]

    def clear(self) -> None:
        """Forget everything: the connection is gone, and nothing will be answered."""
        self._publishes.clear()


class RetainedTopics:
    """The latest value of each retained topic, and which of them the broker does not have yet.

    Attributes:
        refresh_at: monotonic time, in s, at which values are sent again; None: never.
    """

    def __init__(self, topic: str, payload: bytes) -> None:
        self._latest = {topic: payload}
        self._unsent: dict[str, None] = {}  # an ordered set, in the order of the changes
        self._every_s = 0.0
        self._again = ""
        self.refresh_at: float | None = None

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
        self.refresh_at = None

    def refresh_every(self, seconds: float, now: float) -> None:
        """Have every value sent again and again: the broker does not keep them."""
        self._every_s, self._again, self.refresh_at = seconds, "", now + seconds

    def refresh_once(self, topic: str, at: float) -> None:
        """Have one value sent again at a time."""
        self._again, self.refresh_at = topic, at

    def refresh(self, now: float) -> None:
        """Have sent what is due."""
        if self.refresh_at is None or now < self.refresh_at:
            return
        if self._again:
            self.send_again(self._again)
            self.refresh_at = None
        else:
            self.send_all()
            self.refresh_at = now + self._every_s

    def holds(self, topic: str) -> bool:
        """Return whether there is a value for this topic."""
        return topic in self._latest

    def send_again(self, topic: str) -> None:
        """Have one value sent, though the broker was assumed to have it."""
        self._unsent[topic] = None

    def send_nothing(self) -> None:
        """Leave out what was not sent."""
        self._unsent.clear()
