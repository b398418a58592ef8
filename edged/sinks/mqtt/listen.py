"""Logs in at the broker and says nothing: for a person's commands, not for the daemon."""

from __future__ import annotations

import contextlib
import os
import queue
from typing import TYPE_CHECKING

from edged.errors import Reason, Unavailable
from edged.sinks.mqtt.connection import Connection
from edged.sinks.mqtt.settings import settings
from edged.sinks.mqtt.state import State, Why
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edged.config.outputs import Mqtt
    from edged.sinks.mqtt.session import Message, Session
    from edged.sinks.mqtt.settings import Settings


_GLANCE_S = 0.02  # between two looks whether there is an answer
_SILENT = Why(State.TIMEOUT, "no answer")


class _Ear:
    """Subscribes when there is a connection, and hands on what comes."""

    def __init__(self, topics: Sequence[str], take: Callable[[str, bytes], None]) -> None:
        self._topics = topics
        self._take = take
        self.session: Session | None = None
        self.why: Why | None = None  # nothing was heard of the broker yet
        self.refused = 0

    def up(self, session: Session) -> None:
        self.session, self.why = session, Why(State.CONNECTED, "")
        if self._topics:
            session.subscribe(self._topics)

    def down(self, why: Why) -> None:
        self.session, self.why = None, why

    def acked(self, mid: int, code: int, name: str) -> None:
        """Nothing is published."""

    def received(self, message: Message) -> None:
        self._take(message.topic, message.payload)

    def unsubscribed(self, count: int) -> None:
        self.refused = count

    def tick(self) -> None:
        """Nothing is waited for."""


def watch(
    config: Mqtt,
    password: str | None,
    topics: Sequence[str],
    take: Callable[[str, bytes], None],
    *,
    seconds: float | None,
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Hand on what arrives on these topics, retained messages first.

    Args:
        config: the broker and how to log in.
        password: for it.
        topics: filters.
        take: gets topic and payload.
        seconds: how long; None for ever.
        beat: is called about twice a second.

    Raises:
        ConfigError: a TLS file is missing or wrong.
        Unavailable: in that time there was no connection, or the broker allows none of it.
    """
    plain = settings(config, client_id=f"edged-watch-{os.getpid()}", will_topic="", password=password)
    ear = _Ear(topics, take)
    end = None if seconds is None else clock.monotonic() + seconds
    with _connected(plain, ear) as calls:
        while end is None or clock.monotonic() < end:
            _hear(calls, 0.5 if end is None else min(0.5, max(0.0, end - clock.monotonic())))
            beat()
        if ear.session is None:
            raise Unavailable(Reason.NETWORK, f"broker {plain}: {(ear.why or _SILENT).detail}")
        if ear.refused:
            raise Unavailable(
                Reason.DENIED, f"broker {plain} does not let this login read {', '.join(topics)}"
            )


def knock(config: Mqtt, password: str | None, *, seconds: float) -> Why:
    """Log in at the broker once, leave again, and return how that went.

    Args:
        config: the broker and how to log in.
        password: for it.
        seconds: how long to wait for an answer.

    Raises:
        ConfigError: a TLS file is missing or wrong.
    """
    plain = settings(config, client_id=f"edged-doctor-{os.getpid()}", will_topic="", password=password)
    ear = _Ear((), lambda _topic, _payload: None)
    end = clock.monotonic() + seconds
    with _connected(plain, ear) as calls:
        while ear.why is None and (left := end - clock.monotonic()) > 0:
            _hear(calls, min(_GLANCE_S, left))
        return ear.why or Why(State.TIMEOUT, f"nothing was heard of it within {seconds:g} s")


@contextlib.contextmanager
def _connected(plain: Settings, ear: _Ear) -> Iterator[queue.SimpleQueue[Callable[[], None]]]:
    """Keep a connection meanwhile; gives the calls that are to be made for it."""
    calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    connection = Connection(plain, ear, calls.put)
    connection.start()
    try:
        yield calls
    finally:
        if ear.session is not None:
            ear.session.disconnect()
        connection.stop(1.0)


def _hear(calls: queue.SimpleQueue[Callable[[], None]], timeout_s: float) -> None:
    """Make the calls that come within that time."""
    end = clock.monotonic() + timeout_s
    while (left := end - clock.monotonic()) > 0:
        try:
            calls.get(timeout=left)()
        except queue.Empty:
            return
