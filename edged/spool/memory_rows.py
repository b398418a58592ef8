"""Rows in memory that are not on disk yet, bounded by their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edged.spool.entry import Entry

ENTRY_BYTES = 300  # what Python keeps for an entry beside its payload


class Queue:
    """Entries by place, ascending.

    Args:
        room: bytes beyond which it is ``crowded``.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._bytes = 0
        self._entries: dict[int, Entry] = {}
        self.writing = 0  # rows up to this place are with the writer, which may have them on disk any moment

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, place: int) -> bool:
        return place in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    @property
    def crowded(self) -> bool:
        """Whether it holds more than it has room for."""
        return self._bytes > self._room

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self._entries[entry.place] = entry
        self._bytes += len(entry.payload) + ENTRY_BYTES

    def pop(self, place: int) -> Entry | None:
        """Take an entry out, if it is there."""
        entry = self._entries.pop(place, None)
        if entry is not None:
            self._bytes -= len(entry.payload) + ENTRY_BYTES
        return entry

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Put entries in that were taken out, in their old places."""
        for entry in entries:
            self.add(entry)
        self._entries = dict(sorted(self._entries.items()))

    def change(self, edit: Callable[[Entry], Entry]) -> None:
        """Replace every entry, places kept."""
        for entry in list(self):
            self.pop(entry.place)
            self.add(edit(entry))

    def oldest(self, held: Callable[[int], bool]) -> Entry | None:
        """Return the oldest entry that neither the writer has nor somebody else holds."""
        places = (place for place in self._entries if place > self.writing and not held(place))
        place = next(places, None)
        return None if place is None else self._entries[place]
