"""A USB camera (or another Video4Linux device), by its stable name: the newest frame.

What OpenCV does with a pixel format decides whether the picture is right, and it does not say: a format it
does not convert comes as one flat row, NV12 with red and blue swapped. So the format is asked for, read
back, and accepted only from a list of those that are known to come out right; else the camera is refused
with a sentence.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints

from edged import clock
from edged.errors import Reason, Unavailable
from edged.sources import Frame, Hint, Size, Source, SourceConfig, _video_device
from edged.sources._slot import Grabber

if TYPE_CHECKING:
    from collections.abc import Callable

    import cv2
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

_EAGER_BELOW_S = 0.1  # a reader that comes more often than this gets every frame decoded ahead of time
_SELECT_S = "3"  # OpenCV waits 10 s for a frame by default
_RIGHT = frozenset({"YUYV", "UYVY", "MJPG", "JPEG", "BGR3", "RGB3", "GREY", "YU12", "YV12"})

find = _video_device.find


class Config(SourceConfig):
    """The keys of ``kind: v4l2``."""

    kind: Literal["v4l2"] = Field(default="v4l2", description="the driver: v4l2")
    device: Annotated[str, StringConstraints(pattern=r"^(auto|/[^\x00]{1,250})$")] = Field(
        default="auto",
        description="/dev/v4l/by-id/… (the same camera after a reboot), /dev/video0, or auto (the first)",
    )
    size: Size = Field(
        default=(640, 480), description="[width, height] in pixels; a camera that cannot gives its nearest"
    )
    fps: Annotated[int, Field(ge=1, le=240)] | None = Field(
        default=None, description="frames per second that the camera should give; left out: its own choice"
    )
    format: Literal["auto", "yuyv", "mjpg"] = Field(
        default="auto",
        description="pixel format; yuyv is cheap to decode but fills the USB above 640x480, mjpg does not; "
        "auto takes what suits the size",
    )


def create(config: Config, hint: Hint) -> Source:
    """Return the source; USB cameras scale badly, so the hint is not used."""
    del hint
    return Camera(config)


class Camera:
    """Gives the newest frame of a V4L2 device."""

    live = True

    def __init__(self, config: Config) -> None:
        self._config = config
        self._device = config.device
        self._grabber: Grabber[NDArray[np.uint8]] | None = None
        self._number = 0

    def open(self) -> None:
        """Open the camera, agree on a format, and look at a first frame."""
        self.close()
        self._device = _choose(self._config.device)
        _video_device.probe(self._device)
        capture, convert = self._start()
        self._number = 0
        self._grabber = Grabber(
            "edged-camera",
            lambda: self._grab(capture),
            lambda: _retrieve(capture, convert, self._device),
            capture.release,
            eager=self._config.interval_s < _EAGER_BELOW_S,
        )
        self._grabber.start()

    def read(self, timeout_s: float) -> Frame:
        """Return the newest frame."""
        if self._grabber is None:
            raise Unavailable(Reason.LOST, f"{self._device}: not open")
        try:
            at, pixels, skipped = self._grabber.take(timeout_s)
        except Unavailable as error:
            if error.reason is not Reason.TIMEOUT:
                raise
            raise Unavailable(
                error.reason, f"{self._device} gave {error}; unplug it and plug it in again"
            ) from error
        self._number += skipped + 1
        return Frame(pixels, at, number=self._number - 1, skipped=skipped)

    def close(self) -> None:
        """Give the camera back; one that hangs is left to its thread."""
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            grabber.stop()

    def _start(self) -> tuple[cv2.VideoCapture, Callable[[Any], Any]]:
        """Return a capture that gave one right picture, and what makes its pictures of what it gives."""
        import cv2

        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", _SELECT_S)
        capture = cv2.VideoCapture(self._device, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise Unavailable(Reason.LOST, f"{self._device}: OpenCV cannot open it as a camera")
        try:
            convert = self._negotiate(capture)
            if capture.grab():
                _retrieve(capture, convert, self._device)
                return capture, convert
        except BaseException:
            capture.release()
            raise
        capture.release()
        _video_device.probe(self._device)  # says why, where the kernel knows
        raise Unavailable(
            Reason.TIMEOUT, f"{self._device} opens but gives no picture; try another `size`, USB port or hub"
        )

    def _negotiate(self, capture: cv2.VideoCapture) -> Callable[[Any], Any]:
        """Ask for format, size and rate, in this order (each starts the device anew), and read them back."""
        import cv2

        width, height = self._config.size
        for wish in _wishes(self._config):
            if capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*wish)) and _format(capture) == wish:
                break
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if self._config.fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self._config.fps)
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 1)
        given = _format(capture)
        if given not in _RIGHT:
            raise Unavailable(
                Reason.ABSENT,
                f"{self._device} gives only the pixel format '{given}', which does not come out right; "
                "try another `size`, or `format: mjpg`",
            )
        if self._config.format not in ("auto", given.lower()):
            log.info("%s gives pixel format %s; it cannot give %s", self._device, given, self._config.format)
        w, h = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if (w, h) != (width, height):
            log.info("%s gives %dx%d; it cannot give %dx%d", self._device, w, h, width, height)
        return lambda pixels: _upright(pixels, given, w, h)

    def _grab(self, capture: cv2.VideoCapture) -> float:
        import cv2

        if not capture.grab():
            if not Path(self._device).exists():
                raise Unavailable(Reason.LOST, f"{self._device} is gone; was it unplugged?")
            raise Unavailable(Reason.LOST, f"{self._device} stopped giving pictures")
        return _exposed_at(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)


def _choose(device: str) -> str:
    if device != "auto":
        return device
    cameras = find()
    if not cameras:
        raise Unavailable(
            Reason.ABSENT, "no camera found; is one plugged in? A Raspberry Pi camera is `kind: picamera2`"
        )
    return cameras[0].device


def _wishes(config: Config) -> list[str]:
    if config.format != "auto":
        return [config.format.upper()]
    return ["YUYV", "MJPG"] if config.size[0] * config.size[1] <= 640 * 480 else ["MJPG", "YUYV"]


def _format(capture: cv2.VideoCapture) -> str:
    import cv2

    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    return code.to_bytes(4, "little").decode("ascii", errors="replace")


def _retrieve(capture: cv2.VideoCapture, convert: Callable[[Any], Any], device: str) -> NDArray[np.uint8]:
    ok, raw = capture.retrieve()
    pixels = convert(raw) if ok else None
    if pixels is None:
        shape = getattr(raw, "shape", None)
        raise Unavailable(
            Reason.LOST,
            f"{device} gave no picture but an array of shape {shape}; try another `size` or `format`",
        )
    picture: NDArray[np.uint8] = pixels
    return picture


def _upright(raw: Any, given: str, width: int, height: int) -> Any:
    """Return the picture as ``[height, width, 3]``, or None where it is none."""
    if raw.dtype != "uint8":
        return None
    if raw.ndim == 3 and raw.shape[2] == 3 and raw.shape[0] > 1:
        return raw
    # OpenCV 4.11 forgets the shape of BGR24, the one format that it need not convert: the pixels are right.
    if given == "BGR3" and raw.size == width * height * 3:
        return raw.reshape(height, width, 3)
    return None


def _exposed_at(stamp_s: float) -> float:
    """Turn the kernel's monotonic time of a frame into wall time; now, where the driver gave nonsense."""
    age = time.monotonic() - stamp_s
    return clock.wall() - age if 0 <= age < 10 else clock.wall()
