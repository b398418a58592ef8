"""A session: one connection as the main thread sees it, for publishing and subscribing until it is down."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edged.sinks.mqtt.terms import Terms, Will

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paho.mqtt.client import Client, MQTTMessageInfo

WINDOW = 20  # publishes in flight; fewer where the broker asks for fewer
UNSENT = 20  # QoS 0 messages that may wait for the socket
PACKET_OVERHEAD = 32  # bytes of a PUBLISH beside topic and payload, generously
MAX_EXPIRY_S = 2**32 - 1
BEST = Terms(mqtt5=True, will=Will.RETAINED)


@dataclass(frozen=True)
class Message:
    """A message that arrived.

    Attributes:
        retained: the broker kept it from earlier; it is not news.
        response_topic, correlation: the topic and the mark with which an MQTT 5 requester wants the answer.
    """

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None = None
    correlation: bytes | None = None


class Session:
    """The paho client of one connection. After ``end`` every call is harmless and does nothing.

    The main thread publishes while the connection's thread may be throwing the client away, and paho does not
    cope with that: it closes the descriptor that a publish is about to write to. So each call holds a lock
    for as long as it takes to put a packet into paho's queue, and ``end`` takes the same lock.

    Args:
        client: paho's.
        window: the publishes that the broker takes at a time; 0: it did not limit them.
        max_packet: the largest packet that it takes, in bytes; 0: it did not limit them.
        qos: the highest quality of service that it has, at most 1. Without an acknowledgement, what is
            written to the socket counts as taken.
        retains: whether it retains messages.
        terms: the terms that it accepted.
        where: the broker, for messages.
    """

    def __init__(
        self,
        client: Client,
        *,
        window: int = WINDOW,
        max_packet: int = 0,
        qos: int = 1,
        retains: bool = True,
        terms: Terms = BEST,
        where: str = "",
    ) -> None:
        self._client = client
        self._mqtt5 = terms.mqtt5
        self.qos = qos
        self.terms = terms
        self.where = where
        self.retains = retains
        self.window = min(WINDOW, window or WINDOW)
        self._max_packet = max_packet
        self._unsent: deque[MQTTMessageInfo] = deque()
        self._lock = threading.Lock()
        self._over = False
        self._unused_ids = itertools.count(-1, -1)

    def fits(self, topic: str, payload: bytes) -> bool:
        """Return whether the broker takes a message of this size."""
        size = len(topic.encode()) + len(payload) + PACKET_OVERHEAD
        return not self._max_packet or size <= self._max_packet

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: float | None = None
    ) -> int:
        """Send it; return the id that ``acked`` will name, or after the end one that it never names.

        Args:
            topic: without wildcards.
            payload: one that :meth:`fits`.
            retain: the broker keeps it for those who come later.
            expiry_s: an MQTT 5 broker does not pass it on when it is older.
        """
        properties = None
        if expiry_s is not None and self._mqtt5:
            properties = _properties()
            properties.MessageExpiryInterval = min(MAX_EXPIRY_S, max(1, int(expiry_s)))
        with self._lock:
            if self._over:
                return next(self._unused_ids)
            retain = retain and self.retains
            return self._client.publish(
                topic, payload, qos=self.qos, retain=retain, properties=properties
            ).mid

    def publish_once(self, topic: str, payload: bytes, correlation: bytes | None = None) -> bool:
        """Send with QoS 0, or drop it where too many wait for the socket; return whether it was sent."""
        with self._lock:
            while self._unsent and self._unsent[0].is_published():
                self._unsent.popleft()
            if self._over or len(self._unsent) >= UNSENT or not self.fits(topic, payload):
                return False
            properties = None
            if correlation is not None and self._mqtt5:
                properties = _properties()
                properties.CorrelationData = correlation
            info = self._client.publish(topic, payload, qos=0, properties=properties)
            if info.rc != MQTT_ERR_SUCCESS:
                return False
            self._unsent.append(info)
            return True

    def subscribe(self, topics: Sequence[str]) -> int:
        """Subscribe, with QoS 1 where the broker has it; return the id that ``subscribed`` will name."""
        with self._lock:
            if self._over:
                return next(self._unused_ids)
            _, mid = self._client.subscribe([(topic, self.qos) for topic in topics])
            return next(self._unused_ids) if mid is None else mid

    def disconnect(self) -> None:
        """Disconnect in order, so that the broker does not publish the will."""
        with self._lock:
            if not self._over:
                self._client.disconnect()

    def end(self) -> None:
        """End the session, before the connection's thread throws the client away."""
        with self._lock:
            self._over = True


def _properties() -> Properties:
    return Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's gap
