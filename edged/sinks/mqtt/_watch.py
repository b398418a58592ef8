"""Listens to the broker and says nothing: for a person's commands, not for the daemon."""

from __future__ import annotations

import os
import queue
from typing import TYPE_CHECKING

from edged import clock
from edged.errors import Reason, Unavailable
from edged.sinks.mqtt._link import Link
from edged.sinks.mqtt._settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.config.models import Mqtt
    from edged.sinks.mqtt._session import Message, Session
    from edged.sinks.mqtt._state import Why


class _Ear:
    """Subscribes when there is a connection, and hands on what comes."""

    def __init__(self, topics: Sequence[str], take: Callable[[str, bytes], None]) -> None:
        self._topics = topics
        self._take = take
        self.session: Session | None = None
        self.trouble = "no answer"
        self.refused = 0

    def up(self, session: Session) -> None:
        self.session, self.trouble = session, ""
        session.subscribe(self._topics)

    def down(self, why: Why) -> None:
        self.session, self.trouble = None, why.detail

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
    calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    ear = _Ear(topics, take)
    link = Link(plain, ear, calls.put)
    link.start()
    end = None if seconds is None else clock.monotonic() + seconds
    try:
        while end is None or clock.monotonic() < end:
            _hear(calls, 0.5 if end is None else min(0.5, max(0.0, end - clock.monotonic())))
            beat()
        if ear.session is None:
            raise Unavailable(Reason.NETWORK, f"broker {plain}: {ear.trouble}")
        if ear.refused:
            raise Unavailable(
                Reason.DENIED, f"broker {plain} does not let this login read {', '.join(topics)}"
            )
    finally:
        if ear.session is not None:
            ear.session.disconnect()
        link.stop(1.0)


def _hear(calls: queue.SimpleQueue[Callable[[], None]], timeout_s: float) -> None:
    """Make the calls that come within that time."""
    end = clock.monotonic() + timeout_s
    while (left := end - clock.monotonic()) > 0:
        try:
            calls.get(timeout=left)()
        except queue.Empty:
            return
