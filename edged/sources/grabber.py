"""The newest frame and nothing older: a thread that drains a camera and keeps one frame.

::

    camera ── grab() ──▶ grabber thread ── retrieve() ──▶ [ one frame ] ── take() ──▶ reader
                         owns the device                    the newest replaces the one before

A camera queues frames that are not fetched, so its next frame may be a second old. The thread fetches all of
them; those that the reader does not need are dropped where it costs least: after ``grab``, before decoding.

The thread owns the device from start to end and releases it itself, because OpenCV crashes when a capture is
released during a read. So ``stop`` sets a flag, waits for a bounded time, and leaves a hung device to the
thread.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from edged.errors import Reason, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Grabber(Generic[T]):
    """Drains a device in a thread of its own and keeps the newest picture.

    Args:
        name: the thread's name, for stack dumps.
        grab: fetches the next frame undecoded and returns its time; raises ``Unavailable`` when it cannot.
        retrieve: decodes the frame that was grabbed last; None where it is broken and left out.
        release: releases the device; called once, in the thread, whatever happened.
        eager: decode every frame, for a reader that is about as fast as the camera. Otherwise only the first
            frame after a call of ``take`` is decoded, which saves most of the work where the reader takes one
            frame a second.
    """

    def __init__(
        self,
        name: str,
        grab: Callable[[], float],
        retrieve: Callable[[], T | None],
        release: Callable[[], None],
        *,
        eager: bool = True,
    ) -> None:
        self._grab = grab
        self._retrieve = retrieve
        self._release = release
        self._eager = eager
        self._changed = threading.Condition()
        self._wanted = False
        self._item: tuple[float, T] | None = None
        self._skipped = 0
        self._error: Exception | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start to drain. The device belongs to the thread from now on."""
        self._thread.start()

    def take(self, timeout_s: float) -> tuple[float, T, int]:
        """Wait for a picture and return it.

        Returns:
            The time that ``grab`` returned, the picture, and the number of frames dropped since the last one.

        Raises:
            Unavailable: TIMEOUT after ``timeout_s``, or the error of ``grab`` or ``retrieve``.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._wanted = True
            while self._item is None:
                if self._error is not None:
                    raise self._error
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise Unavailable(Reason.TIMEOUT, f"no picture within {timeout_s:g} s")
            at, item = self._item
            skipped, self._skipped, self._item, self._wanted = self._skipped, 0, None, False
            return at, item, skipped

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Stop the thread and wait for it; return False when the device hangs and was left to the thread."""
        self._stopping.set()
        if self._thread.ident is None:  # never started, so the device was not handed over
            self._release()
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._step()
        except Exception as error:  # noqa: BLE001 - the reader raises it: take() is where it can be handled
            with self._changed:
                self._error = error
                self._changed.notify_all()
        finally:
            self._release()

    def _step(self) -> None:
        at = self._grab()
        with self._changed:
            wanted = self._eager or (self._wanted and self._item is None)
            if not wanted:
                self._skipped += 1
                return
        item = self._retrieve()
        with self._changed:
            if item is None:
                self._skipped += 1
                return
            if self._item is not None:
                self._skipped += 1
            self._item = (at, item)
            self._changed.notify_all()
