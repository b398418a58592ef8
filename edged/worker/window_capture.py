"""The thread that cuts readings into windows; it polls the readings page 50 times a second.

::

    page ──RingReader─▶ Windows ─▶ those that wait ─▶ one at a time, while the gate and the trigger let it
            each channel, every reading             the oldest goes where the model does not keep up

The counterpart of ``capture``, for readings. Nothing can hang here, so there is nothing to open anew; what
can be wrong is that a sensor says nothing.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from edged.ipc import worker_messages
from edged.ipc.heartbeat import Stage
from edged.system import clock
from edged.worker.frame_capture import Item
from edged.worker.gate_news import GateNews, Pause
from edged.worker.gating import POLL_S
from edged.worker.windowing import Grid, Windows

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from edged.config.series import Config
    from edged.ipc.heartbeat import Beat
    from edged.ipc.readings_page import Reader
    from edged.worker.gating import PipelineGate
    from edged.worker.throughput import Throughput
    from edged.worker.windowing import Window

log = logging.getLogger(__name__)

_MOST_WAITING = 16  # windows; those behind a model that does not keep up
_OLD_S = 1.0  # a window that ended longer ago than this, or than a hop, is of yesterday
_GAPS = 3  # of the longest that are bridged, and a sensor says nothing


def grid(config: Config) -> Grid:
    """Return the configuration as the windows take it."""
    return Grid(
        channels=config.channels,
        steps=config.steps,
        hop=config.hop_steps,
        step_s=config.step_s,
        max_gap_s=config.gap_s,
        mean=config.mean,
        std=config.std,
    )


class Series:
    """One pipeline's windows.

    Args:
        name: of the pipeline.
        config: of its source.
        reader: of the readings page.
        prepare: makes a model's input of a window, ``[T, C]``.
        patience_s: a sensor that says nothing for so long is reported.
        beat: this thread's line of the heartbeat.
        deliver: takes an item, or a pause when the gate closes.
        report: takes faults.
        watch: says when a window may be judged; None: always.
        held: hears that readings come and no window is judged yet, with what closes the gate, if it is that.
        throughput: counts what is dropped.
    """

    def __init__(
        self,
        name: str,
        config: Config,
        reader: Reader,
        prepare: Callable[[NDArray[np.float32]], NDArray[np.generic]],
        *,
        patience_s: float,
        beat: Beat,
        deliver: Callable[[Item | Pause | None], object],
        report: Callable[[worker_messages.Report], object],
        throughput: Throughput,
        watch: PipelineGate | None = None,
        held: Callable[[str], object] = lambda _by: None,
    ) -> None:
        self._name = name
        self._windows = Windows(grid(config))
        self._length_s = config.steps * config.step_s
        self._old_s = max(_OLD_S, config.hop_steps * config.step_s)
        self._ring_readers = {channel: reader.follow(channel) for channel in config.channels}
        self._prepare = prepare
        self._patience_s = max(patience_s, _GAPS * config.gap_s)
        self._beat = beat
        self._deliver = deliver
        self._report = report
        self._throughput = throughput
        self._watch = watch
        self._gate_news = GateNews(held, deliver)
        self._heard_at: dict[str, float] = {}  # the latest good reading of each channel
        self._silent: str | None = None  # the channel that says nothing
        self._waiting: deque[Window] = deque()
        self._granted = 0  # windows that may be judged
        self._last_ends = 0.0  # of the window before
        self._free = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"series:{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def taken(self) -> None:
        """The last item was taken; another one may come."""
        self._free = True

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopping.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    @property
    def blind(self) -> bool:
        """Whether a sensor says nothing."""
        return self._silent is not None

    def _run(self) -> None:
        try:
            self._heard_at = dict.fromkeys(self._ring_readers, clock.monotonic())
            while not self._stopping.is_set():
                self._beat.enter(Stage.IDLE)
                self.look(clock.monotonic())
                self._stopping.wait(POLL_S)
        except Exception as error:
            log.exception("%s: a defect in the windows", self._name)
            self._report(
                worker_messages.Fault(self._name, "defect", "series", f"{type(error).__name__}: {error}")
            )
            os._exit(os.EX_SOFTWARE)

    def look(self, now: float) -> None:
        """Take what is new, and hand on a window where there is one and it is wanted.

        Args:
            now: monotonic time, in s.
        """
        before = sum(ring_reader.lost for ring_reader in self._ring_readers.values())
        gaps = self._windows.gaps
        heard = self._take(now)
        self._count("gap", self._windows.gaps - gaps)
        self._count("overrun", sum(ring_reader.lost for ring_reader in self._ring_readers.values()) - before)
        self._listen(now, heard)
        self._ask(now)
        while len(self._waiting) > 1 and not self._granted:
            self._waiting.popleft()  # a trigger wants the one of the moment
        while self._waiting and now - self._waiting[0].ends_at > self._old_s:
            self._waiting.popleft()
            self._count("skipped", int(self._granted > 0))
        if self._waiting and self._granted and self._free:
            self._granted -= 1
            self._hand_on(self._waiting.popleft(), now)

    def _take(self, now: float) -> bool:
        """Take the readings; return whether each channel has spoken by now."""
        # In the order of time over all channels, or the windows would think that one of them is silent.
        came = [
            (sample.at, channel, sample.value)
            for channel, ring_reader in self._ring_readers.items()
            for sample in ring_reader.new()
        ]
        for at, channel, value in sorted(came):
            self._waiting.extend(self._windows.add(channel, value, at))
            self._heard_at[channel] = max(self._heard_at.get(channel, 0.0), min(at, now))
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self._count("skipped", 1)
        return self._windows.began

    def _count(self, what: str, number: int) -> None:
        if number > 0:
            self._throughput.dropped[what] += number

    def _listen(self, now: float, heard: bool) -> None:
        """Say that a sensor is silent, and that all of them speak (again)."""
        silent = next((c for c, at in self._heard_at.items() if now - at > self._patience_s), None)
        if silent is not None:
            if silent != self._silent:
                message = f"there is no good reading of {silent}: how is that sensor?"
                self._report(worker_messages.Fault(self._name, "source", "timeout", message))
            self._silent = silent
            self._gate_news.forget()
        elif heard:
            self._silent = None
            if self._gate_news.told is None:
                self._gate_news.tell("")

    def _ask(self, now: float) -> None:
        """Look at the gate and the trigger."""
        if self._watch is None:
            self._granted = 1
            return
        verdict = self._watch.look(now)
        if verdict.held_by:
            self._granted = 0
            self._waiting.clear()  # what is over when the gate opens was not to be seen
        elif verdict.go:
            self._granted = min(self._granted + 1, self._watch.frames or 1)
        if self._gate_news.told is not None:
            self._gate_news.tell(verdict.held_by)

    def _hand_on(self, window: Window, now: float) -> None:
        began = time.perf_counter()
        tensor = self._prepare(window.values)
        # A model's memory of the window before is of use where this one begins behind its end.
        follows = abs(window.ends_at - self._last_ends - self._length_s) < 1e-6 * self._length_s
        self._last_ends = window.ends_at
        captured_at = clock.wall() - (now - window.ends_at)
        readings = self._watch.attached(now) if self._watch is not None else ()
        self._free = False
        took_ms = (time.perf_counter() - began) * 1000
        self._deliver(Item(tensor, captured_at, None, took_ms, readings, begins=not follows))
