"""Rings on the readings page: the last readings of a channel, so that a reader misses none.

::

    sensor worker                                                                    pipeline worker
       ReadingsRing.put ──▶ [ head: name, generation │ sample … sample ] ◀── RingReader.new

A record of the readings page holds only the newest reading; a model over time needs all of them. A ring keeps
the last ``DEPTH`` readings, so a reader may be late by that much: at 100 readings a second, by five seconds.
Samples are numbered from 1, each at the place of its number, with a checksum: a reader sees by itself whether
the next one has arrived, is being written, or was overwritten. The samples of an earlier writer do not count:
they have another generation.
"""

from __future__ import annotations

import struct
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import mmap
    from collections.abc import Sequence

    from edged.system.shared_memory import ReadOnlyMapping

RINGS = 64
DEPTH = 512  # samples kept per channel
_CHECK = struct.Struct("<I")
_HEAD_BODY = struct.Struct("<66sQ")  # name, generation
_BODY = struct.Struct("<QQdd")  # generation, number, at, value
_HEAD, _SAMPLE = _CHECK.size + _HEAD_BODY.size, _CHECK.size + _BODY.size
SIZE = RINGS * (_HEAD + DEPTH * _SAMPLE)  # bytes; memory that is never touched takes no room
_LOOKS = 4 * DEPTH  # samples per call: a writer that is faster than its reader must not hold the reader


class Sample(NamedTuple):
    """One good reading.

    Attributes:
        at: monotonic time of the measurement, in s; the same clock in every process.
        value: a finite number.
    """

    at: float
    value: float


class ReadingsRing:
    """The writer's side, for one thread at a time; the rings are empty at first.

    Args:
        page: the readings page.
        begin: the offset of the rings on it.
        names: the channels; those beyond ``RINGS`` get no ring.
    """

    def __init__(self, page: mmap.mmap, begin: int, names: Sequence[str]) -> None:
        self._page = page
        self._begin = begin
        self._generation = time.monotonic_ns()
        self._rings = {name: number for number, name in enumerate(names[:RINGS])}
        self._counts = dict.fromkeys(self._rings, 0)
        page[begin : begin + RINGS * _HEAD] = bytes(RINGS * _HEAD)
        for name, ring in self._rings.items():
            body = _HEAD_BODY.pack(name.encode()[:66], self._generation)
            at = begin + ring * _HEAD
            page[at : at + _HEAD] = _CHECK.pack(zlib.crc32(body)) + body

    def put(self, name: str, at: float, value: float) -> None:
        """Keep a good reading of a channel; do nothing for one that no pipeline follows.

        Args:
            name: the channel's name.
            at: monotonic time of the measurement, in s.
            value: the value; a state is 0 or 1.
        """
        ring = self._rings.get(name)
        if ring is None:
            return
        self._counts[name] = number = self._counts[name] + 1
        body = _BODY.pack(self._generation, number, at, value)
        place = _place(self._begin, ring, number)
        self._page[place : place + _SAMPLE] = _CHECK.pack(zlib.crc32(body)) + body


class RingReader:
    """Reads one channel, every reading once; for one thread.

    Args:
        page: the readings page.
        begin: the offset of the rings on it.
        name: the channel's name.

    Attributes:
        lost: readings that were overwritten before they were read.
    """

    def __init__(self, page: ReadOnlyMapping, begin: int, name: str) -> None:
        self.lost = 0
        self._page = page
        self._begin = begin
        self._name = name.encode()[:66]
        self._ring = 0
        self._generation = 0
        self._next = 1

    def new(self) -> list[Sample]:
        """Return the readings since the last call, oldest first; at the first call all that are kept."""
        generation = self._find()
        if generation is None:
            return []
        begins = generation != self._generation
        if begins:
            self._generation, self._next = generation, 1
        found: list[Sample] = []
        for _ in range(_LOOKS):
            number, sample = self._read()
            if number < self._next:
                break
            if number == self._next:
                found.append(sample)
                self._next += 1
            else:  # a later lap: the oldest one kept follows the place that was read
                oldest = number - DEPTH + 1
                self.lost += 0 if begins and not found else oldest - self._next
                self._next = oldest
        return found

    def _find(self) -> int | None:
        """Return the generation of the channel's ring; None where it has none, or it is being written."""
        for ring in (self._ring, *range(RINGS)):
            at = self._begin + ring * _HEAD
            head = self._page[at : at + _HEAD]
            body = head[_CHECK.size :]
            if _CHECK.unpack_from(head)[0] != zlib.crc32(body):
                continue
            name, generation = _HEAD_BODY.unpack(body)
            if name.rstrip(b"\0") == self._name:
                self._ring = ring
                return int(generation)
        return None

    def _read(self) -> tuple[int, Sample]:
        """Return the sample at the place of the next one, and its number; 0 where there is none."""
        place = _place(self._begin, self._ring, self._next)
        data = self._page[place : place + _SAMPLE]
        body = data[_CHECK.size :]
        if _CHECK.unpack_from(data)[0] != zlib.crc32(body):
            return 0, Sample(0.0, 0.0)
        generation, number, at, value = _BODY.unpack(body)
        if generation != self._generation or number % DEPTH != self._next % DEPTH:
            return 0, Sample(0.0, 0.0)
        return number, Sample(at, value)


def _place(begin: int, ring: int, number: int) -> int:
    return begin + RINGS * _HEAD + (ring * DEPTH + number % DEPTH) * _SAMPLE
