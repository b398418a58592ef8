"""The MQTT sink at brokers that lack something, and at several of them."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest
from broker import Broker, free_port
from node import Node, Subscriber, until

from edged.sinks.mqtt import addresses
from edged.sinks.mqtt.state import State

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mosquitto

EVENTS = "edged/n/porch/event"


@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_a_broker_without_retained_messages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    async def life(port: int) -> None:
        async with Node(port=port, protocol=protocol, retain=protocol != "3.1.1") as node:
            await node.connected()
            node.sink.retain("porch/state", b"{}")
            node.happen()
            await until(lambda: node.spool.counts().acknowledged == 1, "taken")
            assert node.sink.state is State.CONNECTED
            with Subscriber(port) as other:
                node.sink.retain("porch/state", b"[]")
                await until(lambda: other.last("edged/n/porch/state") == b"[]", "sent without retention")

    with Broker(tmp_path, extra=["retain_available false"]) as broker, caplog.at_level(logging.WARNING):
        asyncio.run(life(broker.port))
        assert broker.log.count("New client connected") <= 4
    said = [line for line in caplog.messages if "does not retain messages" in line]
    assert len(said) == (protocol != "3.1.1")


def test_it_goes_on_at_the_next_address_and_back_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "BACK_S", 0.5)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.setattr("edged.sinks.mqtt.connection.STABLE_S", 0.2)
    first, second = Broker(tmp_path / "a", keeps=True), Broker(tmp_path / "b", keeps=True)
    hosts = [f"127.0.0.1:{broker.port}" for broker in (first, second)]

    async def life() -> None:
        async with Node(port=1, host=hosts) as node:
            await node.connected()
            assert str(first.port) in node.sink.detail
            node.happen()
            await until(lambda: node.spool.counts().acknowledged == 1, "at the first")
            first.kill()
            node.happen()
            await until(lambda: node.spool.counts().acknowledged == 2, "at the second")
            assert str(second.port) in node.sink.detail
            first.start()
            for _ in range(300):  # meanwhile it goes back
                node.happen()
                await asyncio.sleep(0.01)
            await until(
                lambda: str(first.port) in node.sink.detail and node.sink.state is State.CONNECTED, "back"
            )
            await until(lambda: node.spool.counts().queued == 0, "all of it")
            assert node.spool.counts().dropped == {}

    with first, second, Subscriber(second.port) as at_second:
        asyncio.run(life())
        got = [json.loads(message) for message in at_second.on(EVENTS)]
        assert len(got) > 1
        ids = [event["id"] for event in got if not event["replayed"]]
        assert len(ids) == len(set(ids))  # nothing is sent unmarked twice


def test_a_list_of_which_nothing_answers_names_each_once(caplog: pytest.LogCaptureFixture) -> None:
    ports = [free_port(), free_port()]

    async def life() -> None:
        async with Node(port=1, host=[f"127.0.0.1:{port}" for port in ports]):
            await asyncio.sleep(4)

    with caplog.at_level(logging.WARNING):
        asyncio.run(life())
    for port in ports:
        assert [str(port) in line for line in caplog.messages].count(True) == 1
