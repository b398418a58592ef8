"""The heartbeat: a small page on which a worker notes what it is doing, and which main reads.

```
 worker                                   main
 beat.enter(Stage.INVOKE)  ──▶ [ page ] ◀── overdue? five times a second
```

A worker that hangs in a driver or in C++ cannot send anything, so main has to see for itself how long a stage
lasts. An update is two stores into shared memory, cheap enough for several per frame. The page has room for
times, codes and marks only; main does not trust them: it compares times with bounds, and hands marks back to
the next worker (:mod:`edged.supervisor.fatal_samples`).
"""

from __future__ import annotations

import enum
import math
import mmap
import os
from typing import TYPE_CHECKING, NamedTuple

from edged.system import clock, shared_memory

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PIPELINES = 64  # pipelines in one worker
MAX_FILES = 1 << 16  # what a count beyond reason reads as
MARKS = 1 << 48  # a mark is from 1 to below this, so that a number of the page holds it exactly
_BEAT = 3  # numbers: the stage, since when, and the mark of what is being decoded
_FILES = (1 + MAX_PIPELINES) * _BEAT  # where the number of open files stands
_BYTES = (_FILES + 1) * 8


class Stage(enum.IntEnum):
    """The stage that a thread is in."""

    IDLE = 0  # waits for its turn, and updates its beat at least once a second
    OPEN = 1  # opens the source
    CAPTURE = 2  # reads a frame and prepares it
    LOAD = 3  # opens the model
    DELEGATE = 4  # opens the accelerator
    INVOKE = 5  # runs the model
    GONE = 6  # the thread has not begun, or has ended in order
    STARTUP = 7  # the process was forked and gets ready


class Reading(NamedTuple):
    """A beat as main sees it: the stage, and since when (monotonic, in s)."""

    stage: Stage
    since: float


class Beat:
    """One thread's record on the page."""

    __slots__ = ("_at", "_monotonic", "_page")

    def __init__(
        self, page: memoryview[float], at: int, monotonic: Callable[[], float] = clock.monotonic
    ) -> None:
        self._page = page
        self._at = at
        self._monotonic = monotonic

    def enter(self, stage: Stage) -> None:
        """Note that a stage begins now; a thread that waits enters IDLE again and again."""
        page, at = self._page, self._at
        page[at + 1] = self._monotonic()
        page[at] = stage

    def read(self) -> Reading:
        """Return the stage; nonsense reads as IDLE since time 0, which is overdue."""
        code, since = self._page[self._at], self._page[self._at + 1]
        if not (math.isfinite(code) and math.isfinite(since) and code in _CODES):
            return Reading(Stage.IDLE, 0.0)
        return Reading(Stage(int(code)), since)

    def note(self, mark: int) -> None:
        """Note which sample is being decoded from now on, by its mark; 0: none."""
        self._page[self._at + 2] = mark

    @property
    def mark(self) -> int:
        """The mark of the sample that is being decoded; 0 for none, or for nonsense."""
        mark = self._page[self._at + 2]
        return int(mark) if 0 < mark < MARKS else 0


_CODES = frozenset(float(stage) for stage in Stage)


class Heartbeat:
    """The page of one worker.

    Attributes:
        fd: a descriptor of the memory, to be handed to the worker.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, _BYTES)
        self._page = memoryview(self._memory).cast("d")

    @classmethod
    def create(cls) -> Heartbeat:
        """Return a new page, for a process that is about to be forked: no capture thread has begun."""
        heartbeat = cls(shared_memory.allocate("edged-heartbeat", _BYTES))
        for slot in range(MAX_PIPELINES):
            heartbeat.capture(slot).enter(Stage.GONE)
        heartbeat.model().enter(Stage.STARTUP)
        return heartbeat

    def model(self) -> Beat:
        """Return the beat of the thread that runs the models."""
        return Beat(self._page, 0)

    def capture(self, slot: int) -> Beat:
        """Return the beat of the capture thread of the pipeline in this slot, counted from 0."""
        return Beat(self._page, (1 + slot) * _BEAT)

    def count_files(self) -> None:
        """Write how many files this process has open: nobody else may look into a worker."""
        self._page[_FILES] = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough

    @property
    def files(self) -> int:
        """The number of files that the worker had open when it last counted."""
        count = self._page[_FILES]
        return int(count) if 0 <= count < MAX_FILES else MAX_FILES

    def close(self) -> None:
        """Unmap the page and close its descriptor; harmless when called twice."""
        if self.fd >= 0:
            self._page.release()
            self._memory.close()
            os.close(self.fd)
            self.fd = -1
