"""Shows a person what a pipeline sees, over connections that main accepted and handed over.

::

    browser ── request ──▶ main: checks it, and writes the head of the answer
                             │ the connection itself, over a socket pair (SCM_RIGHTS)
                             ▼
    capture thread ─frame─▶ PictureStreams ── JPEG pictures ──▶ the connection

So pictures go from this process to the person, and main never has one. This process cannot make a connection:
its filter has no call for that. It gets some only where a person runs ``edged page``; the fork server of a
service refuses such an order.

One connection takes one picture, so a slow one never shows what was long ago: :data:`HEAD`, then the JPEG.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edged.inference.preprocess import TURNS, resize
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edged.sources import Frame

log = logging.getLogger(__name__)

HEAD = struct.Struct(
    ">IIQd"
)  # width and height of the whole picture, in pixels; its number; when it was taken
MAX_NUMBER = 20  # digits
WIDEST = 960  # pixels of the longer side of what is shown
QUALITY = 80  # of the JPEG
MOST_VIEWERS = 8  # connections at a time
WAIT_S = 5.0  # for a picture that is newer
PATIENCE_S = 10.0  # for a connection to take it


class PictureStreams:
    """Writes the newest picture to each connection, once there is one that the other side has not seen.

    Args:
        arrivals: the descriptor of the socket pair's end at which connections arrive, each with the number of
            the picture that was seen last; it is closed with this process.
    """

    def __init__(self, arrivals: int) -> None:
        self._arrivals = socket.socket(fileno=arrivals)
        self._rotate = 0
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._number = 0  # ms of the monotonic clock, so that it grows from one worker to the next
        self._encoded: tuple[int, bytes] = (0, b"")
        self._encoding = threading.Lock()
        self._viewers = threading.BoundedSemaphore(MOST_VIEWERS)

    def start(self) -> None:
        """Begin to take connections."""
        threading.Thread(target=self._receive, name="viewers", daemon=True).start()

    def shown_before(
        self, prepare: Callable[[Frame], NDArray[np.generic]], rotate: int
    ) -> Callable[[Frame], NDArray[np.generic]]:
        """Return ``prepare`` with the frame shown first.

        Args:
            prepare: makes the model's input of a frame.
            rotate: turn what is shown clockwise by 0, 90, 180 or 270 degrees.
        """
        self._rotate = rotate

        def prepare_and_show(frame: Frame) -> NDArray[np.generic]:
            self.show(frame)
            return prepare(frame)

        return prepare_and_show

    def show(self, frame: Frame) -> None:
        """Take the newest frame; costs next to nothing where nobody looks."""
        with self._changed:
            self._frame = frame
            self._number = max(self._number + 1, int(clock.monotonic() * 1000))
            self._changed.notify_all()

    def _receive(self) -> None:
        with self._arrivals:
            while True:
                data, fds, _flags, _address = socket.recv_fds(self._arrivals, MAX_NUMBER, 1)
                if not data:
                    return
                for fd in fds:
                    self._take(fd, int(data))

    def _take(self, descriptor: int, seen: int) -> None:
        if not self._viewers.acquire(blocking=False):
            os.close(descriptor)
            return
        serve = threading.Thread(target=self._serve, args=[descriptor, seen], name="viewer", daemon=True)
        serve.start()

    def _serve(self, descriptor: int, seen: int) -> None:
        """Write one picture, unless no newer one comes or the other side does not take it."""
        try:
            with socket.socket(fileno=descriptor) as connection, contextlib.suppress(OSError):
                connection.settimeout(PATIENCE_S)
                picture = self._newer(seen)
                if picture is not None:
                    connection.sendall(picture)
        except Exception:
            log.exception("a picture could not be shown")
        finally:
            self._viewers.release()

    def _newer(self, seen: int) -> bytes | None:
        """Return the newest picture as it is sent, made once for all connections; None: there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > seen, WAIT_S)
            frame, number = self._frame, self._number
        if frame is None or number <= seen:
            return None
        with self._encoding:
            if self._encoded[0] != number:
                self._encoded = number, encoded(frame, number, self._rotate)
            return self._encoded[1]


def encoded(frame: Frame, number: int = 0, rotate: int = 0) -> bytes:
    """Return a frame, upright and small, as a JPEG with its head."""
    pixels = frame.pixels
    height, width = pixels.shape[:2]
    scale = min(1.0, WIDEST / max(width, height))
    picture = resize(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))
    turn = TURNS.get(rotate % 360)
    if turn is not None:
        picture = np.asarray(cv2.rotate(picture, turn), np.uint8)
    if frame.order == "rgb":
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8)
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    whole = (width * frame.shrink, height * frame.shrink)
    if rotate % 180 == 90:
        whole = whole[::-1]
    return HEAD.pack(*whole, number, frame.captured_at) + jpeg
