"""Something between a node and its broker that fails as networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Self

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Proxy:
    """``async with Proxy(broker.port) as proxy: … proxy.port``.

    Attributes:
        silent: swallow what comes, as a router does that lost its state.
        delay_s: hold each piece back for so long.
        slow: read 64 bytes at a time, 20 times a second.
        tear: end the connections in the middle of the next piece.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: list[asyncio.StreamWriter] = []
        self.port = 0
        self.heal()

    def heal(self) -> None:
        """Let everything through that comes from now on."""
        self.silent = self.slow = self.tear = False
        self.delay_s = 0.0

    def cut(self, *, reset: bool = False) -> None:
        """End all connections and let new ones through."""
        self.heal()
        for writer in self._connections:
            if reset:
                sock = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        self._connections.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._connections += [writer, forth]
        for source, sink in ((reader, forth), (there, writer)):
            task = asyncio.ensure_future(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(64 if self.slow else 65536):
                await asyncio.sleep(0.05 if self.slow else self.delay_s)
                if self.tear:
                    sink.write(data[: len(data) // 2])
                    await sink.drain()
                    self.cut()
                    return
                if not self.silent:
                    sink.write(data)
                    await sink.drain()
        if not self.silent:
            sink.close()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
