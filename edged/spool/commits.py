"""One commit: what comes in, what goes, and what has to go so that the file keeps within its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.spool.database import DiskError, Trouble
from edged.spool.rows import heavy_ones

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from edged.spool.accounts import Change, RowAccounts
    from edged.spool.ages import Ages
    from edged.spool.store import Store

OLDEST = 64  # rows whose age is looked at in one commit
SMALL = 16  # pages that the file may have however little is free: its log takes more
DENSE = 8  # rows that a page has at most


@dataclass(frozen=True)
class Commits:
    """Writes changes.

    Attributes:
        accounts, busy: the accounts, and their lock.
        ages: knows which rows are too old.
        max_pages: pages of the file that may be in use.
        min_free: bytes; with less free on the disk the file does not grow beyond ``SMALL``.
        free: returns the bytes that are free.
    """

    accounts: RowAccounts
    busy: threading.Condition
    ages: Ages
    max_pages: int
    min_free: int
    free: Callable[[], int]

    def write(self, store: Store, change: Change, *, check_ages: bool) -> None:
        """Write a change to the disk, flushed. Raises ``DiskError``; then nothing of it is there."""
        if check_ages:
            self._expire(store, change)
        if not change:
            return
        store.begin()
        try:
            store.delete(change.deletes)
            if change.inserts and self._free_bytes() < self.min_free:
                self._squeeze(store, change)
            else:
                self._insert(store, change)
            self._fit(store, change)
            if change.dirty or change.deletes:
                store.write_ledger(change.ledger)
            store.commit()
        except BaseException:
            store.rollback()
            raise

    def too_old(self, store: Store) -> list[int]:
        """Return those of the oldest rows that are too old. Raises ``DiskError``."""
        return [place for place, boot, at in store.oldest(OLDEST) if self.ages.left_s(boot, at) <= 0]

    def _expire(self, store: Store, change: Change) -> None:
        old = self.too_old(store)
        with self.busy:
            dropped = self.accounts.expire(change, old)
            self.accounts.some_too_old = bool(dropped) and len(old) == OLDEST

    def _fit(self, store: Store, change: Change) -> None:
        """Drop the oldest until no more pages are in use than allowed."""
        while True:
            pages, free = store.pages()
            over = pages - free - self.max_pages
            if over <= 0 or not self._drop(store, change, over, pages - free, "full"):
                return

    def _insert(self, store: Store, change: Change) -> None:
        store.insert(entry for entry in change.inserts if entry.place not in change.dropped)

    def _squeeze(self, store: Store, change: Change) -> None:
        """Insert rows without the file growing, because the disk has too little room.

        In a file that is larger than ``SMALL`` the oldest make room. In a small one they do not: it would
        hold fewer rows than memory does, and new rows would drive out those that wait.
        """
        pages, free = store.pages()
        most = max(pages, SMALL)
        while len(change.inserts) <= DENSE * most:
            self._insert(store, change)
            store.write_ledger(change.ledger)
            over = store.pages()[0] - most
            if over <= 0:
                return
            store.rollback()
            store.begin()
            store.delete(change.deletes)
            if most == SMALL or not self._drop(store, change, over, pages - free, "min_free", queued=False):
                break
        raise DiskError(Trouble.FULL, f"less than {self.min_free / 1_000_000:g} MB are free")

    def _free_bytes(self) -> int:
        try:
            return self.free()
        except OSError as error:
            raise DiskError(Trouble.FAILED, str(error)) from error

    def _drop(
        self, store: Store, change: Change, pages: int, used: int, reason: str, *, queued: bool = True
    ) -> bool:
        """Delete the oldest rows, about as many as fill this many pages; return whether there were any."""
        with self.busy:
            rows = len(self.accounts.rows.present) + len(change.inserts) - len(change.dropped)
            count = max(1, rows * pages // max(1, used))
            places = self.accounts.delete_resting(change)  # what the broker has goes before what it has not
        if not places:
            heavy = self._of_heavy_ones(store, count)
            with self.busy:
                places = self.accounts.drop_rows(change, heavy, reason) or self.accounts.drop_oldest(
                    change, count, reason, queued=queued
                )
        store.delete(places)
        return bool(places)

    def _of_heavy_ones(self, store: Store, count: int) -> list[int]:
        """Return the oldest rows of the pipelines that take more than their share of the file.

        One pipeline alone gives none: then the oldest of all will do.
        """
        room_of = store.room_of()
        if len(room_of) < 2:
            return []
        found: list[int] = []
        for places in store.places_of(heavy_ones(room_of)):
            with self.busy:
                found += filter(self.accounts.rows.droppable, places)
            if len(found) >= count:
                break
        return found[:count]
