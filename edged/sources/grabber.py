"""The newest frame and nothing older: a thread that drains a camera into a slot for one.

::

    camera ── grab() ──▶ grabber thread ── retrieve() ──▶ [ slot for one ] ── take() ──▶ reader
                         owns the device                    newer replaces older, and is counted

A camera queues what nobody fetches, so its next frame may be a second old. The thread fetches everything;
what the reader does not want is dropped where it costs least: after ``grab`` and before the picture is
decoded.

The thread owns the device from start to end and releases it itself: OpenCV crashes when a capture is released
under a read, so ``stop`` asks, waits for a bounded time, and leaves a hung device to the thread.
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
        name: of the thread, for whoever reads a stack dump.
        grab: fetches the next frame undecoded and returns the time of it; raises ``Unavailable`` when it
            cannot.
        retrieve: decodes the frame that was grabbed last.
        release: gives the device back; called once, in the thread, whatever happened.
        eager: decode every frame, for a reader that is about as fast as the camera. Otherwise only the first
            frame after ``take`` was called is decoded, which saves most of the work of a reader that comes
            once a second.
    """

    def __init__(
        self,
        name: str,
        grab: Callable[[], float],
        retrieve: Callable[[], T],
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
        """Start to drain. The device belongs to the thread from here on."""
        self._thread.start()

    def take(self, timeout_s: float) -> tuple[float, T, int]:
        """Wait for a picture and take it out.

        Returns:
            The time that ``grab`` gave, the picture, and how many frames were dropped since the last one.

        Raises:
            Unavailable: TIMEOUT after ``timeout_s``, or what ``grab`` or ``retrieve`` raised.
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
        """Ask the thread to end and wait for it; False when the device hangs and was left to it."""
        self._stopping.set()
        if self._thread.ident is None:  # never started: the device is still ours
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
            if self._item is not None:
                self._skipped += 1
            self._item = (at, item)
            self._changed.notify_all()
