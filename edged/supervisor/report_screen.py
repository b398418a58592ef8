"""Screens a pipeline's reports: lets known labels pass, at the configured pace, and nothing else.

A worker may run an attacker's code, and its reports are the one way out for what it sees. So main takes
nothing on its word that it can know by itself: the model's name comes from the file, the labels from the
label file or, once, from the first worker before it was ready; scores are rounded, times are of the last
minute, and no pipeline sends more than its pace (:mod:`edged.ipc.pace`). ``docs/security.md`` works out what
is left, in bits.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edged.config import needs
from edged.errors import ModelError
from edged.events import BOX_DIGITS, UNKNOWN, Detection, ModelTag
from edged.ipc import fault_sentences, worker_messages
from edged.ipc.codec import WireError
from edged.ipc.pace import pace
from edged.models import bundled
from edged.models import labels as label_files
from edged.models.taught import head_file
from edged.models.taught.store import HEAD
from edged.pipeline import gating
from edged.system import clock
from edged.system.token_bucket import TokenBucket
from edged.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edged.config.pipeline import PipelineSection
    from edged.events import Attached, Box, Finding
    from edged.ipc.worker_messages import Beat, Held, Labels, Outcome, Ready, Report

log = logging.getLogger(__name__)

STATES_PER_S, STATES_BURST = 1.0, 60.0  # faults, recoveries, gates
BEATS_PER_S, BEATS_BURST = 2.0, 20.0
OLDEST_S = 60.0  # the age of the oldest sample that an event can be about
MAX_LABEL_BYTES = 1_000_000  # of all labels together, as of a label file
MAX_FRAME = 1 << 32
SCORE_DIGITS = 3
VALUE_DIGITS = 6  # significant ones of an attached reading
MAX_AGE_S = 99_999.9  # of an attached reading
MAX_OWN = 1000.0  # of a reading of the source itself, such as the level of sound
FIGURE_DIGITS = 3  # significant ones of a rate or a time
MAX_GROWTH = 4096  # of a counter from one beat to the next
_MOST_UNITS = 2  # of a channel: none before its first reading, then its own


@dataclass(frozen=True)
class Known:
    """Main's own knowledge of what a pipeline runs.

    Attributes:
        labels: those of its label file or its task; None: they are packed in the model.
        tag: the model's name and checksum; None: main could not read it, or there is none.
        sha256: the model's checksum; empty where main could not read it.
    """

    labels: frozenset[str] | None = None
    tag: ModelTag | None = None
    sha256: str = ""


@dataclass(frozen=True)
class _Told:
    """The first worker's word about its model, which binds all later workers."""

    sha256: str
    labels: frozenset[str]
    tag: ModelTag


def known_of(
    section: PipelineSection, files: Mapping[Path, tuple[int, str]], *, accelerated: bool
) -> dict[str, Known]:
    """Return what main knows of what a pipeline may run, by accelerator, such as ``cpu``.

    Args:
        section: its configuration.
        files: descriptor and sha256 of the models and label files that main read, by path.
        accelerated: it is to run on the accelerator; where it prefers that, the CPU may take over.
    """
    found: dict[str, Known] = {}
    if accelerated:
        found[section.accelerator.kind] = _known(section, files, accelerated=True)
    if not accelerated or section.accelerator.policy == "prefer":
        found["cpu"] = _known(section, files, accelerated=False)
    if section.closer is None:
        return found
    second = _known(section.closer, files, accelerated=False).labels
    return {where: replace(known, labels=_both(known.labels, second)) for where, known in found.items()}


def _both(first: frozenset[str] | None, second: frozenset[str] | None) -> frozenset[str] | None:
    """Return the labels of two models; None where only a worker can read those of one."""
    return None if first is None or second is None else first | second


def _known(section: PipelineSection, files: Mapping[Path, tuple[int, str]], *, accelerated: bool) -> Known:
    if section.model.taught is not None:
        return _of_taught(section.model.taught, files)
    model = section.model_file(accelerated=accelerated)
    if model is None or model not in files:
        return Known(_labels(section, files, accelerated=accelerated))
    sha256 = files[model][1]
    tag = ModelTag(printable(model.stem[:64]), sha256[:8])
    return Known(_labels(section, files, accelerated=accelerated), tag, sha256)


def _of_taught(folder: Path, files: Mapping[Path, tuple[int, str]]) -> Known:
    """Return what main knows of a taught model; without its head, the worker reports the fault."""
    head = folder / HEAD
    if head not in files:
        return Known(frozenset())
    descriptor, sha256 = files[head]
    try:
        labels = head_file.read(head, head_file.mapped(descriptor)).named
    except ModelError:
        labels = ()
    return Known(frozenset(map(printable, labels)), ModelTag(printable(folder.name[:64]), sha256[:8]), sha256)


def _labels(
    section: PipelineSection, files: Mapping[Path, tuple[int, str]], *, accelerated: bool
) -> frozenset[str] | None:
    if section.task.own_labels:
        return frozenset(section.task.own_labels)
    file, content = section.model.labels, None
    if section.model.file is None and section.model_file(accelerated=accelerated) == bundled.MODEL:
        file = bundled.LABELS
    elif file is None or file not in files:
        return None
    else:
        content = files[file][0]
    try:
        return frozenset(map(printable, label_files.every_reading(label_files.load(file, content))))
    except ModelError:  # the worker reports it, and sees nothing
        return frozenset()


class ReportScreen:
    """Screens one pipeline's reports, over all restarts of its worker.

    Args:
        section: the pipeline's configuration.
        all_results: somebody on this machine wants every inference; then they have no bound.
        now: returns monotonic time in s.
        wall: returns wall time, s since 1970.
    """

    def __init__(
        self,
        section: PipelineSection,
        *,
        all_results: bool = False,
        now: Callable[[], float] = clock.monotonic,
        wall: Callable[[], float] = clock.wall,
    ) -> None:
        self._section = section
        self._wall = wall
        self._pace = pace(section.source.every_s, by_label=section.task.by_label)
        self._news = TokenBucket(*self._pace, now)
        self._results = TokenBucket(*self._pace, now)
        self._states = TokenBucket(STATES_PER_S, STATES_BURST, now)
        self._beats = TokenBucket(BEATS_PER_S, BEATS_BURST, now)
        self._places = TokenBucket(*self._pace, now)
        self._all_results = all_results
        self._may_publish_results = all_results or section.publish.result
        self._network = False
        conditions = section.gate.conditions if section.gate is not None else ()
        self._clauses = gating.clauses(condition.sensor for condition in conditions)
        self._known: Mapping[str, Known] = {}
        self._told: dict[str, _Told] = {}
        self._units: dict[str, set[str]] = {}
        self._parts: list[str] = []
        self._part_bytes = 0
        self._labels: frozenset[str] | None = None  # None: it is not ready yet
        self._counts: dict[str, int] = {}  # of this worker: frames, and dropped samples by reason

    def begin(self, known: Mapping[str, Known], *, network: bool | None = None) -> None:
        """Screen the reports of another worker.

        Args:
            known: what main knows of what it may run, by accelerator: ``cpu``, ``edgetpu`` …
            network: it keeps the network, for this pipeline or for another one that it runs; None: as this
                pipeline needs it.
        """
        self._known = dict(known)
        self._network = needs.of_pipelines([self._section]).network if network is None else network
        self._parts, self._part_bytes, self._labels = [], 0, None
        self._counts = {}

    def refill(self) -> None:
        """Let pass what piled up while this process itself was suspended."""
        for bucket in (self._news, self._results, self._states, self._beats, self._places):
            bucket.refill()

    def check(self, report: Report, *, behind: bool = False) -> Report | None:
        """Return what may be taken of a report; None: nothing of it.

        Args:
            report: well formed, and of this pipeline.
            behind: this process was suspended, so that reports pile up: their pace means nothing.

        Raises:
            WireError: no worker in order sends it.
        """
        match report:
            case worker_messages.Labels():
                self._take_part(report)
                return None
            case worker_messages.Outcome():
                return self._outcome(report, behind=behind)
            case worker_messages.Beat():
                self._spend(self._beats, "figures", BEATS_PER_S, behind=behind)
                return self._figures(report)
        if isinstance(report, worker_messages.Done):
            self._spend(self._places, "places", self._pace.per_second, behind=behind)
        else:
            self._spend(self._states, "changes of its state", STATES_PER_S, behind=behind)
        if isinstance(report, worker_messages.Ready):
            return self._ready(report)
        if isinstance(report, worker_messages.Held):
            return self._held(report)
        if isinstance(report, worker_messages.Features) and self._section.teach is None:
            raise WireError("features, which nobody asked for")
        return report

    def _spend(self, bucket: TokenBucket, what: str, per_second: float, *, behind: bool) -> None:
        if not bucket.take() and not behind:
            raise WireError(f"more than {per_second:g} {what} a second")

    def _take_part(self, part: Labels) -> None:
        if self._labels is not None or part.first != len(self._parts):
            raise WireError("labels out of turn")
        self._parts += part.labels
        self._part_bytes += sum(len(label.encode()) for label in part.labels)
        most = min(part.total, label_files.MAX_CLASSES)
        if len(self._parts) > most or self._part_bytes > MAX_LABEL_BYTES:
            raise WireError("too many labels")

    def _ready(self, ready: Ready) -> Ready:
        known = self._known.get(ready.accelerator)
        if known is None or self._labels is not None:
            raise WireError("ready on an accelerator that it was not to use, or twice")
        told = self._freeze(ready, known)
        self._labels = (told.labels if known.labels is None else known.labels) | {UNKNOWN}
        return replace(
            ready,
            model=known.tag or told.tag,
            degraded=ready.accelerator == "cpu" and self._section.accelerator.policy != "cpu",
            network=self._network,
        )

    def _freeze(self, ready: Ready, known: Known) -> _Told:
        """Return what a worker told, which must be what the first one with this model told."""
        told = _Told(known.sha256, frozenset(self._parts), ready.model)
        before = self._told.get(ready.accelerator)
        if known.labels is None and not self._parts:
            raise WireError("ready without labels")
        if before is None or before.sha256 != told.sha256:
            self._told[ready.accelerator] = told
            if known.labels is None:
                log.info("%s: takes the labels of its model: %s", ready.pipeline, _shown(self._parts))
            return told
        if known.labels is None and before.labels != told.labels:
            raise WireError("other labels than the worker before it, of the same model")
        return before

    def _held(self, held: Held) -> Held:
        if held.held_by and held.held_by not in self._clauses:
            raise WireError("held by a condition that its gate does not have")
        return held

    def _figures(self, beat: Beat) -> Beat:
        """Return the figures: rounded, with reasons that edged has, and counters that grow as they can."""
        dropped: dict[str, int] = {}
        for reason, count in beat.dropped.items():
            name = reason if reason in fault_sentences.DROPS else "other"
            dropped[name] = dropped.get(name, 0) + count
        return replace(
            beat,
            fps=_rounded(beat.fps, FIGURE_DIGITS),
            capture_ms=_rounded(beat.capture_ms, FIGURE_DIGITS),
            invoke_p50_ms=_rounded(beat.invoke_p50_ms, FIGURE_DIGITS),
            invoke_p95_ms=_rounded(beat.invoke_p95_ms, FIGURE_DIGITS),
            frames=self._grown("", beat.frames),
            dropped={name: self._grown(name, count) for name, count in dropped.items()},
            moves=beat.moves if self._section.motion is not None else None,
        )

    def _grown(self, name: str, count: int) -> int:
        before = self._counts.get(name, 0)
        self._counts[name] = grown = min(max(count, before), before + MAX_GROWTH)
        return grown

    def _outcome(self, outcome: Outcome, *, behind: bool) -> Outcome:
        per_second = self._pace.per_second
        if outcome.type != "result":
            self._spend(self._news, "events", per_second, behind=behind)
        elif not self._may_publish_results:
            raise WireError("results, which nobody asked for")
        elif not self._all_results:
            self._spend(self._results, "results", per_second, behind=behind)
        findings = (*outcome.top, *outcome.found, *outcome.then)
        labels = {outcome.label, outcome.previous, *(finding.label for finding in findings)}
        if self._labels is None or not labels <= self._labels:
            raise WireError("a label that its model does not have")
        if len(outcome.top) > self._section.task.top_k:
            raise WireError("more findings than it was to report")
        if outcome.frame is not None and outcome.frame >= MAX_FRAME:
            raise WireError("a frame with an impossible number")
        self._objects(outcome)
        now = self._wall()
        decided_at = _rounded_time(outcome.decided_at, now - OLDEST_S, now)
        return replace(
            outcome,
            score=round(outcome.score, SCORE_DIGITS),
            top=tuple(map(_rounded_finding, outcome.top)),
            captured_at=_rounded_time(outcome.captured_at, now - OLDEST_S, decided_at),
            decided_at=decided_at,
            frame=outcome.frame if self._section.source.numbered else None,
            readings=self._readings(outcome.readings),
            then=tuple(replace(f, score=round(f.score, SCORE_DIGITS)) for f in outcome.then),
            boxes=None if outcome.boxes is None else tuple(map(_rounded_box, outcome.boxes)),
            found=tuple(map(_rounded_finding, outcome.found)),
        )

    def _objects(self, outcome: Outcome) -> None:
        """Check what a decision by label adds: counts, zones and boxes."""
        task = self._section.task
        if (outcome.count is not None) is not task.by_label:
            raise WireError("a count, which its task does not have, or none")
        if outcome.zone and outcome.zone not in task.scope.zones:
            raise WireError("a zone that it does not have")
        if outcome.boxes is not None and not (task.by_label and self._section.publish.boxes):
            raise WireError("boxes, which nobody asked for")
        if outcome.then and self._section.then is None:
            raise WireError("a closer look, which nobody asked for")
        if outcome.found and not (self._all_results and task.by_label and outcome.type == "result"):
            raise WireError("all that it found, which nobody asked for")

    def _readings(self, readings: tuple[Attached, ...]) -> tuple[Attached, ...]:
        names = [reading.name for reading in readings]
        if len(set(names)) < len(names) or not set(names) <= {
            *self._section.attach,
            *self._section.source.measures,
        }:
            raise WireError("a reading that it was not to attach")
        for reading in readings:
            units = self._units.setdefault(reading.name, set())
            units.add(reading.unit)
            if len(units) > _MOST_UNITS:
                raise WireError("a reading in yet another unit")
        own = self._section.source.measures
        return tuple(_own(reading) if reading.name in own else _attached(reading) for reading in readings)


class ReportScreens:
    """The screens of the pipelines that share a worker, by name."""

    def __init__(self, screens: Mapping[str, ReportScreen]) -> None:
        self._screens = screens

    def check(self, report: Report, *, behind: bool) -> Report | None:
        """Screen a report of one of them; see :meth:`ReportScreen.check`."""
        return self._screens[report.pipeline].check(report, behind=behind)

    def refill(self) -> None:
        """Let pass what piled up; see :meth:`ReportScreen.refill`."""
        for screen in self._screens.values():
            screen.refill()


def _rounded_time(at: float, earliest: float, latest: float) -> float:
    """Return a wall time within these, to a tenth of a millisecond."""
    return min(max(round(at, 4), earliest), latest)


def _rounded_finding(finding: Finding) -> Finding:
    score = round(finding.score, SCORE_DIGITS)
    if isinstance(finding, Detection):
        return replace(finding, score=score, box=_rounded_box(finding.box))
    return replace(finding, score=score)


def _rounded_box(box: Box) -> Box:
    x0, y0, x1, y1 = (round(edge, BOX_DIGITS) for edge in box)
    return x0, y0, x1, y1


def _rounded(value: float, digits: int) -> float:
    """Return a number with this many significant digits."""
    return float(f"{value:.{digits}g}")


def _attached(reading: Attached) -> Attached:
    """Return a sensor's reading, rounded."""
    return replace(reading, value=_measured(reading.value), age_s=round(min(reading.age_s, MAX_AGE_S), 1))


def _own(reading: Attached) -> Attached:
    """Return a reading of the source itself, such as the level of sound: a small number, to a tenth."""
    value = min(max(float(reading.value or 0), -MAX_OWN), MAX_OWN)
    return replace(reading, value=round(value, 1), quality="good", age_s=0.0)


def _measured(value: float | bool | None) -> float | bool | None:
    """Return what a sensor measured, rounded; a state or nothing as it is."""
    return _rounded(value, VALUE_DIGITS) if isinstance(value, float) else value


def _shown(labels: list[str]) -> str:
    """Return what tells one list of labels from another, for the log."""
    digest = hashlib.sha256("\n".join(labels).encode()).hexdigest()
    return f"{len(labels)}, from {labels[0]!r} to {labels[-1]!r}, sha256 {digest[:16]}"
