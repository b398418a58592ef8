"""Collects what the broker does not let this node do, as sentences for health."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edged.sinks.mqtt.commands import ECHO, SWITCHES
from edged.sinks.mqtt.hangups import HangUps
from edged.sinks.mqtt.terms import Will

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edged.sinks.mqtt.outgoing import Publish
    from edged.sinks.mqtt.session import Session
    from edged.sinks.mqtt.settings import Settings

log = logging.getLogger(__name__)

ECHO_S = 10.0  # for what is published to come back
REFRESH_S = 60.0  # between two times that all values are sent to a broker that retains none


def lacks(session: Session, settings: Settings, status: str) -> list[str]:
    """Return what the broker of a session does not have, and what that means, in sentences.

    Args:
        session: the session.
        settings: the terms that are configured.
        status: the topic of the will.
    """
    found = []
    if settings.mqtt5 is None and not session.terms.mqtt5:
        found.append("it speaks MQTT 3.1.1, not 5")
    if settings.retain and not session.retains:
        every = f"again every {REFRESH_S:g} s"
        found.append(f"it does not retain messages: values are sent {every} for those who come later")
    if session.terms.will is Will.NONE:
        found.append(f"it takes no will on {status}: nobody publishes offline when this node dies")
    if session.qos == 0:
        found.append("it has QoS 0 only: an event that it loses is lost")
    return found


class Rights:
    """Collects what the broker refuses, until it takes a message on the same topic. Times in s.

    With MQTT 3.1.1 a broker cannot refuse a message: it acknowledges it and drops it. So a node publishes one
    that it subscribed to, and waits for it. Others hang up; see ``hangups``.

    Args:
        base: the node's topic.

    Attributes:
        hang_ups: the topics at which the broker hangs up.
        unretained: it hangs up at retained messages, or is tried for that: they are sent without retention.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._refused: dict[str, str] = {}  # topics and reasons
        self._echo_due: float | None = None
        self._unheard = False
        self._retained = False  # the broker took a retained message
        self.hang_ups = HangUps()
        self.unretained = False

    def hung_up(self, unanswered: Sequence[Publish], now: float, where: str) -> Publish | None:
        """Note that the broker hung up before it answered these; return the one that is not to be sent again.

        Args:
            unanswered: sent a moment ago.
            now: the time.
            where: the broker, for the log.
        """
        waiting = {publish.sent: publish for publish in unanswered}
        found = self.hang_ups.ended(waiting.keys())
        if found is None:
            return None
        publish, topic = waiting[found], found.topic
        if publish.row is not None and self.hang_ups.has_worked(topic):
            log.warning("%s hangs up at event %d on %s: it is dropped", where, found.sequence, topic)
            return publish
        if publish.retained and not self._retained:
            self.unretained = not self.unretained
            if self.unretained:
                log.warning("%s hangs up at %s: it is tried without retention", where, topic)
                return None
        self.hang_ups.leave_out(topic, now)
        log.warning("%s hangs up at %s: it is left out for now", where, topic)
        return publish

    @property
    def echo(self) -> str:
        """The topic of the message that should come back."""
        return f"{self._base}/{ECHO}"

    @property
    def wake_at(self) -> float | None:
        """The time at which what was published should have come back."""
        return self._echo_due

    def connected(self) -> None:
        """Begin a connection: its rights may be others."""
        self._refused.clear()
        self._echo_due = None

    def refused(self, topic: str, why: str) -> None:
        """Note that the broker refuses a message."""
        self._refused[topic] = why

    def took(self, publish: Publish) -> None:
        """Note that the broker takes messages on this topic."""
        self._refused.pop(publish.topic, None)
        self._retained |= publish.retained and not self.unretained

    def published_echo(self, now: float) -> None:
        """Wait for the message to come back."""
        self._echo_due = now + ECHO_S

    def heard_echo(self) -> None:
        """Note that it came back: the node may publish."""
        self._echo_due, self._unheard = None, False

    def look(self, now: float) -> None:
        """Note that it did not come back, once it is time."""
        if self._echo_due is not None and now >= self._echo_due:
            self._echo_due, self._unheard = None, True

    def sentences(self) -> list[str]:
        """Return what the broker does not take, in sentences."""
        reasons = {topic: f"refuses {{}}: {why.lower()}" for topic, why in self._refused.items()}
        hangs_up = "hangs up at {}, left out for now; docs/brokers.md has the rules"
        reasons |= dict.fromkeys(self.hang_ups.left_out, hangs_up)
        found = [
            reason.format(_list([topic for topic, why in reasons.items() if why == reason]))
            for reason in dict.fromkeys(reasons.values())
        ]
        if self._unheard:
            found.append(
                f"does not return what this node publishes on {self.echo}: its user may not publish below "
                f"{self._base}, or not read {self._base}/{SWITCHES}"
            )
        return found


def _list(topics: Iterable[str]) -> str:
    first, *others = topics
    return f"{first} and {len(others)} more" if others else first
