"""The sets that each row goes through, between accepted and finished."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from edged.spool.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from edged.spool.entry import Entry

SEARCH = 4096  # rows looked at for some to drop
ENTRY_BYTES = 300  # what Python keeps for an entry beside its payload


class Queue:
    """Entries that are in memory only, by place, ascending.

    Args:
        room: bytes beyond which it is ``crowded``.

    Attributes:
        writing: entries up to this place are with the writer, which may have them on disk any moment.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._room_of: Counter[str] = Counter()  # by pipeline
        self._entries: dict[int, Entry] = {}
        self.writing = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, place: int) -> bool:
        return place in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    @property
    def crowded(self) -> bool:
        """Return whether it holds more than it has room for."""
        return self._room_of.total() > self._room

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self._entries[entry.place] = entry
        self._room_of[entry.pipeline] += len(entry.payload) + ENTRY_BYTES

    def pop(self, place: int) -> Entry | None:
        """Take an entry out, if it is there."""
        entry = self._entries.pop(place, None)
        if entry is not None:
            self._room_of[entry.pipeline] -= len(entry.payload) + ENTRY_BYTES
            if not self._room_of[entry.pipeline]:
                del self._room_of[entry.pipeline]
        return entry

    def put_back(self, entries: Iterable[Entry]) -> None:
        """Put entries that were taken out back in their old places."""
        for entry in entries:
            self.add(entry)
        self._entries = dict(sorted(self._entries.items()))

    def change(self, edit: Callable[[Entry], Entry]) -> None:
        """Replace every entry; places must stay."""
        for entry in list(self):
            self.pop(entry.place)
            self.add(edit(entry))

    def oldest(self, held: Callable[[int], bool]) -> Entry | None:
        """Return the oldest entry that is neither with the writer nor held."""
        return next(self._free(held), None)

    def excess(self, held: Callable[[int], bool]) -> Entry | None:
        """Return what is to make room: the oldest such entry of a pipeline that has more than its share."""
        heavy = heavy_ones(self._room_of)
        found = (entry for entry in self._free(held) if entry.pipeline in heavy)
        return next(found, None) or self.oldest(held)

    def _free(self, held: Callable[[int], bool]) -> Iterator[Entry]:
        return (entry for entry in self if entry.place > self.writing and not held(entry.place))


def heavy_ones(room_of: Mapping[str, int]) -> frozenset[str]:
    """Return the pipelines that take more than their share: they make room for the others, and not these.

    Args:
        room_of: the room that each pipeline's rows take, in any unit.
    """
    share = sum(room_of.values()) / max(1, len(room_of))
    return frozenset(name for name, room in room_of.items() if room > share) or frozenset(room_of)


class Rows:
    """The sets of rows; a row is in ``present`` or in ``queue``, never in both.

    Attributes:
        present: on disk, and not finished.
        resting: on disk and acknowledged, by a broker that may yet forget them.
        recallable: the same, of rows that were in memory only.
        finished: on disk, to be deleted with the next commit.
        queue: in memory only.
        in_flight: handed out.
        delivered: the broker has them, the application has not confirmed them.
        waited: they were sent before, or come from an earlier run.
        dropping: to be dropped with the commit that is under way; nobody gets them meanwhile.
    """

    def __init__(self, present: Ranges, room: int) -> None:
        self.present = present
        self.resting = Ranges()
        self.recallable: dict[int, Entry] = {}
        self.finished = Ranges()
        self.queue = Queue(room)
        self.in_flight: dict[int, Entry] = {}
        self.delivered = Ranges()
        self.waited = present.copy()
        self.dropping = Ranges()

    def waits(self, place: int) -> bool:
        """Return whether a row may be handed out."""
        return place not in self.delivered and self.droppable(place)

    def droppable(self, place: int) -> bool:
        """Return whether a row may be dropped; not in flight, when its acknowledgement may be on its way."""
        return self.kept(place) and place not in self.in_flight and place not in self.dropping

    def kept(self, place: int) -> bool:
        """Return whether a row is here and not finished."""
        return place in self.present or place in self.queue

    def oldest(self, count: int, queued: Iterable[Entry]) -> list[int]:
        """Return the oldest rows that may be dropped; those in memory only from among ``queued``."""
        there = (place for place in self.present if place not in self.dropping)
        places = (place for place in islice(there, SEARCH) if self.droppable(place))
        later = (entry.place for entry in queued if entry.place in self.queue and self.droppable(entry.place))
        return [*islice(places, count), *later][:count]

    def finish(self, place: int, *, keep: bool = False) -> None:
        """Finish with a row; ``keep``: it rests where it is."""
        if self.present.discard(place):
            (self.resting if keep else self.finished).add(place)
        elif (entry := self.queue.pop(place)) is not None and keep:
            self.recallable[place] = entry
        self.delivered.discard(place)
        self.waited.discard(place)

    def finish_all(self, first: int, last: int) -> int:
        """Finish with all rows from ``first`` to ``last``; return how many there were."""
        done = self.present.within(first, last)
        self.present.subtract(done)
        self.finished.update(done)
        queued = [entry.place for entry in self.queue if first <= entry.place <= last]
        for place in queued:
            self.queue.pop(place)
        for place in [place for place in self.in_flight if first <= place <= last]:
            del self.in_flight[place]
        self.delivered.discard(first, last)
        self.waited.discard(first, last)
        return len(done) + len(queued)

    def settle(self, places: Iterable[int]) -> None:
        """Finish with rows that rest."""
        for place in places:
            self.recallable.pop(place, None)
            if self.resting.discard(place):
                self.finished.add(place)

    def settle_all(self) -> Ranges:
        """Finish with all rows that rest on disk; return them."""
        settled, self.resting = self.resting, Ranges()
        self.finished.update(settled)
        return settled

    def recall(self, places: Iterable[int]) -> int:
        """Let rows that rest wait again; return how many there were."""
        places = list(places)
        back = [place for place in places if self.resting.discard(place)]
        for place in back:
            self.present.add(place)
        entries = [e for place in places if (e := self.recallable.pop(place, None)) is not None]
        self.queue.put_back(entries)
        back += [entry.place for entry in entries]
        for place in back:
            self.waited.add(place)
        return len(back)

    def requeue_delivered(self) -> int:
        """Let the delivered rows wait again; return how many there were."""
        count = len(self.delivered)
        self.waited.update(self.delivered)
        self.delivered = Ranges()
        return count

    def adopt(self, present: Ranges, shift: int, boot: int) -> None:
        """Take over rows on disk that were moved by ``shift``; ``boot`` is what that file calls this boot."""
        for first, last in present.intervals():
            self.present.add(first + shift, last + shift)
            self.waited.add(first + shift, last + shift)
        self.queue.change(lambda entry: entry._replace(boot=boot))
        for rows in (self.in_flight, self.recallable):
            rows.update({place: entry._replace(boot=boot) for place, entry in rows.items()})

    def missing(self, found: Ranges) -> Ranges:
        """Return the rows that should be on disk and are not; whatever else is there is to be deleted."""
        lost, gone = self.present.copy(), self.resting.copy()
        lost.subtract(found)
        gone.subtract(found)
        self.resting.subtract(gone)
        extra = found.copy()
        extra.subtract(self.present)
        extra.subtract(self.resting)
        self.finished.update(extra)
        return lost
