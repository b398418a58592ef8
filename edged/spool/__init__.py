"""The spool: every accepted event waits here until the broker has it, or is dropped with a counted reason.

```
 accept ─▶ waiting ─pending─▶ in flight ─acknowledged, keep─▶ resting ─settled─▶ gone
           │ ▲ ▲ ▲              │  │  ╰─delivered─▶ delivered ─confirmed─▶ gone │
 full, age ▼ │ │ ╰───released───╯  ╰─refused─▶ dropped    │                     │
      dropped│ ╰────────requeue_delivered─────────────────╯                     │
             ╰──────────recalled────────────────────────────────────────────────╯
```

A row rests for the moment in which the broker may still forget what it acknowledged. It counts as
acknowledged, and stays in the file; after a restart it waits again.

``delivered``, ``confirmed`` and ``requeue_delivered`` serve ``spool: {ack: application}`` only: the broker
has the row, the application has not confirmed it yet. Rows that are delivered are bound by size and age like
those that wait, and after a restart they wait again.

This file is the seam between the application and a store. :mod:`edged.spool.memory` keeps the rows in memory;
:mod:`edged.spool.disk` keeps the same promises and adds that rows outlive the process. One thread calls all
methods. The spool's own reports, that events were dropped or that its file was made anew, are rows like the
events: ``schema/gap.schema.json``, on the topic ``<prefix>/<node>/gap``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from edged.config.outputs import SpoolSection
    from edged.events import Event


@dataclass(frozen=True, slots=True)
class Row:
    """One event on its way out.

    Attributes:
        sequence: grows by one from event to event, over restarts too where rows outlive one; the last part
            of its id, as long as no second epoch began.
        pipeline: names its topic; empty for a report of the spool itself.
        payload: the event as JSON, with its id.
        waited: it was in flight when a connection broke, or comes from an earlier run.
        left_s: time until it is too old, in s, when it was handed out; None where the store does not know.
    """

    sequence: int
    pipeline: str
    payload: bytes
    waited: bool = False
    left_s: float | None = None

    @property
    def topic(self) -> str:
        """The topic, below ``<prefix>/<node>/``."""
        return f"{self.pipeline}/event" if self.pipeline else "gap"

    def message(self, *, replayed: bool) -> bytes:
        """Return the payload to send; ``replayed`` or an earlier wait is written into it."""
        if not (replayed or self.waited):
            return self.payload
        data = json.loads(self.payload) | {"replayed": True}
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Counts:
    """The balance of events: accepted = acknowledged + queued + the sum of dropped.

    Queued events wait, are in flight, or are delivered and not confirmed.
    """

    accepted: int
    acknowledged: int
    queued: int
    dropped: Mapping[str, int]

    @property
    def balanced(self) -> bool:
        """Return whether no event is missing and none is counted twice."""
        return self.accepted == self.acknowledged + self.queued + sum(self.dropped.values())


class Spool(Protocol):
    """An ordered, bounded queue of events."""

    @property
    def state(self) -> str:
        """The place of the rows, for health: ``disk``, or ``memory`` and why."""

    @property
    def epoch(self) -> str:
        """The middle part of the ids: made anew whenever the sequence begins at 1 again."""

    @property
    def last(self) -> int:
        """The sequence given last; 0 before the first."""

    def accept(self, event: Event) -> Event:
        """Take the event over; return it with its id, node/epoch/sequence, the sequence without holes."""

    def pending(self, limit: int, *, after: int = 0, without: Collection[str] = ()) -> Sequence[Row]:
        """Hand out at most ``limit`` rows that wait, the oldest first; from now on they are in flight.

        Args:
            limit: 0 or less: none.
            after: only rows with a greater sequence: a fresh row need not wait behind a backlog.
            without: no rows of these pipelines: the broker refuses their topic for now.
        """

    def acknowledged(self, sequence: int, *, keep: bool = False) -> None:
        """Finish with a row that the broker has. Harmless for a row that is not in flight.

        Args:
            sequence: the row's.
            keep: it rests until ``settled`` or ``recalled``.
        """

    def settled(self, sequences: Iterable[int]) -> None:
        """Finish with rows that rest: the broker will not forget them. Harmless for others."""

    def recalled(self, sequences: Iterable[int]) -> None:
        """Let rows that rest wait again, marked as having waited: the broker may have forgotten them.

        They no longer count as acknowledged. Harmless for others.
        """

    def delivered(self, sequence: int) -> None:
        """Keep a row that the broker has until ``confirmed``. Harmless for a row that is not in flight."""

    def confirmed(self, up_to: int) -> int:
        """Finish with every row up to this sequence, wherever it is: the application has them.

        Returns:
            How many there were; they count as acknowledged.
        """

    def requeue_delivered(self) -> int:
        """Let delivered rows wait again, marked as having waited; return how many there were."""

    def released(self, sequences: Iterable[int]) -> None:
        """Let rows in flight wait again in their old places, marked as having waited."""

    def refused(self, sequence: int) -> None:
        """Drop a row that the broker will never take (too large, malformed); counted as ``refused``."""

    def counts(self) -> Counts:
        """Return the balance."""

    def close(self) -> None:
        """Free everything; harmless when called twice."""


def open_spool(
    config: SpoolSection,
    *,
    node: str,
    state_dir: Path,
    call_soon: Callable[[Callable[[], None]], object],
    on_committed: Callable[[Sequence[bytes]], None],
) -> Spool:
    """Open the spool on disk; where the disk cannot be used, events wait in memory until it can.

    Args:
        config: the section ``spool``.
        node: the first part of the ids.
        state_dir: the folder of its file.
        call_soon: runs a function on the main thread; callable from any thread.
        on_committed: gets, on the main thread, the events that were accepted since, as JSON with their ids,
            in order. Only now may they leave; the sink is to be drained. Called with none when older rows
            came within reach.

    Raises:
        StateBusy: another edged has this state directory.
    """
    from edged.spool.disk import DiskSpool

    return DiskSpool(
        state_dir,
        node,
        max_mb=config.max_mb,
        max_age_h=config.max_age_h,
        min_free_mb=config.min_free_mb,
        low_wear_s=config.low_wear_s,
        call_soon=call_soon,
        on_committed=on_committed,
    )
