"""A node's MQTT sink on a real event loop, and a plain paho client that sees what a subscriber sees."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edged.config.outputs import Mqtt
from edged.events import Event, ModelTag
from edged.sinks.mqtt.connection import Connection
from edged.sinks.mqtt.sink import MqttSink
from edged.spool.disk import DiskSpool
from edged.spool.memory import MemorySpool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edged.sinks import Discovery

PATIENCE_S = 60.0


def event(label: str = "cat", pipeline: str = "porch") -> Event:
    return Event(
        type="start", node="n", pipeline=pipeline, label=label, score=0.5, previous="unknown", top=(),
        captured_at="2026-01-31T12:00:00.000Z", ts="2026-01-31T12:00:00.000Z", clock="synced",
        model=ModelTag("m", "35e8e20b"), accelerator="cpu", latency_ms=1.0,
    )  # fmt: skip


async def until(
    condition: Callable[[], Any], what: str = "", patience_s: float = PATIENCE_S, *, fails: bool = True
) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        if not fails and time.monotonic() >= deadline:
            return
        assert time.monotonic() < deadline, f"never happened: {what or condition}"
        await asyncio.sleep(0.01)


class Node:
    """``async with Node(port=…) as node`` opens the sink on the running loop, and closes it."""

    def __init__(
        self,
        *,
        node: str = "n",
        discovery: Discovery | None = None,
        password: str | Callable[[], str] | None = None,
        strict: bool = False,
        confirm: bool = False,
        disk: Path | None = None,
        jitter: Callable[[float, float], float] = random.uniform,
        **mqtt: Any,
    ) -> None:
        # The spool on disk calls back from its beginning; without one a node may be made outside of a loop.
        self._loop = asyncio.get_running_loop() if disk else None
        self._jitter = jitter  # of the pauses between attempts
        self.fails = False  # each switch and command raises after it was noted
        self.switched: list[tuple[str, bool]] = []
        self.commands: list[tuple[str, bytes]] = []
        self.spool = self._disk(disk, node) if disk else MemorySpool(node, max_mb=8, max_age_h=1)
        self.sink = MqttSink(
            Mqtt(**({"host": "127.0.0.1", "keepalive_s": 5} | mqtt)),
            node=node,
            password=password,
            spool=self.spool,
            call_soon=self._call_soon,
            on_switch=self._switch,
            on_command=self._command,
            discovery=discovery,
            connect=self._connect,
            strict=strict,
            confirm=confirm,
        )

    def _disk(self, folder: Path, node: str) -> DiskSpool:
        return DiskSpool(
            folder, node, call_soon=self._call_soon, on_committed=lambda _events: self.sink.drain()
        )

    def _call_soon(self, call: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(call)

    def _switch(self, name: str, on: bool) -> None:
        self.switched.append((name, on))
        if self.fails:
            raise RuntimeError("poison")

    def _command(self, verb: str, payload: bytes) -> bytes:
        self.commands.append((verb, payload))
        if self.fails:
            raise RuntimeError("poison")
        return b"done"

    def _connect(self, *arguments: Any) -> Connection:
        self.connection = Connection(*arguments, jitter=self._jitter)
        return self.connection

    def happen(self, label: str = "cat", pipeline: str = "porch") -> int:
        """Let an event happen and return its number."""
        accepted = self.spool.accept(event(label, pipeline))
        self.sink.drain()
        return int(str(accepted.id).split("/")[2])

    def drop(self, count: int) -> None:
        """Let so many events happen that never leave."""
        for _ in range(count):
            self.spool.accept(event())
        for row in self.spool.pending(count):
            self.spool.refused(row.sequence)

    async def connected(self) -> None:
        await until(
            lambda: self.sink.state == "connected", f"connected, but {self.sink.state}: {self.sink.detail}"
        )

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self.sink.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.sink.close(2.0)
        self.spool.close()


@dataclass
class Seen:
    topic: str
    payload: bytes
    retained: bool
    expiry_s: int | None = None
    correlation: bytes | None = None
    at: float = field(default_factory=time.perf_counter)


class Subscriber:
    """Somebody else at the broker; keeps every message it gets."""

    def __init__(self, port: int, topic: str = "#", **login: str) -> None:
        self.seen: list[Seen] = []
        self._sent: list[MQTTMessageInfo] = []
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if login:
            self._client.username_pw_set(**login)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(5)

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        expiry_s = getattr(message.properties, "MessageExpiryInterval", None)
        mark = getattr(message.properties, "CorrelationData", None)
        self.seen.append(Seen(message.topic, bytes(message.payload), bool(message.retain), expiry_s, mark))

    def publish(self, topic: str, payload: bytes, **more: Any) -> None:
        self._sent.append(self._client.publish(topic, payload, qos=1, **more))

    @property
    def unsent(self) -> int:
        """How many of its messages the broker has not acknowledged."""
        self._sent = [info for info in self._sent if not info.is_published()]
        return len(self._sent)

    def last(self, topic: str) -> bytes | None:
        return next((m.payload for m in reversed(self.seen) if m.topic == topic), None)

    def on(self, topic: str) -> list[bytes]:
        return [m.payload for m in self.seen if m.topic == topic]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
