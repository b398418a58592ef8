"""The readings page: the newest readings of the channels that pipelines use, written by the sensor worker.

::

    sensor worker ──Writer──▶ [ a record for each channel that is looked at ] ◀──Reader── pipeline worker
                              [ a ring for each channel that is followed    ]
                                main creates it and passes it on, and never maps it

So a reading that is not published can open or close a pipeline's gate without entering the process that has
the network. A record carries a checksum: a reader that meets a half-written record sees that, and reads
again. The page outlives both sides; a new writer clears it. The rings (:mod:`edged.ipc.readings_ring`) are
for models over time, which need every reading and not only the newest.
"""

from __future__ import annotations

import math
import mmap
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.ipc import readings_ring
from edged.system import shared_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOTS = 512
LONGEST_UNIT = 24  # bytes; a longer one is cut
_BODY = struct.Struct("<66s24sdBBdddQQ")  # name, unit, value, kind, quality, ts, at, fresh_s, count, rises
_CHECK = struct.Struct("<I")
_SLOT = _CHECK.size + _BODY.size
_NOTHING, _NUMBER, _STATE = range(3)
_QUALITIES = ("good", "stale", "suspect", "bad")
_SIZE = SLOTS * _SLOT + readings_ring.SIZE
_TRIES = 8  # reads of a record that is being written


@dataclass(frozen=True, slots=True)
class Record:
    """The newest reading of a channel.

    Attributes:
        name: ``sensor``, or ``sensor/channel`` where it has several.
        unit: the value's unit.
        value: a number, a state, or None where it could not be measured.
        quality: good | stale | suspect | bad.
        ts: wall time of the measurement, in s since 1970.
        at: monotonic time of the measurement, in s; the same clock in every process.
        fresh_s: how long it stays valid, in s.
        count: the number of readings so far; another number is another reading.
        rises: how often a state has switched on so far, so that a pulse between two looks is not missed.
    """

    name: str
    unit: str
    value: float | bool | None
    quality: str
    ts: float
    at: float
    fresh_s: float
    count: int
    rises: int

    @property
    def good(self) -> bool:
        """Return whether its quality is good."""
        return self.quality == "good"


def name_of(sensor: str, channel: str) -> str:
    """Return a channel's name on the page and in conditions."""
    return f"{sensor}/{channel}" if channel else sensor


def create() -> int:
    """Return a descriptor of an empty readings page, to be written; nobody can change its size."""
    return shared_memory.allocate("edged-readings", _SIZE)


def for_reader(descriptor: int) -> int:
    """Return another descriptor of the page, the caller's to close, through which nobody can write.

    A worker that forged readings would open the gates of other pipelines.
    """
    return shared_memory.for_reading(descriptor)


class Writer:
    """The sensor worker's side; for one thread at a time.

    Args:
        descriptor: the readings page; may be closed afterwards.
        names: the channels that pipelines look at; others are not written.
        followed: the channels of which every good reading is kept for a while.
    """

    def __init__(self, descriptor: int, names: Sequence[str], followed: Sequence[str] = ()) -> None:
        self._page = mmap.mmap(descriptor, _SIZE)
        self._page[: SLOTS * _SLOT] = bytes(SLOTS * _SLOT)
        self._rings = readings_ring.ReadingsRing(self._page, SLOTS * _SLOT, followed)
        self._slots = {name: number for number, name in enumerate(names[:SLOTS])}
        self._counts = dict.fromkeys(self._slots, 0)
        self._rises = dict.fromkeys(self._slots, 0)
        self._on = dict.fromkeys(self._slots, False)
        for name in self._slots:
            self._write(Record(name, "", None, "bad", 0.0, 0.0, 0.0, 0, 0))

    def put(
        self,
        name: str,
        unit: str,
        value: float | bool | None,
        *,
        quality: str,
        ts: float,
        at: float,
        fresh_s: float,
    ) -> None:
        """Write the newest reading of a channel; do nothing for one that no pipeline looks at.

        Args:
            name: the channel's name.
            unit: the value's unit.
            value: a number, a state, or None where there is none.
            quality: good | stale | suspect | bad.
            ts: wall time of the measurement, in s since 1970.
            at: monotonic time of the measurement, in s.
            fresh_s: how long it stays valid, in s.
        """
        if quality == "good" and value is not None and math.isfinite(value):
            self._rings.put(name, at, float(value))
        if name not in self._slots:
            return
        self._counts[name] += 1
        if isinstance(value, bool):
            self._rises[name] += value and not self._on[name]
            self._on[name] = value
        count, rises = self._counts[name], self._rises[name]
        self._write(Record(name, unit, value, quality, ts, at, fresh_s, count, rises))

    def _write(self, record: Record) -> None:
        value = record.value
        body = _BODY.pack(
            record.name.encode()[:66],
            record.unit.encode()[:LONGEST_UNIT],
            float(value or 0),
            _NOTHING if value is None else _STATE if isinstance(value, bool) else _NUMBER,
            _QUALITIES.index(record.quality),
            record.ts,
            record.at,
            record.fresh_s,
            record.count,
            record.rises,
        )
        begin = self._slots[record.name] * _SLOT
        self._page[begin : begin + _SLOT] = _CHECK.pack(zlib.crc32(body)) + body

    def close(self) -> None:
        """Unmap the page."""
        self._page.close()


class Reader:
    """A pipeline worker's side.

    Args:
        descriptor: the one from :func:`for_reader`; to be closed before code of others runs, since the
            mapping
            alone can never be written.
    """

    def __init__(self, descriptor: int) -> None:
        self._page = shared_memory.ReadOnlyMapping(descriptor, _SIZE)
        self._slots: dict[str, int] = {}

    def get(self, name: str) -> Record | None:
        """Return the newest reading of a channel; None where there was none."""
        slot = self._slots.get(name)
        found = self._read(slot) if slot is not None else None
        if found is None or found.name != name:
            found = self._find(name)
        return found if found is not None and found.count else None

    def follow(self, name: str) -> readings_ring.RingReader:
        """Return a reader that yields every good reading of a channel once, from the oldest one kept."""
        return readings_ring.RingReader(self._page, SLOTS * _SLOT, name)

    def _find(self, name: str) -> Record | None:
        for number in range(SLOTS):
            record = self._read(number)
            if record is not None and record.name == name:
                self._slots[name] = number
                return record
            if record is None and not any(self._page[number * _SLOT : (number + 1) * _SLOT]):
                return None  # the writer fills it from the front
        return None

    def close(self) -> None:
        """Unmap the page."""
        self._page.close()

    def _read(self, slot: int) -> Record | None:
        begin = slot * _SLOT
        for _ in range(_TRIES):
            data = self._page[begin : begin + _SLOT]
            body = data[_CHECK.size :]
            if not any(data):
                return None
            if _CHECK.unpack_from(data)[0] == zlib.crc32(body):
                return _record(body)
        return None


def _record(body: bytes) -> Record:
    name, unit, number, kind, quality, ts, at, fresh_s, count, rises = _BODY.unpack(body)
    value: float | bool | None = {_NUMBER: number, _STATE: bool(number)}.get(kind)
    if not math.isfinite(number):
        value = None
    return Record(
        name.rstrip(b"\0").decode("utf-8", "replace"),
        unit.rstrip(b"\0").decode("utf-8", "ignore"),
        value,
        "bad" if value is None else _QUALITIES[quality % len(_QUALITIES)],
        ts,
        at,
        fresh_s,
        count,
        rises,
    )
