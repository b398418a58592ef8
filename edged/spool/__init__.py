"""The spool: every accepted event waits here until the broker has it, or is dropped with a counted reason.

```
 accept ──▶ waiting ──pending──▶ in flight ──acknowledged──▶ gone
              │  ▲                  │  │
   full, age  ▼  └────released──────┘  └──refused──▶ dropped{refused}
            dropped
```

This file is the seam between the application and a store. :mod:`edged.spool.memory` keeps the rows in memory;
a store on disk keeps the same promises and adds that rows outlive the process. One thread calls all methods.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edged.events import Event


@dataclass(frozen=True, slots=True)
class Row:
    """One event on its way out.

    Attributes:
        sequence: the last part of its id; grows by one from event to event, over restarts too where rows
            outlive one.
        pipeline: names its topic.
        payload: the event as JSON, with its id.
        waited: it was in flight when a connection broke, or comes from an earlier run.
    """

    sequence: int
    pipeline: str
    payload: bytes
    waited: bool = False

    def message(self, *, replayed: bool) -> bytes:
        """Return the payload to send; ``replayed`` or an earlier wait is written into it."""
        if not (replayed or self.waited):
            return self.payload
        data = json.loads(self.payload) | {"replayed": True}
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the events: accepted = acknowledged + queued (in flight too) + the sum of dropped."""

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
    def last(self) -> int:
        """The sequence given last; 0 before the first."""

    def accept(self, event: Event) -> Event:
        """Take the event over and return it with its id, node/epoch/sequence, the sequence without holes."""

    def pending(self, limit: int) -> Sequence[Row]:
        """Hand out at most ``limit`` rows, the oldest first; from now on they are in flight."""

    def acknowledged(self, sequence: int) -> None:
        """The broker has it. Harmless for a row that is not in flight."""

    def released(self, sequences: Iterable[int]) -> None:
        """The connection is lost: these wait again, in their old places, marked as having waited."""

    def refused(self, sequence: int) -> None:
        """The broker will never take this one (too large, malformed): dropped, counted as ``refused``."""

    def counts(self) -> Counts:
        """Return the balance."""

    def close(self) -> None:
        """Give everything back; harmless when called twice."""
