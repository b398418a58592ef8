"""A bounded spool in memory: it survives the broker's absence, not the process's end."""

from __future__ import annotations

import secrets
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from edged import clock
from edged.spool import Counts, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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


class MemorySpool:
    """Drops the oldest waiting event when it is full (reason ``full``) or too old (reason ``age``).

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
        self._stem = f"{node}/{epoch or secrets.token_hex(6)}"
        self._max_bytes = int(max_mb * 1_000_000)
        self._max_age_s = max_age_h * 3600
        self._now = now
        self._waiting: deque[_Kept] = deque()  # by sequence
        self._flying: dict[int, _Kept] = {}
        self._bytes = 0
        self._last = 0
        self._acknowledged = 0
        self._dropped: Counter[str] = Counter()

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
        while self._bytes > self._max_bytes and self._waiting:
            self._drop_oldest("full")
        return event

    def pending(self, limit: int) -> Sequence[Row]:
        """Hand out at most ``limit`` rows, the oldest first; they are in flight from now on."""
        self._expire()
        rows: list[Row] = []
        while self._waiting and len(rows) < limit:
            kept = self._waiting.popleft()
            self._flying[kept.row.sequence] = kept
            rows.append(kept.row)
        return rows

    def acknowledged(self, sequence: int) -> None:
        """Forget a row that arrived."""
        kept = self._flying.pop(sequence, None)
        if kept is not None:
            self._bytes -= kept.size
            self._acknowledged += 1

    def released(self, sequences: Iterable[int]) -> None:
        """Let rows in flight wait again, in order."""
        back = [kept for sequence in sequences if (kept := self._flying.pop(sequence, None)) is not None]
        if not back:
            return
        back = [kept._replace(row=replace(kept.row, waited=True)) for kept in back]
        newest = max(kept.row.sequence for kept in back)
        while self._waiting and self._waiting[0].row.sequence < newest:
            back.append(self._waiting.popleft())
        back.sort(key=lambda kept: kept.row.sequence, reverse=True)
        self._waiting.extendleft(back)

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
            queued=len(self._waiting) + len(self._flying),
            dropped=dict(self._dropped),
        )

    def close(self) -> None:
        """Nothing to give back: what still waits is lost with the process, and ``counts()`` says how much."""

    def _expire(self) -> None:
        oldest = self._now() - self._max_age_s
        while self._waiting and self._waiting[0].at < oldest:
            self._drop_oldest("age")

    def _drop_oldest(self, reason: str) -> None:
        self._bytes -= self._waiting.popleft().size
        self._dropped[reason] += 1
