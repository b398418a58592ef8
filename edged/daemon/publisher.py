"""Hears the supervisor and tells the world: events through the spool, and the retained topics of pipelines.

```
 supervisor ──outcome──▶ EventPublisher ──▶ spool.accept ──▶ outlet.drain        event
            ──changed──▶          ──▶ outlet.retain                        state, availability, enabled/state
```
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.errors import Unavailable
from edged.sinks import TakesLines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edged.daemon.event_maker import EventMaker
    from edged.events import Event
    from edged.ipc.worker_messages import Outcome
    from edged.sinks import EventSink
    from edged.sinks.jsonl import JsonlSink
    from edged.spool import Spool
    from edged.supervisor import PipelineStatus

log = logging.getLogger(__name__)

TOPICS = ("state", "availability", "enabled/state")


@dataclass(frozen=True, slots=True)
class Decided:
    """What a pipeline's state topic says, and since when."""

    label: str
    since: str


class EventPublisher:
    """The supervisor's listener.

    It can be made before anything is known, so that the supervisor can start its fork server first; until
    :meth:`begin` nothing happens that could be reported.
    """

    _event_maker: EventMaker
    _spool: Spool
    _at_once: bool

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._sink: EventSink | None = None
        self._copy: JsonlSink | None = None
        self._copying = True
        self._retained: dict[str, str] = {}
        self._decided: dict[str, Decided] = {}
        self._undecided: dict[str, PipelineStatus] = {}  # online, and no news yet

    def begin(
        self, event_maker: EventMaker, spool: Spool, kinds: Mapping[str, str], *, at_once: bool = True
    ) -> None:
        """Report from now on.

        Args:
            event_maker: makes the events.
            spool: takes them over.
            kinds: the pipelines, with the kinds of their sources.
            at_once: the spool has an event for good when ``accept`` returns; otherwise it calls
                :meth:`committed` later, and nobody may see the event before.
        """
        self._at_once = at_once
        self._event_maker, self._spool, self._kinds = event_maker, spool, dict(kinds)

    def attach(self, sink: EventSink, copy: JsonlSink | None = None) -> None:
        """Tell it there from now on, beginning with what is known already.

        Args:
            sink: gets everything.
            copy: gets each event too; what it does not take is not kept for it.
        """
        self._sink, self._copy = sink, copy
        self._copying = True
        for suffix, payload in self._retained.items():
            sink.retain(suffix, payload)
        sink.drain()

    def pipelines(self, kinds: Mapping[str, str]) -> None:
        """The configuration has these pipelines from now on; the topics of others are cleared."""
        gone = self._kinds.keys() - kinds.keys()
        self._kinds = dict(kinds)
        self.clear(gone)

    def clear(self, names: Iterable[str]) -> None:
        """Take the retained topics of these pipelines back."""
        for name in sorted(names):
            self._decided.pop(name, None)
            self._undecided.pop(name, None)
            self.forget(f"{name}/{topic}" for topic in TOPICS)

    def forget(self, suffixes: Iterable[str]) -> None:
        """Take these topics back."""
        for suffix in suffixes:
            if self._retained.pop(suffix, None) is not None and self._sink is not None:
                self._sink.retain(suffix, "")

    def withdraw(self) -> None:
        """Clear every topic at the outlet that is about to go; the next one gets them all."""
        if self._sink is not None:
            for suffix in self._retained:
                self._sink.retain(suffix, "")

    def offline(self) -> None:
        """The daemon stops: nothing is seen any more."""
        for name in self._kinds:
            self.retain(f"{name}/availability", "offline")

    def retain(self, suffix: str, payload: str) -> None:
        """Keep a topic at this value, also through a change of outlets."""
        self._retained[suffix] = payload
        if self._sink is not None:
            self._sink.retain(suffix, payload)

    def line(self, reading: bytes) -> None:
        """Send a reading where there are lines and no topics."""
        sink: object = self._sink
        if isinstance(sink, TakesLines):
            sink.reading(reading)

    def decided(self) -> Mapping[str, Decided]:
        """Return what pipelines decided last, by name."""
        return self._decided

    # What the supervisor calls, and the spool.

    def outcome(self, outcome: Outcome, status: PipelineStatus) -> None:
        """Send the news of a pipeline, or one inference."""
        kind = self._kinds.get(outcome.pipeline)
        if kind is None or self._sink is None:
            return  # the last words of a pipeline that was removed
        event = self._event_maker.event(outcome, status, kind=kind)
        if event.type == "result":
            self._sink.result(event.pipeline, event.to_json())
        else:
            event = self._spool.accept(event)
            self._state(event)
            if self._at_once:
                self.committed([event.to_json()])
            return
        self._write_copy(event.to_json())

    def committed(self, payloads: Sequence[bytes]) -> None:
        """Send what the spool has for good; with none, older events came within its reach."""
        if self._sink is not None:
            self._sink.drain()
        for payload in payloads:
            self._write_copy(payload)

    def changed(self, status: PipelineStatus) -> None:
        """Bring the pipeline's retained topics up to date."""
        name = status.name
        if name not in self._kinds:
            return
        if not status.enabled:
            self._decided.pop(name, None)  # switched on again, it begins anew
        if status.online and name not in self._decided:
            self._undecided[name] = status
        else:
            self._undecided.pop(name, None)
        self.retain(f"{name}/enabled/state", "ON" if status.enabled else "OFF")
        self.retain(f"{name}/availability", "online" if status.online else "offline")

    def tick(self) -> None:
        """Say ``unknown`` of pipelines that see something and have had no news; call it now and then."""
        for status in list(self._undecided.values()):
            self._state(self._event_maker.nothing(status))

    # Inside.

    def _state(self, event: Event) -> None:
        self._undecided.pop(event.pipeline, None)
        before = self._decided.get(event.pipeline)
        same = before is not None and event.type == "heartbeat" and before.label == event.label
        since = before.since if before is not None and same else event.ts
        self._decided[event.pipeline] = Decided(event.label, since)
        state = json.dumps(event.state(since), ensure_ascii=False, separators=(",", ":"))
        self.retain(f"{event.pipeline}/state", state)

    def _write_copy(self, event: bytes) -> None:
        if self._copy is None:
            return
        try:
            self._copy.send(event)
        except Unavailable as error:
            if self._copying:
                log.warning("events are not copied: %s", error)
            self._copying = False
        else:
            if not self._copying:
                log.info("events are copied again")
            self._copying = True
