"""A USB camera (or another Video4Linux device), by its stable name: the newest frame.

OpenCV only fetches the frames: the pixel format is chosen from those that the camera offers, read back from
the kernel, and decoded by edged, since OpenCV does not report when it cannot. A camera without a format that
is known to be decoded correctly is refused with a message.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from edged.errors import Reason, Unavailable
from edged.sources import (
    Frame,
    Hint,
    Offer,
    Size,
    Source,
    SourceConfig,
    Viewing,
    jpeg,
    pixel_formats,
    video_devices,
)
from edged.sources.grabber import Grabber
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import cv2
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

_EAGER_BELOW_S = 0.1  # for shorter intervals, every frame is decoded ahead of time
_SELECT_S = "3"  # OpenCV waits 10 s for a frame by default

_ERRORS = 2  # OpenCV's log level: edged has its own message for a camera that is unplugged
_MOST_BROKEN, _BROKEN_S = 30, 3.0  # frames, or seconds, of broken frames in a row: more than a hiccup
_NAMED = 4  # pixel formats that a message lists

ALSO_CALLED = ("webcam", "usb", "usbcam", "uvc", "opencv")


class Config(SourceConfig):
    """The keys of ``kind: v4l2``."""

    kind: Literal["v4l2"] = Field(default="v4l2", description="the driver: v4l2")
    device: Annotated[str, StringConstraints(pattern=r"^(auto|/[^\x00]{1,250})$")] = Field(
        default="auto",
        description="/dev/v4l/by-id/… (the same camera after a reboot), /dev/video0, or auto (the first)",
    )
    size: Size = Field(
        default=(640, 480), description="[width, height] in pixels; the camera's nearest size is used"
    )
    fps: Annotated[int, Field(ge=1, le=240)] | None = Field(
        default=None,
        description="frames per second to request, of which the camera gives the nearest; default: 30",
    )
    format: Literal["auto", "yuyv", "mjpg"] = Field(
        default="auto",
        description="pixel format: yuyv is cheap to decode but fills the USB above 640x480, mjpg does not; "
        "auto chooses by the size",
    )

    @property
    def holds(self) -> Mapping[str, str]:
        """The camera."""
        return {"device": self.device}


def find(root: Path) -> list[Offer]:
    """Return the cameras of this machine, the first one also as ``auto``."""
    return [
        Offer({"device": c.device}, c.name, c.device, (c.device, c.node, *(() if n else ("auto",))))
        for n, c in enumerate(video_devices.find(root))
    ]


def recognise(text: str, viewing: Viewing) -> Offer | None:
    """Return the camera where the text is the path of a device."""
    del viewing
    return Offer({"device": text}, text, text) if Path(text).is_char_device() else None


def needs(config: Config) -> Needs:
    """Return the camera's node; of all cameras where any may be the one."""
    return Needs(devices=("/dev/video*" if config.device == "auto" else config.device,))


def create(config: Config, hint: Hint) -> Source:
    """Return the source; JPEG pictures are decoded as small as is enough for the hint."""
    return Camera(config, hint)


class Camera:
    """Gives the newest frame of a V4L2 device."""

    live = True

    def __init__(self, config: Config, hint: Hint = Hint()) -> None:  # noqa: B008 - it is frozen
        self._config = config
        self._shrink = jpeg.Shrink(config, hint)
        self._shrunk = 1
        self._device = config.device
        self._grabber: Grabber[NDArray[np.uint8]] | None = None
        self._number = 0

    def open(self) -> None:
        """Open the camera, negotiate a format, and decode a first frame."""
        self.close()
        self._device = _choose(self._config.device)
        video_devices.probe(self._device)
        capture, decoder = self._start()
        self._number = 0
        self._grabber = Grabber(
            "edged-camera",
            lambda: self._grab(capture),
            decoder.retrieve,
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
        return Frame(pixels, at, number=self._number - 1, skipped=skipped, shrink=self._shrunk)

    def close(self) -> None:
        """Release the camera; one that hangs is left to its thread."""
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            grabber.stop()

    def _start(self) -> tuple[cv2.VideoCapture, _Decoder]:
        """Return a capture that gave one correct picture, and what decodes its frames."""
        import cv2

        wishes = self._wishes()
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", _SELECT_S)
        cv2.setLogLevel(_ERRORS)
        capture = cv2.VideoCapture(self._device, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise Unavailable(Reason.LOST, f"{self._device}: OpenCV cannot open it as a camera")
        try:
            given = self._negotiate(capture, wishes)
            compressed = given.fourcc in pixel_formats.COMPRESSED
            self._shrunk = self._shrink(given.width, given.height) if compressed else 1
            decoder = _Decoder(capture, given, self._device, self._shrunk)
            while capture.grab():
                if decoder.retrieve() is not None:
                    return capture, decoder
        except BaseException:
            capture.release()
            raise
        capture.release()
        video_devices.probe(self._device)  # raises the reason where the kernel knows it
        raise Unavailable(
            Reason.TIMEOUT, f"{self._device} opens but gives no picture; try another `size`, USB port or hub"
        )

    def _wishes(self) -> list[str]:
        """Return the formats to request, the best first."""
        offered = video_devices.formats(self._device)
        wanted = "" if self._config.format == "auto" else self._config.format.upper()
        wishes = pixel_formats.candidates(offered, wanted, self._config.size)
        if not wishes:
            raise _refused(self._device, offered)
        if wanted and wanted not in wishes:
            log.info("%s offers no pixel format %s; using %s", self._device, wanted, wishes[0])
        return wishes

    def _negotiate(self, capture: cv2.VideoCapture, wishes: list[str]) -> pixel_formats.Format:
        """Request format, size and rate, in this order (each restarts the device), and read them back."""
        import cv2

        width, height = self._config.size
        for wish in wishes:
            if capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*wish)) and _format(capture) == wish:
                break
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if self._config.fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self._config.fps)
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        given = video_devices.current(self._device)
        # OpenCV may have kept another format, or not have noticed the driver's choice.
        if given.fourcc not in pixel_formats.KNOWN or given.fourcc != _format(capture):
            raise _refused(self._device, [given.fourcc])
        if (given.width, given.height) != (width, height):
            log.info(
                "%s gives %dx%d; it cannot give %dx%d", self._device, given.width, given.height, width, height
            )
        return given

    def _grab(self, capture: cv2.VideoCapture) -> float:
        import cv2

        if not capture.grab():
            # The node says nothing: in a worker's namespace, it outlives the camera.
            if video_devices.captures(Path(self._device)) is None:
                raise Unavailable(Reason.LOST, f"{self._device} is gone; it may have been unplugged")
            raise Unavailable(Reason.LOST, f"{self._device} stopped giving pictures")
        return clock.wall_at(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)


def _choose(device: str) -> str:
    if device != "auto":
        return device
    cameras = video_devices.find()
    if not cameras:
        raise Unavailable(
            Reason.ABSENT,
            "no camera found; plug one in (a Raspberry Pi camera on the CSI connector is `kind: picamera2`)",
        )
    return cameras[0].device


def _format(capture: cv2.VideoCapture) -> str:
    import cv2

    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    return code.to_bytes(4, "little").decode("ascii", errors="replace")


class _Decoder:
    """Decodes the frames of a camera; USB drops packets, so single frames may be cut or empty."""

    def __init__(
        self, capture: cv2.VideoCapture, given: pixel_formats.Format, device: str, shrink: int
    ) -> None:
        self._capture = capture
        self._given = given
        self._device = device
        self._shrink = shrink
        self._broken = 0  # in a row
        self._since = 0.0

    def retrieve(self) -> NDArray[np.uint8] | None:
        """Return the picture of the frame that was grabbed last; None where it is broken.

        Raises:
            Unavailable: LOST, because nothing but broken frames came for too long.
        """
        ok, raw = self._capture.retrieve()
        pixels = pixel_formats.decode(raw, self._given, self._shrink) if ok else None
        if pixels is not None:
            self._broken = 0
            return pixels
        now = time.monotonic()
        if not self._broken:
            self._since = now
        self._broken += 1
        if self._broken < _MOST_BROKEN and now - self._since < _BROKEN_S:
            return None
        given = self._given
        raise Unavailable(
            Reason.LOST,
            f"{self._device} sent {getattr(raw, 'nbytes', 0)} bytes that are not a "
            f"{given.width}x{given.height} picture in pixel format '{given.fourcc}', "
            f"{self._broken} times in a row; try another `size` or `format`",
        )


def _refused(device: str, formats: Sequence[str]) -> Unavailable:
    named = ", ".join(name.strip() for name in formats[:_NAMED])
    more = f" and {len(formats) - _NAMED} others" if len(formats) > _NAMED else ""
    return Unavailable(
        Reason.ABSENT,
        f"{device} gives only the pixel format {named}{more}, which edged does not decode; it takes "
        f"{', '.join(pixel_formats.KNOWN)}",
    )
