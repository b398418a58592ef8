"""The messages on the pipe from the sensor worker to main: readings that may leave, and states of sensors.

As with :mod:`edged.ipc.worker_messages` a message is a datagram of JSON, and the worker is not trusted:
whatever it sends is parsed here, bounded and typed, or refused with :class:`~edged.ipc.codec.WireError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.ipc import codec
from edged.ipc.codec import Codec

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 2048
LONGEST_SENTENCE = 200
STATES = frozenset({"starting", "running", "waiting", "hung", "failed"})


@dataclass(frozen=True, slots=True)
class Up:
    """The worker is isolated and begins to read.

    Attributes:
        isolation: the walls in place: ``seccomp``, ``netns``.
    """

    isolation: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The worker does not start to read; the sentence says why."""

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
    """The state of a sensor that changed; also the form in which the daemon keeps and publishes it.

    Attributes:
        name: the sensor's name.
        state: starting | running | waiting (away, tried again) | hung | failed (a package is missing).
        last_error: the latest fault in one sentence; "" if there was none.
        reads: the number of reads.
        faults: the number of times that it was away, hung or broke.
    """

    name: str
    state: str
    last_error: str = ""
    reads: int = 0
    faults: int = 0

    @property
    def online(self) -> bool:
        """Return whether the sensor delivers readings, as its availability topic shows."""
        return self.state == "running"


Message = Up | Refused | Alive | Measured | SensorState
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
CODEC: Codec[Message] = Codec(
    (Up, Refused, Alive, Measured, SensorState),
    _PARSERS,
    max_bytes=MAX_BYTES,
    sentences={"message", "reason", "last_error"},
    longest_sentence=LONGEST_SENTENCE,
)
encode, decode = CODEC.encode, CODEC.decode
