"""One pipeline inside a worker: its model, its task, its decision."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from edged import bundled, clock, sources, wire
from edged.config.pipeline import PipelineSection
from edged.decision import Change, Decision, Rules
from edged.errors import ModelError, Reason, Unavailable
from edged.inference import classifier, edgetpu
from edged.inference import model as models
from edged.inference.preprocess import Preparer
from edged.pulse import Stage
from edged.tasks import classify
from edged.worker._figures import Figures
from edged.worker.capture import Capture, Item
from edged.worker.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.events import Finding
    from edged.inference.model import Model
    from edged.pulse import Lane
    from edged.slate import Reader
    from edged.worker._reports import Reports
    from edged.worker.order import SeatOrder

log = logging.getLogger(__name__)


def rules(section: PipelineSection) -> Rules:
    """Return a pipeline's decision as the state machine takes it."""
    decision = section.decision
    threshold, exit_threshold = section.thresholds()
    return Rules(
        threshold=threshold,
        exit_threshold=exit_threshold,
        votes=decision.votes,
        window=decision.window,
        min_dwell_s=decision.min_dwell_s,
        cooldown_s=decision.cooldown_s,
        labels={label: section.thresholds(label) for label in decision.labels},
        ignore=frozenset(decision.ignore),
        heartbeat_s=section.publish.heartbeat_s,
    )


class Seat:
    """Classifies one pipeline's frames.

    Attributes:
        name: of the pipeline.
        accelerator: cpu | edgetpu.
        has_cpu_twin: it was to run on an Edge TPU, and may run on the CPU instead.
        capture: its thread.
        watch: says when it may classify; None: always.
        ended: whether its source gave everything.
    """

    capture: Capture

    def __init__(self, order: SeatOrder, reports: Reports, lane: Lane) -> None:
        self.name = order.name
        self.accelerator = order.accelerator
        self.ended = False
        self._order = order
        self._section = PipelineSection.model_validate(order.section)
        self.has_cpu_twin = order.accelerator != "cpu" and self._section.accelerator.policy == "prefer"
        self._reports = reports
        self._lane = lane  # of the thread that runs the models
        self._figures = Figures()
        self._decision = Decision(rules(self._section), resume=order.resume)
        self.watch: Watch | None = None
        self._told: str | None = "start"  # what main believes: None is running, else a reason why not
        self._model: Model
        self._task: classify.Classify

    def load(
        self,
        capture_lane: Lane,
        deliver: Callable[[Item | None], object],
        file: int | None,
        slate: Reader | None = None,
    ) -> Model:
        """Open the model and build the rest; nothing of the source is touched.

        Args:
            capture_lane: for the capture thread.
            deliver: what that thread calls with each item.
            file: a descriptor of the model's bytes; None: open its file.
            slate: where the readings are that the gate and the trigger ask for.

        Raises:
            ModelError: the model cannot be used.
            DriverError: the runtime is missing.
            Unavailable: the accelerator is away.
        """
        section = self._section
        self._lane.enter(Stage.LOAD)
        self._model = self._open(file)
        self._task = classify.create(
            classify.Config(top_k=section.task.top_k), self._model.spec, self._model.labels
        )
        spec = self._model.spec
        normalize = section.model.normalize
        preparer = Preparer(
            spec,
            section.model.fit,
            int(section.source.rotate),
            section.source.crop,
            (normalize.mean, normalize.std) if normalize is not None else None,
        )
        self.watch = self._watch(slate)
        driver = sources.load(section.source.kind)
        hint = sources.Hint(spec.width, spec.height)
        self.capture = Capture(
            self.name,
            lambda: driver.create(section.source, hint),
            preparer,
            interval_s=section.source.interval_s,
            patience_s=section.deadlines.capture_s,
            numbered=section.source.kind in {"folder", "video"},
            lane=capture_lane,
            deliver=deliver,
            report=self._faulted,
            figures=self._figures,
            watch=self.watch,
            held=self._is_held,
        )
        self._lane.enter(Stage.IDLE)
        return self._model

    def _watch(self, slate: Reader | None) -> Watch | None:
        section = self._section
        if not (section.gate or section.trigger or section.attach):
            return None
        gate, trigger = section.gate, section.trigger
        return Watch(gate, trigger, slate, attach=section.attach, armed=self._order.armed)

    def _open(self, content: int | None) -> Model:
        section, order = self._section.model, self._order
        threads = section.threads or order.threads
        if order.accelerator == "edgetpu":
            return self._open_on_tpu(threads, content)
        file, labels, sha256 = section.file, section.labels, section.sha256
        if file is None:
            file, labels, sha256 = bundled.MODEL, bundled.LABELS, bundled.MODEL_SHA256
        return models.open_model(
            file,
            labels,
            sha256,
            runtime=section.runtime,
            threads=threads,
            content=content,
        )

    def _open_on_tpu(self, threads: int, content: int | None) -> Model:
        section, accelerator = self._section.model, self._section.accelerator
        self._lane.enter(Stage.DELEGATE)
        delegate = edgetpu.open_delegate(section.runtime, accelerator.library, accelerator.device)
        self._lane.enter(Stage.LOAD)
        file = section.edgetpu_file or bundled.MODEL
        try:
            return models.open_model(
                file,
                section.labels,
                section.edgetpu_sha256,
                runtime=section.runtime,
                threads=threads,
                delegate=delegate,
                content=content,
            )
        except ModelError as error:
            if not file.exists():
                raise ModelError(f"{error}; {edgetpu.compile_hint(section.file)}") from None
            # Where nothing is wrong with the file it is the accelerator that refuses it.
            classifier.load(file, section.labels, section.edgetpu_sha256, edgetpu=True)
            raise Unavailable(Reason.LOST, f"the Edge TPU refuses a model: {error}") from error

    def rehearse(self) -> None:
        """Run the model once, on nothing.

        Raises:
            ModelError: the runtime failed.
        """
        self._lane.enter(Stage.INVOKE)
        self._model.rehearse()
        self._lane.enter(Stage.IDLE)

    def take(self, item: Item | None) -> None:
        """Classify a frame and report what is new; None: the source gave everything."""
        if item is None:
            self.ended = True
            self.beat(clock.monotonic())
            self._reports.send(wire.Ended(self.name))
            return
        perf = time.perf_counter
        self.capture.taken()
        self._lane.enter(Stage.INVOKE)
        began = perf()
        output = self._model.invoke(item.tensor)
        invoke_ms = (perf() - began) * 1000
        self._lane.enter(Stage.IDLE)
        findings = self._task.decode(output)
        now = clock.monotonic()
        if not findings:
            self._faulted(wire.Fault(self.name, "model", "invalid", "the model's scores are no numbers"))
            self._figures.dropped["invalid"] += 1
            return
        self._figures.add(now, item.capture_ms, invoke_ms)
        if self._told is not None and not self.capture.blind:
            self._told = None
            self._reports.send(wire.Running(self.name))
        for change in self._decision.update(findings, now):
            self._reports.send(self._outcome(item, findings, invoke_ms, change))
        if self._order.results:
            best = findings[0]
            change = Change("result", best.label, best.score, self._decision.label)
            self._reports.offer(self._outcome(item, findings, invoke_ms, change))

    def _outcome(
        self, item: Item, findings: Sequence[Finding], invoke_ms: float, change: Change
    ) -> wire.Outcome:
        return wire.Outcome(
            pipeline=self.name,
            type=change.type,
            label=change.label,
            score=change.score,
            previous=change.previous,
            top=tuple(findings),
            captured_at=item.captured_at,
            decided_at=clock.wall(),
            capture_ms=item.capture_ms,
            invoke_ms=invoke_ms,
            frame=item.number,
            readings=item.readings,
        )

    def _is_held(self, by: str) -> None:
        """The source is open and no frame is wanted: that is in order."""
        if self._told is not None:
            self._told = None
            self._reports.send(wire.Running(self.name))
        self._reports.send(wire.Held(self.name, by))

    def _faulted(self, report: wire.Report) -> None:
        """Report a fault, but not the same one again and again."""
        reason = getattr(report, "message", "")
        if self._told != reason:
            self._told = reason
            self._reports.send(report)

    def beat(self, now: float) -> None:
        """Tell main the figures."""
        rates = self._figures.rates(now)
        self._reports.offer(
            wire.Beat(
                self.name,
                round(rates.fps, 3),
                round(rates.capture_ms, 3),
                round(rates.invoke_p50_ms, 3),
                round(rates.invoke_p95_ms, 3),
                self._figures.frames,
                dict(self._figures.dropped),
            )
        )
