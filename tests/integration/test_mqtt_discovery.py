"""Discovery over a real mosquitto: announced, read back, answered at a birth, withdrawn."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from broker import Broker
from node import Node, Subscriber, until

from edged.homeassistant.announced import AnnouncedTopics
from edged.homeassistant.announcer import Announcer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mosquitto


class Announced:
    """A node that announces its pipelines, and what a subscriber saw of that."""

    def __init__(self, port: int, protocol: str, other: Subscriber) -> None:
        self._port, self._protocol, self._other = port, protocol, other
        self._name = f"n{protocol[0]}"
        self._events = 0

    def node(self, *pipelines: str, enabled: bool = True) -> Node:
        self._announcer = Announcer(self._name, pipelines, enabled=enabled, uniform=lambda low, _high: low)
        return Node(node=self._name, port=self._port, protocol=self._protocol, discovery=self._announcer)

    def seen(self) -> list[bytes]:
        return self._other.on(f"homeassistant/device/{self._name}/config")

    async def settled(self, node: Node) -> None:
        """Wait until nothing is due any more, and all that was sent has arrived: an event comes after it."""
        await node.connected()
        await until(lambda: self._announcer.wake_at is None, "nothing is due")
        node.happen()
        self._events += 1
        events = f"edged/{self._name}/porch/event"
        await until(lambda: len(self._other.on(events)) == self._events, "the event after it")


async def life(announced: Announced, other: Subscriber) -> None:
    async with announced.node("a", enabled=False) as node:
        await announced.settled(node)
        assert announced.seen() == []  # nothing to withdraw
    async with announced.node("a", "b"):
        await until(lambda: len(announced.seen()) == 1, "announced")
    async with announced.node("a", "b") as node:
        await announced.settled(node)
        assert len(announced.seen()) == 1  # it is there already
        other.publish("homeassistant/status", b"online")
        await until(lambda: len(announced.seen()) == 2, "answered")
        assert announced.seen()[0] == announced.seen()[1]
    async with announced.node("a"):
        await until(lambda: len(announced.seen()) == 3, "announced anew")
        assert json.loads(announced.seen()[2])["cmps"]["b_label"] == {"p": "sensor"}
    async with announced.node("a", enabled=False):
        await until(lambda: len(announced.seen()) == 4, "withdrawn")
        assert announced.seen()[3] == b""


def test_a_discovery_that_the_broker_cannot_take_is_split(tmp_path: Path) -> None:
    async def split(other: Subscriber, port: int) -> None:
        announcer = Announcer("n", ["a", "b"], announced=AnnouncedTopics(tmp_path))
        async with Node(port=port, discovery=announcer) as node:
            await node.connected()
            await until(lambda: other.last("homeassistant/switch/n/b_enabled/config"), "announced")
            ids = [f"{name}_{what}" for name in "ab" for what in ("label", "fps")]
            topics = [f"homeassistant/sensor/n/{id_}/config" for id_ in ids]
            await until(lambda: all(other.on(topic) for topic in topics), "all")
            assert other.on("homeassistant/device/n/config") == [b""]
            assert node.sink.problems == []

    with Broker(tmp_path, extra=["max_packet_size 3000"]) as broker, Subscriber(broker.port) as other:
        asyncio.run(split(other, broker.port))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_life(tmp_path: Path, protocol: str) -> None:
    with Broker(tmp_path) as broker, Subscriber(broker.port) as other:
        asyncio.run(life(Announced(broker.port, protocol, other), other))
