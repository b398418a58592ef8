"""Discovery over a real mosquitto: announced, read back, answered at a birth, withdrawn."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from broker import Broker
from node import Node, Subscriber, until

from edged.homeassistant.announcer import Announcer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mosquitto

TOPIC = "homeassistant/device/n/config"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_life(tmp_path: Path, protocol: str) -> None:
    def node(*pipelines: str, enabled: bool = True) -> Node:
        announcer = Announcer("n", pipelines, enabled=enabled, uniform=lambda low, _high: low)
        return Node(port=broker.port, protocol=protocol, discovery=announcer)

    async def life() -> None:
        with Subscriber(broker.port, TOPIC) as other:
            async with node("a", enabled=False):
                await asyncio.sleep(2)
                assert other.seen == []  # nothing to withdraw
            async with node("a", "b"):
                await until(lambda: len(other.seen) == 1, "announced")
            async with node("a", "b"):
                await asyncio.sleep(2.2)
                assert len(other.seen) == 1  # it is there already
                other.publish("homeassistant/status", b"online")
                await until(lambda: len(other.seen) == 2, "answered")
                assert other.seen[0].payload == other.seen[1].payload
            async with node("a"):
                await until(lambda: len(other.seen) == 3, "announced anew")
                assert json.loads(other.seen[2].payload)["cmps"]["b_label"] == {"p": "sensor"}
            async with node("a", enabled=False):
                await until(lambda: len(other.seen) == 4, "withdrawn")
                assert other.seen[3].payload == b""

    with Broker(tmp_path) as broker:
        asyncio.run(life())
