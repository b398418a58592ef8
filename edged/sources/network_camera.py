"""A network camera: the newest picture of a stream, or one still picture after the other.

::

    http, https ── Client ── multipart/x-mixed-replace ─▶ Stream ─▶ grabber ─▶ newest picture
                        └─── image/…                   ─▶ Still, fetched when it is wanted
    everything else, and every other video             ─▶ FFmpeg ─▶ grabber ─▶ newest picture
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.errors import Reason, Unavailable
from edged.sources import Frame, camera_answers, http_pictures
from edged.sources.grabber import Grabber
from edged.sources.photographs import Photograph
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    import cv2

    from edged.system.addresses import Address

_EAGER_BELOW_S = 0.1  # for shorter intervals, every frame is decoded ahead of time
_ASK_S = 2.0  # for each answer, while edged finds out why the camera gives no video
_PAGES = ("text/html", "application/xhtml+xml")
_SILENT = 0  # OpenCV's log level: the sentences here take the place of its lines and FFmpeg's


@dataclass(frozen=True, slots=True)
class Settings:
    """The way to reach a camera.

    Attributes:
        address: with user and password, where it wants them.
        transport: of RTSP: tcp or udp.
        timeout_s: maximum time to connect, or to wait for data.
        interval_s: between two pictures that are wanted.
        shrink: how much smaller a picture of a width and height may be decoded.
    """

    address: Address
    transport: str
    timeout_s: float
    interval_s: float
    shrink: Callable[[int, int], int]


class NetworkCamera:
    """Gives the newest picture of a network camera.

    Attributes:
        live: equal pictures mean that the camera hangs; a still picture may stay as it is.
    """

    live: bool

    def __init__(self, settings: Settings) -> None:
        self.live = True
        self._settings = settings
        self._shown = settings.address.shown
        self._grabber: Grabber[Photograph] | None = None
        self._still: http_pictures.Still | None = None
        self._number = 0

    def open(self) -> None:
        """Connect within ``timeout_s`` (name resolution may take longer)."""
        self.close()
        self.live, self._number = True, 0
        if not self._settings.address.scheme.startswith("http") or not self._open_pictures():
            capture = self._open_ffmpeg()
            self._start(lambda: _grab(capture), lambda: _retrieve(capture), capture.release)

    def read(self, timeout_s: float) -> Frame:
        """Return the newest picture."""
        if self._still is not None:
            photograph, at, skipped = self._still.read(timeout_s), clock.wall(), 0
        elif self._grabber is None:
            raise Unavailable(Reason.LOST, f"{self._shown}: not open")
        else:
            try:
                at, photograph, skipped = self._grabber.take(timeout_s)
            except Unavailable as error:
                raise Unavailable(error.reason, f"{self._shown}: {error}") from error
        self._number += skipped + 1
        return Frame(
            photograph.pixels, at, number=self._number - 1, skipped=skipped, shrink=photograph.shrink
        )

    def close(self) -> None:
        """Disconnect; a camera that does not answer is left to its thread."""
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            grabber.stop()
        still, self._still = self._still, None
        if still is not None:
            still.close()

    def _open_pictures(self) -> bool:
        """Open a camera that sends pictures over HTTP; return False where it is a video for FFmpeg."""
        settings = self._settings
        client = http_pictures.Client(settings.address, settings.timeout_s)
        answer = client.get()
        kind = http_pictures.content_type(answer)
        if kind.startswith("multipart/"):
            stream = http_pictures.Stream(answer, settings.shrink)
            self._start(stream.grab, stream.retrieve, stream.close)
        elif kind.startswith("image/"):
            self.live = False
            self._still = http_pictures.Still(settings.address, client, settings.shrink, answer)
        else:
            answer.close()
            if kind in _PAGES:
                raise camera_answers.no_video(settings.address, "a web page: `url` is not that of its stream")
            return False
        return True

    def _start(
        self,
        grab: Callable[[], float],
        retrieve: Callable[[], Photograph | None],
        release: Callable[[], None],
    ) -> None:
        eager = self._settings.interval_s < _EAGER_BELOW_S
        self._grabber = Grabber("edged-stream", grab, retrieve, release, eager=eager)
        self._grabber.start()

    def _open_ffmpeg(self) -> cv2.VideoCapture:
        import cv2

        settings = self._settings
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"rtsp_transport;{settings.transport}"
        cv2.setLogLevel(_SILENT)
        limit = int(settings.timeout_s * 1000)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
        capture = cv2.VideoCapture()
        began = time.monotonic()
        capture.open(settings.address.url, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            patient = time.monotonic() - began >= settings.timeout_s * 0.9
            raise camera_answers.find(settings.address, _ASK_S / 2 if patient else _ASK_S)
        return capture


def _grab(capture: cv2.VideoCapture) -> float:
    if not capture.grab():
        raise Unavailable(Reason.NETWORK, "the camera disconnected, or sent nothing for too long")
    return clock.wall()


def _retrieve(capture: cv2.VideoCapture) -> Photograph:
    ok, pixels = capture.retrieve()
    if not ok:
        raise Unavailable(Reason.LOST, "a frame could not be decoded")
    found: Any = pixels  # cv2's stubs have no element types
    return Photograph(found)
