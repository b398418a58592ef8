"""A bounded spool in memory: it survives the broker's absence, not the process's end."""

from __future__ import annotations

import bisect
import itertools
import secrets
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from edged.spool import Counts, Row
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from edged.events import Event

ROW_BYTES = (
    256  # what Python keeps for a row beside its payload, so that max_mb bounds memory and not only JSON
)


class _Kept(NamedTuple):
    row: Row
    at: float

    @property
    def size(self) -> int:
        return len(self.row.payload) + ROW_BYTES


def _sequence(kept: _Kept) -> int:
    return kept.row.sequence


class MemorySpool:
    """Drops the oldest event when it is full (reason ``full``) or too old (reason ``age``).

    Rows in flight are never dropped: their acknowledgement may be on its way, and an event counts once.
    """

    def __init__(
        self,
        node: str,
        *,
        max_mb: float,
        max_age_h: float,
        now: Callable[[], float] = clock.monotonic,
        epoch: str | None = None,
    ) -> None:
        self._epoch = epoch or secrets.token_hex(6)
        self._stem = f"{node}/{self._epoch}"
        self._max_bytes = int(max_mb * 1_000_000)
        self._max_age_s = max_age_h * 3600
        self._now = now
        self._waiting: list[_Kept] = []  # by sequence, as are the delivered
        self._flying: dict[int, _Kept] = {}
        self._delivered: list[_Kept] = []
        self._resting: dict[int, _Kept] = {}
        self._bytes = 0
        self._last = 0
        self._acknowledged = 0
        self._dropped: Counter[str] = Counter()

    @property
    def state(self) -> str:
        """Where rows are."""
        return "memory: they end with the process"

    @property
    def epoch(self) -> str:
        """The middle part of the ids."""
        return self._epoch

    @property
    def last(self) -> int:
        """The sequence given last; 0 before the first."""
        return self._last

    def accept(self, event: Event) -> Event:
        """Queue the event and return it with its id; drops older ones, at worst it, to stay in bounds."""
        self._last += 1
        event = event.with_id(f"{self._stem}/{self._last}")
        kept = _Kept(Row(self._last, event.pipeline, event.to_json()), self._now())
        self._waiting.append(kept)
        self._bytes += kept.size
        self._expire()
        if self._bytes > self._max_bytes:  # what the broker has goes before what it has not
            self.settled([*self._resting])
        while self._bytes > self._max_bytes and (oldest := self._oldest()):
            self._drop_first(oldest, "full")
        return event

    def pending(self, limit: int, *, after: int = 0, without: Collection[str] = ()) -> Sequence[Row]:
        """Hand out at most ``limit`` rows, the oldest first; they are in flight from now on."""
        self._expire()
        start = bisect.bisect_right(self._waiting, after, key=_sequence) if after else 0
        places = map(self._waiting.__getitem__, range(start, len(self._waiting)))
        fitting = (kept for kept in places if kept.row.pipeline not in without)
        taken = list(itertools.islice(fitting, max(0, limit)))
        if not taken:
            return []
        self._flying |= {kept.row.sequence: kept for kept in taken}
        end = bisect.bisect_right(self._waiting, taken[-1].row.sequence, key=_sequence)
        self._waiting[start:end] = [k for k in self._waiting[start:end] if k.row.sequence not in self._flying]
        now = self._now()
        return [replace(kept.row, left_s=max(0.0, self._max_age_s - (now - kept.at))) for kept in taken]

    def acknowledged(self, sequence: int, *, keep: bool = False) -> None:
        """Forget a row that arrived, or let it rest."""
        if (kept := self._flying.pop(sequence, None)) is not None:
            self._acknowledged += 1
            self._resting[sequence] = kept
            if not keep:
                self.settled([sequence])

    def settled(self, sequences: Iterable[int]) -> None:
        """Forget rows that rest."""
        self._bytes -= sum(k.size for sequence in sequences if (k := self._resting.pop(sequence, None)))

    def recalled(self, sequences: Iterable[int]) -> None:
        """Let rows that rest wait again."""
        back = [k for sequence in sequences if (k := self._resting.pop(sequence, None)) is not None]
        self._acknowledged -= len(back)
        self._wait_again(back)

    def delivered(self, sequence: int) -> None:
        """Keep a row that arrived at the broker until the application confirms it."""
        if (kept := self._flying.pop(sequence, None)) is not None:
            bisect.insort(self._delivered, kept, key=_sequence)

    def confirmed(self, up_to: int) -> int:
        """Forget all rows up to this sequence."""
        gone = [kept for kept in self._flying.values() if kept.row.sequence <= up_to]
        for kept in gone:
            del self._flying[kept.row.sequence]
        for rows in (self._delivered, self._waiting):
            end = bisect.bisect_right(rows, up_to, key=_sequence)
            gone += rows[:end]
            del rows[:end]
        for kept in gone:
            self._forget(kept)
        return len(gone)

    def again(self) -> int:
        """Let the delivered rows wait again."""
        back, self._delivered = self._delivered, []
        self._wait_again(back)
        return len(back)

    def released(self, sequences: Iterable[int]) -> None:
        """Let rows in flight wait again, in order."""
        self._wait_again([k for sequence in sequences if (k := self._flying.pop(sequence, None)) is not None])

    def refused(self, sequence: int) -> None:
        """Drop a row in flight that the broker will never take."""
        kept = self._flying.pop(sequence, None)
        if kept is not None:
            self._bytes -= kept.size
            self._dropped["refused"] += 1

    def counts(self) -> Counts:
        """Return the balance."""
        return Counts(
            accepted=self._last,
            acknowledged=self._acknowledged,
            queued=len(self._waiting) + len(self._flying) + len(self._delivered),
            dropped=dict(self._dropped),
        )

    def close(self) -> None:
        """Nothing to give back: what still waits is lost with the process, and ``counts()`` says how much."""

    def _wait_again(self, back: list[_Kept]) -> None:
        if back:
            self._waiting += [kept._replace(row=replace(kept.row, waited=True)) for kept in back]
            self._waiting.sort(key=_sequence)  # two sorted runs, which this sort merges in one pass

    def _forget(self, kept: _Kept) -> None:
        self._bytes -= kept.size
        self._acknowledged += 1

    def _oldest(self) -> list[_Kept]:
        """Return the list that the oldest row leads; an empty one where no row may be dropped."""
        if self._waiting and self._delivered:
            return min(self._waiting, self._delivered, key=lambda rows: rows[0].row.sequence)
        return self._waiting or self._delivered

    def _expire(self) -> None:
        bound = self._now() - self._max_age_s
        while (oldest := self._oldest()) and oldest[0].at < bound:
            self._drop_first(oldest, "age")

    def _drop_first(self, rows: list[_Kept], reason: str) -> None:
        self._bytes -= rows.pop(0).size
        self._dropped[reason] += 1
