"""What one commit does to the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edged.spool.ranges import Ranges

if TYPE_CHECKING:
    from edged.spool.entry import Entry
    from edged.spool.ledger import Ledger


@dataclass
class Change:
    """A commit.

    Attributes:
        inserts: rows that come in, but for those in ``dropped``.
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
