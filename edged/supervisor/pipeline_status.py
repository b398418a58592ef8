"""What is known of one worker's pipelines, over all its lives, and who is told."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edged.events import UNKNOWN
from edged.ipc import worker_messages
from edged.supervisor.status import PipelineStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from edged.ipc.worker_messages import Report
    from edged.supervisor.status import Listener

log = logging.getLogger(__name__)

_NOTHING: Mapping[str, PipelineStatus] = MappingProxyType({})
# What a change of is worth a word to the listener; the figures are looked at when they are wanted.
_NEWS = (
    "state",
    "online",
    "enabled",
    "fault",
    "last_error",
    "accelerator",
    "degraded",
    "restarts",
    "held_by",
)


class StatusBoard:
    """Statuses by pipeline.

    Args:
        names: of the pipelines.
        listener: hears what changes.
        known: what was known of them before.

    Attributes:
        labels: what each pipeline had decided last.
    """

    def __init__(
        self, names: Iterable[str], listener: Listener, known: Mapping[str, PipelineStatus] = _NOTHING
    ) -> None:
        new = PipelineStatus("", enabled=True, state="starting")
        self._statuses = {
            name: replace(known.get(name, new), name=name, online=False, pid=None, fps=0.0, held_by="")
            for name in names
        }
        self._listener = listener
        self._before: dict[str, tuple[int, Counter[str]]] = {}  # frames, dropped of earlier workers
        self.labels: dict[str, str] = {}

    def all(self) -> Sequence[PipelineStatus]:
        """Return the statuses of now."""
        return list(self._statuses.values())

    def label(self, name: str) -> str:
        """Return what a pipeline had decided last."""
        return self.labels.get(name, UNKNOWN)

    def ended(self) -> bool:
        """Whether every source gave everything."""
        return all(status.state == "ended" for status in self.all())

    def starting(self) -> None:
        """A worker is being started."""
        for status in self.all():
            if status.state != "ended":
                self._set(status.name, state="waiting" if status.fault else "starting")

    def born(self, pid: int, names: Iterable[str]) -> None:
        """It is there, and serves these pipelines."""
        for name in names:
            status = self._statuses[name]
            self._before[name] = (status.frames, Counter(status.dropped))
            self._set(name, pid=pid)

    def fault(self, kind: str, sentence: str, state: str) -> None:
        """Something is wrong with all of them."""
        for status in self.all():
            if status.state != "ended":
                self._fault(status.name, kind, sentence, state)

    def exited(self, kind: str, sentence: str, explained: Collection[str]) -> None:
        """The worker is gone, for a reason that it said itself of the pipelines in ``explained``."""
        for status in self.all():
            if status.state == "ended":
                continue
            if status.name in explained:
                kind_now, reason_now, sentence_now = status.fault, status.reason, status.last_error
            else:
                kind_now, reason_now, sentence_now = kind, "", sentence
            self._set(
                status.name,
                state="waiting",
                online=False,
                pid=None,
                fault=kind_now,
                reason=reason_now,
                last_error=sentence_now,
                restarts=status.restarts + 1,
                fps=0.0,
                held_by="",
            )

    def replaced(self, why: str) -> None:
        """The worker made room for another one."""
        for status in self.all():
            if status.state != "ended":
                log.info("%s: starting again: %s", status.name, why)
                self._set(status.name, state="starting", online=False, pid=None, fps=0.0)

    def take(self, report: Report) -> None:
        """Take a worker's report."""
        name = report.pipeline
        match report:
            case worker_messages.Outcome():
                if report.type != "result":
                    self.labels[name] = report.label
                self._listener.outcome(report, self._statuses[name])
            case worker_messages.Beat():
                self._beat(report)
            case worker_messages.Ready():
                self._set(
                    name,
                    model=report.model,
                    runtime=report.runtime,
                    accelerator=report.accelerator,
                    degraded=report.degraded,
                    network=report.network,
                    isolation=report.isolation,
                )
            case worker_messages.Running():
                self._running(name)
            case worker_messages.Fault():
                self._fault(name, report.kind, report.message, "waiting", report.reason)
            case worker_messages.Held():
                self._set(name, held_by=report.held_by)
            case worker_messages.Ended():
                self._set(name, state="ended", online=False, fault="", reason="")

    def _running(self, name: str) -> None:
        status = self._statuses[name]
        if status.fault:
            log.info("%s: running again", name)
        elif status.state != "running":
            log.info("%s: running (%s on %s)", name, status.runtime, status.accelerator)
        self._set(name, state="running", online=True, fault="", reason="")

    def _fault(self, name: str, kind: str, sentence: str, state: str, reason: str = "") -> None:
        if sentence != self._statuses[name].last_error or not self._statuses[name].fault:
            log.warning("%s: %s", name, sentence)
        self._set(name, state=state, online=False, fault=kind, reason=reason, last_error=sentence, held_by="")

    def _beat(self, beat: worker_messages.Beat) -> None:
        frames, dropped = self._before.get(beat.pipeline, (0, Counter()))
        ran = beat.frames > 0
        self._set(
            beat.pipeline,
            fps=beat.fps,
            capture_p50_ms=beat.capture_ms if ran else None,
            invoke_p50_ms=beat.invoke_p50_ms if ran else None,
            invoke_p95_ms=beat.invoke_p95_ms if ran else None,
            frames=frames + beat.frames,
            dropped=dict(dropped + Counter(beat.dropped)),
        )

    def _set(self, name: str, **changes: Any) -> None:
        old = self._statuses[name]
        new = self._statuses[name] = replace(old, **changes)
        if any(getattr(old, key) != getattr(new, key) for key in _NEWS):
            self._listener.changed(new)
