"""A connection as the main thread sees it: whatever the link's thread does meanwhile, no call does harm."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from edged.sinks.mqtt.session import WINDOW, Session

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS: dict[str, Callable[[Session], object]] = {
    "publish": lambda session: session.publish("t", b"x"),
    "publish_once": lambda session: session.publish_once("t", b"x", b"mark"),
    "subscribe": lambda session: session.subscribe(["t"]),
    "disconnect": lambda session: session.disconnect(),
}


class Slow(Client):
    """A paho client that takes its time between queueing a packet and waking the thread that sends it."""

    def __init__(self) -> None:
        super().__init__(CallbackAPIVersion.VERSION2)
        self.queued = threading.Event()
        self.thrown_away = threading.Event()
        self.harmed = False

    def _packet_queue(self, *_: object, **__: object) -> MQTTErrorCode:
        self.queued.set()
        self.harmed = self.thrown_away.wait(0.2)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _send_publish(self, *_: object, **__: object) -> MQTTErrorCode:
        return self._packet_queue()

    def subscribe(self, *_: object, **__: object) -> tuple[MQTTErrorCode, int | None]:
        return self._packet_queue(), 1

    def disconnect(self, *_: object, **__: object) -> MQTTErrorCode:
        return self._packet_queue()


@pytest.mark.parametrize("name", CALLS)
def test_a_client_is_not_thrown_away_under_a_call(name: str) -> None:
    client = Slow()
    session = Session(client)

    def throw_away() -> None:
        client.queued.wait(5)
        session.end()
        client.thrown_away.set()

    thread = threading.Thread(target=throw_away)
    thread.start()
    CALLS[name](session)
    thread.join()
    assert client.queued.is_set()
    assert not client.harmed


@pytest.mark.parametrize("name", CALLS)
def test_after_the_end_every_call_leads_nowhere(name: str) -> None:
    client = Slow()
    session = Session(client)
    session.end()
    session.end()
    CALLS[name](session)
    assert not client.queued.is_set()


def test_what_is_published_after_the_end_has_ids_that_no_broker_names_and_none_twice() -> None:
    session = Session(Slow())
    session.end()
    ids = [session.publish("t", b"x") for _ in range(WINDOW)]
    assert max(ids) < 0
    assert len(set(ids)) == WINDOW
