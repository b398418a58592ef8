"""paho's client with a bound on what it receives: no packet grows in memory beyond it.

MQTT 5 has a field for this bound, which a hostile broker ignores, and MQTT 3.1.1 has none.
"""

from __future__ import annotations

from paho.mqtt import client as paho

from edged.sinks.mqtt.state import PacketTooLargeError

MAX_INCOMING = 1 << 20  # bytes of a packet; MQTT 5 brokers keep to it


class Client(paho.Client):
    """A client that gives the connection up before it reads a packet that is too large."""

    def _sock_recv(self, bufsize: int) -> bytes:
        """Read from the socket.

        Raises:
            PacketTooLargeError: the packet is larger than ``MAX_INCOMING``: paho asks for all of it that is
                missing, and first for its length.
        """
        if bufsize > MAX_INCOMING:
            raise PacketTooLargeError(bufsize)
        return super()._sock_recv(bufsize)
