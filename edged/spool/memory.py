"""A bounded spool in memory: it survives the broker's absence, but not the end of the process.

Its accounts are those of the spool on disk while the disk is away; here no disk ever comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.spool.accounts import RowAccounts
from edged.spool.ages import Ages, Time
from edged.spool.ledger import Ledger, new_epoch
from edged.spool.ranges import Ranges
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from edged.events import Event
    from edged.spool import Row


class MemorySpool:
    """Drops the oldest event when it is full (reason ``memory_full``) or too old (reason ``age``).

    Rows in flight are never dropped: their acknowledgement may be on its way, and an event counts once.

    Args:
        node: the first part of the ids.
        max_mb: memory that rows may take.
        max_age_h: older rows are dropped.
        now: monotonic time in s, for tests.
        epoch: the middle part of the ids; by default one that was never used.
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
        ages = Ages(max_age_h * 3600, Time(since_boot=now))
        self._accounts = RowAccounts(Ledger(node), Ranges(), ages, int(max_mb * 1_000_000))
        self._accounts.go_volatile("they end with the process", readable=False)
        self._accounts.ledger.epochs = [(1, epoch or new_epoch())]
        # These need nothing but the accounts.
        self.acknowledged = self._accounts.acknowledged
        self.recalled = self._accounts.recalled
        self.delivered = self._accounts.delivered
        self.confirmed = self._accounts.confirmed
        self.requeue_delivered = self._accounts.requeue_delivered
        self.released = self._accounts.released
        self.refused = self._accounts.refused
        self.counts = self._accounts.counts
        self.settled = self._accounts.rows.settle

    @property
    def state(self) -> str:
        """``memory: <why>``."""
        return f"memory: {self._accounts.volatile}"

    @property
    def epoch(self) -> str:
        """The middle part of the ids."""
        return self._accounts.ledger.epoch

    @property
    def last(self) -> int:
        """The sequence given last; 0 before the first."""
        return self._accounts.ledger.last

    def accept(self, event: Event) -> Event:
        """Queue the event and return it with its id; drop older ones, at worst itself, to stay in bounds."""
        event = event.with_id(self._accounts.ledger.id_of(self.last + 1))
        self._accounts.accept(event.pipeline, event.to_json())
        self._accounts.announced.clear()  # nobody waits for a disk
        return event

    def pending(self, limit: int, *, after: int = 0, without: Collection[str] = ()) -> Sequence[Row]:
        """Hand out at most ``limit`` rows, the oldest first; they are in flight from now on."""
        rows: list[Row] = []
        while len(rows) < limit and (more := self._accounts.take(limit - len(rows), after, without)):
            rows += more
        return rows

    def close(self) -> None:
        """Do nothing: what still waits is lost with the process, and ``counts()`` tells how much."""
