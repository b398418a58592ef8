"""Opens the file whatever its state: a damaged one is set aside, and its readable rows move to a new one."""

from __future__ import annotations

import itertools
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edged.spool import wal
from edged.spool.database import DiskError, Sqlite, Trouble, disk_error
from edged.spool.entry import Entry, Stored, unpack, without_boot
from edged.spool.ledger import Ledger
from edged.spool.ranges import Ranges
from edged.spool.store import APPLICATION, COLUMNS, PAGE, Store, beside, create, fill
from edged.system.files import flush

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from edged.spool.database import Database

KEEP = 3  # files set aside; older ones are removed
PATIENCE_S = 5.0  # to read a damaged file
_BESIDE = ("", "-wal")
Found = dict[int, Stored]  # good rows by place
_JUMP = 1 << 20
_NEXT = f"SELECT {COLUMNS} FROM rows WHERE place > ? ORDER BY place LIMIT ?"  # noqa: S608  # a constant


@dataclass
class Opened:
    """An open file and its contents.

    Attributes:
        store: the file.
        ledger: its ledger, with this session's epoch.
        present: the places of its rows.
        reset: why the file is a new one; "" where it is not.
        salvaged, lost: rows that came over and rows that did not; lost is None where that is unknown.
    """

    store: Store
    ledger: Ledger
    present: Ranges = field(default_factory=Ranges)
    reset: str = ""
    salvaged: int = 0
    lost: int | None = None


def open_file(path: Path, connect: Callable[[Path], Database], node: str) -> Opened:
    """Open the file, or make it, or make it anew from its readable rows. Raises ``DiskError``."""
    try:
        for suffix in _BESIDE:
            if beside(path, suffix).exists() and not beside(path, suffix).is_file():
                beside(path, suffix).rename(beside(_aside(path), suffix))
        if not path.exists() or path.stat().st_size == 0:
            beside(path, "-wal").unlink(missing_ok=True)
            create(path, connect, Ledger(node))
        opened = open_sound(path, connect, node, wal.inspect(beside(path, "-wal")))
        begin_session(opened)
    except DiskError as error:
        if error.trouble not in {Trouble.DAMAGED, Trouble.FAILED}:
            raise
        return rebuild(path, connect, node, str(error))
    except OSError as error:
        raise disk_error(error) from error
    return opened


def begin_session(opened: Opened) -> None:
    """Note in the file itself that it is open: a log that vanishes is missed. Raises ``DiskError``."""
    opened.ledger.clean = False
    store = opened.store
    try:
        store.begin()
        store.write_ledger(opened.ledger)
        store.commit()
        store.carry_over()
    except DiskError:
        store.rollback()
        store.close()
        raise


def rebuild(path: Path, connect: Callable[[Path], Database], node: str, why: str) -> Opened:
    """Move the readable rows to a new file and set the old one aside. Raises ``DiskError``."""
    try:
        found, ledger = _read(path)
        present = Ranges()
        for place in found:
            present.add(place)
        rows: Iterable[Stored] = found.values()
        lost = None if ledger is None else _count_lost(ledger, found)
        if ledger is None:
            ledger = Ledger(node, base=present.last - len(present), last=present.last)
            rows = map(without_boot, rows)
        ledger.node, ledger.clean = node, False
        ledger.begin_epoch(after=ledger.last)
        _replace(path, connect, ledger, rows)
    except OSError as error:
        raise disk_error(error) from error
    return Opened(Store(connect(path)), ledger, present, why, len(found), lost)


def open_sound(
    path: Path,
    connect: Callable[[Path], Database],
    node: str,
    log: wal.Log,
    make_store: Callable[[Database], Store] = Store,
) -> Opened:
    """Open a file that is not damaged.

    Args:
        path: the file.
        connect: opens it.
        node: this node's name; another one than the file's begins an epoch.
        log: the condition of its log.
        make_store: for the laboratory.

    Raises:
        DiskError: it cannot be opened, or is damaged.
    """
    if log is wal.Log.DAMAGED:
        raise DiskError(Trouble.DAMAGED, "its log is damaged")
    store = make_store(connect(path))
    try:
        if log is wal.Log.CUT:
            store = _without_log(store, path, lambda: make_store(connect(path)))
        store.check()
        ledger = store.ledger()
        present = store.scan()
        ledger.last = max(ledger.last, present.last)
        if ledger.node != node or log is wal.Log.CUT or (log is wal.Log.ABSENT and not ledger.clean):
            # Ids that were given beyond the last row that is here must not be given again.
            ledger.begin_epoch(after=ledger.last)
            ledger.node = node
    except DiskError:
        store.close()
        raise
    return Opened(store, ledger, present)


def _without_log(store: Store, path: Path, reopen: Callable[[], Store]) -> Store:
    """Carry the log over and remove it: the rest of a torn commit must not stand behind the next one."""
    store.ledger()  # sqlite reads the log with the first row
    store.close()
    flush(path.parent)
    return reopen()


def _count_lost(ledger: Ledger, found: Found) -> int:
    """Balance a ledger with the rows that were found; return how many are missing."""
    ledger.last = max(ledger.last, max(found, default=0))
    expected = ledger.last - ledger.base - ledger.acknowledged - ledger.dropped.total()
    lost = max(0, expected - len(found))
    ledger.base -= max(0, len(found) - expected)
    if lost:
        ledger.dropped["damaged"] += lost
    return lost


def _replace(path: Path, connect: Callable[[Path], Database], ledger: Ledger, rows: Iterable[Stored]) -> None:
    new = path.with_name(f"{path.name}.salvaged")
    fill(new, connect, ledger, rows)
    if path.exists():
        aside = _aside(path)
        for suffix in _BESIDE:
            if beside(path, suffix).exists():
                beside(aside, suffix).hardlink_to(beside(path, suffix))
    # The old log must be gone before the new file has its name: sqlite would play it back into that one.
    beside(path, "-wal").unlink(missing_ok=True)
    new.replace(path)
    flush(path.parent)


def _aside(path: Path) -> Path:
    """Return a name for a damaged file, and remove the oldest of those kept."""
    kept = sorted(path.parent.glob(f"{path.name}.damaged-*[0-9Z]"), key=lambda p: p.stat().st_mtime)
    for old in kept[: max(0, len(kept) - KEEP + 1)]:
        for suffix in _BESIDE:
            _remove(beside(old, suffix))
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    name, number = path.with_name(f"{path.name}.damaged-{stamp}"), 1
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    return name


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[Found, Ledger | None]:
    """Read what can be read, from a copy: as sqlite does, then by more and more drastic means."""
    copy = path.with_name(f"{path.name}.reading")
    best: tuple[Found, Ledger | None] = ({}, None)
    deadline = time.monotonic() + PATIENCE_S
    logged = beside(path, "-wal").exists()
    try:
        for replay, graft in itertools.product((False, True) if logged else (False,), (False, True)):
            if not path.exists() or time.monotonic() >= deadline:
                break
            _copy(path, copy)
            if replay:
                wal.replay(beside(copy, "-wal"), copy, PAGE)
            if graft:
                _graft(copy)
            got = _rows(copy, deadline)
            if len(got[0]) + bool(got[1]) > len(best[0]) + bool(best[1]):
                best = got
            if best[1] is not None and not logged:
                break
    finally:
        for suffix in (*_BESIDE, "-journal", "-shm"):
            beside(copy, suffix).unlink(missing_ok=True)
    return best


def _copy(path: Path, copy: Path) -> None:
    for suffix in _BESIDE:
        beside(copy, suffix).unlink(missing_ok=True)
        if beside(path, suffix).exists():
            shutil.copyfile(beside(path, suffix), beside(copy, suffix))


def _graft(copy: Path) -> None:
    """Replace the first page by that of an empty file: it is the same in all of them."""
    model = copy.with_name(f"{copy.name}.model")
    try:
        create(model, Sqlite, Ledger(""))
        head = bytearray(model.read_bytes()[:PAGE])
    finally:
        model.unlink(missing_ok=True)
    pages = copy.stat().st_size // PAGE
    head[28:32] = pages.to_bytes(4, "big")
    head[32:40] = bytes(8)  # no free pages: nothing will be written
    with copy.open("r+b") as file:
        file.write(head)


def _rows(path: Path, deadline: float) -> tuple[Found, Ledger | None]:
    try:
        database = Sqlite(path)
    except DiskError:
        return {}, None
    found: Found = {}
    ledger = None
    try:
        database.rows("PRAGMA locking_mode=EXCLUSIVE")
        if database.rows("PRAGMA application_id") != [(APPLICATION,)]:
            return {}, None
        for row in _each(database, deadline):
            entry = unpack(row)
            if entry is not None and entry.place > 0:
                found[entry.place] = row
            elif entry is not None and entry.place == 0:
                ledger = _ledger(entry)
    except DiskError:
        pass
    finally:
        _close(database)
    return found, ledger


def _ledger(entry: Entry) -> Ledger | None:
    try:
        return Ledger.from_json(entry.payload)
    except ValueError:
        return None


def _close(database: Sqlite) -> None:
    try:
        database.close()
    except DiskError:
        return


def _each(database: Sqlite, deadline: float) -> Iterator[Stored]:
    """Yield rows in order, passing over damaged pages in greater and greater jumps."""
    at, jump, limit = -1, 0, 500
    while time.monotonic() < deadline and jump < _JUMP:
        try:
            rows: list[Any] = database.rows(_NEXT, (at + jump, limit))
        except DiskError:
            if limit > 1:
                limit = 1
            else:
                jump = jump * 2 or 1
            continue
        if not rows:
            return
        yield from rows
        at, jump = max(at + jump + 1, rows[-1][0]), 0  # forward even where the tree leads in circles
        limit = min(500, limit * 2)
