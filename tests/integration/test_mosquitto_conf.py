"""config/mosquitto under a real mosquitto: it keeps what it acknowledged, and everybody stays at home."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any, Self

import pytest
from broker import Broker, certificates
from node import Node, until
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mosquitto


class Peer:
    """Somebody with a certificate, and a session that the broker keeps while they are away."""

    def __init__(self, port: int, pem: Path, name: str, topic: str) -> None:
        self.seen: list[MQTTMessage] = []
        self.answers: list[int] = []
        ready = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.tls_set(str(pem / "ca.pem"), str(pem / f"{name}.pem"), str(pem / f"{name}.key"))
        self.client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda _client, _userdata, message: self.seen.append(message)
        self.client.on_publish = lambda _c, _u, _mid, code, _p: self.answers.append(code.value)
        keep = Properties(PacketTypes.CONNECT)
        keep.SessionExpiryInterval = 3600
        self.client.connect("localhost", port, clean_start=False, properties=keep)
        self.client.loop_start()
        assert ready.wait(5)

    @property
    def topics(self) -> set[str]:
        return {message.topic for message in self.seen}

    def numbers(self) -> list[int]:
        return [int(json.loads(message.payload)["id"].split("/")[2]) for message in self.seen]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificates(tmp_path, "consumer", "yard", "homeassistant")


def own(pem: Path) -> dict[str, Any]:
    """How a node with the name ``client`` connects."""
    tls = {"ca_file": pem / "ca.pem", "cert_file": pem / "client.pem", "key_file": pem / "client.key"}
    return {"node": "client", "host": "localhost", "tls": tls}


@pytest.mark.slow
def test_a_broker_that_is_killed_still_has_what_it_acknowledged(tmp_path: Path, pem: Path) -> None:
    async def life() -> None:
        with Broker.shipped(tmp_path, pem) as broker:
            with Peer(broker.port, pem, "consumer", "edged/client/+/event"):
                pass  # from now on the broker keeps its messages
            async with Node(port=broker.port, **own(pem)) as node:
                for _ in range(3):
                    await node.connected()
                    for _ in range(50):
                        node.happen()
                    await until(lambda: node.spool.counts().queued == 0, "acknowledged")
                    broker.kill()
                    await until(lambda: node.sink.state != "connected", "noticed")
                    broker.start()
                await node.connected()
            with Peer(broker.port, pem, "consumer", "edged/client/+/event") as consumer:
                await until(lambda: set(consumer.numbers()) == set(range(1, 151)), "all of them")

    asyncio.run(life())


def test_everybody_writes_and_reads_at_home_only(tmp_path: Path, pem: Path) -> None:
    async def life() -> None:
        with (
            Broker.shipped(tmp_path, pem) as broker,
            Peer(broker.port, pem, "yard", "#") as neighbour,
            Peer(broker.port, pem, "homeassistant", "#") as home,
            Peer(broker.port, pem, "consumer", "#") as consumer,
        ):
            async with Node(port=broker.port, confirm=True, **own(pem)) as node:
                await node.connected()
                node.happen()
                node.sink.retain("health", "{}")
                await until(
                    lambda: {"edged/client/porch/event", "edged/client/health"} <= home.topics, "read"
                )
                await until(lambda: home.topics == consumer.topics, "read by the consumer too")

                foreign = [
                    "edged/client/porch/event", "edged/client/status", "edged/client/porch/enabled/set",
                    "edged/client/cmd/restart", "edged/client/ack", "homeassistant/device/client/config",
                    "homeassistant/status", "elsewhere",
                ]  # fmt: skip
                for topic in foreign:
                    neighbour.client.publish(topic, b"OFF", qos=1)
                await until(lambda: len(neighbour.answers) == len(foreign), "answers")
                assert set(neighbour.answers) == {0x87}
                for topic in ("edged/yard/porch/event", "homeassistant/device/yard/config"):
                    neighbour.client.publish(topic, b"{}", qos=1)
                await until(lambda: neighbour.answers[len(foreign) :] == [0, 0], "its own")

                consumer.client.publish("edged/client/ack", b"1", qos=1)
                home.client.publish("edged/client/porch/enabled/set", b"OFF", qos=1)
                home.client.publish("homeassistant/status", b"online", qos=1)
                await until(lambda: node.switched == [("porch", False)], "switched")
                await until(lambda: node.spool.counts().queued == 0, "confirmed")
                consumer.client.publish("edged/client/porch/enabled/set", b"ON", qos=1)
                consumer.client.publish("edged/client/porch/event", b"{}", qos=1)
                await until(lambda: consumer.answers == [0, 0x87, 0x87], "refused")
                allowed = {"homeassistant/status", "homeassistant/device/yard/config"}
                await until(lambda: neighbour.topics >= allowed, "what a neighbour may read")
                assert neighbour.topics == allowed
                assert node.sink.counts.get("ignored", 0) == 0

    asyncio.run(life())


def test_nobody_gets_in_without_a_certificate_of_the_ca(tmp_path: Path, pem: Path) -> None:
    async def life(**mqtt: Any) -> str:
        async with Node(host="localhost", port=broker.port, **mqtt) as node:
            await until(lambda: node.sink.state not in ("connecting", "connected"), "refused")
            return node.sink.state

    with Broker.shipped(tmp_path, pem) as broker:
        ca = {"ca_file": pem / "ca.pem"}
        stranger = {"cert_file": pem / "other.pem", "key_file": pem / "other.key"}
        assert asyncio.run(life(tls=ca)) == "certificate refused"
        assert asyncio.run(life(tls=ca | stranger)) == "certificate refused"
        assert asyncio.run(life()) == "connection lost"


def test_mosquitto_has_nothing_to_complain_of(tmp_path: Path, pem: Path) -> None:
    with Broker.shipped(tmp_path, pem) as broker:
        log = broker.log
    complaints = [line for line in log.splitlines() if "Error" in line or "Warning" in line]
    # The birth message is for every user, and mosquitto says that there is no user name in it.
    assert [line for line in complaints if "root" not in line and "'homeassistant/status'" not in line] == []
