"""Copies and writes tables of a FlatBuffer, with no more of the schema than the copied tables need.

A table is copied as it lies there: its vtable and its bytes. Only the fields that refer to something else
have to be known, because each of these references is written anew. Tables come before what they refer to, so
every offset points forwards, as the format requires.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edged.models.tflite.flatbuffer import Table

_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")
_WIDEST = 8  # bytes of the largest number in a table


@dataclass
class Vector:
    """A vector of numbers, or the bytes of a string or a blob.

    Attributes:
        data: the items, little-endian.
        width: bytes of an item.
        alignment: of the first item, in the file.
        ends: bytes to write after it: a string is followed by a zero.
    """

    data: bytes | memoryview
    width: int = 1
    alignment: int = 4
    ends: bytes = b""

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Vector:
        """Return a vector of 32-bit integers."""
        return cls(struct.pack(f"<{len(numbers)}i", *numbers), 4)


@dataclass
class Node:
    """A table to be written.

    Attributes:
        slots: the offset of each field in the table, 0 for one that is missing.
        inline: the table's bytes, without the reference to its vtable.
        phase: where the table began in its file, modulo 8; numbers in it are aligned accordingly.
        children: what its fields refer to, by field.
    """

    slots: tuple[int, ...]
    inline: bytearray
    phase: int
    children: dict[int, Node | Vector | list[Node]] = field(default_factory=dict)

    def integer(self, slot: int, code: str, value: int) -> None:
        """Set a number, where the table has one; ``code`` is a format character of :mod:`struct`."""
        if slot < len(self.slots) and self.slots[slot]:
            struct.pack_into("<" + code, self.inline, self.slots[slot] - 4, value)

    def refer(self, slot: int, child: Node | Vector | list[Node]) -> None:
        """Let a field that the table has refer to something else. Raises ``Uncopied`` where it has none."""
        if slot >= len(self.slots) or not self.slots[slot]:
            raise Uncopied(f"field {slot} is missing")
        self.children[slot] = child

    def add(self, slot: int, child: Vector | Node | list[Node]) -> None:
        """Let a field refer to something else, also where the table does not have it yet."""
        if slot >= len(self.slots) or not self.slots[slot]:
            self.inline += bytes(-(len(self.inline) + self.phase) % 4)
            offsets = [*self.slots, *(0 for _ in range(slot + 1 - len(self.slots)))]
            offsets[slot] = 4 + len(self.inline)
            self.inline += bytes(4)
            self.slots = tuple(offsets)
        self.children[slot] = child

    def drop(self, *slots: int) -> None:
        """Leave fields out."""
        kept = [0 if slot in slots else offset for slot, offset in enumerate(self.slots)]
        self.slots = tuple(kept)
        for slot in slots:
            self.children.pop(slot, None)


@dataclass(frozen=True)
class Kind:
    """The things that the fields of a kind of table refer to; its numbers need no mention.

    Attributes:
        vectors: the width of the items, by field; strings are in ``texts``.
        texts: the fields that are strings.
        tables: the kind of a table, by field.
        lists: the kind of the tables of a vector, by field.
        refused: fields that refer to something that is not copied: a table that has one cannot be copied.
        blobs: the fields whose content is aligned to 16 bytes.
    """

    vectors: dict[int, int] = field(default_factory=dict)
    texts: frozenset[int] = frozenset()
    tables: dict[int, Kind] = field(default_factory=dict)
    lists: dict[int, Kind] = field(default_factory=dict)
    refused: frozenset[int] = frozenset()
    blobs: frozenset[int] = frozenset()


def table(numbers: dict[int, tuple[str, int]], children: dict[int, Node | Vector | list[Node]]) -> Node:
    """Return a new table.

    Args:
        numbers: the format character of :mod:`struct` and the value of each number of at most 4 bytes, by
            field.
        children: what its other fields refer to, by field.
    """
    slots = [0] * (1 + max((*numbers, *children)))
    inline = bytearray()
    for slot, (code, value) in numbers.items():
        slots[slot] = 4 + len(inline)
        inline += struct.pack("<" + code, value).ljust(4, b"\0")
    node = Node(tuple(slots), inline, 0)
    for slot, child in children.items():
        node.add(slot, child)
    return node


class Uncopied(Exception):  # noqa: N818 - the caller turns it into a ModelError
    """A table refers to something whose layout is not known here."""


def copy(table: Table, kind: Kind, *, leave_out: Iterable[int] = ()) -> Node:
    """Return a table and everything that it refers to, ready to be written.

    Args:
        table: of the file.
        kind: what its fields refer to.
        leave_out: fields that are not copied.

    Raises:
        Uncopied: it has a field that is not known.
        Malformed: an offset points out of the file.
    """
    slots, inline, phase = table.raw()
    node = Node(slots, bytearray(inline), phase)
    node.drop(*(slot for slot in leave_out if slot < len(slots)))
    present = {slot for slot, offset in enumerate(node.slots) if offset}
    if unknown := present & kind.refused:
        raise Uncopied(f"field {min(unknown)}")
    for slot in sorted(present):
        if slot in kind.texts:
            node.children[slot] = Vector(bytes(table.blob(slot)), ends=b"\0")
        elif slot in kind.blobs:
            node.children[slot] = Vector(table.blob(slot), alignment=16)
        elif slot in kind.vectors:
            width = kind.vectors[slot]
            node.children[slot] = Vector(bytes(table.items(slot, width)), width, max(4, width))
        elif slot in kind.tables:
            if (inner := table.table(slot)) is not None:
                node.children[slot] = copy(inner, kind.tables[slot])
        elif slot in kind.lists:
            node.children[slot] = [copy(entry, kind.lists[slot]) for entry in table.tables(slot)]
    return node


class _Writer:
    """Appends objects, and fills in the references to them as their places become known."""

    def __init__(self, identifier: bytes, most: int) -> None:
        self.out = bytearray(4) + identifier
        self._most = most
        self._waiting: list[tuple[int, Node | Vector | list[Node]]] = []

    def write(self, root: Node) -> bytes:
        self._waiting = [(0, root)]
        while self._waiting:
            at, thing = self._waiting.pop()
            if isinstance(thing, Node):
                place = self._table(thing)
            elif isinstance(thing, Vector):
                place = self._vector(thing)
            else:
                place = self._list(thing)
            _U32.pack_into(self.out, at, place - at)
        self._pad(16, 0)
        return bytes(self.out)

    def _pad(self, alignment: int, phase: int) -> None:
        """Add zeros until the length is ``phase`` modulo ``alignment``."""
        self.out += bytes((phase - len(self.out)) % alignment)

    def _table(self, node: Node) -> int:
        length = 4 + 2 * len(node.slots)
        self._pad(2, 0)
        vtable = len(self.out)
        self.out += struct.pack(f"<{2 + len(node.slots)}H", length, 4 + len(node.inline), *node.slots)
        self._pad(_WIDEST, node.phase)
        at = len(self.out)
        self.out += _I32.pack(at - vtable) + node.inline
        for slot, child in node.children.items():
            self._waiting.append((at + node.slots[slot], child))
        return at

    def _vector(self, vector: Vector) -> int:
        self._pad(vector.alignment, -4 % vector.alignment)
        at = len(self.out)
        if at + len(vector.data) > self._most:
            raise Uncopied("its parts overlap")
        self.out += _U32.pack(len(vector.data) // vector.width)
        self.out += vector.data
        self.out += vector.ends
        return at

    def _list(self, nodes: list[Node]) -> int:
        self._pad(4, 0)
        at = len(self.out)
        self.out += _U32.pack(len(nodes)) + bytes(4 * len(nodes))
        self._waiting += [(at + 4 + 4 * number, node) for number, node in enumerate(nodes)]
        return at


def write(root: Node, identifier: bytes, *, most: int) -> bytes:
    """Return the bytes of a FlatBuffer.

    Args:
        root: its outermost table.
        identifier: the four bytes that name its kind.
        most: bytes; a crafted file may refer to the same part many times.

    Raises:
        Uncopied: it would be longer than that.
    """
    return _Writer(identifier, most).write(root)
