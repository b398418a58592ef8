"""What crosses the pipe between the sensor worker and main: readings that may leave, and how the sensors do.

As with :mod:`edged.ipc.worker_messages` a message is a datagram of JSON, and the worker is not trusted:
whatever it sends is parsed here, bounded and typed, or refused with :class:`~edged.ipc.codec.WireError`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.ipc import codec
from edged.ipc.codec import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 2048
LONGEST_SENTENCE = 200
STATES = frozenset({"starting", "running", "waiting", "hung", "failed"})


@dataclass(frozen=True, slots=True)
class Up:
    """The worker is cut off and begins to read.

    Attributes:
        isolation: what holds: ``seccomp``, ``netns``.
    """

    isolation: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The worker will not work; the sentence says why."""

    message: str


@dataclass(frozen=True, slots=True)
class Alive:
    """The worker still runs; about once a second."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A reading that is to be sent; the fields are those of :class:`edged.sensors.Reading`."""

    sensor: str
    channel: str
    value: float | bool | None
    unit: str
    ts: float
    quality: str
    reason: str


@dataclass(frozen=True, slots=True)
class SensorState:
    """A sensor is in another state; the fields are those of a worker's ``SensorStatus``."""

    name: str
    state: str
    last_error: str
    reads: int
    faults: int


Message = Up | Refused | Alive | Measured | SensorState
_KINDS: dict[str, type[Message]] = {
    kind.__name__.lower(): kind for kind in (Up, Refused, Alive, Measured, SensorState)
}


def encode(message: Message) -> bytes:
    """Return a message as one datagram; sentences are cut to what main accepts."""
    data: dict[str, Any] = {"t": type(message).__name__.lower()}
    for name in message.__slots__:
        value = getattr(message, name)
        data[name] = value[:LONGEST_SENTENCE] if name in ("message", "reason", "last_error") else value
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def decode(data: bytes) -> Message:
    """Parse what the worker sent.

    Raises:
        WireError: it is no message: too long, no JSON, a field missing, unknown, of another type or out of
            range.
    """
    tag, fields = codec.unwrap(data, MAX_BYTES)
    kind = _KINDS.get(tag)
    if kind is None:
        raise WireError("no message of a known type")
    if fields.keys() != set(kind.__slots__):
        raise WireError(f"the fields of {tag} are others")
    return kind(**{name: _PARSERS[name](value) for name, value in fields.items()})


_name, _sentence = codec.text(32, empty=True), codec.text(LONGEST_SENTENCE, empty=True)
_PARSERS: dict[str, Callable[[Any], Any]] = {
    "isolation": codec.isolation,
    "message": _sentence,
    "sensor": _name,
    "channel": _name,
    "value": codec.measured,
    "unit": codec.text(16, empty=True),
    "ts": codec.time,
    "quality": codec.quality,
    "reason": _sentence,
    "name": _name,
    "state": codec.one_of(STATES),
    "last_error": _sentence,
    "reads": codec.count,
    "faults": codec.count,
}
