"""Topics at which a broker hangs up: some close the connection at a message that they do not take.

AWS IoT and aedes do so at a topic outside of the client's policy, RabbitMQ at one that its user may not
write, others at a message that is retained or too large, and MQTT 3.1.1 has no other way. Nothing says which
message it was. So topics whose answers were due when connections ended are suspected, and one message is sent
at a time: the topic at which the connection ends again and again is left out for a while, the rest arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

PROMPT_S = 3.0  # a broker that hangs up at a message does so at once
SUSPECTED = 2  # connections that ended over a topic without any answer on it, before it is sent alone
ALONE = 3  # times that it was the only one, before it is left out
STANDS_S = 30.0  # a connection that lasted for this long is not ended over what it began with
FIRST_ROWS = 20  # events that go before subscriptions, and before everything while a topic is suspected
SUBSCRIPTION = "the subscription to "  # in the place of a topic
FIRST_S, LONGEST_S = 60.0, 3600.0  # for which it is left out; doubled each time


class Sent(NamedTuple):
    """A message: its topic and, of a row of the spool, its sequence."""

    topic: str
    sequence: int = 0


class _Bar(NamedTuple):
    until: float
    pause_s: float


class HangUps:
    """Keeps what is known of each topic, over connections. Times are monotonic, in s."""

    def __init__(self) -> None:
        self._strikes: dict[Sent, int] = {}
        self._alone: dict[Sent, int] = {}
        self._bars: dict[str, _Bar] = {}
        self._trying: set[str] = set()  # of those that are left out
        self._worked: set[str] = set()

    @property
    def careful(self) -> bool:
        """Return whether one message at a time is to be sent, because a topic is suspected."""
        return any(count >= SUSPECTED for count in self._strikes.values())

    @property
    def left_out(self) -> list[str]:
        """The topics that are left out now."""
        return [topic for topic in self._bars if topic not in self._trying]

    @property
    def wake_at(self) -> float | None:
        """The time at which a topic is to be tried again."""
        return min((self._bars[topic].until for topic in self.left_out), default=None)

    def has_worked(self, topic: str) -> bool:
        """Return whether the broker ever answered a message on this topic."""
        return topic in self._worked

    def ended(self, sent: Collection[Sent]) -> Sent | None:
        """Note that the broker hung up while these had no answer; return the one that is to blame."""
        for message in sent:
            self._strikes[message] = self._strikes.get(message, 0) + 1
        again = [message for message in sent if message.topic in self._trying]
        if len(sent) != 1 and not again:
            return None
        message = next(iter(again or sent))
        self._alone[message] = self._alone.get(message, 0) + 1
        if self._alone[message] < ALONE and not again:
            return None
        self._acquit(message)
        return message

    def leave_out(self, topic: str, now: float) -> None:
        """Leave a topic out, for longer than the last time."""
        before = self._bars.get(topic)
        pause_s = FIRST_S if before is None else min(2 * before.pause_s, LONGEST_S)
        self._bars[topic] = _Bar(now + pause_s, pause_s)
        self._trying.discard(topic)

    def answered(self, message: Sent) -> None:
        """Note that the broker answered a message, in whatever way."""
        self._worked.add(message.topic)
        self._acquit(message)
        self._trying.discard(message.topic)
        self._bars.pop(message.topic, None)

    def is_left_out(self, topic: str) -> bool:
        """Return whether nothing is to be sent on a topic now."""
        return topic in self._bars and topic not in self._trying

    def due(self, now: float) -> list[str]:
        """Return the topics that are to be tried again from now on."""
        found = [topic for topic in self.left_out if self._bars[topic].until <= now]
        self._trying.update(found)
        return found

    def pipelines(self, base: str) -> set[str]:
        """Return the pipelines whose events are left out; "" for the spool's own records."""
        topics = {topic.removeprefix(f"{base}/") for topic in self.left_out}
        events = {topic.removesuffix("/event") for topic in topics if topic.endswith("/event")}
        return events | {""} if "gap" in topics else events

    def forget(self) -> None:
        """Suspect nothing any more: the connection stands."""
        self._strikes.clear()
        self._alone.clear()

    def _acquit(self, message: Sent) -> None:
        self._strikes.pop(message, None)
        self._alone.pop(message, None)
