"""What crosses the pipe between the sensor worker and main: readings that may leave, and how the sensors do.

As with :mod:`edged.wire` a message is a datagram of JSON, and the worker is not trusted: whatever it sends is
parsed here, bounded and typed, or refused with :class:`~edged.wire.WireError`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.wire import WireError, unwrap

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 2048
LONGEST_SENTENCE = 200
STATES = frozenset({"starting", "running", "waiting", "hung", "failed"})
QUALITIES = frozenset({"good", "stale", "suspect", "bad"})
_LATEST = 253402300799.0  # the end of the year 9999, s since 1970


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
class Turned:
    """A sensor is in another state; the fields are those of a worker's ``SensorStatus``."""

    name: str
    state: str
    last_error: str
    reads: int
    faults: int


Message = Up | Refused | Alive | Measured | Turned
_KINDS: dict[str, type[Message]] = {
    kind.__name__.lower(): kind for kind in (Up, Refused, Alive, Measured, Turned)
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
    tag, fields = unwrap(data, MAX_BYTES)
    kind = _KINDS.get(tag)
    if kind is None:
        raise WireError("no message of a known type")
    if fields.keys() != set(kind.__slots__):
        raise WireError(f"the fields of {tag} are others")
    return kind(**{name: _PARSERS[name](value) for name, value in fields.items()})


def _text(longest: int) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise WireError(f"text of at most {longest} characters expected")
        return "".join(c if c.isprintable() else "?" for c in value)

    return parse


def _one_of(words: frozenset[str]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise WireError("one of " + ", ".join(sorted(words)) + " expected")
        return value

    return parse


def _value(value: Any) -> float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    return _number(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise WireError("a number expected")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _time(value: Any) -> float:
    number = _number(value)
    if not 0 <= number <= _LATEST:
        raise WireError("a time expected")
    return number


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise WireError("a count expected")
    return value


def _isolation(value: Any) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or not all(wall in ("seccomp", "netns") for wall in value)
        or len(value) > 2
    ):
        raise WireError("walls expected")
    return tuple(value)


_name, _sentence = _text(32), _text(LONGEST_SENTENCE)
_PARSERS: dict[str, Callable[[Any], Any]] = {
    "isolation": _isolation,
    "message": _sentence,
    "sensor": _name,
    "channel": _name,
    "value": _value,
    "unit": _text(16),
    "ts": _time,
    "quality": _one_of(QUALITIES),
    "reason": _sentence,
    "name": _name,
    "state": _one_of(STATES),
    "last_error": _sentence,
    "reads": _count,
    "faults": _count,
}
