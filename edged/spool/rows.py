"""Where each row stands, between accepted and done with."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from edged.spool.memory_rows import Queue
from edged.spool.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edged.spool.entry import Entry

SEARCH = 4096  # rows looked at for some to drop


class Rows:
    """The sets that a row goes through; a row is in ``present`` or in ``queue``, never in both.

    Attributes:
        present: on disk and wanted.
        resting: on disk and acknowledged, by a broker that may yet forget them.
        recallable: the same, of rows that were in memory only.
        gone: on disk and done with, to be deleted with the next commit.
        queue: in memory only.
        flying: handed out.
        delivered: the broker has them, the application has not confirmed.
        waited: they were sent before, or come from an earlier run.
        doomed: to be dropped with the commit that is under way; nobody gets them meanwhile.
    """

    def __init__(self, present: Ranges, room: int) -> None:
        self.present = present
        self.resting = Ranges()
        self.recallable: dict[int, Entry] = {}
        self.gone = Ranges()
        self.queue = Queue(room)
        self.flying: dict[int, Entry] = {}
        self.delivered = Ranges()
        self.waited = present.copy()
        self.doomed = Ranges()

    def free(self, place: int) -> bool:
        """Whether a row may be handed out."""
        return place not in self.delivered and self.droppable(place)

    def droppable(self, place: int) -> bool:
        """Whether a row may be dropped: an acknowledgement of one in flight may be on its way."""
        return self.kept(place) and place not in self.flying and place not in self.doomed

    def kept(self, place: int) -> bool:
        """Whether a row is here, and not done with."""
        return place in self.present or place in self.queue

    def oldest(self, count: int, queued: Iterable[Entry]) -> list[int]:
        """Return the oldest rows that may be dropped; those in memory only from among ``queued``."""
        there = (place for place in self.present if place not in self.doomed)
        places = (place for place in islice(there, SEARCH) if self.droppable(place))
        later = (entry.place for entry in queued if entry.place in self.queue and self.droppable(entry.place))
        return [*islice(places, count), *later][:count]

    def forget(self, place: int, *, keep: bool = False) -> None:
        """A row is done with; ``keep``: it rests where it is."""
        if self.present.discard(place):
            (self.resting if keep else self.gone).add(place)
        elif (entry := self.queue.pop(place)) is not None and keep:
            self.recallable[place] = entry
        self.delivered.discard(place)
        self.waited.discard(place)

    def forget_all(self, first: int, last: int) -> int:
        """All rows from ``first`` to ``last`` are done with; returns how many they were."""
        done = self.present.within(first, last)
        self.present.subtract(done)
        self.gone.update(done)
        queued = [entry.place for entry in self.queue if first <= entry.place <= last]
        for place in queued:
            self.queue.pop(place)
        for place in [place for place in self.flying if first <= place <= last]:
            del self.flying[place]
        self.delivered.discard(first, last)
        self.waited.discard(first, last)
        return len(done) + len(queued)

    def settle(self, places: Iterable[int]) -> None:
        """Rows that rest are done with."""
        for place in places:
            self.recallable.pop(place, None)
            if self.resting.discard(place):
                self.gone.add(place)

    def settle_all(self) -> Ranges:
        """All that rest on disk are done with; returns them."""
        settled, self.resting = self.resting, Ranges()
        self.gone.update(settled)
        return settled

    def recall(self, places: Iterable[int]) -> int:
        """Let rows that rest wait; returns how many."""
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

    def again(self) -> int:
        """Let the delivered rows wait; returns how many."""
        count = len(self.delivered)
        self.waited.update(self.delivered)
        self.delivered = Ranges()
        return count

    def adopt(self, present: Ranges, shift: int, boot: int) -> None:
        """Take over rows on disk that were moved by ``shift``; those here are of this boot there."""
        for first, last in present.intervals():
            self.present.add(first + shift, last + shift)
            self.waited.add(first + shift, last + shift)
        self.queue.change(lambda entry: entry._replace(boot=boot))
        for rows in (self.flying, self.recallable):
            rows.update({place: entry._replace(boot=boot) for place, entry in rows.items()})

    def missing(self, found: Ranges) -> Ranges:
        """Return the rows that should be on disk and are not; what is there beyond them is to be deleted."""
        lost, gone = self.present.copy(), self.resting.copy()
        lost.subtract(found)
        gone.subtract(found)
        self.resting.subtract(gone)
        extra = found.copy()
        extra.subtract(self.present)
        extra.subtract(self.resting)
        self.gone.update(extra)
        return lost
