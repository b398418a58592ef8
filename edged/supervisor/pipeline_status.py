"""The status of each pipeline: its fields, and how a worker's reports and its end change them."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from edged.events import MOST_PRESENT, UNKNOWN, Present
from edged.ipc import fault_sentences, worker_messages
from edged.system.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from edged.events import ModelTag
    from edged.ipc.worker_messages import Report
    from edged.tasks import TaskConfig

log = logging.getLogger(__name__)

LINES, LINE_S = 20, 10.0  # about one pipeline: lines at once, and the time until one more may be logged

_NO_COUNTS: Mapping[str, int] = MappingProxyType({})
_NO_NOTES: Mapping[str, str] = MappingProxyType({})
_OF_ONE_OFF = (worker_messages.Ready, worker_messages.Note)  # reports that count when it is switched on again
# The listener hears when one of these changes; the figures are read when they are wanted.
_TOLD_AT_ONCE = (
    "state",
    "online",
    "enabled",
    "fault",
    "last_error",
    "accelerator",
    "degraded",
    "restarts",
    "held_by",
    "notes",
)


@dataclass(frozen=True)
class PipelineStatus:
    """A pipeline's status now.

    Attributes:
        name: the pipeline's name.
        state: ``disabled``, ``starting``, ``running``, ``waiting`` (something is away or wrong and is tried
            again), ``ended`` (a finite source gave its last sample).
        online: whether the source delivers; published on the availability topic.
        enabled: whether the pipeline should run.
        restarts: restarts of its worker since main started.
        last_error: the latest fault in one sentence, which may be the worker's; empty if there was none.
        public_error: the same in main's words alone: what may leave this machine.
        fault: the kind of the current fault; empty while there is none.
        reason: the reason of the current fault, a word for programs; only where the worker reported it.
        model, runtime, accelerator, degraded, network, isolation: as the worker reports them in
            :class:`edged.ipc.worker_messages.Ready`.
        fps, capture_p50_ms, invoke_p50_ms, invoke_p95_ms: recent figures; None before the first frame.
        frames: frames classified since main started, over all restarts.
        dropped: frames not classified, by reason, over all restarts.
        pid: the worker's process id.
        held_by: the condition that keeps its gate closed; empty while the gate is open.
        view: as the worker reports it in :class:`edged.ipc.worker_messages.Running`.
        moves: whether something moves, as the worker reports it; None: it has no motion gate, or is new.
        notes: what a person should know and keeps nothing from working, by reason; the worker's sentences.
        present: what is there, in the order in which it came; None where it does not decide by label, or has
            decided nothing yet.
    """

    name: str
    state: str = "disabled"
    online: bool = False
    enabled: bool = False
    restarts: int = 0
    last_error: str = ""
    public_error: str = ""
    fault: str = ""
    reason: str = ""
    model: ModelTag | None = None
    runtime: str = ""
    accelerator: str = "cpu"
    degraded: bool = False
    network: bool = False
    isolation: tuple[str, ...] = ()
    fps: float = 0.0
    capture_p50_ms: float | None = None
    invoke_p50_ms: float | None = None
    invoke_p95_ms: float | None = None
    frames: int = 0
    dropped: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)
    pid: int | None = None
    held_by: str = ""
    view: tuple[float, ...] = ()
    moves: bool | None = None
    notes: Mapping[str, str] = field(default_factory=lambda: _NO_NOTES)
    present: tuple[Present, ...] | None = None

    @property
    def public_notes(self) -> list[str]:
        """The notes in main's words alone: what may leave this machine."""
        return [fault_sentences.note(reason) for reason in sorted(self.notes)]


_NONE_KNOWN: Mapping[str, PipelineStatus] = MappingProxyType({})


def still_present(present: tuple[Present, ...] | None, task: TaskConfig) -> tuple[Present, ...] | None:
    """Return what stays of this after a change of the configuration, which may have removed zones."""
    if not task.by_label:
        return None
    zones = task.scope.zones or ("",)
    return tuple(each for each in present or () if each.zone in zones)


class Listener(Protocol):
    """Receives what happens to pipelines, on the event loop's thread."""

    def outcome(self, outcome: worker_messages.Outcome, status: PipelineStatus) -> None:
        """Take the news of a pipeline, or one inference."""

    def changed(self, status: PipelineStatus) -> None:
        """Take a changed state, availability, switch or fault of a pipeline."""


class StatusBoard:
    """The statuses of one worker's pipelines, over all its restarts.

    Args:
        names: the pipelines.
        listener: receives outcomes and changes.
        known: their statuses before.

    Attributes:
        labels: the label that each pipeline decided last.
    """

    def __init__(
        self, names: Iterable[str], listener: Listener, known: Mapping[str, PipelineStatus] = _NONE_KNOWN
    ) -> None:
        new = PipelineStatus("", enabled=True, state="starting")
        self._statuses = {
            name: replace(known.get(name, new), name=name, online=False, pid=None, fps=0.0, held_by="")
            for name in names
        }
        self._off: set[str] = set()  # pipelines that are switched off
        self._listener = listener
        self._before: dict[str, tuple[int, Counter[str]]] = {}  # frames, dropped of earlier workers
        self.labels: dict[str, str] = {}
        self._lines = {name: TokenBucket(1 / LINE_S, LINES) for name in self._statuses}
        self._left_out: Counter[str] = Counter()
        self._logged: dict[tuple[str, str], str] = {}  # notes, by pipeline and reason

    def all(self) -> Sequence[PipelineStatus]:
        """Return the current statuses of the pipelines that are switched on."""
        return [status for name, status in self._statuses.items() if name not in self._off]

    def add(self, name: str) -> None:
        """Take a pipeline in again that was switched off."""
        if name in self._off:
            self._off.remove(name)
            self._set(name, state="starting", enabled=True, fault="", reason="", last_error="", held_by="")

    def remove(self, name: str) -> None:
        """Leave out a pipeline that is switched off; of its worker's reports, only what it runs is taken."""
        if name not in self._off:
            self._off.add(name)
            self.labels.pop(name, None)
            self._set(name, state="disabled", online=False, enabled=False, fps=0.0, present=None)

    def label(self, name: str) -> str:
        """Return the label that a pipeline decided last."""
        return self.labels.get(name, UNKNOWN)

    def ended(self) -> bool:
        """Return whether every source gave its last sample."""
        return all(status.state == "ended" for status in self.all())

    def starting(self) -> None:
        """Mark the pipelines as starting."""
        for status in self.all():
            if status.state != "ended":
                self._set(status.name, state="waiting" if status.fault else "starting")

    def started(self, pid: int, names: Iterable[str]) -> None:
        """Note the new worker, which serves these pipelines."""
        for name in names:
            status = self._statuses[name]
            self._before[name] = (status.frames, Counter(status.dropped))
            self._set(name, pid=pid)

    def fault(self, kind: str, sentence: str, state: str) -> None:
        """Give all pipelines this fault."""
        for status in self.all():
            if status.state != "ended":
                self._fault(status.name, kind, sentence, state=state)

    def exited(self, kind: str, how: str, sentence: str, explained: Collection[str]) -> None:
        """Note that the worker ended.

        Args:
            kind: the kind of fault.
            how: the way in a word of :mod:`edged.ipc.fault_sentences`, for others than this machine's users:
                an exit status, a size or a time may be chosen by an attacker.
            sentence: why it ended.
            explained: the pipelines whose fault the worker reported itself; they keep it.
        """
        for status in self.all():
            if status.state == "ended":
                continue
            fault: dict[str, str] = {}
            if status.name not in explained:
                public = fault_sentences.sentence(kind, how)
                fault = {"fault": kind, "reason": "", "last_error": sentence, "public_error": public}
            self._set(
                status.name,
                state="waiting",
                online=False,
                pid=None,
                restarts=status.restarts + 1,
                fps=0.0,
                held_by="",
                **fault,
            )

    def replaced(self, why: str) -> None:
        """Note that the worker was replaced on purpose."""
        for status in self.all():
            if status.state != "ended":
                log.info("%s: starting again: %s", status.name, why)
                self._set(status.name, state="starting", online=False, pid=None, fps=0.0)

    def take(self, report: Report) -> None:
        """Apply a worker's report."""
        name = report.pipeline
        if name in self._off and not isinstance(report, _OF_ONE_OFF):
            return
        match report:
            case worker_messages.Outcome():
                self._outcome(name, report)
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
                    notes=_NO_NOTES,
                )
            case worker_messages.Running():
                self._running(name, report.view)
            case worker_messages.Fault():
                public = fault_sentences.sentence(report.kind, report.reason)
                self._fault(
                    name, report.kind, report.message, state="waiting", reason=report.reason, public=public
                )
            case worker_messages.Held():
                self._set(name, held_by=report.held_by)
            case worker_messages.Note():
                self._note(name, report)
            case worker_messages.Ended():
                self._set(name, state="ended", online=False, fault="", reason="")

    def _outcome(self, name: str, outcome: worker_messages.Outcome) -> None:
        if outcome.count is not None:
            self._present(name, outcome)
        else:
            if outcome.type != "heartbeat":  # which repeats what was decided before
                outcome = replace(outcome, previous=self.label(name))
            if outcome.type != "result":
                self.labels[name] = outcome.label
        self._listener.outcome(outcome, self._statuses[name])

    def _present(self, name: str, outcome: worker_messages.Outcome) -> None:
        """Keep account of what is there, where a pipeline decides by label."""
        if outcome.type == "result":
            return
        label = outcome.previous if outcome.type == "end" else outcome.label
        there = {(each.label, each.zone): each for each in self._statuses[name].present or ()}
        before = there.get((label, outcome.zone))
        if not outcome.count:
            there.pop((label, outcome.zone), None)
        elif before is not None or len(there) < MOST_PRESENT:
            since = before.since if before is not None else outcome.decided_at
            kept = before is not None and outcome.type == "heartbeat"
            then = before.then if kept and before is not None else outcome.then
            there[label, outcome.zone] = Present(
                label, outcome.zone, outcome.count, outcome.score, since, then
            )
        self._statuses[name] = replace(self._statuses[name], present=tuple(there.values()))

    def _note(self, name: str, note: worker_messages.Note) -> None:
        if fault_sentences.note(note.reason):
            if self._logged.get((name, note.reason)) != note.message:  # which each new worker sends
                self._logged[name, note.reason] = note.message
                self._log(logging.WARNING, name, note.message)
            self._set(name, notes={**self._statuses[name].notes, note.reason: note.message})

    def _running(self, name: str, view: tuple[float, ...]) -> None:
        status = self._statuses[name]
        if status.fault:
            self._log(logging.INFO, name, "running again")
        elif status.state != "running":
            self._log(logging.INFO, name, f"running ({status.runtime} on {status.accelerator})")
        self._set(name, state="running", online=True, fault="", reason="", view=view)

    def _fault(
        self, name: str, kind: str, sentence: str, *, state: str, reason: str = "", public: str = ""
    ) -> None:
        """Note a fault.

        Args:
            name: the pipeline's name.
            kind: the kind of fault.
            sentence: what is wrong, for this machine.
            state: the pipeline's state from now on.
            reason: a word for programs.
            public: what is wrong in main's words alone, where the sentence is the worker's.
        """
        if sentence != self._statuses[name].last_error or not self._statuses[name].fault:
            self._log(logging.WARNING, name, sentence)
        self._set(
            name,
            state=state,
            online=False,
            fault=kind,
            reason=reason,
            last_error=sentence,
            public_error=public or sentence,
            held_by="",
        )

    def _log(self, level: int, name: str, sentence: str) -> None:
        """Log a line about a pipeline; a worker that changes its state all the time gets a bounded number."""
        if not self._lines[name].take():
            self._left_out[name] += 1
            return
        if left_out := self._left_out.pop(name, 0):
            log.warning("%s: %d lines about it are left out here", name, left_out)
        log.log(level, "%s: %s", name, sentence)

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
            moves=beat.moves,
        )

    def _set(self, name: str, **changes: Any) -> None:
        old = self._statuses[name]
        new = self._statuses[name] = replace(old, **changes)
        if name not in self._off and any(getattr(old, key) != getattr(new, key) for key in _TOLD_AT_ONCE):
            self._listener.changed(new)
