"""Reads the whole numbers of a FlexBuffer's map, as the options of a custom operator are.

A FlexBuffer is read from its end: the last byte is the width of its root, the one before is the root's type.
Offsets point backwards. Like :mod:`edged.models.tflite.flatbuffer` it checks every position before use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.models.tflite.flatbuffer import Malformed

if TYPE_CHECKING:
    from collections.abc import Sequence

_INT, _UINT, _MAP, _BOOL = 1, 2, 9, 26
_WIDTHS = frozenset({1, 2, 4, 8})
_MOST_KEYS, _LONGEST_KEY = 64, 64


def integers(data: Sequence[int] | memoryview) -> dict[str, int]:
    """Return the fields of the root map that are whole numbers; empty where the root is not a map.

    Raises:
        Malformed: an offset points out of the buffer.
    """
    buffer = bytes(data)
    if len(buffer) < 3:
        return {}
    kind, width = buffer[-2], buffer[-1]
    if kind >> 2 != _MAP or width not in _WIDTHS:
        return {}
    return _Map(buffer, len(buffer) - 2 - width, width, 1 << (kind & 3)).integers()


class _Map:
    """A map: its keys, its values and their types.

    Args:
        buffer: the bytes.
        at: the position of the offset that leads to it.
        offset_width: the width of that offset, in bytes.
        width: the width of its own fields, in bytes.
    """

    def __init__(self, buffer: bytes, at: int, offset_width: int, width: int) -> None:
        self._buffer, self._width = buffer, width
        self._start = self._back(at, offset_width)
        self._size = self._number(self._start - width, width)
        if self._size > _MOST_KEYS:
            raise Malformed("a map with too many keys")
        self._key_width = self._number(self._start - 2 * width, width)
        if self._key_width not in _WIDTHS:
            raise Malformed("the width of a map's keys")
        self._keys = self._back(self._start - 3 * width, width)

    def integers(self) -> dict[str, int]:
        """Return its whole numbers, by key."""
        types = self._start + self._size * self._width
        found: dict[str, int] = {}
        for number in range(self._size):
            kind = self._number(types + number, 1) >> 2
            if kind in {_INT, _UINT, _BOOL}:
                value = self._number(self._start + number * self._width, self._width, signed=kind == _INT)
                found[self._key(number)] = value
        return found

    def _key(self, number: int) -> str:
        start = self._back(self._keys + number * self._key_width, self._key_width)
        text, _, _ = self._buffer[start : start + _LONGEST_KEY].partition(b"\0")
        return text.decode("ascii", "replace")

    def _back(self, at: int, width: int) -> int:
        """Return the position to which the offset at this one points."""
        return at - self._number(at, width)

    def _number(self, at: int, width: int, *, signed: bool = False) -> int:
        if at < 0 or at + width > len(self._buffer):
            raise Malformed(f"byte {at} of {len(self._buffer)}")
        return int.from_bytes(self._buffer[at : at + width], "little", signed=signed)
