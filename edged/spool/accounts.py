"""The bookkeeping between main and the writer: what happens to rows, and how they are counted.

```
                          ┌────────────── present: on disk ──────────────┐   (still on disk)
 accept ──▶ queue ──commit──▶ waiting ──take──▶ flying ──▶ delivered ──▶ resting ──▶ gone (deleted with
              └─ offered as well while the disk is away (``volatile``) ──┘               the next commit)
```

No input or output and no thread in here; whoever calls holds the spool's lock. At any moment
``last - base == acknowledged + dropped + len(present) + len(queue)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.spool import Counts, Row, gap_records
from edged.spool.change import Change
from edged.spool.entry import Entry
from edged.spool.ranges import Ranges
from edged.spool.read_ahead import Windows
from edged.spool.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from edged.spool.ages import Ages
    from edged.spool.ledger import Ledger
    from edged.spool.read_ahead import Window

SAY_S = 5.0  # drops are gathered for so long before a record reports them


class RowAccounts:
    """Accounts for every row.

    Args:
        ledger: from the file, or a new one.
        present: the rows on disk.
        ages: stamps rows and knows which are too old.
        room: bytes that rows may take in memory.

    Attributes:
        volatile: why accepted rows are in memory only; None: they are on disk.
        accepted_upto: rows up to this place are accepted.
        announced: payloads accepted since the application was told.
        aged: a row was met that is too old.
    """

    def __init__(self, ledger: Ledger, present: Ranges, ages: Ages, room: int) -> None:
        self.ledger = ledger
        self.rows = Rows(present, room)
        self.windows = Windows()
        self.volatile: str | None = None
        self.accepted_upto = ledger.last
        self.announced: list[bytes] = []
        self.aged = False
        self.dirty = False  # the ledger changed
        self._ages = ages
        self._taken = False  # somebody takes rows: there is a point in reporting drops
        self._unborn: list[tuple[int, str]] = []  # dropped before they were accepted, and why

    # What main does.

    def accept(self, pipeline: str, payload: bytes) -> None:
        """Queue a row; its payload has the id ``ledger.id_of(ledger.last + 1)``."""
        self.ledger.last += 1
        entry = Entry(self.ledger.last, pipeline, payload, *self._ages.stamp())
        self.rows.queue.add(entry)
        if self.volatile is not None:
            self._born([entry])
        self._bound()

    def take(self, limit: int, after: int, without: Collection[str]) -> list[Row]:
        """Hand rows out."""
        self._taken = True
        self._bound()
        window = self.windows.asked(after, frozenset(without))
        if self.windows.blind and window.wanting:
            self.windows.end(self._offered(), self.accepted_upto)
        entries = window.take(limit, self._waits)
        for entry in entries:
            self.rows.flying[entry.place] = entry
            self.windows.discard(entry.place)
        return [self._row(entry) for entry in entries]

    def acknowledged(self, place: int, *, keep: bool = False) -> None:
        """Be done with a row in flight; ``keep``: it may be recalled."""
        if self.rows.flying.pop(place, None) is not None:
            self.rows.forget(place, keep=keep)
            self.dirty = self.dirty or not keep
            self.ledger.acknowledged += 1

    def recalled(self, places: Iterable[int]) -> None:
        """Let rows that rest wait again."""
        if count := self.rows.recall(places):
            self.ledger.acknowledged -= count
            self.dirty = True
            self.windows.reset()

    def delivered(self, place: int) -> None:
        """Keep a row in flight until it is confirmed; ids of an earlier epoch can not be."""
        if place < self.ledger.epoch_from:
            self.acknowledged(place)
        elif self.rows.flying.pop(place, None) is not None:
            self.rows.delivered.add(place)

    def confirmed(self, up_to: int) -> int:
        """Be done with every row of this epoch up to a sequence."""
        first = self.ledger.epoch_from
        count = self.rows.forget_all(first, min(first + up_to - 1, self.accepted_upto))
        self.ledger.acknowledged += count
        self.dirty = self.dirty or bool(count)
        return count

    def again(self) -> int:
        """Let the delivered rows wait again."""
        count = self.rows.again()
        if count:
            self.windows.reset()
        return count

    def released(self, places: Iterable[int]) -> None:
        """Let rows in flight wait again."""
        for place in places:
            if (entry := self.rows.flying.pop(place, None)) is not None:
                self.rows.waited.add(place)
                self.windows.put_back(entry)

    def refused(self, place: int) -> None:
        """Drop a row in flight."""
        if self.rows.flying.pop(place, None) is not None:
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
        self.dirty = self._ages.look() or self.dirty
        self.ledger.boots = dict(self._ages.boots)
        ledger = self.ledger.copy()
        ledger.acknowledged -= len(self.rows.resting)  # whose rows are there
        for place, reason in self._unborn:
            ledger.drop(place, reason, self._ages.now())
        self.dirty = self.dirty or bool(self._unborn)
        change = Change(list(self.rows.queue), self.rows.gone.copy(), ledger, self.dirty)
        self.rows.queue.writing = ledger.last
        self.dirty = False
        return change

    def committed(self, change: Change) -> None:
        """Take over what a commit achieved."""
        self.rows.queue.writing = 0
        self.rows.doomed = Ranges()
        for place, reason in change.reasons:
            if self.rows.kept(place):  # and was not confirmed meanwhile
                self._drop(place, reason)
        self.rows.gone.subtract(change.deletes)
        for entry in change.inserts:
            if self.rows.queue.pop(entry.place):
                self.rows.present.add(entry.place)
            elif entry.place not in change.dropped:
                self.rows.gone.add(entry.place)  # it was done with while it was being written
        if self.volatile is not None:
            self.volatile = None
            self.windows.reset()
        self._born(entry for entry in change.inserts if entry.place in self.rows.present)
        self._born_upto(change.ledger.last)

    def failed(self, change: Change) -> None:
        """Undo ``snapshot``."""
        self.rows.queue.writing = 0
        self.dirty = self.dirty or change.dirty
        if self.rows.doomed:
            self.rows.doomed = Ranges()
            self.aged = self.aged or any(reason == "age" for _, reason in change.reasons)
            self.windows.reset()  # they may have passed over these rows

    def victims(self, change: Change, count: int, reason: str, *, queued: bool = True) -> Ranges:
        """Have the oldest rows dropped with a commit, if ``queued`` those too that come in; say which."""
        return self._sacrifice(change, self.rows.oldest(count, change.inserts if queued else ()), reason)

    def spare(self, change: Change) -> Ranges:
        """Have deleted with a commit what rests; return the places."""
        spared = self.rows.settle_all()
        change.ledger.acknowledged += len(spared)
        change.deletes.update(spared)
        return spared

    def expire(self, change: Change, places: Iterable[int]) -> Ranges:
        """Have dropped what is too old of these rows and of those that come in; returns their places."""
        queued = [entry.place for entry in change.inserts if self._old(entry)]
        return self._sacrifice(change, [p for p in [*places, *queued] if self.rows.droppable(p)], "age")

    def go_volatile(self, why: str, *, readable: bool) -> None:
        """Offer what waits for the disk from memory, with ids that no file will ever give again."""
        if self.volatile is None:
            self.ledger.begin_epoch(after=self.accepted_upto)
            self.dirty = True
            self.rows.queue.change(self._renamed)
            self._born(entry for entry in self.rows.queue if entry.place > self.accepted_upto)
            self._born_upto(self.ledger.last)
        self.volatile = why
        self.windows.blind = not readable

    def found(self, present: Ranges) -> int:
        """Compare with a file that was opened again; returns how many rows are lost."""
        lost = self.rows.missing(present)
        for place in lost:
            self.rows.flying.pop(place, None)
            self._drop(place, "damaged")
            self.rows.gone.discard(place)
        self.dirty = True
        self.windows.opened()
        return len(lost)

    def adopt(self, ledger: Ledger, present: Ranges, shift: int) -> None:
        """Take over a file that was not readable at first; it was moved by ``shift``, its ledger too."""
        self._ages.adopt(ledger.boots)
        boot, _ = self._ages.stamp()
        self.rows.adopt(present, shift, boot)
        self.ledger.merge(ledger, last=self.rows.present.last)
        self.accepted_upto = self.ledger.last
        self.dirty = True
        self.windows.opened()

    def report(self) -> None:
        """Queue a record for each kind of drop that nobody was told about."""
        if not self._taken:
            return
        self._taken = False
        for reason, gap in list(self.ledger.gaps.items()):
            if self._ages.now() - gap.since >= SAY_S:
                del self.ledger.gaps[reason]
                self.dirty = True
                self.say(gap_records.gap(reason, gap))

    def say(self, record: gap_records.Record) -> None:
        """Queue a record of the spool's own."""
        wall, synced = self._ages.wall()
        id_ = self.ledger.id_of(self.ledger.last + 1)
        self.accept("", record.to_json(self.ledger.node, id_, wall, synced=synced))

    def read(self, window: Window, start: int, entries: list[Entry], upto: int | None) -> None:
        """Take over what was read for a window.

        Args:
            window: where it belongs.
            start: rows behind this place were read; the window may have been reset since.
            entries: the rows.
            upto: the last place looked at; None: there is nothing behind them.
        """
        if window.upto != start:
            return
        ours = [entry for entry in entries if entry.place <= self.rows.present.last]
        if len(ours) < len(entries):  # a commit that failed, and is there nevertheless
            upto = None
        last = upto if upto is not None else max([start, *(e.place for e in ours)])
        # What is in memory is behind them, but for what was recalled, or is older than a file that came late.
        among = (e for e in self._offered() if start < e.place <= last and e.pipeline not in window.without)
        window.extend(filter(self._waits, sorted((*ours, *among))), last)
        if upto is None:
            window.end(self._offered(), self.accepted_upto)

    def _offered(self) -> Iterator[Entry]:
        """What is accepted and only in memory."""
        return (entry for entry in self.rows.queue if entry.place <= self.accepted_upto)

    def _renamed(self, entry: Entry) -> Entry:
        """Give what is not accepted its id in the epoch that began."""
        if entry.place <= self.accepted_upto:
            return entry
        return entry._replace(payload=gap_records.with_id(entry.payload, self.ledger.id_of(entry.place)))

    def _born(self, entries: Iterable[Entry]) -> None:
        """Entries are accepted: they are offered, and the application is told."""
        for entry in entries:
            if entry.place > self.accepted_upto:
                self.accepted_upto = entry.place
                self.windows.offer(entry)
                if entry.pipeline:
                    self.announced.append(entry.payload)

    def _born_upto(self, place: int) -> None:
        """Everything up to this place is accepted, or was dropped on the way."""
        self.accepted_upto = max(self.accepted_upto, place)
        dead = [(at, reason) for at, reason in self._unborn if at <= self.accepted_upto]
        self._unborn = self._unborn[len(dead) :]
        for at, reason in dead:
            self._drop(at, reason)

    def _bound(self) -> None:
        """Keep memory bounded: the oldest goes that is neither in flight nor with the writer."""
        queue = self.rows.queue
        while (oldest := queue.oldest(self.rows.flying.__contains__)) is not None:
            if queue.crowded:
                self._drop_queued(oldest.place, "memory_full")
            elif self.volatile is not None and self._old(oldest):
                self._drop_queued(oldest.place, "age")
            else:
                return

    def _drop_queued(self, place: int, reason: str) -> None:
        if place > self.accepted_upto:
            self.rows.queue.pop(place)
            self._unborn.append((place, reason))
        else:
            self._drop(place, reason)

    def _drop(self, place: int, reason: str) -> None:
        self.rows.forget(place)
        self.dirty = True
        self.ledger.drop(place, reason, self._ages.now())

    def _sacrifice(self, change: Change, places: Iterable[int], reason: str) -> Ranges:
        """Have rows dropped with a commit; where it fails, all of them are still there."""
        dropped = Ranges((place, place) for place in places)
        for place in dropped:
            change.reasons.append((place, reason))
            change.ledger.drop(place, reason, self._ages.now())
        for them in (self.rows.doomed, change.deletes, change.dropped):
            them.update(dropped)
        return dropped

    def _old(self, entry: Entry) -> bool:
        return self._ages.left_s(entry.boot, entry.at) <= 0

    def _waits(self, entry: Entry) -> bool:
        if not self.rows.free(entry.place):
            return False
        old = self._old(entry)
        self.aged = self.aged or old
        return not old

    def _row(self, entry: Entry) -> Row:
        place, left_s = entry.place, max(0.0, self._ages.left_s(entry.boot, entry.at))
        return Row(place, entry.pipeline, entry.payload, place in self.rows.waited, left_s)
