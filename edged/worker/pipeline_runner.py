"""One pipeline inside a worker: its model, its task, its decision."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from edged import sources
from edged.config.pipeline import PipelineSection
from edged.events import UNKNOWN, Finding
from edged.inference.preprocess import Preparer
from edged.ipc import worker_messages
from edged.ipc.heartbeat import Stage
from edged.ipc.pace import pace
from edged.models import labels as label_files
from edged.models import normalization
from edged.models.spec import PictureInput, WindowInput
from edged.pipeline import presence
from edged.pipeline.decision import Change, Decision
from edged.pipeline.presence import Presence
from edged.sources import SourceConfig
from edged.sources.decoding import Decoding
from edged.sources.progress import Progress
from edged.system import clock
from edged.system.token_bucket import TokenBucket
from edged.worker import masking, preparation
from edged.worker.capture import Capture, Item
from edged.worker.closer_look import CloserLook
from edged.worker.engines import Engine, Files, open_engine
from edged.worker.gating import Pause, PipelineGate
from edged.worker.motion import MotionGate, Rules
from edged.worker.shared_camera import Share
from edged.worker.throughput import Throughput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.config.motion import MotionSection
    from edged.inference.preprocess import Placement
    from edged.ipc.heartbeat import Beat
    from edged.ipc.readings_page import Reader
    from edged.ipc.worker_order import PipelineOrder
    from edged.sources import FeedSource, Frame, Hint, InputConfig, Source
    from edged.sources.progress import Place
    from edged.worker.picture_streams import PictureStreams
    from edged.worker.report_pipe import Reporter
    from edged.worker.shared_camera import SharedCamera

    Placing = Callable[[NDArray[np.generic]], Placement]

log = logging.getLogger(__name__)

_NAP_S = 0.5  # a thread that waits stamps its beat this often


class PipelineRunner:
    """Judges what one pipeline's source gives.

    Args:
        order: the pipeline's part of the worker's order.
        reports: takes what main is to know.
        beat: of the thread that runs the models.
        now: returns monotonic time in s, for decisions; a recording has a time of its own.
        sleep: waits for a number of seconds in that time.

    Attributes:
        name: the pipeline's name.
        accelerator: cpu | edgetpu | external.
        has_cpu_twin: it was to run on an accelerator, and may run on the CPU instead.
        capture: its capture thread.
        create_source: builds the source, which is not open yet.
        watch: decides when it may classify; None: always.
        motion: chooses the pictures that it classifies; None: all.
        ended: its source gave everything.
    """

    capture: Capture
    create_source: Callable[[], Any]

    def __init__(
        self,
        order: PipelineOrder,
        reports: Reporter,
        beat: Beat,
        *,
        now: Callable[[], float] = clock.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = order.name
        self.accelerator = order.accelerator
        self.ended = False
        self._on = True
        self._order = order
        self._section = PipelineSection.model_validate(order.section)
        self.has_cpu_twin = order.accelerator != "cpu" and self._section.accelerator.policy == "prefer"
        self._reports = reports
        self._beat = beat
        self._now, self._sleep = now, sleep
        self._throughput = Throughput()
        self._decision = _decision(self._section, order)
        self.watch: PipelineGate | None = None
        self.motion: MotionGate | None = None
        bound = pace(self._section.source.every_s, by_label=self._section.task.by_label)
        self._news = TokenBucket(bound.per_second, bound.workers_burst, now)
        # Somebody who asked for every inference of a pipeline that does not publish them reads them here.
        published = self._section.publish.result
        self._results = TokenBucket(bound.per_second, bound.workers_burst) if published else None
        self._told: str | None = "start"  # what main was told: None is running, else a reason why not
        self._progress = Progress(
            ((int(mark), float(changed_s)) for mark, changed_s in order.marks), order.floor_s, order.number
        )
        self._unsent: worker_messages.Done | None = None
        self._places = TokenBucket(bound.per_second, bound.workers_burst)
        self._engine: Engine
        self._closer: CloserLook | None = None

    def load(
        self,
        capture_beat: Beat,
        deliver: Callable[[Item | Pause | None], object],
        files: Files,
        readings_page: Reader | None = None,
        create: Callable[[InputConfig, Hint], Any] = masking.create,
        *,
        streams: PictureStreams | None = None,
        camera: SharedCamera | None = None,
    ) -> Engine:
        """Open the model and build the rest; nothing of the source is touched.

        Args:
            capture_beat: for the capture thread.
            deliver: what that thread calls with each item.
            files: what came with the order.
            readings_page: where the readings are that its source, its gate or its trigger needs.
            create: builds the source, with its mask.
            streams: show a person its pictures; None: nobody looks.
            camera: the camera that it shares; None: it has its source for itself.

        Raises:
            ModelError: the model cannot be used.
            DriverError: the runtime is missing.
            Unavailable: the accelerator is away.
        """
        self._beat.enter(Stage.LOAD)
        section, source = self._section, self._section.source
        patience_s = section.deadlines.capture_s
        self._engine = open_engine(section, self._order, self._beat, files)
        if section.then is not None:
            self._closer = CloserLook(section, self._order, self._beat, files)
        picture = self._engine.spec.input
        width, height = 0, 0
        whole = streams is not None or self._closer is not None  # a person or another model looks at parts
        if isinstance(picture, PictureInput) and not whole:
            width, height = picture.width, picture.height
        steps = picture.steps if isinstance(picture, WindowInput) else 0
        decoding = Decoding(capture_beat.note, self._order.fatal, self._left_out)
        hint = sources.Hint(
            width, height, patience_s, readings_page, self._order.secrets, decoding, self._progress, steps
        )
        self.create_source = _creation(source, hint, camera, create)
        self.watch = self._watch(readings_page)
        self._looked_at = streams is not None
        preparer = preparation.preparer(section, self._engine)
        if section.motion is not None and isinstance(preparer, Preparer):
            look = preparer.part if streams is None else _shown(streams, preparer.part, section)
            self.motion = MotionGate(_rules(section, section.motion), look)
        prepare: Callable[[Any], NDArray[np.generic]] = preparer.prepare
        if streams is not None and self.motion is None and isinstance(preparer, Preparer):
            prepare = _shown(streams, prepare, section)
        if self._closer is not None:
            prepare = self._closer.keeping(prepare)
        self._placement = _placing(section, preparer)
        self.capture = Capture(
            self.name,
            self.create_source,
            prepare,
            feed=source.gives != "picture",
            interval_s=source.interval_s if isinstance(source, SourceConfig) else 0.0,
            aligned=camera is not None,
            patience_s=patience_s,
            numbered=source.numbered,
            beat=capture_beat,
            deliver=deliver,
            report=self._faulted,
            throughput=self._throughput,
            watch=self.watch,
            motion=self.motion,
            now=self._now,
            held=self._is_held,
        )
        self._beat.enter(Stage.IDLE)
        return self._engine

    def _watch(self, readings_page: Reader | None) -> PipelineGate | None:
        section = self._section
        if not (section.gate or section.trigger or section.attach):
            return None
        gate, trigger = section.gate, section.trigger
        return PipelineGate(gate, trigger, readings_page, attach=section.attach, armed=self._order.armed)

    def obey(self, verb: str) -> None:
        """Carry out a command of main; called by the thread that hears main."""
        if verb == "features":
            self._reports.offer(worker_messages.Features(self.name, self._engine.features()))
        elif self.watch is not None:
            self.watch.obey(verb)

    @property
    def labels(self) -> Sequence[str]:
        """Return the labels that it may decide, with those of a closer look."""
        return self._engine.labels if self._closer is None else (*self._engine.labels, *self._closer.labels)

    def report_notes(self) -> None:
        """Report what a person should know about the model."""
        for reason, sentence in _notes(self._section, self._engine):
            shown = sentence[: worker_messages.LONGEST_SENTENCE]
            self._reports.send(worker_messages.Note(self.name, reason, shown))

    def rehearse(self) -> None:
        """Run the model once, on whatever its input holds.

        Raises:
            ModelError: the runtime failed.
        """
        self._beat.enter(Stage.INVOKE)
        self._engine.rehearse()
        if self._closer is not None:
            self._closer.rehearse()
        self._beat.enter(Stage.IDLE)

    def close(self) -> None:
        """Free the model, and the accelerator that it ran on."""
        self._engine.close()

    def switch(self, on: bool) -> None:
        """Let the source be read, or close it and judge nothing until then; from any thread.

        Switched on again, it starts undecided.
        """
        self._told = "start"
        if on:
            self._decision = _decision(self._section, replace(self._order, resume=UNKNOWN, present=()))
        self._on = on
        self.capture.switch(on)

    def take(self, item: Item | Pause | None) -> None:
        """Judge an item and report news; None: the source gave everything."""
        if isinstance(item, Pause):
            self._pause()
            return
        if item is not None and not self._on:
            self.capture.taken()
            return
        if item is None:
            self.ended = True
            self.beat(clock.monotonic())
            self._reports.send(worker_messages.Ended(self.name))
            return
        self._judge(item)
        if item.place is not None:
            self._remember(item.place, (item.number or 0) + 1)

    def _judge(self, item: Item) -> None:
        """Run the model on an item, decide, and report news."""
        perf = time.perf_counter
        self.capture.taken()
        self._beat.enter(Stage.INVOKE)
        began = perf()
        output = self._engine.run(item)
        invoke_ms = (perf() - began) * 1000
        self._beat.enter(Stage.IDLE)
        findings = self._engine.decode(item, output)
        now = self._now()
        if findings is None:
            self._throughput.add(now, item.capture_ms, invoke_ms)
            return
        if not findings:
            self._faulted(
                worker_messages.Fault(self.name, "model", "invalid", "the model's scores are not numbers")
            )
            self._throughput.dropped["invalid"] += 1
            return
        findings = self._placed(item, findings)
        self._throughput.add(now, item.capture_ms, invoke_ms)
        if self._told is not None and not self.capture.blind:
            self._told = None
            self._reports.send(worker_messages.Running(self.name, self.capture.view))
        for change in self._decision.update(findings, now):
            self._send_news(self._outcome(item, findings, invoke_ms, change))
        if self._order.results and (self._results is None or self._results.take()):
            change = self._decision.result(findings)
            outcome = self._outcome(item, findings, invoke_ms, change)
            if self._looked_at and self._section.task.by_label:
                outcome = replace(outcome, top=(), found=worker_messages.that_fit(findings))
            self._reports.offer(outcome)

    def _placed(self, item: Item, findings: Sequence[Finding]) -> Sequence[Finding]:
        """Return the findings, those with a box in the whole picture."""
        if self._placement is None:
            return findings
        placement = self._placement(item.tensor)
        return [presence.placed(finding, placement) for finding in findings]

    def _remember(self, place: Place, number: int) -> None:
        """Let main remember that a sample was judged: each one at once, or the last one every second."""
        self._progress.done(place, number)
        done = worker_messages.Done(self.name, place.mark, place.changed_s, place.each, number)
        if not place.each:
            self._unsent = done
            return
        while not self._places.take():
            self._beat.enter(Stage.IDLE)
            time.sleep(min(_NAP_S, self._places.wait_s()))
        self._reports.send(done)

    def _pause(self) -> None:
        """End the decision, because the gate closed and its label is no longer seen."""
        self._send_without_frame(self._decision.close(self._now()))

    def _send_without_frame(self, changes: Sequence[Change]) -> None:
        wall = clock.wall()
        for change in changes:
            self._send_news(
                worker_messages.Outcome(
                    self.name,
                    change.type,
                    change.label,
                    change.score,
                    change.previous,
                    (),
                    wall,
                    wall,
                    count=change.count,
                    zone=change.zone,
                )
            )

    def _send_news(self, outcome: worker_messages.Outcome) -> None:
        """Send news as soon as the pace allows it: main replaces a worker that sends more."""
        while not self._news.take():
            self._beat.enter(Stage.IDLE)
            self._sleep(min(_NAP_S, self._news.wait_s()))
        self._reports.send(outcome)

    def _outcome(
        self, item: Item, findings: Sequence[Finding], invoke_ms: float, change: Change
    ) -> worker_messages.Outcome:
        return worker_messages.Outcome(
            pipeline=self.name,
            type=change.type,
            label=change.label,
            score=change.score,
            previous=change.previous,
            top=tuple(Finding(best.label, best.score) for best in findings[: self._section.task.top_k]),
            captured_at=item.captured_at,
            decided_at=clock.wall(),
            capture_ms=item.capture_ms,
            invoke_ms=invoke_ms,
            frame=item.number,
            readings=item.readings,
            count=change.count,
            zone=change.zone,
            boxes=change.boxes if self._section.publish.boxes and change.count is not None else None,
            then=self._look(item, change),
        )

    def _look(self, item: Item, change: Change) -> tuple[Finding, ...]:
        """Look closer at the objects of news."""
        if self._closer is None:
            return ()
        self._beat.enter(Stage.INVOKE)
        found = self._closer.look(item.tensor, change)
        self._beat.enter(Stage.IDLE)
        return found

    def _is_held(self, by: str) -> None:
        """Report that the source works and no sample may pass, with what closes the gate."""
        if self._told is not None:
            self._told = None
            self._reports.send(worker_messages.Running(self.name, self.capture.view))
        self._reports.send(worker_messages.Held(self.name, by))

    def _left_out(self, said: str) -> None:
        """Report files that are left out because decoding them ended an earlier worker."""
        self._faulted(worker_messages.Fault(self.name, "picture", "fatal", said))

    def _faulted(self, report: worker_messages.Report) -> None:
        """Report a fault, but not the same one twice in a row."""
        reason = getattr(report, "message", "")
        if self._told != reason:
            self._told = reason
            self._reports.send(report)

    def beat(self, now: float) -> None:
        """Report the throughput to main, and how far the source has come; go on while nothing moves."""
        still = self.motion is not None and not self.motion.moves
        if still and self._on and not self.capture.blind and not self.ended:
            self._send_without_frame(self._decision.wait(self._now()))
        if self._unsent is not None:
            self._reports.offer(self._unsent)
            self._unsent = None
        rates = self._throughput.rates(now)
        self._reports.offer(
            worker_messages.Beat(
                self.name,
                round(rates.fps, 3),
                round(rates.capture_ms, 3),
                round(rates.invoke_p50_ms, 3),
                round(rates.invoke_p95_ms, 3),
                self._throughput.frames,
                dict(self._throughput.dropped),
                self.motion.moves if self.motion is not None else None,
            )
        )


def _notes(section: PipelineSection, engine: Engine) -> Iterator[tuple[str, str]]:
    """Yield what a person should know about the model: a word for programs, and a sentence."""
    picture, model = engine.spec.input, section.model
    if isinstance(picture, PictureInput) and (model.normalization is not None or not section.bundled):
        values = normalization.of_input(picture, model.normalization, model.order)
        if sentence := normalization.remark(engine.tag.name, values, model.normalization):
            yield "no-effect" if values.plain else "input-values", sentence
    if not section.bundled and (odd := label_files.warnings(engine.labels)):
        yield "labels", f"{engine.tag.name}: {'; '.join(odd)}"


def _creation(
    source: InputConfig,
    hint: Hint,
    camera: SharedCamera | None,
    create: Callable[[InputConfig, Hint], Any],
) -> Callable[[], Source | FeedSource]:
    """Return what makes a pipeline's source, or its share of a camera."""
    if camera is not None and isinstance(source, SourceConfig):
        return camera.join(Share(source, hint))
    return lambda: cast("Source | FeedSource", create(source, hint))


def _decision(section: PipelineSection, order: PipelineOrder) -> Decision | Presence:
    """Return the pipeline's decision: about one label at a time, or by label."""
    if section.task.by_label:
        return Presence(section.rules(), section.task.scope, order.present)
    return Decision(section.rules(), resume=order.resume)


def _rules(section: PipelineSection, motion: MotionSection) -> Rules:
    hold_s = max(motion.hold_s, section.decision.min_dwell_s)
    return Rules(motion.area, hold_s, section.decision.window)


def _shown(
    streams: PictureStreams, look: Callable[[Frame], NDArray[Any]], section: PipelineSection
) -> Callable[[Frame], NDArray[Any]]:
    """Show each frame to a person who looks, before it is looked at."""
    source = section.source
    return streams.shown_before(look, int(source.rotate) if isinstance(source, SourceConfig) else 0)


def _placing(section: PipelineSection, preparer: object) -> Placing | None:
    """Return what tells where a prepared picture lies in the whole one; None: nobody asks."""
    return preparer.placement if section.task.by_label and isinstance(preparer, Preparer) else None
