"""The file: one table in sqlite, write-ahead log, every commit flushed before it counts.

``locking_mode=EXCLUSIVE`` keeps the index of the log in memory: as a file it would be written more often than
all events (measured: half of the bytes at one event in ten seconds). Others cannot open the file meanwhile;
``edged audit`` reads a copy (:func:`snapshot`). Pages have 512 bytes because each commit writes whole ones. A
change of the table raises ``VERSION`` and comes with the step from the version before, so that an update
finds its rows; files of any other version are set aside.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edged.spool.database import Database, DiskError, Trouble, disk_error
from edged.spool.entry import Entry, Stored, pack, unpack
from edged.spool.ledger import Ledger
from edged.spool.ranges import Ranges
from edged.system.files import copy_regular, flush, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

APPLICATION = 0x65646765  # "edge"
VERSION = 1
PAGE = 512
LOG_PAGES = 700  # about, in the log before they are carried over into the file
LARGEST = 1 << 40  # bytes of a file that is copied, where nobody knows better
ATTEMPTS = 20  # at a copy of a file that is in use

_TABLE = (
    "CREATE TABLE rows (place INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, boot INTEGER NOT NULL,"
    " at INTEGER NOT NULL, crc INTEGER NOT NULL, packed BLOB NOT NULL)"
)
COLUMNS = "place, pipeline, boot, at, crc, packed"
_INSERT = f"INSERT OR REPLACE INTO rows ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608  # a constant
_SCAN = 500  # rows read at a time
ROW_BYTES = 30  # about, that sqlite keeps of a row beside what is packed
_ROOM = f"{ROW_BYTES} + LENGTH(packed)"
_ROOM_BETWEEN = f"SELECT pipeline, SUM({_ROOM}) FROM rows WHERE place BETWEEN ? AND ? GROUP BY pipeline"  # noqa: S608  # constants
_SALTS = slice(12, 24)  # of the log's header: its number and the two salts


def create(path: Path, connect: Callable[[Path], Database], ledger: Ledger) -> None:
    """Make an empty file, flushed. Raises ``DiskError``."""
    fill(path, connect, ledger, ())


def fill(
    path: Path,
    connect: Callable[[Path], Database],
    ledger: Ledger,
    rows: Iterable[Stored],
) -> None:
    """Make a file with these rows, in order and flushed. Raises ``DiskError``.

    It gets its name only when it is whole: a power cut leaves the old file, or this one.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        for leftover in (new, beside(new, "-wal"), beside(new, "-journal")):
            leftover.unlink(missing_ok=True)
        new.touch(mode=0o600)
        database = connect(new)
        try:
            for statement in (
                f"PRAGMA page_size={PAGE}",
                "PRAGMA locking_mode=EXCLUSIVE",
                "PRAGMA journal_mode=WAL",
                "PRAGMA synchronous=FULL",
                "BEGIN IMMEDIATE",
                f"PRAGMA application_id={APPLICATION}",
                f"PRAGMA user_version={VERSION}",
                _TABLE,
            ):
                database.rows(statement)
            database.many(_INSERT, rows)
            _write_ledger(database, ledger)
            database.rows("COMMIT")
        finally:
            database.close()
        flush(new)
        new.replace(path)
        flush(path.parent)
    except OSError as error:
        raise disk_error(error) from error


def beside(path: Path, suffix: str) -> Path:
    """Return the file that sqlite keeps beside one: ``-wal``, ``-journal``."""
    return path.with_name(path.name + suffix)


def snapshot(path: Path, to: Path, most: int = LARGEST) -> None:
    """Copy a spool that may be in use, without a lock: the daemon never waits for a reader.

    The file is copied first, then its log. What the daemon carries over from the log into the file meanwhile
    is still in the log, so the copy is whole as long as the log was not begun anew; its salts tell.

    Args:
        path: the spool's file.
        to: the copy.
        most: bytes that the file and its log may have each.

    Raises:
        OSError: a file cannot be read or written, is not a regular file, or is too long.
        DiskError: the spool changes faster than it can be copied.
    """
    log, log_to = beside(path, "-wal"), beside(to, "-wal")
    for _ in range(ATTEMPTS):
        before = _salts(log)
        copy_regular(path, to, most)
        log_to.unlink(missing_ok=True)
        if before:
            copy_regular(log, log_to, most)
        if _salts(log) == before:
            return
    raise DiskError(Trouble.LOCKED, f"{path} changes faster than it can be read")


def _salts(log: Path) -> bytes:
    try:
        with open_regular(log) as file:
            return file.read(32)[_SALTS]
    except FileNotFoundError:
        return b""


def _write_ledger(database: Database, ledger: Ledger) -> None:
    database.many(_INSERT, [pack(Entry(0, "", ledger.to_json(), 0, 0))])


class Store:
    """An open file.

    Args:
        database: the file, open.
        synchronous: sqlite's pragma, for the laboratory.
        log_pages: pages in the log before they are carried over into the file.

    Raises:
        DiskError: from every method; ``DAMAGED`` also for a file of another program or version.
    """

    def __init__(self, database: Database, synchronous: str = "FULL", log_pages: int = LOG_PAGES) -> None:
        self._database = database
        self._log_pages = log_pages
        self._logged = 0
        self._room_of: Counter[str] | None = None  # counted when it is needed for the first time
        self._room_before: Counter[str] | None = None
        self._passed: tuple[tuple[str, ...], int] = ((), 0)  # pipelines, and a place that theirs are behind
        try:
            for statement in (
                "PRAGMA locking_mode=EXCLUSIVE",
                f"PRAGMA synchronous={synchronous}",
                "PRAGMA wal_autocheckpoint=0",  # sqlite would not report its failures
                "PRAGMA journal_size_limit=4000000",
                "PRAGMA cache_size=-1024",
                "PRAGMA temp_store=MEMORY",
            ):
                database.rows(statement)
        except DiskError:
            self.close()  # an open file would keep the lock, and the next attempt out
            raise

    def check(self) -> None:
        """Check that edged wrote the file, and that it is whole."""
        application, version = self._number("application_id"), self._number("user_version")
        if application != APPLICATION:
            raise DiskError(Trouble.DAMAGED, "it is not a spool of edged")
        if version != VERSION:
            raise DiskError(
                Trouble.DAMAGED, f"it has version {version}, and this edged reads version {VERSION}"
            )
        found = self._database.rows("PRAGMA quick_check(1)")
        if found != [("ok",)]:
            why = " ".join(str(found[0][0]).split()) if found else "quick_check returns nothing"
            raise DiskError(Trouble.DAMAGED, why)

    def ledger(self) -> Ledger:
        """Return the ledger as it was written last."""
        rows = self._database.rows(f"SELECT {COLUMNS} FROM rows WHERE place = 0")  # noqa: S608  # a constant
        entry = unpack(rows[0]) if rows else None
        if entry is None:
            raise DiskError(Trouble.DAMAGED, "its ledger is damaged")
        try:
            return Ledger.from_json(entry.payload)
        except ValueError as error:
            raise DiskError(Trouble.DAMAGED, "its ledger is damaged") from error

    def scan(self) -> Ranges:
        """Read every row; return their places."""
        found, at = Ranges(), 0
        while entries := self.fetch(at, (), _SCAN)[0]:
            at = entries[-1].place
            for entry in entries:
                found.add(entry.place)
        return found

    def fetch(self, after: int, without: Collection[str], limit: int) -> tuple[list[Entry], int | None]:
        """Read rows in order.

        Returns:
            The rows, and the last place looked at; None: there are no more.
        """
        entries = [unpack(row) for row in self._read(after, without, limit)]
        good = [entry for entry in entries if entry is not None]
        if len(good) < len(entries):
            raise DiskError(Trouble.DAMAGED, f"the checksums of {len(entries) - len(good)} rows are wrong")
        return good, good[-1].place if len(good) == limit else None

    def oldest(self, limit: int) -> list[tuple[int, int, int]]:
        """Return place, boot and time (ms since the boot) of the oldest rows."""
        sql = "SELECT place, boot, at FROM rows WHERE place > 0 ORDER BY place LIMIT ?"
        return self._database.rows(sql, (limit,))

    def room_of(self) -> Mapping[str, int]:
        """Return the bytes that the rows of each pipeline take, of those that have any."""
        if self._room_of is None:
            sql = f"SELECT pipeline, SUM({_ROOM}) FROM rows WHERE place > 0 GROUP BY pipeline"  # noqa: S608  # constants
            self._room_of = Counter(dict(self._database.rows(sql)))
        return {name: room for name, room in self._room_of.items() if room > 0}

    def places_of(self, pipelines: Collection[str]) -> Iterator[list[int]]:
        """Yield the places of these pipelines' rows, the oldest first, some at a time."""
        names = tuple(sorted(pipelines))
        at = self._passed[1] if self._passed[0] == names else 0
        marks = ", ".join("?" * len(names))
        sql = f"SELECT place FROM rows WHERE place > ? AND pipeline IN ({marks}) ORDER BY place LIMIT ?"  # noqa: S608  # marks only
        self._passed = (names, at)
        while places := [row[0] for row in self._database.rows(sql, (at, *names, _SCAN))]:
            if at == self._passed[1]:
                self._passed = (names, places[0] - 1)  # nothing before it is theirs, now or later
            yield places
            at = places[-1]

    def begin(self) -> None:
        """Begin a transaction."""
        self._room_before = None if self._room_of is None else self._room_of.copy()
        self._database.rows("BEGIN IMMEDIATE")

    def delete(self, places: Ranges) -> None:
        """Delete rows."""
        intervals = places.intervals()
        self._logged += len(intervals)
        if self._room_of is not None:
            for interval in intervals:
                self._room_of.subtract(dict(self._database.rows(_ROOM_BETWEEN, interval)))
        self._database.many("DELETE FROM rows WHERE place BETWEEN ? AND ?", intervals)

    def insert(self, entries: Iterable[Entry]) -> None:
        """Insert rows."""
        rows = list(map(pack, entries))
        if self._room_of is not None:
            for row in rows:
                self._room_of[row[1]] += ROW_BYTES + len(row[5])
        self._logged += sum(1 + len(row[5]) // PAGE for row in rows)
        self._database.many(_INSERT, rows)

    def shift(self, rows: Ranges, by: int) -> None:
        """Move these rows to greater places; ``by`` must be beyond every place there is."""
        at = 0
        while entries := self.fetch(at, (), _SCAN)[0]:
            if entries[0].place > by:
                break
            at = entries[-1].place
            self.insert(entry._replace(place=entry.place + by) for entry in entries if entry.place <= by)
        self.delete(rows)

    def write_ledger(self, ledger: Ledger) -> None:
        """Replace the ledger."""
        self._logged += 1
        _write_ledger(self._database, ledger)

    def commit(self) -> None:
        """Flush everything since ``begin`` to the disk; it counts when this returns."""
        self._database.rows("COMMIT")

    def rollback(self) -> None:
        """Undo everything since ``begin``, as far as sqlite did not by itself; raises nothing."""
        self._room_of = self._room_before
        try:
            self._database.rows("ROLLBACK")
        except DiskError:
            return

    def relieve(self) -> None:
        """Write the log into the file once it is long; called after a commit, which does not wait for it."""
        if self._logged >= self._log_pages:
            self._logged = 0
            self._database.rows("PRAGMA wal_checkpoint(PASSIVE)")

    def carry_over(self) -> None:
        """Write the log into the file and begin it anew, with salts that tell new frames from old ones."""
        self._database.rows("PRAGMA wal_checkpoint(RESTART)")

    def shrink(self) -> None:
        """Return the space of deleted rows to the disk."""
        self._database.rows("VACUUM")

    def pages(self) -> tuple[int, int]:
        """Return how many pages the file has, and how many of them are free."""
        return self._number("page_count"), self._number("freelist_count")

    def close(self) -> None:
        """Close the file; harmless when called twice. Raises nothing: what counts is committed already."""
        try:
            self._database.close()
        except DiskError:
            return

    def _read(self, after: int, without: Collection[str], limit: int) -> list[tuple[Any, ...]]:
        marks = ", ".join("?" * len(without))
        only = f"AND pipeline NOT IN ({marks})" if without else ""
        sql = f"SELECT {COLUMNS} FROM rows WHERE place > ? {only} ORDER BY place LIMIT ?"  # noqa: S608  # marks only
        return self._database.rows(sql, (after, *without, limit))

    def _number(self, pragma: str) -> int:
        return int(self._database.rows(f"PRAGMA {pragma}")[0][0])
