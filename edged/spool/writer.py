"""The thread that owns the disk: one commit for everything that came while the last one was being flushed.

```
 main: accept ─▶ queue ─┐                                       ┌─▶ call_soon: the sink drains
                        └─▶ begin, delete, insert, commit (flush) ─┘
          a failure ─▶ rows are offered from memory, the file is tried again after a pause
```
"""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING

from edged.errors import StateBusy
from edged.spool import gap_records, recovery
from edged.spool.database import READABLE, DiskError, Trouble, disk_error
from edged.spool.stored_payload import BadPayloadError, checked
from edged.system import clock
from edged.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from edged.spool.accounts import Change, RowAccounts
    from edged.spool.commits import Commits
    from edged.spool.database import Database
    from edged.spool.entry import Entry
    from edged.spool.recovery import Opened
    from edged.spool.store import Store
    from edged.system.lockfile import LockFile

log = logging.getLogger(__name__)

SETTLE_S = 15.0  # finished rows are deleted with the next event, or after this time …
SETTLE_BUSY_S = 1.0  # … or this, while others wait: fewer are sent twice after a crash
SETTLE_ROWS = 256
TICK_S = 30.0  # between two looks at ages and gaps when nothing happens
RETRY_S = (1.0, 30.0)  # between two attempts at a disk that failed: the first pause and the longest
SHRINK_PAGES = 4096  # an empty file larger than this returns its pages
READ_ROWS = 128
MEANWHILE = 1_000_000  # places left for events that come while the rows of a file are moved


def _sorted(entries: Iterable[Entry]) -> tuple[list[Entry], list[int]]:
    """Return the rows that edged wrote, and the places of those that it did not."""
    good, bad = [], []
    for entry in entries:
        try:
            good.append(checked(entry))
        except BadPayloadError as error:
            bad.append(entry.place)
            log.warning("spool: a row is dropped, since it is not an event of edged: %s", error)
    return good, bad


class Writer(threading.Thread):
    """Writes what the accounts have, reads ahead for them, and looks after the file.

    Args:
        path: the file.
        connect: opens it.
        lock: keeps other daemons out of the folder.
        accounts: of all rows; used only with ``busy`` held.
        busy: the lock of the accounts; notifying it wakes this thread.
        opened: the file, where it could be opened already.
        commits: writes a change and keeps the file within bounds.
        low_wear_s: how long a commit may be put off.
        announce: called on this thread after commits: the application has something to fetch.

    Attributes:
        committing_since: monotonic time at which the commit under way began; None: none is under way.
        urgent: do at once whatever can wait.
        closing: end after the next commit.
    """

    def __init__(
        self,
        path: Path,
        connect: Callable[[Path], Database],
        lock: LockFile,
        *,
        accounts: RowAccounts,
        busy: threading.Condition,
        opened: Opened | None,
        commits: Commits,
        low_wear_s: float,
        announce: Callable[[], None],
    ) -> None:
        super().__init__(name="spool", daemon=True)
        self._path = path
        self._connect = connect
        self._lock = lock
        self._accounts = accounts
        self._busy = busy
        self._store: Store | None = opened.store if opened else None
        self._known = opened is not None
        self._low_wear_s = low_wear_s
        self._commits = commits
        self._announce = announce
        self._suspect = False  # the disk failed: what the file seems to hold may not be on it
        self._stale = False  # the file has to be opened again
        self._backoff = Backoff(*RETRY_S)
        self._retry_at = clock.monotonic()
        self._due = False
        self._queued_at: float | None = None
        self._finished_at: float | None = None
        self._tick_at = clock.monotonic()
        self.committing_since: float | None = None
        self.urgent = False
        self.closing = False

    def run(self) -> None:
        """Work until ``closing``."""
        while True:
            with self._busy:
                while (delay := self._delay()) > 0:
                    self._busy.wait(delay)
                closing = self.closing
            try:
                self._work()
            except Exception as error:
                log.exception("the spool's thread has a defect")
                self._go_volatile(DiskError(Trouble.FAILED, f"a defect: {error}"))
            if closing:
                self._close()
                return

    def _delay(self) -> float:
        """Return how long nothing needs to be done, in s, and remember whether a commit is due then."""
        now = clock.monotonic()
        accounts = self._accounts
        reads = self._store is not None and accounts.read_ahead.wanting is not None
        if accounts.volatile is not None:
            self._due = self.closing or now >= self._retry_at
            return 0 if self._due or reads else self._retry_at - now
        self._queued_at = (self._queued_at or now) if accounts.rows.queue else None
        self._finished_at = (self._finished_at or now) if accounts.rows.finished else None
        due = [math.inf]
        if self._queued_at is not None:
            due.append(self._queued_at + self._low_wear_s)
        if self._finished_at is not None:
            due.append(self._finished_at + (SETTLE_BUSY_S if accounts.rows.present else SETTLE_S))
        at_once = (
            accounts.some_too_old
            or len(accounts.rows.finished) >= SETTLE_ROWS
            or (self.urgent and (accounts.rows.queue or accounts.rows.finished))
        )
        self._due = bool(self.closing or at_once or now >= min(due))
        return 0 if self._due or reads else min(*due, self._tick_at) - now

    def _work(self) -> None:
        if self._due and self._accounts.volatile is not None:
            self._retry()
        elif self._due:
            self._commit()
        elif clock.monotonic() >= self._tick_at:
            self._tick()
        self._read_ahead()
        self._announce()

    def _tick(self) -> None:
        """Look for rows that are too old and drops to report; only those are worth a commit of their own."""
        self._tick_at = clock.monotonic() + TICK_S
        if self._store is None:
            return
        try:
            old = self._commits.too_old(self._store)
        except DiskError as error:
            self._recover(error)
            return
        with self._busy:
            self._accounts.some_too_old = self._accounts.some_too_old or bool(old)
            self._accounts.report_gaps()

    # One commit.

    def _commit(self) -> None:
        with self._busy:
            check_ages, self._accounts.some_too_old = self._accounts.some_too_old, False
            self._accounts.report_gaps()
            change = self._accounts.snapshot()
            self.committing_since = clock.monotonic()
        try:
            assert self._store is not None  # noqa: S101  # while it is away nothing is written
            self._commits.write(self._store, change, check_ages=check_ages)
        except DiskError as error:
            with self._busy:
                self._accounts.failed(change)
            self._recover(error)
        else:
            self._committed(change)
        finally:
            with self._busy:
                self.committing_since = None
                self._queued_at = self._finished_at = None
                self._busy.notify_all()

    def _committed(self, change: Change) -> None:
        with self._busy:
            was = self._accounts.volatile
            self._accounts.committed(change)
            self._backoff.reset()
            self._busy.notify_all()
            rows = self._accounts.rows
            empty = not (rows.present or rows.finished or rows.queue)  # finished ones are in the file still
        if was is not None:
            log.warning("spool: on disk again, after: %s", was)
        self._announce()
        if self._store is not None:
            self._tidy(self._store, empty=empty and bool(change.deletes))

    def _tidy(self, store: Store, *, empty: bool) -> None:
        try:
            store.relieve()
            if empty and store.pages()[0] > SHRINK_PAGES:
                store.shrink()
        except DiskError as error:
            self._recover(error)

    def _read_ahead(self) -> None:
        while self._store is not None:
            with self._busy:
                answer = self._accounts.read_ahead.wanting
                if answer is None:
                    self._busy.notify_all()
                    return
                start = answer.upto
            try:
                entries, upto = self._store.fetch(start, answer.without, READ_ROWS)
            except DiskError as error:
                self._recover(error)
                return
            good, bad = _sorted(entries)
            with self._busy:
                self._accounts.drop_damaged(bad)
                self._accounts.read(answer, start, good, upto)

    # Failures.

    def _recover(self, error: DiskError) -> None:
        """Make a damaged file anew; go on in memory after any other failure."""
        if error.trouble is Trouble.DAMAGED and self._store is not None:
            self._store.close()
            self._store = None
            try:
                self._reopened(
                    recovery.rebuild(self._path, self._connect, self._accounts.ledger.node, str(error))
                )
            except DiskError as again:
                self._go_volatile(again)
        else:
            self._go_volatile(error)

    def _go_volatile(self, error: DiskError) -> None:
        """Go on in memory, and try again after a pause."""
        # What mends it may be another mount, or another folder: the file is opened again.
        self._stale = error.trouble in READABLE - {Trouble.FULL}
        if error.trouble not in READABLE and self._store is not None:
            self._suspect = self._suspect or error.trouble is Trouble.FAILED
            self._store.close()
            self._store = None
        why = f"{error.trouble.value}: {error}"
        with self._busy:
            was = self._accounts.volatile
            self._accounts.go_volatile(why, readable=self._store is not None)
            self._retry_at = clock.monotonic() + self._backoff.pause_s()
            self._busy.notify_all()
        if was is None:
            log.error("spool: %s; events wait in memory until it can be written again", why)

    def _retry(self) -> None:
        if self._stale and self._store is not None:
            self._store.close()
            self._store = None
        try:
            self._lock.take()
            if self._store is None:
                node = self._accounts.ledger.node
                if self._suspect and self._path.exists():
                    opened = recovery.rebuild(self._path, self._connect, node, "the disk failed")
                else:
                    opened = recovery.open_file(self._path, self._connect, node)
                self._reopened(opened)
        except DiskError as error:
            self._go_volatile(error)
        except StateBusy as error:
            self._go_volatile(DiskError(Trouble.LOCKED, str(error)))
        except OSError as error:
            self._go_volatile(disk_error(error))
        else:
            self._commit()

    def _reopened(self, opened: Opened) -> None:
        """Go on with a file that was away, or was made anew."""
        lost = opened.lost
        if self._known:
            with self._busy:
                lost = self._accounts.reconcile(opened.present)
                if self._accounts.volatile is None:
                    self._accounts.go_volatile("the file is made anew", readable=True)
        else:
            self._adopt(opened)
        self._store, self._known, self._suspect = opened.store, True, False
        if opened.reset:
            with self._busy:
                self._accounts.add_record(gap_records.reset(opened.reset, opened.salvaged, lost))
            log.error("spool: %s; set aside, %d rows salvaged", opened.reset, opened.salvaged)

    def _adopt(self, opened: Opened) -> None:
        """Take over a file that could not be opened at the start: its rows move behind those of today."""
        store = opened.store
        with self._busy:
            shift = max(self._accounts.ledger.last, opened.ledger.last) + MEANWHILE
        try:
            store.begin()
            store.shift(opened.present, shift)
            opened.ledger.shift(shift)
            store.write_ledger(opened.ledger)
            store.commit()
        except DiskError:
            store.rollback()
            store.close()
            raise
        with self._busy:
            self._accounts.adopt(opened.ledger, opened.present, shift)

    def _close(self) -> None:
        if self._accounts.volatile is not None and self._accounts.rows.queue:
            log.error("spool: %d events were only in memory and are lost", len(self._accounts.rows.queue))
        if self._store is not None and self._accounts.volatile is None:
            with self._busy:
                self._accounts.rows.settle_all()
                self._accounts.ledger.clean = True
                self._accounts.dirty = True
            self._commit()
        if self._store is not None:
            self._store.close()
            self._store = None
        self._lock.free()
