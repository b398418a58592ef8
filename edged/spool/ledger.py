"""The ledger: what a spool knows besides its rows, such as its node and what became of rows that are gone.

It is the row with place 0, so that it shares a page with the events while few of them wait: one page a
commit. It is written only when something is taken out; ``last`` may therefore be behind the last row.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edged.ipc import codec
from edged.ipc.codec import WireError

if TYPE_CHECKING:
    from edged.spool.ages import Boots

REASONS = frozenset({"full", "age", "min_free", "memory_full", "refused", "damaged"})  # for a drop
_MAX_COUNT = 1 << 62
EPOCHS = 64  # remembered; only the latest one counts on


def new_epoch() -> str:
    """Return the middle part of ids that were never used."""
    return secrets.token_hex(6)


@dataclass
class Gap:
    """Rows that were dropped and not yet reported: the ids of the first and the last, and how many."""

    first: str
    last: str
    count: int
    since: float  # s since this boot

    def grow(self, id_: str, count: int = 1) -> None:
        """Add rows, the last of them with this id."""
        self.last = id_
        self.count += count


@dataclass
class Ledger:
    """The counters and names of one spool.

    Attributes:
        node: the first part of the ids.
        base: accepted = last - base; how far the places are ahead of what this ledger answers for.
        last: the place given last.
        acknowledged, dropped: what became of rows that are gone.
        clean: the file was closed in order.
        gaps: drops that were not reported yet, by reason.
        epochs: (place, name): from this place on, ids have this epoch and count from 1.
        boots: for the ages of rows.
    """

    node: str
    base: int = 0
    last: int = 0
    acknowledged: int = 0
    clean: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    gaps: dict[str, Gap] = field(default_factory=dict)
    epochs: list[tuple[int, str]] = field(default_factory=lambda: [(1, new_epoch())])
    boots: Boots = field(default_factory=dict)

    @property
    def epoch(self) -> str:
        """The epoch of the ids given now."""
        return self.epochs[-1][1]

    @property
    def epoch_from(self) -> int:
        """The first place of this epoch."""
        return self.epochs[-1][0]

    def copy(self) -> Ledger:
        """Return an independent copy."""
        gaps = {reason: replace(gap) for reason, gap in self.gaps.items()}
        return replace(self, dropped=self.dropped.copy(), gaps=gaps)

    def id_of(self, place: int) -> str:
        """Return the id of a place."""
        first, epoch = next((e for e in reversed(self.epochs) if e[0] <= place), self.epochs[0])
        return f"{self.node}/{epoch}/{max(1, place - first + 1)}"

    def begin_epoch(self, after: int) -> None:
        """Give ids of a new epoch to all places behind this one."""
        self.epochs = [*(e for e in self.epochs if e[0] <= after), (after + 1, new_epoch())][-EPOCHS:]

    def drop(self, place: int, reason: str, now: float) -> None:
        """Count a row that is dropped."""
        self.dropped[reason] += 1
        id_ = self.id_of(place)
        gap = self.gaps.get(reason)
        if gap is None:
            self.gaps[reason] = Gap(id_, id_, 1, now)
        else:
            gap.grow(id_)

    def shift(self, by: int) -> None:
        """Answer for the same rows in places that are greater."""
        self.base += by
        self.last += by
        self.epochs = [(first + by, name) for first, name in self.epochs]

    def merge(self, other: Ledger, *, last: int) -> None:
        """Answer for the rows of another ledger too; places up to ``last`` are taken, and an epoch begins."""
        given = self.last - self.base + other.last - other.base
        self.last = max(self.last, last)
        self.base = self.last - given
        self.acknowledged += other.acknowledged
        self.dropped.update(other.dropped)
        for reason, gap in other.gaps.items():
            kept = self.gaps.setdefault(reason, gap)
            if kept is not gap:
                kept.first, kept.count = gap.first, kept.count + gap.count
        self.begin_epoch(after=self.last)

    def to_json(self) -> bytes:
        """Return it as it is stored, as JSON."""
        gaps = {reason: [gap.first, gap.last, gap.count] for reason, gap in self.gaps.items()}
        data = {
            "node": self.node,
            "base": self.base,
            "last": self.last,
            "acknowledged": self.acknowledged,
            "clean": self.clean,
            "dropped": self.dropped,
            "gaps": gaps,
            "epochs": self.epochs,
            "boots": self.boots,
        }
        return json.dumps(data, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Ledger:
        """Read a stored ledger. Raises ``ValueError`` for anything else."""
        try:
            return cls._read(json.loads(text))
        except WireError as error:
            raise ValueError(f"this is not a ledger: {error}") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("this is not a ledger") from error

    @classmethod
    def _read(cls, data: dict[str, Any]) -> Ledger:
        epochs = [(_count(first), _epoch(name)) for first, name in data["epochs"]]
        if not epochs:
            raise ValueError("this ledger has no epoch")
        return cls(
            node=_node(data["node"]),
            base=_count(data["base"]),
            last=_count(data["last"]),
            acknowledged=_count(data["acknowledged"]),
            clean=bool(data["clean"]),
            dropped=Counter({_reason(reason): _count(count) for reason, count in data["dropped"].items()}),
            gaps={
                _reason(reason): Gap(_id(first), _id(last), _count(number), 0.0)
                for reason, (first, last, number) in data["gaps"].items()
            },
            epochs=epochs,
            boots={
                int(no): (str(id_), None if begin is None else float(begin))
                for no, (id_, begin) in data["boots"].items()
            },
        )


_node = codec.matching(r"[a-z0-9-]{0,32}", "a ledger's node")
_epoch = codec.matching(r"[0-9a-f]{0,32}", "a ledger's epoch")
_id = codec.matching(r"[a-z0-9-]{0,32}/[0-9a-f]{0,32}/[0-9]{1,19}", "an id")
_reason = codec.one_of(REASONS)


def _count(value: Any) -> int:
    if type(value) is not int or not -_MAX_COUNT < value < _MAX_COUNT:
        raise ValueError("this is not a ledger: its counts are not counts")
    return value
