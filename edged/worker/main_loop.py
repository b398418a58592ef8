"""The main thread of a worker: opens the models, then runs them on the frames of the capture threads."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import queue
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from edged.errors import DriverError, ModelError, Unavailable
from edged.ipc import worker_messages
from edged.ipc.heartbeat import Stage
from edged.ipc.readings_page import Reader
from edged.system import clock
from edged.worker.engines import Files
from edged.worker.pipeline_runner import PipelineRunner
from edged.worker.shared_camera import SharedCamera

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.ipc.heartbeat import Heartbeat
    from edged.ipc.worker_order import Order, PipelineOrder
    from edged.system.sandbox import Walls
    from edged.worker.capture import Item
    from edged.worker.gating import Pause
    from edged.worker.picture_streams import PictureStreams
    from edged.worker.report_pipe import Reports

log = logging.getLogger(__name__)

_BEAT_S = 1.0
_SETTLED = 3  # beats after which everything is open
_CLOSE_S = 1.0  # for the sources and the accelerator to close when main closes the pipe


class WorkerMain:
    """One worker's pipelines, which share its accelerator and its main thread."""

    def __init__(
        self,
        order: Order,
        reports: Reports,
        heartbeat: Heartbeat,
        walls: Walls,
        *,
        isolation: tuple[str, ...],
        network: bool,
    ) -> None:
        self._order = order
        self._reports = reports
        self._heartbeat = heartbeat
        self._walls = walls
        self._isolation = isolation
        self._network = network
        self._beat = heartbeat.model()
        self._filled: queue.SimpleQueue[tuple[PipelineRunner, Item | Pause | None] | None]
        self._filled = queue.SimpleQueue()  # None: close the accelerator, and wait for the end
        self._closed = threading.Event()
        self._runners: list[PipelineRunner] = []
        self._readings_page: Reader | None = None
        self._streams: PictureStreams | None = None
        self._cameras = _shared(order)
        self._beat_at = 0.0
        self._beats = 0

    def run(self, models: Sequence[int]) -> int:
        """Work until all pipelines have ended or main is gone; return the exit status.

        Args:
            models: descriptors of the models that came with the order.
        """
        if self._order.pictures >= 0:
            *models, arrivals = models
            self._open_streams(arrivals)
        if self._order.readings_page >= 0:
            *models, page = models  # the last one, which is closed before anything of others runs
            self._readings_page = Reader(page)
            os.close(page)
        try:
            for number, order in enumerate(self._order.pipelines):
                self._load(number, order, _files(order, models))
        except Unavailable as error:  # the accelerator, which all of them share
            self._fault_all("accelerator", error.reason.value, str(error))
            return os.EX_UNAVAILABLE
        for model in models:
            with contextlib.suppress(OSError):  # two pipelines may share one
                os.close(model)
        if not self._runners:
            return os.EX_CONFIG
        try:
            status = self._rehearse() if self._order.probe else self._serve()
            self._close()
        except ModelError as error:
            accelerated = any(runner.accelerator != "cpu" for runner in self._runners)
            self._fault_all("accelerator" if accelerated else "model", "invoke", str(error))
        except Exception as error:
            log.exception("a defect in a worker")
            self._fault_all("defect", "worker", f"{type(error).__name__}: {error}")
        else:
            return status
        return os.EX_SOFTWARE

    def _open_streams(self, arrivals: int) -> None:
        """Show the pictures of the first pipeline to a person."""
        from edged.worker.picture_streams import PictureStreams

        self._streams = PictureStreams(arrivals)
        self._streams.start()

    def _serve(self) -> int:
        self._reports.watch(self._obey, self._stop)
        for runner in self._runners:
            runner.capture.start()
        while not all(runner.ended for runner in self._runners):
            if not self._step():
                self._close()
                time.sleep(_CLOSE_S)  # the thread that heard main ends this process
        self._beat.enter(Stage.GONE)
        return os.EX_OK

    def _rehearse(self) -> int:
        """Run each model once, for a probe of the accelerator."""
        for runner in self._runners:
            runner.rehearse()
        return os.EX_OK

    def _close(self) -> None:
        """Free the models, and then what they ran on: nothing else halts an Edge TPU."""
        for runner in self._runners:
            if runner.accelerator != "cpu":
                runner.close()
        self._closed.set()

    def _fault_all(self, kind: str, reason: str, said: str) -> None:
        for order in self._order.pipelines:
            self._reports.send(worker_messages.Fault(order.name, kind, reason, said))

    def _load(self, number: int, order: PipelineOrder, files: Files) -> None:
        """Open one pipeline's model; where that fails it is reported, and the others go on.

        Raises:
            Unavailable: the accelerator is away.
        """
        runner = PipelineRunner(order, self._reports, self._beat)
        kind, reason = "model", "file"
        try:
            engine = runner.load(
                self._heartbeat.capture(number),
                functools.partial(self._deliver, runner),
                files,
                self._readings_page,
                streams=self._streams,
                camera=self._cameras.get(order.section.get("camera") or ""),
            )
        except DriverError as error:
            kind, reason, said = "driver", "missing", str(error)
        except ModelError as error:
            said = str(error)
        else:
            self._runners.append(runner)
            if order.tell_labels:
                for part in worker_messages.in_parts(order.name, runner.labels):
                    self._reports.send(part)
            self._reports.send(
                worker_messages.Ready(
                    pipeline=order.name,
                    model=engine.tag,
                    runtime=engine.runtime_name,
                    accelerator=order.accelerator,
                    degraded=order.degraded,
                    network=self._network,
                    isolation=self._isolation,
                )
            )
            runner.report_notes()
            return
        self._reports.send(worker_messages.Fault(order.name, kind, reason, said))
        if runner.has_cpu_twin:
            self._load(
                number,
                replace(order, accelerator="cpu", degraded=True),
                files._replace(model=files.twin, twin=None),
            )

    def _deliver(self, runner: PipelineRunner, item: Item | Pause | None) -> None:
        self._filled.put((runner, item))

    def _step(self) -> bool:
        """Judge the next item; return False where main has closed the pipe."""
        try:
            filled = self._filled.get(timeout=_BEAT_S)
        except queue.Empty:
            self._beat.enter(Stage.IDLE)
        else:
            if filled is None:
                return False
            runner, item = filled
            runner.take(item)
        now = clock.monotonic()
        if now - self._beat_at >= _BEAT_S:
            self._beat_at = now
            self._beats += 1
            self._heartbeat.count_files()
            if self._beats == _SETTLED:
                ctypes.CDLL(None).malloc_trim(0)  # memory that only opening needed
            for runner in self._runners:
                runner.beat(now)
            if any(runner.capture.blind for runner in self._runners) and self._walls.outdated():
                log.info("a device was plugged in again: a new worker is needed to open it")
                os._exit(os.EX_TEMPFAIL)
        return True

    def _obey(self, pipeline: str, verb: str) -> None:
        for runner in self._runners:
            if runner.name != pipeline:
                continue
            if verb in ("on", "off"):
                runner.switch(verb == "on")
            else:
                runner.obey(verb)

    def _stop(self) -> None:
        """Close the sources and the accelerator and end, whatever hangs: main has closed the pipe."""
        until = clock.monotonic() + _CLOSE_S
        for runner in self._runners:
            runner.capture.stop()
        accelerated = any(runner.accelerator != "cpu" for runner in self._runners)
        if accelerated:
            self._filled.put(None)
        for runner in self._runners:
            runner.capture.join(_CLOSE_S / len(self._runners))
        if accelerated:
            self._closed.wait(max(0.0, until - clock.monotonic()))
        os._exit(os.EX_OK)


def _shared(order: Order) -> dict[str, SharedCamera]:
    """Return the cameras that several of a worker's pipelines use, by name."""
    used = Counter(pipeline.section.get("camera") for pipeline in order.pipelines)
    return {name: SharedCamera(name) for name, count in used.items() if name and count > 1}


def _files(order: PipelineOrder, descriptors: Sequence[int]) -> Files:
    """Return the descriptors that an order names."""
    indexes = (order.model, order.labels, order.twin, order.then_model, order.then_labels)
    return Files(*(descriptors[i] if i >= 0 else None for i in indexes))
