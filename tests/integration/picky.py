"""A broker that is particular: a proxy before mosquitto that hangs up at what it does not take.

It reads the packets of its clients, so it has the limits that a provider documents: topics of a policy,
retained messages, sizes, and versions.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8


@dataclass
class Picky:
    """``async with Picky(port) as picky: … picky.port``.

    Attributes:
        port_behind: of the real broker.
        takes: whether a topic may be published or subscribed to.
        retains: whether it takes retained messages, and a retained will.
        wills: whether it takes a will at all.
        largest: bytes of a packet.
        versions: 4 is MQTT 3.1.1.
        hung_up: the topics at which it hung up.
    """

    port_behind: int
    takes: Callable[[str], bool] = lambda _topic: True
    retains: bool = True
    wills: bool = True
    largest: int = 1 << 28
    versions: tuple[int, ...] = (4, 5)
    hung_up: list[str] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.1)  # the transports close

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind = await asyncio.open_connection("127.0.0.1", self.port_behind)
        self._writers += [writer, behind]
        back = asyncio.create_task(self._back(behind_reader, writer))
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while packet := await _packet(reader):
                if (why := self._refusal(packet)) is not None:
                    self.hung_up.append(why)
                    break
                behind.write(packet)
        back.cancel()
        behind.transport.abort()
        writer.transport.abort()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.transport.abort()

    def _refusal(self, packet: bytes) -> str | None:
        kind, flags, body = packet[0] >> 4, packet[0] & 15, _body(packet)
        if kind == CONNECT:
            version, connect = body[6], body[7]
            if version not in self.versions:
                return f"version {version}"
            if connect & 0x04 and (not self.wills or (connect & 0x20 and not self.retains)):
                return "the will"
        elif kind == PUBLISH:
            topic = body[2 : 2 + int.from_bytes(body[:2], "big")].decode()
            if not self.takes(topic) or (flags & 1 and not self.retains) or len(packet) > self.largest:
                return topic
        elif kind == SUBSCRIBE:
            topics = _subscribed(body)
            if not all(map(self.takes, topics)):
                return f"subscribing to {', '.join(topics)}"
        return None


def _subscribed(body: bytes) -> list[str]:
    """Return the topics of a SUBSCRIBE; MQTT 5 has its properties, of which there are none, before them."""
    rest, topics = body[3 if body[2:4] == b"\0\0" else 2 :], []
    while rest:
        end = 2 + int.from_bytes(rest[:2], "big")
        topics.append(rest[2:end].decode())
        rest = rest[end + 1 :]
    return topics


async def _packet(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(1)
    length = shift = 0
    while True:
        byte = await reader.readexactly(1)
        head += byte
        length |= (byte[0] & 127) << shift
        shift += 7
        if not byte[0] & 128:
            return head + await reader.readexactly(length)


def _body(packet: bytes) -> bytes:
    at = 1
    while packet[at] & 128:
        at += 1
    return packet[at + 1 :]
