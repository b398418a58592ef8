"""Reads FlatBuffers safely: every offset and length is checked before use.

A FlatBuffer consists of nested offsets. The runtimes follow them unchecked, so a truncated file causes a
segmentation fault; here it raises :class:`Malformed`. The work is bounded too, because crafted offsets can
make a small file look like a tree of any size.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

_MAX_WORK = 2_000_000  # numbers read; the largest classifiers need about 100,000
_TABLE_WORK = 20  # the cost of a table in addition to its fields
_MAX_TEXT = 4096  # bytes of a name that are read

_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_U16 = struct.Struct("<H")
_F32 = struct.Struct("<f")


class Malformed(Exception):  # noqa: N818 - the reader of the file turns it into a ModelError
    """An offset or a length points out of the buffer."""


class FlatBuffer:
    """The bytes, the position reached so far, and the work done so far.

    Attributes:
        end: the first byte after everything that was read, where appended data may begin.
    """

    def __init__(self, data: bytes | memoryview | mmap.mmap) -> None:
        self.data = data
        self.size = len(data)
        self.end = 8
        self._work = 0

    def root(self) -> Table:
        """Return the outermost table."""
        return Table(self, self.number(_U32, 0))

    def number(self, kind: struct.Struct, at: int) -> int:
        """Return the integer at a position."""
        self.reach(at, kind.size)
        return int(kind.unpack_from(self.data, at)[0])

    def reach(self, at: int, length: int) -> None:
        """Check that ``length`` bytes from ``at`` are inside the buffer. Raises ``Malformed``."""
        if at < 0 or at + length > self.size:
            raise Malformed(f"byte {at + length} of {self.size}")
        self.end = max(self.end, at + length)

    def spend(self, work: int) -> None:
        """Count work and stop at the limit. Raises ``Malformed``."""
        self._work += work
        if self._work > _MAX_WORK:
            raise Malformed("too many parts")


class Table:
    """One table; its fields are numbered as in the schema."""

    __slots__ = ("_at", "_buffer", "_size", "_slots")

    def __init__(self, buffer: FlatBuffer, at: int) -> None:
        vtable = at - buffer.number(_I32, at)
        length = buffer.number(_U16, vtable)
        self._size = buffer.number(_U16, vtable + 2)
        if length < 4 or length % 2 or self._size < 4:
            raise Malformed(f"table at byte {at}")
        buffer.spend(_TABLE_WORK + length)
        buffer.reach(vtable, length)
        buffer.reach(at, self._size)
        self._buffer, self._at = buffer, at
        self._slots = struct.unpack_from(f"<{length // 2 - 2}H", buffer.data, vtable + 4)

    def _position(self, slot: int, width: int) -> int | None:
        offset = self._slots[slot] if slot < len(self._slots) else 0
        if not offset:
            return None
        if offset + width > self._size:
            raise Malformed(f"field {slot} of the table at byte {self._at}")
        return int(self._at + offset)

    def integer(self, slot: int, code: str, default: int = 0) -> int:
        """Return a number field; ``code`` is a format character of :mod:`struct`."""
        kind = struct.Struct("<" + code)
        at = self._position(slot, kind.size)
        return default if at is None else self._buffer.number(kind, at)

    def decimal(self, slot: int) -> float:
        """Return a field of single precision; 0 if it is missing."""
        at = self._position(slot, _F32.size)
        if at is None:
            return 0.0
        self._buffer.reach(at, _F32.size)
        return float(_F32.unpack_from(self._buffer.data, at)[0])

    def _target(self, slot: int) -> int | None:
        at = self._position(slot, 4)
        return None if at is None else at + self._buffer.number(_U32, at)

    def table(self, slot: int) -> Table | None:
        """Return the table that a field refers to."""
        at = self._target(slot)
        return None if at is None else Table(self._buffer, at)

    def span(self, slot: int, width: int) -> tuple[int, int]:
        """Return (first byte, count) of a vector of items of ``width`` bytes; (0, 0) if it is missing."""
        at = self._target(slot)
        if at is None:
            return 0, 0
        count = self._buffer.number(_U32, at)
        self._buffer.reach(at + 4, count * width)
        return at + 4, count

    def numbers(self, slot: int, code: str) -> tuple[float, ...]:
        """Return a vector of numbers."""
        at, count = self.span(slot, struct.calcsize("<" + code))
        self._buffer.spend(count)
        return struct.unpack_from(f"<{count}{code}", self._buffer.data, at) if count else ()

    def tables(self, slot: int) -> Iterator[Table]:
        """Yield the tables of a vector."""
        at, count = self.span(slot, 4)
        for here in range(at, at + 4 * count, 4):
            yield Table(self._buffer, here + self._buffer.number(_U32, here))

    def blob(self, slot: int) -> memoryview:
        """Return a vector of bytes, without copying it."""
        return self.items(slot, 1)

    def items(self, slot: int, width: int) -> memoryview:
        """Return the bytes of a vector of items of ``width`` bytes, without copying it."""
        at, count = self.span(slot, width)
        self._buffer.spend(0 if width == 1 else count)
        return memoryview(self._buffer.data)[at : at + count * width]

    def raw(self) -> tuple[tuple[int, ...], memoryview, int]:
        """Return the table as it lies there, for a copy of it.

        Returns:
            The offset of each field in the table (0: missing), the bytes after the reference to its vtable,
            and the table's position modulo 8, which its numbers are aligned by.
        """
        data = memoryview(self._buffer.data)
        self._buffer.spend(self._size // 8)
        return self._slots, data[self._at + 4 : self._at + self._size], self._at % 8

    def text(self, slot: int) -> str:
        """Return a string field; empty if it is missing."""
        return bytes(self.blob(slot)[:_MAX_TEXT]).decode("utf-8", "replace")
