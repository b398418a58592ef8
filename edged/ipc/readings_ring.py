"""Rings on the readings page: the last readings of a channel, so that a reader misses none.

::

    sensor worker ──ReadingsRing.put──▶ [ head: name, generation | sample … sample ] ◀──RingReader── pipeline
    worker

A record of the readings page holds the newest reading only; a model over time wants them all. Here the last
``DEPTH`` of them stay, so a reader may look as late as that: at 100 readings a second after five seconds.
Samples are numbered from 1, each at the place of its number, with a checksum: a reader sees by itself whether
the next one is there, is being written, or was overwritten, and asks nobody. What a writer before left behind
does not count: it has another generation.
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
DEPTH = 512  # samples that are kept of each channel
_CHECK = struct.Struct("<I")
_HEAD_BODY = struct.Struct("<66sQ")  # name, generation
_BODY = struct.Struct("<QQdd")  # generation, number, at, value
_HEAD, _SAMPLE = _CHECK.size + _HEAD_BODY.size, _CHECK.size + _BODY.size
SIZE = RINGS * (_HEAD + DEPTH * _SAMPLE)  # bytes; a page in memory that nobody touches takes none
_LOOKS = 4 * DEPTH  # at samples in one call: a writer that is faster than its reader must not keep it there


class Sample(NamedTuple):
    """One good reading.

    Attributes:
        at: monotonic time of the measurement, in s; the same clock in every process.
        value: a finite number.
    """

    at: float
    value: float


class ReadingsRing:
    """The writer's side; for one thread at a time. It begins with empty rings.

    Args:
        page: to write on.
        begin: where the rings are on it.
        names: of the channels; those beyond ``RINGS`` get none.
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
        """Keep a good reading of a channel; of one that nobody follows, nothing.

        Args:
            name: of the channel.
            at: monotonic time of the measurement, in s.
            value: what was measured; a state is 0 or 1.
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
        page: to read from.
        begin: where the rings are on it.
        name: of the channel.

    Attributes:
        lost: readings that were overwritten before they were looked at.
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
        """Return what came since the last call, oldest first; at the first one all that is still there."""
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
            else:  # a later lap: the oldest that can still be there follows the place that was read
                oldest = number - DEPTH + 1
                self.lost += 0 if begins and not found else oldest - self._next
                self._next = oldest
        return found

    def _find(self) -> int | None:
        """Return the generation of the channel's ring; None where there is none, or it is just written."""
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
        """Return what is at the place of the next sample, and its number; 0 where there is nothing."""
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
