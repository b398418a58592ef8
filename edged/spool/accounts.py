"""The accounts of all rows, between the main thread and the writer: where each row is, and how rows count.

```
 accept ─▶ queue ─commit─▶ waiting ─take─▶ in flight ─▶ delivered ─▶ resting ─▶ finished ─▶ deleted with
           memory          ╰──────────── present: on disk ──────────╯╰─ still on disk ─────╯  the next commit
             ╰─ offered as well while the disk is away (``volatile``)
```

There is no input or output and no thread in here; whoever calls holds the spool's lock. At any moment
``last - base == acknowledged + dropped + len(present) + len(queue)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edged.spool import Counts, Row, gap_records
from edged.spool.entry import Entry
from edged.spool.ranges import Ranges
from edged.spool.read_ahead import ReadAhead
from edged.spool.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from edged.spool.ages import Ages
    from edged.spool.ledger import Ledger
    from edged.spool.read_ahead import Answer

REPORT_S = 5.0  # drops are gathered for this long before a record reports them


@dataclass
class Change:
    """The change that one commit makes to the file.

    Attributes:
        inserts: rows that come in, except for those in ``dropped``.
        deletes: rows that are taken out first.
        ledger: as it is after both.
        dirty: whether the ledger has to be written.
        dropped: rows that had to go.
        reasons: their places, and why; they are dropped once the commit is on disk.
    """

    inserts: list[Entry]
    deletes: Ranges
    ledger: Ledger
    dirty: bool
    dropped: Ranges = field(default_factory=Ranges)
    reasons: list[tuple[int, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.inserts or self.deletes or self.dirty)


class RowAccounts:
    """Accounts for every row.

    Args:
        ledger: from the file, or a new one.
        present: the rows on disk.
        ages: dates rows and knows which are too old.
        room: bytes that rows may take in memory.

    Attributes:
        volatile: why accepted rows are in memory only; None: they are on disk.
        accepted_upto: rows up to this place are accepted.
        announced: payloads accepted since the application was told.
        some_too_old: a row was met that is too old.
        dirty: the ledger changed.
    """

    def __init__(self, ledger: Ledger, present: Ranges, ages: Ages, room: int) -> None:
        self.ledger = ledger
        self.rows = Rows(present, room)
        self.read_ahead = ReadAhead()
        self.volatile: str | None = None
        self.accepted_upto = ledger.last
        self.announced: list[bytes] = []
        self.some_too_old = False
        self.dirty = False
        self._ages = ages
        self._taken = False  # a sink takes rows: there is a point in reporting drops
        self._dropped_early: list[tuple[int, str]] = []  # before they were accepted, and why

    # What the main thread does.

    def accept(self, pipeline: str, payload: bytes) -> None:
        """Queue a row; its payload has the id ``ledger.id_of(ledger.last + 1)``."""
        self.ledger.last += 1
        entry = Entry(self.ledger.last, pipeline, payload, *self._ages.timestamp())
        self.rows.queue.add(entry)
        if self.volatile is not None:
            self._accepted([entry])
        self._bound_memory()

    def take(self, limit: int, after: int, without: Collection[str]) -> list[Row]:
        """Hand out rows."""
        self._taken = True
        self._bound_memory()
        answer = self.read_ahead.answer(after, frozenset(without))
        if self.read_ahead.unreadable and answer.wanting:
            answer.end(self._offered(), self.accepted_upto)
        entries = answer.take(limit, self._waits)
        for entry in entries:
            self.rows.in_flight[entry.place] = entry
            self.read_ahead.discard(entry.place)
        return [self._row(entry) for entry in entries]

    def acknowledged(self, place: int, *, keep: bool = False) -> None:
        """Finish with a row in flight; ``keep``: it may be recalled."""
        if self.rows.in_flight.pop(place, None) is not None:
            self.rows.finish(place, keep=keep)
            self.dirty = self.dirty or not keep
            self.ledger.acknowledged += 1

    def recalled(self, places: Iterable[int]) -> None:
        """Let rows that rest wait again."""
        if count := self.rows.recall(places):
            self.ledger.acknowledged -= count
            self.dirty = True
            self.read_ahead.reset()

    def delivered(self, place: int) -> None:
        """Keep a row in flight until it is confirmed; ids of an earlier epoch cannot be confirmed."""
        if place < self.ledger.epoch_from:
            self.acknowledged(place)
        elif self.rows.in_flight.pop(place, None) is not None:
            self.rows.delivered.add(place)

    def confirmed(self, up_to: int) -> int:
        """Finish with every row of this epoch up to a sequence; return how many there were."""
        first = self.ledger.epoch_from
        count = self.rows.finish_all(first, min(first + up_to - 1, self.accepted_upto))
        self.ledger.acknowledged += count
        self.dirty = self.dirty or bool(count)
        return count

    def requeue_delivered(self) -> int:
        """Let the delivered rows wait again; return how many there were."""
        count = self.rows.requeue_delivered()
        if count:
            self.read_ahead.reset()
        return count

    def released(self, places: Iterable[int]) -> None:
        """Let rows in flight wait again."""
        for place in places:
            if (entry := self.rows.in_flight.pop(place, None)) is not None:
                self.rows.waited.add(place)
                self.read_ahead.put_back(entry)

    def refused(self, place: int) -> None:
        """Drop a row in flight."""
        if self.rows.in_flight.pop(place, None) is not None:
            self._drop(place, "refused")

    def counts(self) -> Counts:
        """Return the balance of what is accepted."""
        return Counts(
            accepted=self.accepted_upto - self.ledger.base,
            acknowledged=self.ledger.acknowledged,
            queued=len(self.rows.present) + sum(1 for _ in self._offered()),
            dropped=dict(self.ledger.dropped),
        )

    # What the writer does.

    def snapshot(self) -> Change:
        """Return what the next commit has to do."""
        self.dirty = self._ages.compare_clocks() or self.dirty
        self.ledger.boots = dict(self._ages.boots)
        ledger = self.ledger.copy()
        ledger.acknowledged -= len(self.rows.resting)  # whose rows are there
        for place, reason in self._dropped_early:
            ledger.drop(place, reason, self._ages.now())
        self.dirty = self.dirty or bool(self._dropped_early)
        change = Change(list(self.rows.queue), self.rows.finished.copy(), ledger, self.dirty)
        self.rows.queue.writing = ledger.last
        self.dirty = False
        return change

    def committed(self, change: Change) -> None:
        """Take over what a commit achieved."""
        self.rows.queue.writing = 0
        self.rows.dropping = Ranges()
        for place, reason in change.reasons:
            if self.rows.kept(place):  # and was not confirmed meanwhile
                self._drop(place, reason)
        self.rows.finished.subtract(change.deletes)
        for entry in change.inserts:
            if self.rows.queue.pop(entry.place):
                self.rows.present.add(entry.place)
            elif entry.place not in change.dropped:
                self.rows.finished.add(entry.place)  # while it was being written
        if self.volatile is not None:
            self.volatile = None
            self.read_ahead.reset()
        self._accepted(entry for entry in change.inserts if entry.place in self.rows.present)
        self._accept_upto(change.ledger.last)

    def failed(self, change: Change) -> None:
        """Undo ``snapshot``."""
        self.rows.queue.writing = 0
        self.dirty = self.dirty or change.dirty
        if self.rows.dropping:
            self.rows.dropping = Ranges()
            self.some_too_old = self.some_too_old or any(reason == "age" for _, reason in change.reasons)
            self.read_ahead.reset()  # it may have passed over these rows

    def drop_oldest(self, change: Change, count: int, reason: str, *, queued: bool = True) -> Ranges:
        """Drop the oldest rows with a commit, if ``queued`` also those that come in; return their places."""
        return self._drop_with(change, self.rows.oldest(count, change.inserts if queued else ()), reason)

    def drop_rows(self, change: Change, places: Iterable[int], reason: str) -> Ranges:
        """Drop these rows with a commit, as far as they may be dropped; return their places."""
        return self._drop_with(change, filter(self.rows.droppable, places), reason)

    def delete_resting(self, change: Change) -> Ranges:
        """Delete the rows that rest with a commit; return their places."""
        settled = self.rows.settle_all()
        change.ledger.acknowledged += len(settled)
        change.deletes.update(settled)
        return settled

    def expire(self, change: Change, places: Iterable[int]) -> Ranges:
        """Drop with a commit these rows, and those that come in too old; return the places."""
        queued = [entry.place for entry in change.inserts if self._too_old(entry)]
        return self._drop_with(change, [p for p in [*places, *queued] if self.rows.droppable(p)], "age")

    def go_volatile(self, why: str, *, readable: bool) -> None:
        """Offer what waits for the disk from memory, with ids that no file will ever give again."""
        if self.volatile is None:
            self.ledger.begin_epoch(after=self.accepted_upto)
            self.dirty = True
            self.rows.queue.change(self._renamed)
            self._accepted(entry for entry in self.rows.queue if entry.place > self.accepted_upto)
            self._accept_upto(self.ledger.last)
        self.volatile = why
        self.read_ahead.unreadable = not readable

    def reconcile(self, present: Ranges) -> int:
        """Compare with a file that was opened again; return how many rows are lost."""
        lost = self.rows.missing(present)
        for place in lost:
            self.rows.in_flight.pop(place, None)
            self._drop(place, "damaged")
            self.rows.finished.discard(place)
        self.dirty = True
        self.read_ahead.opened()
        return len(lost)

    def adopt(self, ledger: Ledger, present: Ranges, shift: int) -> None:
        """Take over a file that was not readable at first; it was moved by ``shift``, its ledger too."""
        self._ages.adopt(ledger.boots)
        boot, _ = self._ages.timestamp()
        self.rows.adopt(present, shift, boot)
        self.ledger.merge(ledger, last=self.rows.present.last)
        self.accepted_upto = self.ledger.last
        self.dirty = True
        self.read_ahead.opened()

    def report_gaps(self) -> None:
        """Queue a record for each kind of drop that was not reported yet."""
        if not self._taken:
            return
        self._taken = False
        for reason, gap in list(self.ledger.gaps.items()):
            if self._ages.now() - gap.since >= REPORT_S:
                del self.ledger.gaps[reason]
                self.dirty = True
                self.add_record(gap_records.gap(reason, gap))

    def add_record(self, record: gap_records.Record) -> None:
        """Queue a record of the spool's own."""
        wall, synced = self._ages.wall()
        id_ = self.ledger.id_of(self.ledger.last + 1)
        self.accept("", record.to_json(self.ledger.node, id_, wall, synced=synced))

    def drop_damaged(self, places: Iterable[int]) -> None:
        """Drop rows that are on disk and cannot be sent."""
        for place in places:
            if self.rows.droppable(place):
                self._drop(place, "damaged")

    def read(self, answer: Answer, start: int, entries: list[Entry], upto: int | None) -> None:
        """Take over what was read ahead.

        Args:
            answer: where it belongs.
            start: rows behind this place were read; the answer may have been reset since.
            entries: the rows.
            upto: the last place looked at; None: there is nothing behind them.
        """
        if answer.upto != start:
            return
        ours = [entry for entry in entries if entry.place <= self.rows.present.last]
        if len(ours) < len(entries):  # a commit that failed, and is there nevertheless
            upto = None
        last = upto if upto is not None else max([start, *(e.place for e in ours)])
        # What is in memory is behind them, except what was recalled, or is older than a file that came late.
        among = (e for e in self._offered() if start < e.place <= last and e.pipeline not in answer.without)
        answer.extend(filter(self._waits, sorted((*ours, *among))), last)
        if upto is None:
            answer.end(self._offered(), self.accepted_upto)

    def _offered(self) -> Iterator[Entry]:
        """Yield what is accepted and only in memory."""
        return (entry for entry in self.rows.queue if entry.place <= self.accepted_upto)

    def _renamed(self, entry: Entry) -> Entry:
        """Give an entry that is not accepted its id in the epoch that began."""
        if entry.place <= self.accepted_upto:
            return entry
        return entry._replace(payload=gap_records.with_id(entry.payload, self.ledger.id_of(entry.place)))

    def _accepted(self, entries: Iterable[Entry]) -> None:
        """Offer entries, which are accepted now, and announce them to the application."""
        for entry in entries:
            if entry.place > self.accepted_upto:
                self.accepted_upto = entry.place
                self.read_ahead.offer(entry)
                if entry.pipeline:
                    self.announced.append(entry.payload)

    def _accept_upto(self, place: int) -> None:
        """Note that everything up to this place is accepted, or was dropped on the way."""
        self.accepted_upto = max(self.accepted_upto, place)
        over = [(at, reason) for at, reason in self._dropped_early if at <= self.accepted_upto]
        self._dropped_early = self._dropped_early[len(over) :]
        for at, reason in over:
            self._drop(at, reason)

    def _bound_memory(self) -> None:
        """Keep memory bounded: drop the oldest that is neither in flight nor with the writer."""
        queue = self.rows.queue
        while (oldest := queue.oldest(self.rows.in_flight.__contains__)) is not None:
            if self.volatile is not None and self._too_old(oldest):
                self._drop_queued(oldest.place, "age")
            elif queue.crowded and self.rows.recallable:
                self.rows.recallable.clear()  # what the broker has goes before what it has not
            elif queue.crowded:
                excess = queue.excess(self.rows.in_flight.__contains__) or oldest
                self._drop_queued(excess.place, "memory_full")
            else:
                return

    def _drop_queued(self, place: int, reason: str) -> None:
        if place > self.accepted_upto:
            self.rows.queue.pop(place)
            self._dropped_early.append((place, reason))
        else:
            self._drop(place, reason)

    def _drop(self, place: int, reason: str) -> None:
        self.rows.finish(place)
        self.dirty = True
        self.ledger.drop(place, reason, self._ages.now())

    def _drop_with(self, change: Change, places: Iterable[int], reason: str) -> Ranges:
        """Drop rows with a commit; where it fails, all of them are still there."""
        dropped = Ranges((place, place) for place in places)
        for place in dropped:
            change.reasons.append((place, reason))
            change.ledger.drop(place, reason, self._ages.now())
        for rows in (self.rows.dropping, change.deletes, change.dropped):
            rows.update(dropped)
        return dropped

    def _too_old(self, entry: Entry) -> bool:
        return self._ages.left_s(entry.boot, entry.at) <= 0

    def _waits(self, entry: Entry) -> bool:
        if not self.rows.waits(entry.place):
            return False
        too_old = self._too_old(entry)
        self.some_too_old = self.some_too_old or too_old
        return not too_old

    def _row(self, entry: Entry) -> Row:
        place, left_s = entry.place, max(0.0, self._ages.left_s(entry.boot, entry.at))
        return Row(place, entry.pipeline, entry.payload, place in self.rows.waited, left_s)
