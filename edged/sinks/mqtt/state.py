"""States of the connection: a word for programs, and a sentence for people about why it is not there."""

from __future__ import annotations

import enum
import socket
import ssl
from typing import NamedTuple

from edged.errors import ConfigError


class State(enum.StrEnum):
    """The state of the connection."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    AUTH = "auth refused"
    CERTIFICATE = "certificate refused"
    TLS = "tls failed"
    NAME = "name not found"
    REFUSED = "connection refused"
    TIMEOUT = "no answer"
    UNREACHABLE = "unreachable"
    PROTOCOL = "protocol refused"
    TAKEN = "taken over"
    LOST = "connection lost"
    STOPPED = "stopped"


class PacketTooLargeError(ValueError):
    """The broker sends a packet of this many bytes, more than a client takes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the broker sends a packet that is too large: {size} bytes")


class Why(NamedTuple):
    """A state and the sentence that goes with it.

    Attributes:
        by_broker: the connection was ended in order, so the broker was not killed.
        where: the broker that was tried or lost.
        hung_up: the broker may have ended it over a message that it was sent.
    """

    state: State
    detail: str
    by_broker: bool = False
    where: str = ""
    hung_up: bool = False


# DISCONNECT: malformed, protocol error, specific to the implementation, not authorized, topic name, receive
# maximum, topic alias, packet too large, payload format, retain and QoS not supported.
_DUE_TO_MESSAGE = frozenset({0x80, 0x81, 0x82, 0x83, 0x87, 0x90, 0x93, 0x94, 0x95, 0x99, 0x9A, 0x9B})
_CODES = {  # of CONNACK and DISCONNECT; paho translates those of MQTT 3.1.1
    0x84: Why(State.PROTOCOL, "the broker does not speak this version of MQTT: write protocol: auto"),
    0x85: Why(State.PROTOCOL, "the broker does not accept this node's client id"),
    0x86: Why(State.AUTH, "the broker refuses the user name or the password"),
    0x87: Why(State.AUTH, "the broker does not let this user in"),
    0x8A: Why(State.AUTH, "the broker has banned this client"),
    0x8B: Why(State.LOST, "the broker is shutting down"),
    0x8C: Why(State.AUTH, "the broker requires another way of logging in"),
    0x8E: Why(State.TAKEN, "another client logged in with this node's name"),
}


def of_code(code: int, name: str, *, connected: bool) -> Why:
    """Explain a reason code with which the broker refuses or ends a connection."""
    state = State.LOST if connected else State.REFUSED
    if connected and code in _DUE_TO_MESSAGE:
        return Why(State.LOST, f"the broker's reason: {name.lower()}", by_broker=True, hung_up=True)
    return _CODES.get(code, Why(state, f"the broker's reason: {name.lower()}"))._replace(by_broker=connected)


def of_error(error: Exception) -> Why:
    """Explain an exception raised while connecting."""
    reason = getattr(error, "strerror", None) or str(error)
    match error:
        case ssl.SSLCertVerificationError():
            why = Why(State.CERTIFICATE, f"the broker's certificate is not accepted: {error.verify_message}")
        case ssl.SSLEOFError() | ConnectionResetError() | BrokenPipeError():
            why = Why(State.LOST, "the broker closed the connection at once; perhaps only one side uses TLS")
        case ssl.SSLError():
            why = of_tls_text(str(error)) or Why(State.TLS, f"TLS failed: {error}")
        case PacketTooLargeError():
            why = Why(State.LOST, str(error))
        case ConfigError():
            why = Why(State.TLS, str(error))
        case socket.gaierror() | UnicodeError():
            why = Why(State.NAME, f"the name cannot be resolved: {reason}")
        case ConnectionRefusedError():
            why = Why(State.REFUSED, "nothing listens there")
        case TimeoutError():
            why = Why(State.TIMEOUT, "it does not answer")
        case OSError():
            why = Why(State.UNREACHABLE, reason)
        case _:
            why = Why(State.LOST, f"{type(error).__name__}: {error}")
    return why


def of_tls_text(text: str) -> Why | None:
    """Explain a message of OpenSSL; with TLS 1.3 a client's certificate is refused after the handshake."""
    lowered = text.lower()
    if "alert" in lowered:
        return Why(State.CERTIFICATE, f"the broker refuses this node's certificate, or requires one: {text}")
    if "wrong_version_number" in lowered or "wrong version number" in lowered:
        return Why(State.TLS, "the broker does not speak TLS on this port")
    return None
