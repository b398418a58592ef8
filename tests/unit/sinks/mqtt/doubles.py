"""Doubles that behave: a broker's session, the connection of a sink, and paho's client."""

from __future__ import annotations

import json
import queue
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTErrorCode

from edged.sinks.mqtt.session import BEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.sinks.mqtt.connection import Listener
    from edged.sinks.mqtt.settings import Settings


class Broker:
    """A session whose broker acknowledges in order, when it is asked to; and what it received."""

    def __init__(self, window: int = 20, largest: int = 0) -> None:
        self.window = window
        self.largest = largest
        self.qos = 1
        self.retains = True
        self.terms = BEST
        self.where = "broker broker.test:1883"
        self.left = False
        self.topics: list[str] = []
        self.received: list[tuple[str, bytes, bool]] = []
        self.unanswered: deque[int] = deque()
        self.expiries: list[float | None] = []
        self.on_publish: Callable[[int], object] = lambda _mid: None
        self.mid = 0

    def fits(self, topic: str, payload: bytes) -> bool:
        return not self.largest or len(topic) + len(payload) <= self.largest

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: float | None = None
    ) -> int:
        self.mid += 1
        self.expiries.append(expiry_s)
        self.received.append((topic, payload, retain))
        self.unanswered.append(self.mid)
        assert len(self.unanswered) <= self.window
        self.on_publish(self.mid)
        return self.mid

    def publish_once(self, topic: str, payload: bytes, correlation: bytes | None = None) -> bool:
        self.received.append((topic, payload, False))
        return correlation != b"full"

    def subscribe(self, topics: Sequence[str]) -> int:
        self.topics += topics
        return -len(self.topics)

    def disconnect(self) -> None:
        self.left = True

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for topic, payload, _ in self.received if topic.endswith("/event")]


class Link:
    """The connection of a sink, without a thread: the test says what it reports."""

    def __init__(
        self, settings: Settings, listener: Listener, post: Callable[[Callable[[], None]], None]
    ) -> None:
        self.settings = settings
        self.listener = listener
        self.post = post
        self.wake: float | None = None
        self.overflowed = 0
        self.aborted: list[str] = []
        self.leaving = False

    def leave(self, session: object) -> None:
        self.leaving = session is not None

    def start(self) -> None:
        pass

    def abort(self, detail: str) -> None:
        self.aborted.append(detail)

    def fault(self) -> str:
        return ""

    def abandon(self) -> None:
        pass

    def stop(self, timeout_s: float) -> bool:
        return timeout_s > 0


class Paho:
    """A client of paho whose loop does what ``script`` says, once for each connection.

    ``Paho.script`` runs in the connection's thread, gets the client and may call its callbacks; then the
    connection ends.
    """

    script: ClassVar[Callable[[Paho], object]] = staticmethod(lambda _client: None)

    def __init__(self, *_: object, **__: object) -> None:
        self.on_connect: Any = None
        self.on_message: Any = None
        self.on_publish: Any = None

    def max_inflight_messages_set(self, _count: int) -> None:
        pass

    def will_set(self, *_: object, **__: object) -> None:
        pass

    def username_pw_set(self, *_: object) -> None:
        pass

    def connect(self, *_: object, **__: object) -> None:
        pass

    def reinitialise(self) -> None:
        pass

    def loop(self, _timeout_s: float) -> MQTTErrorCode:
        type(self).script(self)
        return MQTTErrorCode.MQTT_ERR_CONN_LOST

    def accepted(self) -> None:
        self.on_connect(self, None, None, Code(), None)

    def arrived(self, topic: bytes = b"edged/n/cmd/x") -> None:
        self.on_message(self, None, MQTTMessage(topic=topic))

    def acknowledged(self, mid: int) -> None:
        self.on_publish(self, None, mid, Code(), None)


class Code:
    """Success, as paho reports it."""

    value = 0
    is_failure = False

    def getName(self) -> str:  # noqa: N802  paho's name
        return "Success"


class Calls:
    """The calls to the main thread, which a test makes by hand."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def put(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def make_next(self, timeout_s: float) -> None:
        """Make the next call, waiting for it."""
        self._calls.get(timeout=timeout_s)()

    def make_all(self) -> int:
        """Make the calls that are there; return how many."""
        count = self._calls.qsize()
        for _ in range(count):
            self._calls.get_nowait()()
        return count
