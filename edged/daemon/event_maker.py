"""From what a worker reports to what may leave: adds the node, the times, and whether they can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.events import UNKNOWN, Event, ModelTag
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.ipc.worker_messages import Outcome
    from edged.supervisor import PipelineStatus

SYNCED_FOR_S = 10.0  # one look at the kernel's clock serves so long
MOST_LATENCY_MS = 1e9  # by the schema; a clock that was set meanwhile makes any number
NUMBERED = frozenset({"folder", "video"})  # sources whose frame numbers mean something to a reader


class EventMaker:
    """Makes the events of one node."""

    def __init__(
        self,
        node: str,
        *,
        synced: Callable[[], bool] = clock.synced,
        monotonic: Callable[[], float] = clock.monotonic,
        wall: Callable[[], float] = clock.wall,
    ) -> None:
        self._node = node
        self._ask = synced
        self._monotonic = monotonic
        self._wall = wall
        self._synced = False
        self._asked_at = float("-inf")

    @property
    def synced(self) -> bool:
        """Whether the wall clock can be trusted, as of at most ``SYNCED_FOR_S`` ago."""
        now = self._monotonic()
        if now - self._asked_at >= SYNCED_FOR_S:
            self._synced, self._asked_at = self._ask(), now
        return self._synced

    def event(self, outcome: Outcome, status: PipelineStatus, *, kind: str) -> Event:
        """Return the event of an outcome.

        Args:
            outcome: what the worker reported.
            status: of its pipeline; ``Ready`` has come before any outcome, so it names the model.
            kind: of its source, which decides whether the frame has a number.
        """
        latency_ms = (outcome.decided_at - outcome.captured_at) * 1000
        return Event(
            type=outcome.type,
            node=self._node,
            pipeline=outcome.pipeline,
            label=outcome.label,
            score=outcome.score,
            previous=outcome.previous,
            top=outcome.top,
            captured_at=clock.rfc3339(outcome.captured_at),
            ts=clock.rfc3339(outcome.decided_at),
            clock=self._clock(),
            model=status.model or ModelTag(UNKNOWN, "0" * 8),
            accelerator=status.accelerator or "cpu",
            latency_ms=min(max(latency_ms, 0.0), MOST_LATENCY_MS),
            degraded=status.degraded,
            frame=outcome.frame if kind in NUMBERED else None,
            network=status.network,
            readings=outcome.readings,
        )

    def nothing(self, status: PipelineStatus) -> Event:
        """Return the event whose state says that nothing is decided; it is not one to send."""
        now = clock.rfc3339(self._wall())
        return Event(
            type="heartbeat",
            node=self._node,
            pipeline=status.name,
            label=UNKNOWN,
            score=0.0,
            previous=UNKNOWN,
            top=(),
            captured_at=now,
            ts=now,
            clock=self._clock(),
            model=status.model or ModelTag(UNKNOWN, "0" * 8),
            accelerator=status.accelerator or "cpu",
            latency_ms=0.0,
            degraded=status.degraded,
            network=status.network,
        )

    def _clock(self) -> str:
        return "synced" if self.synced else "unsynced"
