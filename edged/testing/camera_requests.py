"""The requests of the double of picamera2, buffers with a picture, and the jobs that wait for them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from edged.testing.scene import BYTES, picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edged.testing.picamera2 import Board, Picamera2


class Job:
    """A capture in the camera's queue."""

    def __init__(self, camera: Picamera2) -> None:
        self._camera = camera
        self._request: Request | None = None
        self.cancelled = False

    def get_result(self, timeout: float | None = None) -> Request:
        """Wait for the request."""
        if self.cancelled:
            raise CancelledError
        if self._request is None:
            self._request = self._camera._next(self, timeout)  # noqa: SLF001 - both classes are parts of one double
        if self._request is None:
            if timeout is None:
                raise AssertionError("this would wait for ever")
            threading.Event().wait(timeout)
            raise TimeoutError
        return self._request


class Request:
    """A buffer with a picture in it."""

    def __init__(self, board: Board, config: dict[str, Any], frame: int, age_s: float = 0.0) -> None:
        self._board = board
        self._config = config
        self._frame = frame
        self._at_ns = time.monotonic_ns() - round(age_s * 1e9) if age_s else 0
        self._references = 1

    def make_array(self, name: str) -> NDArray[np.uint8]:
        """Return a copy of the stream's picture in the shape that picamera2 uses."""
        if self._references <= 0:
            raise RuntimeError("the request was released")
        stream = self._config.get(name)
        if stream is None:
            raise RuntimeError(f"Stream {name!r} is not defined")
        return picture(stream, self._config["colour_space"], self._frame)

    def get_metadata(self) -> dict[str, Any]:
        """Return the frame's metadata, with time stamps 30 times a second."""
        if self._references <= 0:
            raise RuntimeError("the request was released")
        period_ns = 33_333_000
        return {
            "SensorTimestamp": self._at_ns or self._board.started_ns + self._frame * period_ns,
            "FrameDuration": 33_333,
        }

    def release(self) -> None:
        """Return the buffer to the camera."""
        self._references -= 1
        if self._references < 0:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        self._board.held -= 1


def check_stream(name: str, stream: dict[str, Any]) -> None:
    """Raise RuntimeError for a stream that picamera2 refuses."""
    if stream["format"] not in BYTES:
        raise RuntimeError(f"Bad format {stream['format']} in stream {name}")
    size = stream["size"]
    if type(size) is not tuple or len(size) != 2:
        raise RuntimeError(f"size in {name} stream should be (width, height)")
    if size[0] % 2 or size[1] % 2:
        raise RuntimeError("width and height should be even")
