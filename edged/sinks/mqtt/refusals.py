"""Refusals: rows that the broker refused are held, offered again, and given up when they alone are to blame.

A refusal can be due to the row (its content upsets a plug-in of the broker), its topic (an ACL) or the moment
(a quota, a database that is away). Only the first is a poison row. So a row is given up after ``TRIES``
refusals only when something that should have failed with it got through since its first one. A topic on which
nothing is taken is left alone until a held row gets through, and costs no event. While a row is held, others
pass.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edged.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.spool import Row

TOO_LARGE = 0x95
HOPELESS = {
    0x90: "its topic",
    TOO_LARGE: "its size",
    0x99: "its format",
}  # PUBACK codes that no retry changes
NOT_AUTHORIZED = 0x87  # due to the topic
QUOTA = 0x97  # never due to the row
TRIES = 5  # refusals of one row
FIRST_S, LONGEST_S = 5.0, 60.0  # between two of them; doubled each time
SHUT = 5  # rows of one pipeline refused in a row: the topic is to blame
REMEMBERED = 1000  # rows whose refusals are known over a reconnection


@dataclass
class _Record:
    first_at: float
    tries: int = 0
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_S, LONGEST_S))


@dataclass
class _Held:
    row: Row
    since: float
    due_at: float


class Refusals:
    """Keeps the rows that wait for another try. Times are monotonic, in s."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}  # by sequence
        self._records: dict[int, _Record] = {}
        self._in_a_row: defaultdict[str, set[int]] = defaultdict(set)  # by pipeline, since its last success
        self._worked: dict[str, float] = {}  # by pipeline, when a row got through
        self._anything_worked = float("-inf")

    def __len__(self) -> int:
        return len(self._held)

    @property
    def shut(self) -> frozenset[str]:
        """The pipelines of which nothing more is to be sent for now."""
        return frozenset(name for name, rows in self._in_a_row.items() if len(rows) >= SHUT)

    @property
    def wake_at(self) -> float | None:
        """The time at which the next row is to be offered again."""
        return min((held.due_at for held in self._held.values()), default=None)

    def refused(self, row: Row, code: int, now: float) -> bool:
        """Hold a row for another try, or return True: it is to be given up."""
        record = self._records.setdefault(row.sequence, _Record(now))
        record.tries += 1
        if code in HOPELESS or (record.tries >= TRIES and self._is_poison(row, record, code)):
            self._records.pop(row.sequence)
            self._in_a_row[row.pipeline].discard(row.sequence)
            return True
        self._in_a_row[row.pipeline].add(row.sequence)
        self._held[row.sequence] = _Held(row, now, now + record.backoff.pause_s())
        while len(self._records) > REMEMBERED:
            del self._records[next(iter(self._records))]
        return False

    def accepted(self, row: Row | None, now: float) -> None:
        """Note that something got through: a row, or (None) a retained value."""
        self._anything_worked = now
        if row is None:
            return
        self._worked[row.pipeline] = now
        self._records.pop(row.sequence, None)
        if len(self._in_a_row.pop(row.pipeline, ())) >= SHUT:
            for held in self._held.values():
                if held.row.pipeline == row.pipeline:
                    held.due_at = now

    def due(self, now: float, limit: int) -> Sequence[Row]:
        """Hand out rows to be offered again now, the oldest first, with what is left of their lives."""
        ready = sorted(sequence for sequence, held in self._held.items() if held.due_at <= now)
        return [_aged(self._held.pop(sequence), now) for sequence in ready[: max(0, limit)]]

    def release(self) -> list[int]:
        """Let go of all rows at the end of a connection and return their sequences; tries are remembered."""
        sequences = list(self._held)
        self._held.clear()
        self._in_a_row.clear()
        return sequences

    def _is_poison(self, row: Row, record: _Record, code: int) -> bool:
        if code == QUOTA:
            return False
        proof = (
            self._worked.get(row.pipeline, float("-inf")) if code == NOT_AUTHORIZED else self._anything_worked
        )
        return proof >= record.first_at


def _aged(held: _Held, now: float) -> Row:
    if held.row.left_s is None:
        return held.row
    return replace(held.row, left_s=held.row.left_s - (now - held.since))
