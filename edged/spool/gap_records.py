"""Records of the spool itself, on ``<prefix>/<node>/gap``; see ``schema/gap.schema.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.system import clock

if TYPE_CHECKING:
    from edged.spool.ledger import Gap


@dataclass(frozen=True)
class Record:
    """One message.

    Attributes:
        type: ``gap``: events were dropped; ``spool_reset``: the file was damaged, and there is a new one.
        fields: the fields of this type only.
    """

    type: str
    fields: dict[str, Any]

    def to_json(self, node: str, id_: str, wall: float, *, synced: bool) -> bytes:
        """Return it as compact JSON."""
        data = {"v": 1, "id": id_, "type": self.type, "node": node}
        data |= self.fields
        data |= {"ts": clock.rfc3339(wall), "clock": "synced" if synced else "unsynced", "replayed": False}
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def gap(reason: str, dropped: Gap) -> Record:
    """Return the record of events that were dropped."""
    return Record(
        "gap", {"reason": reason, "first": dropped.first, "last": dropped.last, "count": dropped.count}
    )


def reset(why: str, salvaged: int, lost: int | None) -> Record:
    """Return the record of a file that was made anew."""
    return Record("spool_reset", {"reason": why[:200], "salvaged": salvaged, "lost": lost})


def with_id(payload: bytes, id_: str) -> bytes:
    """Return a payload under another id."""
    data = json.loads(payload) | {"id": id_}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
