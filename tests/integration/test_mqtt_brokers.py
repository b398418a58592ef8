"""The MQTT sink at brokers that lack something, and at several of them."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from broker import Broker, free_port
from node import Node, Subscriber, event, until
from picky import Picky

from edged.sinks.mqtt import endpoints
from edged.sinks.mqtt.state import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
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


def picky_life(
    folder: Path, body: Callable[[Node, Picky], Awaitable[None]], protocol: str = "auto", **limits: Any
) -> Picky:
    """Let a node live at a broker with these limits; return the broker."""

    async def life(port: int) -> Picky:
        async with Picky(port, **limits) as picky, Node(port=picky.port, protocol=protocol) as node:
            await body(node, picky)
            return picky

    with Broker(folder) as broker:
        return asyncio.run(life(broker.port))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between attempts."""
    monkeypatch.setattr("edged.sinks.mqtt.connection.SHORTEST_S", 0.05)
    monkeypatch.setattr("edged.sinks.mqtt.connection.LONGEST_S", 0.1)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("topic", ["edged/n/porch/state", "edged/n/cmd/+"])
def test_a_topic_at_which_the_broker_hangs_up_is_left_out_and_named(
    tmp_path: Path, protocol: str, topic: str
) -> None:
    async def body(node: Node, picky: Picky) -> None:
        for number in range(5):
            node.sink.retain(f"p{number}/state", b"{}")
        node.sink.retain("porch/state", b"{}")
        node.happen()
        await until(lambda: node.sink.problems, "found")
        assert len(picky.hung_up) <= 10
        node.happen()
        await until(lambda: node.spool.counts().queued == 0, "events pass")
        assert node.spool.counts().dropped == {}
        assert topic in node.sink.problems[0]
        assert "left out" in node.sink.problems[0]
        assert node.sink.state is State.CONNECTED

    picky = picky_life(tmp_path, body, protocol, takes=lambda each: each != topic)
    assert all(topic in each for each in picky.hung_up)


@pytest.mark.usefixtures("quick")
def test_events_at_which_the_broker_hangs_up_wait_while_others_pass(tmp_path: Path) -> None:
    async def body(node: Node, picky: Picky) -> None:
        node.spool.accept(event(pipeline="secret"))
        node.happen()
        await until(lambda: node.sink.problems, "found")
        for _ in range(10):
            node.happen()
        await until(lambda: node.spool.counts().queued == 1, "the others")
        assert node.spool.counts().dropped == {}
        picky.takes = lambda _topic: True
        hang_ups = node.sink._hang_ups
        await until(lambda: hang_ups.wake_at is not None, "planned")
        bars = hang_ups._bars
        bars.update({topic: bar._replace(until=0) for topic, bar in bars.items()})
        node.sink.tick()
        await until(lambda: node.spool.counts().queued == 0, "tried again")
        assert not node.sink.problems

    picky_life(tmp_path, body, takes=lambda topic: "secret" not in topic)


@pytest.mark.usefixtures("quick")
def test_a_broker_that_hangs_up_at_retained_messages_gets_them_without(tmp_path: Path) -> None:
    async def body(node: Node, _picky: Picky) -> None:
        node.sink.retain("porch/state", b"{}")
        node.happen()
        await until(lambda: node.sink.counts.get("acknowledged") and node.sink._rights.unretained, "found")
        await until(lambda: not node.sink._retained and not node.sink._in_flight, "everything is sent")
        assert node.sink.problems == []
        assert node.sink.state is State.CONNECTED

    picky_life(tmp_path, body, retains=False)


@pytest.mark.usefixtures("quick")
def test_an_event_that_is_too_large_for_a_silent_broker_is_dropped_alone(tmp_path: Path) -> None:
    async def body(node: Node, _picky: Picky) -> None:
        node.happen()
        await until(lambda: node.spool.counts().acknowledged == 1, "a small one")
        node.spool.accept(event("cat" * 2000))
        node.happen()
        await until(lambda: node.spool.counts().dropped == {"refused": 1}, "the large one")
        await until(lambda: node.spool.counts().queued == 0, "the others")

    picky_life(tmp_path, body, largest=4096)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("limits", [{"versions": (4,)}, {"wills": False}])
def test_what_a_silent_broker_does_not_speak_or_take_is_found(tmp_path: Path, limits: Any) -> None:
    async def body(node: Node, _picky: Picky) -> None:
        node.happen()
        await until(lambda: node.spool.counts().queued == 0, "taken")
        assert node.sink.problems == []

    picky_life(tmp_path, body, **limits)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_user_who_may_not_publish_is_named_in_both_protocols(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    monkeypatch.setattr("edged.sinks.mqtt.rights.ECHO_S", 0.5)

    async def life(port: int) -> list[str]:
        async with Node(port=port, protocol=protocol, username="n", password="w") as node:  # noqa: S106  a broker of this test
            await node.connected()
            node.happen()
            await until(lambda: node.sink.problems, "found")
            await asyncio.sleep(0.3)
            return list(node.sink.problems)

    with Broker(tmp_path, users={"n": "w"}, acl=["user n", "topic read #"]) as broker:
        [problem, *_] = asyncio.run(life(broker.port))
    assert ("refuses" if protocol == "5" else "does not return what this node publishes") in problem


def test_it_goes_on_at_the_next_address_and_back_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "BACK_S", 0.5)
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
