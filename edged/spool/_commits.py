"""One commit: what comes in, what goes, and what has to go so that the file keeps to its bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.spool._sqlite import DiskError, Trouble
from edged.spool._store import PAGE

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from edged.spool._ages import Ages
    from edged.spool._change import Change
    from edged.spool._desk import Desk
    from edged.spool._store import Store

OLDEST = 64  # rows whose age is looked at in one commit


@dataclass(frozen=True)
class Commits:
    """Writes changes.

    Attributes:
        desk, busy: the bookkeeping, and what guards it.
        ages: which rows are too old.
        max_pages: of the file that may be in use.
        min_free: bytes; with less free on the disk the file does not grow.
        free: tells the bytes that are free.
    """

    desk: Desk
    busy: threading.Condition
    ages: Ages
    max_pages: int
    min_free: int
    free: Callable[[], int]

    def write(self, store: Store, change: Change, *, look_at_ages: bool) -> None:
        """Have a change on disk, flushed. Raises ``DiskError``; then nothing of it is there."""
        if look_at_ages:
            self._expire(store, change)
        if not change:
            return
        store.begin()
        try:
            store.delete(change.deletes)
            self._leave_free(store, change)
            store.insert(entry for entry in change.inserts if entry.place not in change.dropped)
            self._fit(store, change)
            if change.dirty or change.deletes:
                store.write_ledger(change.ledger)
            store.commit()
        except BaseException:
            store.rollback()
            raise

    def too_old(self, store: Store) -> list[int]:
        """Return which of the oldest rows are too old. Raises ``DiskError``."""
        return [place for place, boot, at in store.oldest(OLDEST) if self.ages.left_s(boot, at) <= 0]

    def _expire(self, store: Store, change: Change) -> None:
        old = self.too_old(store)
        with self.busy:
            gone = self.desk.expire(change, old)
            self.desk.aged = bool(gone) and len(old) == OLDEST

    def _fit(self, store: Store, change: Change) -> None:
        """Drop the oldest until no more pages are in use than allowed."""
        while True:
            pages, free = store.pages()
            over = pages - free - self.max_pages
            if over <= 0 or not self._drop(store, change, over, pages - free, "full"):
                return

    def _leave_free(self, store: Store, change: Change) -> None:
        """Where the disk has too little room, let the file not grow: the oldest make room inside it."""
        if self._free_bytes() >= self.min_free:
            return
        need = sum(1 + len(entry.payload) // PAGE for entry in change.inserts)
        while True:
            pages, free = store.pages()
            if free >= need:
                return
            if not self._drop(store, change, need - free, pages - free, "min_free"):
                raise DiskError(Trouble.FULL, f"less than {self.min_free // 1_000_000} MB are free")

    def _free_bytes(self) -> int:
        try:
            return self.free()
        except OSError as error:
            raise DiskError(Trouble.FAILED, str(error)) from error

    def _drop(self, store: Store, change: Change, pages: int, used: int, reason: str) -> bool:
        with self.busy:
            rows = len(self.desk.rows.present) + len(change.inserts)
            victims = self.desk.victims(change, max(1, rows * pages // max(1, used)), reason)
        store.delete(victims)
        return bool(victims)
