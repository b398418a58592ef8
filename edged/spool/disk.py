"""The spool on disk: an event is accepted when its row is there and flushed, whatever happens to the process.

``accept`` returns at once. The event gets its id then, but the id holds only once ``on_committed`` has named
it: until the row is flushed nobody may see it, because after a crash another event would get that id. While
the disk is away (full, read-only, failing) events wait in memory, bounded, under ids of an epoch that no file
will ever give, and move to the disk when it is back; ``state`` tells which.

2026-11-26: ids are given when events come and not when they are committed, so that a caller can go on with
its event; ids that were given and never committed are never published.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from typing import TYPE_CHECKING

from edged.errors import StateBusy
from edged.spool import Counts, Row, gap_records, recovery
from edged.spool.accounts import RowAccounts
from edged.spool.ages import Ages, Time
from edged.spool.commits import Commits
from edged.spool.database import Sqlite, disk_error
from edged.spool.ledger import Ledger
from edged.spool.ranges import Ranges
from edged.spool.store import PAGE
from edged.spool.writer import SETTLE_ROWS, Writer
from edged.system import clock
from edged.system.lockfile import LockFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from edged.events import Event
    from edged.spool.database import Database
    from edged.spool.recovery import Opened

log = logging.getLogger(__name__)

NAME = "spool.db"
LOCK = "spool.lock"
MEMORY_BYTES = 8_000_000  # rows in memory, before the disk has them or while it is away
SLOW_S = 10.0  # a flush that takes longer shows in ``state``
CLOSE_S = 4.0


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


def _accounts(opened: Opened | None, why: str, node: str, ages: Ages, max_bytes: int) -> RowAccounts:
    """Return the accounts of what the file holds; of nothing, in memory, where it could not be opened."""
    accounts = RowAccounts(
        opened.ledger if opened else Ledger(node),
        opened.present if opened else Ranges(),
        ages,
        min(MEMORY_BYTES, max_bytes),
    )
    if opened is None:
        log.error("spool: %s; events wait in memory until it can be written", why)
        accounts.go_volatile(why, readable=False)
    elif opened.reset:
        accounts.add_record(gap_records.reset(opened.reset, opened.salvaged, opened.lost))
    return accounts


class DiskSpool:
    """Keeps rows in ``<state_dir>/spool.db``.

    Args:
        state_dir: the folder, made where it is missing.
        node: the first part of the ids.
        max_mb: what the file may use; beyond it the oldest rows are dropped (reason ``full``).
        max_age_h: older rows are dropped (reason ``age``).
        min_free_mb: with less free on the disk the file does not grow (reason ``min_free``).
        low_wear_s: each commit is put off by this many seconds, for more events in each; until then they are
            not accepted.
        call_soon: runs a function on the main thread; callable from any thread. None: nothing is announced.
        on_committed: gets the events that were accepted, as JSON with their ids, in order; called with none
            when older rows came within reach of ``pending``.
        time: the clocks, for tests.
        free: returns the bytes free on the disk of a folder, for tests.
        connect: opens the file, for tests and the laboratory.

    Raises:
        StateBusy: another process has this state directory. Nothing else is raised: ``state`` tells why the
            disk is not used.
    """

    def __init__(
        self,
        state_dir: Path,
        node: str,
        *,
        max_mb: float = 64,
        max_age_h: float = 168,
        min_free_mb: float = 50,
        low_wear_s: float = 0,
        call_soon: Callable[[Callable[[], None]], object] | None = None,
        on_committed: Callable[[Sequence[bytes]], None] | None = None,
        time: Time | None = None,
        free: Callable[[Path], int] = _free,
        connect: Callable[[Path], Database] = Sqlite,
    ) -> None:
        self._call_soon = call_soon
        self._on_committed = on_committed
        self._fetch_is_due = False
        self._closed = False
        self._busy = threading.Condition()
        self._lock = LockFile(state_dir / LOCK, busy=lambda pid: StateBusy(state_dir, pid))
        ages = Ages(max_age_h * 3600, time or Time())
        opened, why = self._open(state_dir / NAME, node, ages, connect)
        max_bytes = int(max_mb * 1_000_000)
        self._accounts = _accounts(opened, why, node, ages, max_bytes)
        commits = Commits(
            self._accounts,
            self._busy,
            ages,
            max_pages=max_bytes // PAGE,
            min_free=int(min_free_mb * 1_000_000),
            free=lambda: free(state_dir),
        )
        self._writer = Writer(
            state_dir / NAME,
            connect,
            self._lock,
            accounts=self._accounts,
            busy=self._busy,
            opened=opened,
            commits=commits,
            low_wear_s=low_wear_s,
            announce=self._announce,
        )
        self._writer.start()

    @property
    def state(self) -> str:
        """``disk``; ``memory: <why>``; or ``disk: no answer for <n> s``."""
        with self._busy:
            if self._accounts.volatile is not None:
                return f"memory: {self._accounts.volatile}"
            since = self._writer.committing_since
        waited = 0.0 if since is None else clock.monotonic() - since
        return "disk" if waited < SLOW_S else f"disk: no answer for {waited:.0f} s"

    @property
    def epoch(self) -> str:
        """The middle part of the ids given now."""
        with self._busy:
            return self._accounts.ledger.epoch

    @property
    def last(self) -> int:
        """The sequence of the row accepted last; 0 before the first."""
        with self._busy:
            return self._accounts.accepted_upto

    @property
    def unaccepted(self) -> int:
        """Events that wait for the disk."""
        with self._busy:
            return sum(entry.place > self._accounts.accepted_upto for entry in self._accounts.rows.queue)

    def accept(self, event: Event) -> Event:
        """Queue the event and return it with its id, which holds once ``on_committed`` has named it."""
        with self._busy:
            ledger = self._accounts.ledger
            event = event.with_id(ledger.id_of(ledger.last + 1))
            self._accounts.accept(event.pipeline, event.to_json())
            accepted = self._accounts.volatile is not None
            self._busy.notify_all()
        if accepted:
            self._announce()
        return event

    def pending(self, limit: int, *, after: int = 0, without: Collection[str] = ()) -> Sequence[Row]:
        """Hand out accepted rows; those that must be read first come with the next ``on_committed``."""
        if limit <= 0:
            return []
        with self._busy:
            rows = self._accounts.take(limit, after, without)
            if self._accounts.read_ahead.wanting or self._accounts.some_too_old:
                self._busy.notify_all()
            return rows

    def acknowledged(self, sequence: int, *, keep: bool = False) -> None:
        """Forget a row that arrived, or let it rest."""
        with self._busy:
            self._accounts.acknowledged(sequence, keep=keep)
            self._wake_writer()

    def settled(self, sequences: Iterable[int]) -> None:
        """Forget rows that rest."""
        with self._busy:
            self._accounts.rows.settle(sequences)
            self._busy.notify_all()

    def recalled(self, sequences: Iterable[int]) -> None:
        """Let rows that rest wait again."""
        with self._busy:
            self._accounts.recalled(sequences)
            self._busy.notify_all()

    def delivered(self, sequence: int) -> None:
        """Keep a row that arrived at the broker until the application confirms it."""
        with self._busy:
            self._accounts.delivered(sequence)
            self._wake_writer()

    def confirmed(self, up_to: int) -> int:
        """Forget all rows of this epoch up to this sequence."""
        with self._busy:
            count = self._accounts.confirmed(up_to)
            self._busy.notify_all()
            return count

    def requeue_delivered(self) -> int:
        """Let the delivered rows wait again."""
        with self._busy:
            count = self._accounts.requeue_delivered()
            self._busy.notify_all()
            return count

    def released(self, sequences: Iterable[int]) -> None:
        """Let rows in flight wait again, in order."""
        with self._busy:
            self._accounts.released(sequences)

    def refused(self, sequence: int) -> None:
        """Drop a row in flight that the broker will never take."""
        with self._busy:
            self._accounts.refused(sequence)
            self._wake_writer()

    def counts(self) -> Counts:
        """Return the balance of the accepted events."""
        with self._busy:
            return self._accounts.counts()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is on disk, of age and read ahead; return whether it is."""
        with self._busy:
            self._writer.urgent = self._accounts.some_too_old = True
            self._busy.notify_all()
            done = self._busy.wait_for(self._is_flushed, timeout_s)
            self._writer.urgent = False
            return done and self._accounts.volatile is None

    def close(self) -> None:
        """Write what waits, close the file in order and free the folder; harmless when called twice."""
        if self._closed:
            return
        self._closed = True
        with self._busy:
            self._writer.closing = True
            self._busy.notify_all()
        self._writer.join(CLOSE_S)
        if self._writer.is_alive():
            log.error("spool: the disk does not answer; %d events were not accepted", self.unaccepted)

    def _wake_writer(self) -> None:
        """Let the writer decide again when to delete: not for each row, but when it matters."""
        if len(self._accounts.rows.finished) in {1, SETTLE_ROWS}:
            self._busy.notify_all()

    def _is_flushed(self) -> bool:
        accounts = self._accounts
        if accounts.volatile is not None:
            return True
        if self._writer.committing_since is not None or accounts.some_too_old:
            return False
        return not (accounts.rows.queue or accounts.rows.finished or accounts.read_ahead.wanting)

    def _open(
        self, path: Path, node: str, ages: Ages, connect: Callable[[Path], Database]
    ) -> tuple[Opened | None, str]:
        try:
            _make_folder(path.parent)
            self._lock.take()
            opened = recovery.open_file(path, connect, node)
            ages.adopt(opened.ledger.boots)
        except StateBusy:
            raise
        except OSError as error:
            failed = disk_error(error)
            return None, f"{failed.trouble.value}: {failed}"
        if opened.reset:
            log.error("spool: %s; set aside, %d rows salvaged", opened.reset, opened.salvaged)
        return opened, ""

    def _announce(self) -> None:
        """Have the main thread fetch what was accepted; from any thread."""
        with self._busy:
            if self._call_soon is None or self._on_committed is None:
                self._accounts.announced.clear()
                return
            if self._fetch_is_due:
                return
            self._fetch_is_due = True
        try:
            self._call_soon(self._fetch)
        except RuntimeError:  # the main thread's loop is closed: nobody listens any more
            self._fetch_is_due = False

    def _fetch(self) -> None:
        with self._busy:
            self._fetch_is_due = False
            payloads, self._accounts.announced = self._accounts.announced, []
        if self._on_committed is not None:
            self._on_committed(tuple(payloads))
