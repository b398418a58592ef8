"""The capture thread: opens the source, reads the newest frame, judges it, prepares it for the model.

It begins a frame when the one before was taken and its time has come, so that the next tensor is ready when
the model is. What goes wrong with the source is reported once, then the source is closed and opened again
with a growing pause, for as long as it takes.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from edged.errors import DriverError, ModelError, Reason, Unavailable
from edged.ipc import worker_messages
from edged.ipc.heartbeat import Stage
from edged.system import clock
from edged.worker.gate_news import GateNews, Pause
from edged.worker.gating import POLL_S
from edged.worker.picture_quality import Quality

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from edged.events import Attached
    from edged.inference.preprocess import Preparer
    from edged.ipc.heartbeat import Beat
    from edged.sources import Source
    from edged.worker.gating import PipelineGate
    from edged.worker.throughput import Throughput

log = logging.getLogger(__name__)

SHORTEST_S, LONGEST_S = 0.5, 6.0  # between two attempts to open a source
STABLE_S = 20.0  # a source that worked so long starts the pauses anew
BLIND_S = 10.0  # of frozen or shapeless pictures, after which the source is opened anew
FROZEN_AFTER = 5  # equal pictures in a row
BAD_S = 2.0  # without a good picture, after which bad ones are more than a hiccup
_TURN_S = 1.0  # this thread stamps its beat at least so often
_PATIENCE = 0.6  # of the capture deadline, for the driver to give up by itself

_SENTENCES = {
    "frozen": "the camera gives the same picture again and again",
    "black": "the picture is black: is the lens covered, or the exposure wrong?",
    "shape": "what the camera gives is no picture (wrong shape): another size or pixel format may help",
}


class Item(NamedTuple):
    """A frame, or a window of readings, ready for the model."""

    tensor: NDArray[np.generic]
    captured_at: float
    number: int | None
    capture_ms: float
    readings: tuple[Attached, ...] = ()
    begins: bool = False  # it does not go on where the one before ended


class Ended(Exception):  # noqa: N818 - it is no error
    """The source gave everything."""


class Capture:
    """One pipeline's capture thread.

    Args:
        name: of the pipeline.
        create: builds the source.
        preparer: makes tensors.
        interval_s: between two frames; 0: as fast as they are taken.
        patience_s: the deadline that main keeps for one capture.
        numbered: whether a frame's number is of use to whoever reads the event.
        beat: this thread's line of the heartbeat.
        deliver: takes an item, a pause when the gate closes, or None after the last item of a finite source.
        report: takes faults.
        watch: says when a frame may be classified; None: always.
        held: hears that the source is open and no frame is wanted, with what closes the gate, if it is that.
        throughput: counts what is dropped.
    """

    def __init__(
        self,
        name: str,
        create: Callable[[], Source],
        preparer: Preparer,
        *,
        interval_s: float,
        patience_s: float,
        numbered: bool,
        beat: Beat,
        deliver: Callable[[Item | Pause | None], object],
        report: Callable[[worker_messages.Report], object],
        throughput: Throughput,
        watch: PipelineGate | None = None,
        held: Callable[[str], object] = lambda _by: None,
    ) -> None:
        self._watch = watch
        self._gate_news = GateNews(held, deliver)
        self._name = name
        self._create = create
        self._preparer = preparer
        self._interval_s = interval_s
        self._timeout_s = patience_s * _PATIENCE
        self._numbered = numbered
        self._beat = beat
        self._deliver = deliver
        self._report = report
        self._throughput = throughput
        self._stopping = threading.Event()
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._free.put(None)
        self._my_turn = False  # the last item was taken, and no other one was delivered since
        self._due = 0.0
        self._pause_s = SHORTEST_S
        self._blind: str | None = None
        self._blind_since = 0.0
        self._good_at = 0.0  # the latest good picture, or the opening
        self._away = False
        self._thread = threading.Thread(target=self._run, name=f"capture:{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def taken(self) -> None:
        """The last item was taken; the next one may be prepared."""
        self._free.put(None)

    def stop(self) -> None:
        """Ask the thread to close its source and end."""
        self._stopping.set()
        self._free.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread; one that hangs in a driver is left to its fate."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def blind(self) -> bool:
        """Whether the source is away, or gives pictures that cannot be classified."""
        return self._away or self._blind is not None

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._session()
        except Ended:
            self._beat.enter(Stage.GONE)
            self._deliver(None)
        except Exception as error:
            # A defect of a driver, or of ours: a new process is the one cure that works for all of them.
            log.exception("%s: a defect in the capture of frames", self._name)
            self._report(
                worker_messages.Fault(self._name, "defect", "capture", f"{type(error).__name__}: {error}")
            )
            os._exit(os.EX_SOFTWARE)

    def _session(self) -> None:
        """Open the source and read it until it fails."""
        source: Source | None = None
        began = clock.monotonic()
        try:
            self._beat.enter(Stage.OPEN)
            source = self._create()
            source.open()
            self._read(source)
        except Unavailable as error:
            if error.reason is Reason.ENDED:
                raise Ended from None
            self._fault("source", error.reason.value, str(error))
        except DriverError as error:
            self._fault("driver", "missing", str(error))
        except ModelError as error:
            self._fault("model", "input", str(error))
        finally:
            if source is not None:
                self._beat.enter(Stage.OPEN)  # closing hangs in the same places as opening
                source.close()
        if clock.monotonic() - began > STABLE_S:
            self._pause_s = SHORTEST_S
        self._rest(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_S)

    def _fault(self, kind: str, reason: str, message: str) -> None:
        self._throughput.dropped[reason] += 1
        self._away = True
        self._gate_news.forget()
        self._report(worker_messages.Fault(self._name, kind, reason, message))

    def _read(self, source: Source) -> None:
        quality = Quality(FROZEN_AFTER if source.live else 0)
        beat, timeout_s, perf = self._beat, self._timeout_s, time.perf_counter
        self._due = self._good_at = clock.monotonic()
        while self._turn():
            began = perf()
            beat.enter(Stage.CAPTURE)
            frame = source.read(timeout_s)
            if frame.skipped:
                self._throughput.dropped["skipped"] += frame.skipped
            bad = quality.check(frame)
            if bad is not None:
                self._look_away(bad)
                continue
            self._blind, self._good_at, self._away = None, clock.monotonic(), False
            tensor = self._preparer.prepare(frame)
            beat.enter(Stage.IDLE)
            number = frame.number if self._numbered else None
            self._my_turn = False
            readings = self._watch.attached(clock.monotonic()) if self._watch is not None else ()
            self._deliver(Item(tensor, frame.captured_at, number, (perf() - began) * 1000, readings))

    def _look_away(self, bad: str) -> None:
        """Count a picture that is none, say so once, and give up on a source that gives no other."""
        self._throughput.dropped[bad] += 1
        now = clock.monotonic()
        if now - self._good_at < BAD_S:
            pass
        elif self._blind != bad:
            self._blind, self._blind_since = bad, now
            self._report(worker_messages.Fault(self._name, "picture", bad, _SENTENCES[bad]))
        elif bad != "black" and now - self._blind_since > BLIND_S:
            self._blind_since = now
            raise Unavailable(Reason.LOST, f"{_SENTENCES[bad]}; opening it anew")
        if self._interval_s == 0:
            self._rest(0.02)  # a source that gives garbage at once must not keep a core busy

    def _turn(self) -> bool:
        """Wait until the last item was taken and the next one is due; False when stopping."""
        if not self._my_turn and not self._wait_free():
            return False
        self._my_turn = True
        if self._interval_s > 0:
            now = clock.monotonic()
            if now < self._due:
                self._rest(self._due - now)
            # What was missed is not made up for.
            self._due = max(self._due + self._interval_s, clock.monotonic())
        return self._is_wanted() and not self._stopping.is_set()

    def _is_wanted(self) -> bool:
        """Wait, with the source open, until a frame may be classified; False when stopping.

        The driver keeps its newest frame meanwhile, so the one that comes next is of the moment before.
        """
        if self._watch is None:
            return True
        verdict = self._watch.look(clock.monotonic())
        while not verdict.go and not self._stopping.is_set():
            self._away = False
            self._gate_news.tell(verdict.held_by)
            self._rest(POLL_S)
            verdict = self._watch.look(clock.monotonic())
            self._due = clock.monotonic() + self._interval_s  # from the first frame on, not from before
        if self._gate_news.told:
            self._gate_news.tell("")
        return True

    def _wait_free(self) -> bool:
        wait_s = 0.0
        while not self._stopping.is_set():
            try:
                self._free.get(wait_s > 0, wait_s)
            except queue.Empty:
                self._beat.enter(Stage.IDLE)
                wait_s = _TURN_S
            else:
                return True
        return False

    def _rest(self, seconds: float) -> None:
        """Wait, and stamp the beat meanwhile."""
        end = clock.monotonic() + seconds
        while not self._stopping.is_set():
            self._beat.enter(Stage.IDLE)
            left = end - clock.monotonic()
            if left <= 0 or self._stopping.wait(min(left, _TURN_S)):
                return
