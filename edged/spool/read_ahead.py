"""The rows that a sink is offered next, read ahead so that main never waits for the disk.

A sink asks two questions, for the backlog and for what is fresh; the answers to the last two are kept.
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


class Window:
    """The first rows that answer one question: those behind ``after``, without some pipelines.

    Attributes:
        upto: up to this place everything was looked at.
        complete: and behind it there is nothing, so that what is accepted now can be appended.
    """

    def __init__(self, after: int, without: frozenset[str]) -> None:
        self.after = after
        self.without = without
        self.upto = after
        self.complete = False
        self._entries: list[Entry] = []

    @property
    def wanting(self) -> bool:
        """Whether more should be read."""
        return not self.complete and len(self._entries) < ROOM // 2

    def reset(self) -> None:
        """Forget what was read."""
        self._entries = []
        self.upto = self.after
        self.complete = False

    def narrowed(self, after: int, without: frozenset[str]) -> Window | None:
        """Return the answer to a narrower question, where this window has it."""
        if not self.complete or after < self.after or not self.without <= without:
            return None
        window = Window(after, without)
        window._entries = [e for e in self._entries if e.place > after and e.pipeline not in without]
        window.upto, window.complete = max(after, self.upto), True
        return window

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
        """Take out at most ``limit`` rows that wait; those that do not are forgotten on the way."""
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
        """Let a row that was taken wait again in its old place, if this window was there already."""
        if self.after < entry.place <= self.upto and entry.pipeline not in self.without:
            self.discard(entry.place)
            insort(self._entries, entry, key=_place)

    def discard(self, place: int) -> None:
        """Forget a row."""
        at = bisect_left(self._entries, place, key=_place)
        if at < len(self._entries) and self._entries[at].place == place:
            del self._entries[at]


class Windows:
    """The answers to the last two questions.

    Attributes:
        blind: the file cannot be read now; what is in memory is all that can be offered.
    """

    def __init__(self) -> None:
        self._windows = [Window(0, frozenset())]
        self.blind = False

    @property
    def wanting(self) -> Window | None:
        """A window that should be read ahead."""
        return next((window for window in self._windows if window.wanting), None)

    def asked(self, after: int, without: frozenset[str]) -> Window:
        """Return the window for a question; a new one has what the others know."""
        for window in self._windows:
            if (window.after, window.without) == (after, without):
                self._windows.sort(key=lambda w: w is not window)
                return window
        narrowed = (w.narrowed(after, without) for w in self._windows)
        window = next((w for w in narrowed if w is not None), None) or Window(after, without)
        self._windows = [window, self._windows[0]]
        return window

    def offer(self, entry: Entry) -> None:
        """Append a row that was just accepted."""
        for window in self._windows:
            window.offer(entry)

    def put_back(self, entry: Entry) -> None:
        """Let a row wait again."""
        for window in self._windows:
            window.put_back(entry)

    def discard(self, place: int) -> None:
        """Forget a row."""
        for window in self._windows:
            window.discard(place)

    def opened(self) -> None:
        """The file can be read, and may be another one: have everything read again."""
        self.blind = False
        self.reset()

    def reset(self) -> None:
        """Have everything read again."""
        for window in self._windows:
            window.reset()

    def end(self, waiting: Iterable[Entry], upto: int) -> None:
        """Nothing more can be read: these rows in memory are all that follows."""
        rows = list(waiting)
        for window in self._windows:
            window.end(rows, upto)
