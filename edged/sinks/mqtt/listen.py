"""Listens at the broker and publishes nothing: for the commands of a person, not for the daemon."""

from __future__ import annotations

import contextlib
import os
import queue
from typing import TYPE_CHECKING, Protocol

from edged.errors import Reason, Unavailable
from edged.sinks.mqtt.connection import Connection, Listener
from edged.sinks.mqtt.settings import Settings
from edged.sinks.mqtt.state import State, Why
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edged.config.outputs import Mqtt
    from edged.sinks.mqtt.session import Message, Session


_SILENT = Why(State.TIMEOUT, "no answer")


class Visitor(Listener, Protocol):
    """A listener that keeps its session."""

    @property
    def session(self) -> Session | None:
        """The session; None while there is no connection."""


class _Subscriber:
    """Subscribes when there is a connection, and hands on what arrives."""

    def __init__(self, topics: Sequence[str], on_message: Callable[[str, bytes], None]) -> None:
        self._topics = topics
        self._on_message = on_message
        self.session: Session | None = None
        self.why: Why | None = None  # None: the broker has not answered yet
        self.refused = 0

    def up(self, session: Session) -> None:
        self.session, self.why = session, Why(State.CONNECTED, "")
        if self._topics:
            session.subscribe(self._topics)

    def down(self, why: Why) -> None:
        self.session, self.why = None, why

    def acked(self, mid: int, code: int, name: str) -> None:
        """Do nothing: nothing is published."""

    def received(self, message: Message) -> None:
        self._on_message(message.topic, message.payload)

    def subscribed(self, mid: int, refused: int) -> None:
        del mid
        self.refused = refused

    def tick(self) -> None:
        """Do nothing: nothing is planned."""

    def leave(self) -> None:
        """Do nothing: this connection does not last."""


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
        password: for the broker.
        topics: filters.
        take: gets topic and payload.
        seconds: how long to listen; None: for ever.
        beat: is called about twice a second.

    Raises:
        ConfigError: a TLS file is missing or wrong.
        Unavailable: in that time there was no connection, or the broker allows none of the subscriptions.
    """
    settings = Settings.of(config, client_id=f"edged-watch-{os.getpid()}", will_topic="", password=password)
    subscriber = _Subscriber(topics, take)
    end = None if seconds is None else clock.monotonic() + seconds
    with connected(settings, subscriber) as calls:
        while end is None or clock.monotonic() < end:
            make_calls(calls, 0.5 if end is None else min(0.5, max(0.0, end - clock.monotonic())))
            beat()
        if subscriber.session is None:
            raise Unavailable(Reason.NETWORK, f"broker {settings}: {(subscriber.why or _SILENT).detail}")
        if subscriber.refused:
            raise Unavailable(
                Reason.DENIED, f"broker {settings} does not let this login read {', '.join(topics)}"
            )


@contextlib.contextmanager
def connected(settings: Settings, listener: Visitor) -> Iterator[queue.SimpleQueue[Callable[[], None]]]:
    """Keep a connection meanwhile; gives the calls that are to be made for it."""
    calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    connection = Connection(settings, listener, calls.put)
    connection.start()
    try:
        yield calls
    finally:
        if listener.session is not None:
            listener.session.disconnect()
        connection.stop(1.0)


def make_calls(calls: queue.SimpleQueue[Callable[[], None]], timeout_s: float) -> None:
    """Make the calls that come within that time; what they raise ends the program."""
    end = clock.monotonic() + timeout_s
    while (left := end - clock.monotonic()) > 0:
        try:
            calls.get(timeout=left)()
        except queue.Empty:
            return
