"""A broker that sends more than a client takes: the connection ends before the packet is in memory."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from edged.sinks.mqtt.connection import Connection
from edged.sinks.mqtt.endpoints import Endpoint
from edged.sinks.mqtt.settings import Settings
from edged.sinks.mqtt.state import State, Why
from unit.sinks.mqtt.doubles import Calls
from unit.sinks.mqtt.test_connection import PATIENCE_S, Listener

CONNACK = {True: b"\x20\x03\x00\x00\x00", False: b"\x20\x02\x00\x00"}
TOPIC = b"\x00\x01a"


def publish(size: int, *, mqtt5: bool) -> bytes:
    """Return the beginning of a PUBLISH of this many bytes: header, length, topic, properties."""
    length, left = bytearray(), size
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | (128 if left else 0))
        if not left:
            return b"\x30" + bytes(length) + TOPIC + (b"\x00" if mqtt5 else b"")


class Hostile:
    """A broker that lets a client in and sends a message of any size.

    Attributes:
        sent: the bytes of the message that the client's side took.
    """

    def __init__(self, size: int, *, mqtt5: bool) -> None:
        self._size, self._mqtt5 = size, mqtt5
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.sent = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self._socket.accept()
            with client:
                client.recv(1000)
                start = publish(self._size, mqtt5=self._mqtt5)
                client.sendall(CONNACK[self._mqtt5] + start)
                while self.sent < self._size:
                    self.sent += client.send(bytes(65536))

    def close(self) -> None:
        self._socket.close()
        self._thread.join(PATIENCE_S)


@pytest.mark.parametrize("mqtt5", [True, False])
def test_a_packet_that_is_too_large_ends_the_connection_before_it_is_read(*, mqtt5: bool) -> None:
    broker = Hostile(250_000_000, mqtt5=mqtt5)
    listener, calls = Listener(), Calls()
    settings = Settings(
        [Endpoint("127.0.0.1", broker.port)], client_id="n", mqtt5=mqtt5, keepalive_s=20, will_topic="w"
    )
    connection = Connection(settings, listener, calls.put)
    connection.start()
    while not any(isinstance(heard, Why) for heard in listener.heard):
        calls.make_next(PATIENCE_S)
    broker.close()
    connection.stop(PATIENCE_S)
    why = next(heard for heard in listener.heard if isinstance(heard, Why))
    assert why[:2] == (State.LOST, "the broker sends a packet that is too large: 250000000 bytes")
    assert broker.sent < 16_000_000  # what fits into the buffers of the two sockets
