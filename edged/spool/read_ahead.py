"""The rows that a sink is offered next, read ahead so that the main thread never waits for the disk.

A sink has two queries, one for the backlog and one for fresh rows; the answers to the last two are kept.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edged.spool.entry import Entry

ROOM = 256  # rows; the sink has at most 20 in flight
_place = attrgetter("place")


class Answer:
    """The first rows that answer one query: those behind ``after``, without some pipelines.

    Attributes:
        upto: every row up to this place was looked at.
        complete: there is nothing behind it, so that what is accepted now can be appended.
    """

    def __init__(self, after: int, without: frozenset[str]) -> None:
        self.after = after
        self.without = without
        self.upto = after
        self.complete = False
        self._entries: list[Entry] = []

    @property
    def wanting(self) -> bool:
        """Return whether more should be read."""
        return not self.complete and len(self._entries) < ROOM // 2

    def reset(self) -> None:
        """Forget what was read."""
        self._entries = []
        self.upto = self.after
        self.complete = False

    def narrowed(self, after: int, without: frozenset[str]) -> Answer | None:
        """Return the answer to a narrower query, where this one contains it."""
        if not self.complete or after < self.after or not self.without <= without:
            return None
        answer = Answer(after, without)
        answer._entries = [e for e in self._entries if e.place > after and e.pipeline not in without]
        answer.upto, answer.complete = max(after, self.upto), True
        return answer

    def offer(self, entry: Entry) -> None:
        """Append a row that was just accepted, if it follows and there is room."""
        if not self.complete or entry.place <= self.upto:
            return
        if entry.pipeline not in self.without:
            if len(self._entries) >= ROOM:
                self.complete = False
                return
            self._entries.append(entry)
        self.upto = entry.place

    def extend(self, entries: Iterable[Entry], upto: int) -> None:
        """Append what was read; ``upto`` is the last place looked at."""
        self._entries += [entry for entry in entries if entry.place > self.upto]
        self.upto = max(self.upto, upto)

    def end(self, waiting: Iterable[Entry], upto: int) -> None:
        """Append what waits in memory, behind everything on disk; ``upto`` is the last place accepted."""
        fresh = [e for e in waiting if e.place > self.upto and e.pipeline not in self.without]
        self._entries += fresh[:ROOM]
        self.complete = len(fresh) <= ROOM
        self.upto = max(self.upto, upto) if self.complete else fresh[ROOM - 1].place

    def take(self, limit: int, waits: Callable[[Entry], bool]) -> list[Entry]:
        """Take out at most ``limit`` rows that wait; forget those on the way that do not."""
        taken: list[Entry] = []
        used = 0
        for entry in self._entries:
            if len(taken) >= limit:
                break
            used += 1
            if waits(entry):
                taken.append(entry)
        del self._entries[:used]
        return taken

    def put_back(self, entry: Entry) -> None:
        """Put a row that was taken back in its old place, if this answer had come that far."""
        if self.after < entry.place <= self.upto and entry.pipeline not in self.without:
            self.discard(entry.place)
            insort(self._entries, entry, key=_place)

    def discard(self, place: int) -> None:
        """Forget a row."""
        at = bisect_left(self._entries, place, key=_place)
        if at < len(self._entries) and self._entries[at].place == place:
            del self._entries[at]


class ReadAhead:
    """The answers to the last two queries.

    Attributes:
        unreadable: the file cannot be read now; what is in memory is all that can be offered.
    """

    def __init__(self) -> None:
        self._answers = [Answer(0, frozenset())]
        self.unreadable = False

    @property
    def wanting(self) -> Answer | None:
        """An answer for which more should be read."""
        return next((answer for answer in self._answers if answer.wanting), None)

    def answer(self, after: int, without: frozenset[str]) -> Answer:
        """Return the answer to a query; a new one begins with what the others contain."""
        for answer in self._answers:
            if (answer.after, answer.without) == (after, without):
                self._answers.sort(key=lambda other: other is not answer)
                return answer
        narrowed = (a.narrowed(after, without) for a in self._answers)
        answer = next((a for a in narrowed if a is not None), None) or Answer(after, without)
        self._answers = [answer, self._answers[0]]
        return answer

    def offer(self, entry: Entry) -> None:
        """Append a row that was just accepted."""
        for answer in self._answers:
            answer.offer(entry)

    def put_back(self, entry: Entry) -> None:
        """Let a row wait again."""
        for answer in self._answers:
            answer.put_back(entry)

    def discard(self, place: int) -> None:
        """Forget a row."""
        for answer in self._answers:
            answer.discard(place)

    def opened(self) -> None:
        """Have everything read again: the file can be read, and may be another one."""
        self.unreadable = False
        self.reset()

    def reset(self) -> None:
        """Have everything read again."""
        for answer in self._answers:
            answer.reset()
