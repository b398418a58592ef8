"""Publishes what pipelines report: events through the spool, and the retained topics.

```
 supervisor ──outcome──▶ EventPublisher ──▶ spool.accept ──▶ sink.drain    event
            ──changed──▶                ──▶ sink.retain                    state, availability, enabled/state
```
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edged.events import UNKNOWN, Event, ModelTag, totals
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edged.daemon.outputs import Copy
    from edged.events import Present
    from edged.ipc.worker_messages import Outcome
    from edged.sinks import SpoolSink
    from edged.spool import Spool
    from edged.supervisor import PipelineStatus

log = logging.getLogger(__name__)

TOPICS = ("state", "availability", "enabled/state")
SYNCED_FOR_S = 10.0  # one look at the kernel's clock is valid for this long
MOST_LATENCY_MS = 1e9  # the schema's limit; a clock that was set meanwhile gives any number


@dataclass(frozen=True, slots=True)
class Decided:
    """The label on a pipeline's state topic, since when it holds (RFC 3339), and the one before."""

    label: str
    since: str
    previous: str = UNKNOWN


class EventMaker:
    """Makes events from a worker's reports: adds the node, the times, and whether they can be trusted.

    Args:
        node: this node's name.
        synced: returns whether the wall clock is synchronised.
        monotonic: returns monotonic time in s.
        wall: returns wall time, s since 1970.
    """

    def __init__(
        self,
        node: str,
        *,
        synced: Callable[[], bool] = clock.synced,
        monotonic: Callable[[], float] = clock.monotonic,
        wall: Callable[[], float] = clock.wall,
    ) -> None:
        self._node = node
        self._is_synced = synced
        self._monotonic = monotonic
        self._wall = wall
        self._synced = False
        self._looked_at = float("-inf")

    @property
    def synced(self) -> bool:
        """Return whether the wall clock is synchronised, as of at most ``SYNCED_FOR_S`` ago."""
        now = self._monotonic()
        if now - self._looked_at >= SYNCED_FOR_S:
            self._synced, self._looked_at = self._is_synced(), now
        return self._synced

    def event(self, outcome: Outcome, status: PipelineStatus, *, numbered: bool) -> Event:
        """Return the event of an outcome.

        Args:
            outcome: the worker's report.
            status: its pipeline's status; ``Ready`` came before any outcome, so it names the model.
            numbered: the pipeline's source numbers its frames, so the event carries the number.
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
            frame=outcome.frame if numbered else None,
            network=status.network,
            readings=outcome.readings,
            count=outcome.count,
            zone=outcome.zone,
            boxes=outcome.boxes,
            then=outcome.then,
        )

    def nothing(self, status: PipelineStatus) -> Event:
        """Return the event whose state is that nothing is decided yet: for the state topic only."""
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


class EventPublisher:
    """The supervisor's listener: publishes at the attached sink.

    Until :meth:`attach` no sink is there: retained topics are kept for it, and outcomes are ignored.

    Args:
        event_maker: makes the events.
        spool: accepts them.
        numbered: the pipelines by name; true where the source numbers its frames.
        at_once: whether the spool holds an event safely when ``accept`` returns; otherwise it calls
            :meth:`committed` later, and the event must not leave before.
        keep: gets each event that the spool accepted, and must not wait.
        publishes_results: returns whether each inference of a pipeline is published; None: of all. Others
            are logged alone, where somebody asked for that.
    """

    def __init__(
        self,
        event_maker: EventMaker,
        spool: Spool,
        numbered: Mapping[str, bool],
        *,
        at_once: bool = True,
        keep: Callable[[Event], None] | None = None,
        publishes_results: Callable[[str], bool] | None = None,
    ) -> None:
        self._event_maker = event_maker
        self._spool = spool
        self._numbered = dict(numbered)
        self._at_once = at_once
        self._keep = keep
        self._publishes_results = publishes_results
        self._sink: SpoolSink | None = None
        self._copies: Sequence[Copy] = ()
        self._retained: dict[str, str] = {}
        self._decided: dict[str, Decided] = {}
        self._undecided: dict[str, PipelineStatus] = {}  # online, and no news yet
        self._present: dict[str, tuple[Present, ...]] = {}  # as in the states of those that decide by label

    def attach(self, sink: SpoolSink, copies: Sequence[Copy] = ()) -> None:
        """Publish at this sink from now on, beginning with the topics that are kept.

        Args:
            sink: gets everything; it is open.
            copies: get each event too.
        """
        self._sink, self._copies = sink, copies
        for suffix, payload in self._retained.items():
            sink.retain(suffix, payload)
        sink.drain()

    def pipelines(self, numbered: Mapping[str, bool]) -> None:
        """Publish for these pipelines from now on; clear the topics of others."""
        gone = self._numbered.keys() - numbered.keys()
        self._numbered = dict(numbered)
        self.clear(gone)

    def clear(self, names: Iterable[str]) -> None:
        """Clear the retained topics of these pipelines."""
        for name in sorted(names):
            self._decided.pop(name, None)
            self._present.pop(name, None)
            self._undecided.pop(name, None)
            self.forget(f"{name}/{topic}" for topic in TOPICS)

    def forget(self, suffixes: Iterable[str]) -> None:
        """Clear these topics."""
        for suffix in suffixes:
            if self._retained.pop(suffix, None) is not None and self._sink is not None:
                self._sink.retain(suffix, "")

    def withdraw(self) -> None:
        """Clear every topic at the sink that is about to close; the next sink gets them all."""
        if self._sink is not None:
            for suffix in self._retained:
                self._sink.retain(suffix, "")

    def offline(self) -> None:
        """Publish every pipeline as offline: the daemon stops."""
        for name in self._numbered:
            self.retain(f"{name}/availability", "offline")

    def retain(self, suffix: str, payload: str) -> None:
        """Keep a topic at this value, also through a change of sinks."""
        self._retained[suffix] = payload
        if self._sink is not None:
            self._sink.retain(suffix, payload)

    def line(self, reading: bytes) -> None:
        """Send a reading as a JSON line, where the sink writes lines."""
        if self._sink is not None:
            self._sink.reading(reading)

    def decided(self) -> Mapping[str, Decided]:
        """Return what each pipeline decided last, by name."""
        return self._decided

    # Called by the supervisor and by the spool.

    def outcome(self, outcome: Outcome, status: PipelineStatus) -> None:
        """Send the news of a pipeline, or one inference."""
        numbered = self._numbered.get(outcome.pipeline)
        if numbered is None or self._sink is None:
            return  # a last report of a pipeline that was removed
        event = self._event_maker.event(outcome, status, numbered=numbered)
        if event.type == "result":
            _log_result(event)
            if self._publishes_results is not None and not self._publishes_results(event.pipeline):
                return
            self._sink.result(event.pipeline, event.to_json())
        else:
            self._state(self._accept(event), status.present)
            return
        self._send_copies(event.to_json())

    def committed(self, payloads: Sequence[bytes]) -> None:
        """Send events that the spool holds safely; an empty list means that older ones can be sent."""
        if self._sink is not None:
            self._sink.drain()
        for payload in payloads:
            self._send_copies(payload)

    def changed(self, status: PipelineStatus) -> None:
        """Bring the pipeline's retained topics up to date."""
        name = status.name
        if name not in self._numbered:
            return
        if not status.enabled:
            self._decided.pop(name, None)  # switched on again, it starts undecided
            self._present.pop(name, None)
        if status.online and name not in self._decided:
            self._undecided[name] = status
        else:
            self._undecided.pop(name, None)
        if name in self._decided and status.present != self._present.get(name):
            # It is configured otherwise: zones are gone, or labels are not decided as they were.
            self._end(self._present.get(name, ()), status)
            self._state(self._event_maker.nothing(status), status.present)
        self.retain(f"{name}/enabled/state", "ON" if status.enabled else "OFF")
        self.retain(f"{name}/availability", "online" if status.online else "offline")

    def tick(self) -> None:
        """Publish ``unknown`` for pipelines that are online without news; to be called now and then."""
        for status in list(self._undecided.values()):
            self._state(self._event_maker.nothing(status), status.present)

    # Inside.

    def _accept(self, event: Event) -> Event:
        """Send an event through the spool; return it with its id."""
        event = self._spool.accept(event)
        if self._keep is not None:
            self._keep(event)
        if self._at_once:
            self.committed([event.to_json()])
        return event

    def _end(self, before: Iterable[Present], status: PipelineStatus) -> None:
        """End what was there and cannot be any more: no worker will tell."""
        kept = {(each.label, each.zone) for each in status.present or ()}
        for each in before:
            if (each.label, each.zone) not in kept and self._sink is not None:
                nothing = self._event_maker.nothing(status)
                self._accept(replace(nothing, type="end", previous=each.label, count=0, zone=each.zone))

    def _state(self, event: Event, present: tuple[Present, ...] | None) -> None:
        """Publish the state after an event; by label it is that of everything there is."""
        name = event.pipeline
        self._undecided.pop(name, None)
        before = self._decided.get(name)
        if present is None:
            self._present.pop(name, None)
            same = before is not None and event.type == "heartbeat" and before.label == event.label
            since = before.since if before is not None and same else event.ts
        else:
            self._present[name] = present
            event, since = _leading(event, present, before)
        self._decided[name] = Decided(event.label, since, event.previous)
        state = json.dumps(event.state(since, present), ensure_ascii=False, separators=(",", ":"))
        self.retain(f"{name}/state", state)

    def _send_copies(self, event: bytes) -> None:
        for copy in self._copies:
            copy.send(event)


def _leading(event: Event, present: Sequence[Present], before: Decided | None) -> tuple[Event, str]:
    """Return the event as the state by label shows it, and since when: the label that came first leads.

    Args:
        event: the news, which is about any label.
        present: what is there now, in the order in which it came.
        before: the label that led until now.
    """
    label = present[0].label if present else UNKNOWN
    led, since, previous = before is not None and before.label == label, event.ts, UNKNOWN
    if before is not None:
        since, previous = (before.since, before.previous) if led else (event.ts, before.label)
    if present:
        since = clock.rfc3339(present[0].since)
    score, count = (present[0].score, totals(present)[label]) if present else (0.0, 0)
    then = present[0].then if present else ()
    return replace(event, label=label, score=score, previous=previous, count=count, then=then), since


def _log_result(event: Event) -> None:
    """Log one inference and what is decided after it, for a person who runs edged with ``-v``."""
    if log.isEnabledFor(logging.DEBUG):
        seen = ", ".join(f"{finding.label} {finding.score:.2f}" for finding in event.top)
        log.debug("%s: sees %s; decided: %s", event.pipeline, seen or event.label, event.previous)
