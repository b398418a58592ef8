"""The spool: every accepted event waits here until the broker has it, or is dropped with a counted reason.

```
 accept ──▶ waiting ──pending──▶ in flight ─────acknowledged─────▶ gone
              │  ▲ ▲               │  │  └──delivered──▶ delivered ──confirmed──▶ gone
   full, age  ▼  │ └───released────┘  └──refused──▶ dropped{refused}
           dropped └───────────────again────────────────────┘
```

``delivered``, ``confirmed`` and ``again`` serve ``spool: {ack: application}`` only: the broker has the
row, the application has not said so yet. Rows that are delivered are bound by size and age like those that
wait, and after a restart they wait again.

This file is the seam between the application and a store. :mod:`edged.spool.memory` keeps the rows in memory;
a store on disk keeps the same promises and adds that rows outlive the process. One thread calls all methods.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from edged.events import Event


@dataclass(frozen=True, slots=True)
class Row:
    """One event on its way out.

    Attributes:
        sequence: the last part of its id; grows by one from event to event, over restarts too where rows
            outlive one.
        pipeline: names its topic; empty: the spool's own record, which goes to ``<prefix>/<node>/gap``.
        payload: the event as JSON, with its id.
        waited: it was in flight when a connection broke, or comes from an earlier run.
        left_s: time until it is too old, in s, when it was handed out; None where the store does not say.
    """

    sequence: int
    pipeline: str
    payload: bytes
    waited: bool = False
    left_s: float | None = None

    def message(self, *, replayed: bool) -> bytes:
        """Return the payload to send; ``replayed`` or an earlier wait is written into it."""
        if not (replayed or self.waited):
            return self.payload
        data = json.loads(self.payload) | {"replayed": True}
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the events: accepted = acknowledged + queued + the sum of dropped.

    Queued are those that wait, are in flight, or are delivered and not confirmed.
    """

    accepted: int
    acknowledged: int
    queued: int
    dropped: Mapping[str, int]

    @property
    def balanced(self) -> bool:
        """Whether no event is missing and none is counted twice."""
        return self.accepted == self.acknowledged + self.queued + sum(self.dropped.values())


class Spool(Protocol):
    """An ordered, bounded queue of events."""

    @property
    def epoch(self) -> str:
        """The middle part of the ids: made anew whenever the sequence begins at 1 again."""

    @property
    def last(self) -> int:
        """The sequence given last; 0 before the first."""

    def accept(self, event: Event) -> Event:
        """Take the event over and return it with its id, node/epoch/sequence, the sequence without holes."""

    def pending(self, limit: int, *, after: int = 0, without: Collection[str] = ()) -> Sequence[Row]:
        """Hand out at most ``limit`` rows that wait, the oldest first; from now on they are in flight.

        Args:
            limit: 0 or less: none.
            after: only rows with a greater sequence: what is fresh need not wait behind a backlog.
            without: no rows of these pipelines: the broker refuses their topic for now.
        """

    def acknowledged(self, sequence: int) -> None:
        """The broker has it, and that is enough. Harmless for a row that is not in flight."""

    def delivered(self, sequence: int) -> None:
        """The broker has it, and it stays until ``confirmed``. Harmless for a row that is not in flight."""

    def confirmed(self, up_to: int) -> int:
        """The application has every row up to this sequence: they are gone, wherever they were.

        Returns:
            How many they were; they count as acknowledged.
        """

    def again(self) -> int:
        """Let what is delivered and not confirmed wait again, marked as having waited; return how many."""

    def released(self, sequences: Iterable[int]) -> None:
        """The connection is lost: these wait again, in their old places, marked as having waited."""

    def refused(self, sequence: int) -> None:
        """The broker will never take this one (too large, malformed): dropped, counted as ``refused``."""

    def counts(self) -> Counts:
        """Return the balance."""

    def close(self) -> None:
        """Give everything back; harmless when called twice."""
