"""The capture thread: opens the source, reads samples, judges pictures, prepares tensors for the model.

::

    source.read ─▶ [a picture: its quality, its motion] ─▶ prepare ─▶ deliver, one at a time
       while: the last item was taken · the interval is over · the gate and the trigger let it

It begins a sample when the one before was taken and its time has come, so that the next tensor is ready when
the model is. A picture is read when it is wanted. Windows and text come at times of their own, so the source
is looked at every 20 ms all the while, also where none is wanted. What goes wrong with the source is reported
once, then the source is closed and opened again with a growing pause, for as long as it takes.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from edged.errors import DriverError, ModelError, Reason, Unavailable
from edged.events import Attached
from edged.ipc import worker_messages
from edged.ipc.fault_sentences import PICTURE
from edged.ipc.heartbeat import Stage
from edged.pipeline.gating import QUIET
from edged.sources import Frame, Window
from edged.sources.sound_config import LEVEL, LEVEL_UNIT
from edged.system import clock
from edged.system.backoff import Backoff
from edged.worker.gating import POLL_S, GateNews, Pause
from edged.worker.picture_quality import Quality
from edged.worker.shared_camera import Tap

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from edged.ipc.heartbeat import Beat
    from edged.sources import FeedSource, Source, Text
    from edged.sources.progress import Place
    from edged.worker.gating import PipelineGate
    from edged.worker.motion import MotionGate
    from edged.worker.throughput import Throughput

    Sample = Frame | Window | Text

T = TypeVar("T")

log = logging.getLogger(__name__)

SHORTEST_S, LONGEST_S = 0.5, 6.0  # between two attempts to open a source
STABLE_S = 20.0  # a source that worked for this long starts with the shortest pause again
BLIND_S = 10.0  # of frozen or shapeless pictures, after which the source is opened again
FROZEN_AFTER = 5  # equal pictures in a row
BAD_S = 2.0  # without a good picture, after which bad ones are more than a hiccup
_OFF_S = 0.2  # between two looks whether the pipeline is switched on again
_EARLY = 0.25  # of an interval: samples at multiples of it are no closer
_TURN_S = 1.0  # this thread stamps its beat at least this often
_PATIENCE = 0.6  # of the capture deadline, for the driver to give up by itself


class Item(NamedTuple):
    """A sample that is ready for the model.

    Attributes:
        tensor: the model's input; the sample's values where there is no model.
        captured_at: wall time of the sample, seconds since 1970.
        number: which sample of the source it is; None where that means nothing.
        capture_ms: what it took to get and prepare it.
        readings: readings of the sensors that the pipeline attaches.
        begins: it does not go on where the one before ended.
        place: where it is, for main to remember.
    """

    tensor: NDArray[np.generic]
    captured_at: float
    number: int | None
    capture_ms: float
    readings: tuple[Attached, ...] = ()
    begins: bool = False
    place: Place | None = None


class Ended(Exception):  # noqa: N818 - it is not an error
    """The source gave everything."""


class Capture:
    """One pipeline's capture thread.

    Args:
        name: the pipeline's name.
        create: builds the source: of pictures, or a feed of windows or text.
        prepare: makes the model's input of a sample.
        feed: the source is a feed.
        interval_s: time between two samples; 0: as fast as they are taken.
        aligned: take them at multiples of the interval, as the other pipelines do that share the source.
        patience_s: the deadline that main keeps for one capture.
        numbered: events carry the sample's number.
        beat: this thread's line of the heartbeat.
        deliver: takes an item, a pause when the gate closes, or None after the last item of a finite source.
        report: takes faults.
        throughput: counts what is dropped.
        watch: decides when a sample may be classified; None: always.
        motion: chooses the pictures that are classified; None: all.
        now: returns the time at which a picture was read, in s, for the motion gate.
        held: is told that the source works and no sample is judged yet, with what closes the gate, if it is
            that.

    Attributes:
        view: the open source's :attr:`edged.sources.Source.view`.
    """

    def __init__(
        self,
        name: str,
        create: Callable[[], Source | FeedSource],
        prepare: Callable[[Any], NDArray[np.generic]],
        *,
        feed: bool = False,
        interval_s: float = 0.0,
        aligned: bool = False,
        patience_s: float,
        numbered: bool = False,
        beat: Beat,
        deliver: Callable[[Item | Pause | None], object],
        report: Callable[[worker_messages.Report], object],
        throughput: Throughput,
        watch: PipelineGate | None = None,
        motion: MotionGate | None = None,
        now: Callable[[], float] = clock.monotonic,
        held: Callable[[str], object] = lambda _by: None,
    ) -> None:
        self._name = name
        self._create = create
        self._prepare = prepare
        self._feed = feed
        self._interval_s = interval_s
        self._aligned = aligned
        self._timeout_s = patience_s * _PATIENCE
        self._numbered = numbered
        self._beat = beat
        self._deliver = deliver
        self._report = report
        self._throughput = throughput
        self._watch = watch
        self._motion = motion
        self._now = now
        self._chosen: deque[Sample] = deque()  # by the motion gate, and not handed on yet
        self._gate_news = GateNews(held, deliver)
        self._stopping = threading.Event()
        self._off = threading.Event()  # the pipeline is switched off
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._free.put(None)
        self._my_turn = False  # the last item was taken, and no other one was delivered since
        self._granted = 0  # samples that the gate and the trigger let pass
        self._quiet = False  # the newest window of sound was not loud enough
        self._due = 0.0
        self._backoff = Backoff(SHORTEST_S, LONGEST_S, reset_after_s=STABLE_S)
        self._quality: Quality | None = None
        self.view: tuple[float, ...] = ()
        self._blind: str | None = None
        self._blind_since = 0.0
        self._good_at = 0.0  # the latest good picture, or the opening
        self._away = False
        self._thread = threading.Thread(target=self._run, name=f"capture:{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def taken(self) -> None:
        """Note that the last item was taken; the next one may be prepared."""
        self._free.put(None)

    def stop(self) -> None:
        """Ask the thread to close its source and end."""
        self._stopping.set()
        self._free.put(None)

    def switch(self, on: bool) -> None:
        """Open the source again, or close it until then; from any thread."""
        (self._off.clear if on else self._off.set)()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread; one that hangs in a driver is left to its fate."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def blind(self) -> bool:
        """Return whether the source is away, or gives pictures that cannot be classified."""
        return self._away or self._blind is not None

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._off.is_set():
                    self._beat.enter(Stage.IDLE)
                    self._stopping.wait(_OFF_S)
                else:
                    self._session()
        except Ended:
            self._beat.enter(Stage.GONE)
            self._deliver(None)
        except Exception as error:
            # A defect of a driver, or of ours: a new process is the one cure that works for all of them.
            log.exception("%s: a defect in the capture", self._name)
            self._report(
                worker_messages.Fault(self._name, "defect", "capture", f"{type(error).__name__}: {error}")
            )
            os._exit(os.EX_SOFTWARE)

    @property
    def _goes_on(self) -> bool:
        return not (self._stopping.is_set() or self._off.is_set())

    def _session(self) -> None:
        """Open the source and read it until it fails."""
        source: Source | FeedSource | None = None
        try:
            self._beat.enter(Stage.OPEN)
            source = self._create()
            source.open()
            self.view = tuple(getattr(source, "view", ()))
            self.begin(source)
            while self._goes_on:
                self.step(source)
            self._away = False
            self._gate_news.forget()
        except Unavailable as error:
            if error.reason is Reason.ENDED:
                raise Ended from None
            self._source_fault(error)
        except DriverError as error:
            self._fault("driver", "missing", str(error))
        except ModelError as error:
            self._fault("model", "input", str(error))
        finally:
            if source is not None:
                self._beat.enter(Stage.OPEN)  # closing hangs in the same places as opening
                self._close(source)
        if self._goes_on:
            self._rest(self._backoff.pause_s(clock.monotonic()))

    def _close(self, source: Source | FeedSource) -> None:
        try:
            source.close()
        except Unavailable as error:
            self._source_fault(error)

    def _source_fault(self, error: Unavailable) -> None:
        """Report it; where this process cannot give the device back, end: another one opens it."""
        self._fault("source", error.reason.value, str(error))
        if error.reason is Reason.KEPT:
            os._exit(os.EX_TEMPFAIL)

    def _fault(self, kind: str, reason: str, message: str) -> None:
        self._throughput.dropped[reason] += 1
        self._away = True
        self._gate_news.forget()
        self._report(worker_messages.Fault(self._name, kind, reason, message))

    def begin(self, source: Source | FeedSource) -> None:
        """Prepare to read a source that was just opened."""
        if not self._feed:
            self._quality = Quality(FROZEN_AFTER if cast("Source", source).live else 0)
        self._start_motion()
        self._granted = 0
        self._due = self._good_at = clock.monotonic()

    def step(self, source: Source | FeedSource) -> None:
        """Do what is next: wait for the last item to be taken, for the time or the gate, or read a sample.

        Raises:
            Unavailable: the source failed, or ended.
        """
        if not self._my_turn and not self._was_taken(source):
            return
        self._my_turn = True
        if self._chosen:
            self._hand_on(self._chosen.popleft(), time.perf_counter())
            return
        if self._interval_s > 0:
            now = clock.monotonic()
            if now < self._due:
                self._rest(self._due - now)
        if not self._goes_on or not self._may_pass(source):
            return
        if self._interval_s > 0:
            self._due = self._next_due(clock.monotonic())
        began = time.perf_counter()
        self._beat.enter(Stage.CAPTURE)
        sample = self._fed(source) if self._feed else self._seen(cast("Source", source))
        if sample is not None and self._is_wanted(sample, source):
            self._hand_on(self._chosen.popleft(), time.perf_counter() if self._feed else began)

    def _is_wanted(self, sample: Sample, source: Source | FeedSource) -> bool:
        """Choose what is handed on, the sample or what the motion gate picks; return whether it is any."""
        if self._motion is None or not isinstance(sample, Frame):
            self._chosen.append(sample)
            return True
        self._chosen.extend(self._motion.pick(sample, self._now()))
        if not self._chosen:
            self._throughput.dropped["still"] += 1  # also one that is handed on if the next one moves
            self._beat.enter(Stage.IDLE)
            if self._interval_s == 0 and cast("Source", source).live:
                self._rest(POLL_S)  # a camera that has no rate of its own must not keep a core busy
        return bool(self._chosen)

    def _start_motion(self) -> None:
        """Let the next picture pass the motion gate, as there was none for a while."""
        self._chosen.clear()
        if self._motion is not None:
            self._motion.restart()

    def _next_due(self, now: float) -> float:
        """Return when the next sample is due; what was missed is not made up for."""
        if not self._aligned:
            return max(self._due + self._interval_s, now)
        # Not at once where this one is just before a multiple.
        return (math.floor(now / self._interval_s + _EARLY) + 1) * self._interval_s

    def _was_taken(self, source: Source | FeedSource) -> bool:
        """Wait a little for the last item to be taken, and stamp the beat; take in meanwhile what comes."""
        try:
            self._free.get(block=False)
        except queue.Empty:
            self._beat.enter(Stage.IDLE)
        else:
            return True
        if self._feed:
            self._take_in(source, keep=None)
        try:
            self._free.get(timeout=POLL_S if self._feed else _TURN_S)
        except queue.Empty:
            return False
        return True

    def _may_pass(self, source: Source | FeedSource) -> bool:
        """Return whether the gate and the trigger let a sample pass; wait a little where they do not.

        The source stays open meanwhile. A driver keeps its newest frame, so the one that comes next is of the
        moment before.
        """
        if self._watch is None:
            return True
        verdict = self._watch.look(clock.monotonic())
        if verdict.held_by:
            self._granted = 0
            self._start_motion()
        elif verdict.go:
            if self._watch.frames and not self._granted:
                self._start_motion()  # somebody asks for a picture, so the first one passes
            self._granted = min(self._granted + 1, max(1, self._watch.frames))
        if self._granted:
            if self._gate_news.told and not self._quiet:
                self._gate_news.tell("")
            return True
        if self._feed:
            self._take_in(source, keep=0 if verdict.held_by else 1)
            begun = self._gate_news.told is not None
        else:
            self._away, begun = False, True
        if begun:
            self._gate_news.tell(verdict.held_by)
        self._rest(POLL_S)
        self._due = clock.monotonic()  # the interval counts from the first sample on, not from before
        return False

    def _seen(self, source: Source) -> Frame | None:
        """Read a picture; return it if one is due and worth classifying."""
        frame = source.read(self._timeout_s)
        if frame is None:
            self._away, self._good_at = False, clock.monotonic()
            if self._gate_news.told is None:
                self._gate_news.tell("")  # it works, and its first picture may be long in coming
            self._rest(POLL_S)  # one that answers at once must not keep a core busy
            self._due = clock.monotonic()
            return None
        self._granted -= 1
        if frame.skipped:
            self._throughput.dropped["skipped"] += frame.skipped
        bad = self._quality.check(frame) if self._quality is not None else None
        if bad is not None:
            self._look_away(bad, source)
            return None
        self._blind, self._good_at, self._away = None, clock.monotonic(), False
        return frame

    def _look_away(self, bad: str, source: Source) -> None:
        """Count a bad picture, report it once, and give up on a source that gives no other."""
        self._throughput.dropped[bad] += 1
        now = clock.monotonic()
        if now - self._good_at < BAD_S:
            pass
        elif self._blind != bad:
            self._blind, self._blind_since = bad, now
            self._start_motion()
            self._report(worker_messages.Fault(self._name, "picture", bad, PICTURE[bad]))
        elif bad != "black" and now - self._blind_since > BLIND_S:
            self._blind_since = now
            why = f"{PICTURE[bad]}; opening it again"
            if isinstance(source, Tap):
                source.renew(why)
            raise Unavailable(Reason.LOST, why)
        if self._interval_s == 0:
            self._rest(0.02)  # a source that gives garbage at once must not keep a core busy

    def _fed(self, source: Source | FeedSource) -> Window | Text | None:
        """Take the next sample of a feed, if one is complete within 20 ms."""
        sample = self._listen(source, lambda feed: feed.read(POLL_S))
        if sample is None:
            self._beat.enter(Stage.IDLE)
            return None
        self._granted -= 1
        return sample if self._is_loud(sample) else None

    def _is_loud(self, sample: Window | Text) -> bool:
        """Return whether a window of sound is loud enough for the gate, and report silence once."""
        if self._watch is None or not isinstance(sample, Window):
            return True
        self._quiet = not self._watch.hears(sample.level_dbfs, sample.ends_s)
        if self._quiet:
            self._beat.enter(Stage.IDLE)
            self._gate_news.tell(QUIET)
        elif self._gate_news.told:
            self._gate_news.tell("")
        return not self._quiet

    def _take_in(self, source: Source | FeedSource, keep: int | None) -> None:
        self._listen(source, lambda feed: feed.idle(keep))

    def _listen(self, source: Source | FeedSource, call: Callable[[FeedSource], T]) -> T | None:
        """Call a feed; report that it is silent, once, and that it works (again)."""
        feed = cast("FeedSource", source)
        try:
            heard = call(feed)
        except Unavailable as error:
            if error.reason is not Reason.TIMEOUT:
                raise
            if not self._away:
                self._fault("source", error.reason.value, str(error))
            self._rest(POLL_S)
            return None
        finally:
            if feed.dropped:
                self._throughput.dropped.update(feed.dropped)
                feed.dropped.clear()
        if heard is not None or feed.begun:
            self._away = False
            if self._gate_news.told is None:
                self._gate_news.tell("")  # before the first sample, which may be long in coming
        return heard

    def _hand_on(self, sample: Sample, began: float) -> None:
        tensor = self._prepare(sample)
        self._beat.enter(Stage.IDLE)
        self._my_turn = False
        readings = self._watch.attached(clock.monotonic()) if self._watch is not None else ()
        if isinstance(sample, Window) and sample.level_dbfs is not None:
            readings += (Attached(LEVEL, sample.level_dbfs, LEVEL_UNIT, "good", 0.0),)
        self._deliver(
            Item(
                tensor,
                sample.captured_at,
                sample.number if self._numbered else None,
                (time.perf_counter() - began) * 1000,
                readings,
                begins=isinstance(sample, Window) and sample.begins,
                place=sample.place if isinstance(sample, Frame) else None,
            )
        )

    def _rest(self, seconds: float) -> None:
        """Wait, and stamp the beat meanwhile."""
        end = clock.monotonic() + seconds
        while self._goes_on:
            self._beat.enter(Stage.IDLE)
            left = end - clock.monotonic()
            if left <= 0 or self._stopping.wait(min(left, _TURN_S)):
                return
