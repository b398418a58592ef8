"""A double of a video device: the ioctls that edged uses, and OpenCV's V4L2 capture with its quirks.

Observed with OpenCV 4.11 on the kernel's virtual camera (``tests/board/run``): without conversion, every
format arrives as its bytes in one flat row; with conversion, so do BGR3 and formats that OpenCV does not
know. A format that the camera lacks is refused and the old one stays, but one that OpenCV cannot name is
"set" without effect. A grab waits for a frame. Releasing a capture during a grab crashes. A second stream is
refused with EBUSY.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_QUERYCAP, _REQBUFS, _ENUM_FMT, _G_FMT = 0x80685600, 0xC0145608, 0xC0405602, 0xC0D05604
_TABLES, _SCAN = 0xC4, 0xDA  # JPEG's markers DHT and SOS
_BLUE_GREEN_RED = (40, 30, 200)  # the colour before the camera


# The conversion of a picture to each format: cv2.COLOR_… without the prefix.
_ENCODED = {
    "YUYV": "BGR2YUV_YUY2",
    "UYVY": "BGR2YUV_UYVY",
    "YVYU": "BGR2YUV_YVYU",
    "YU12": "BGR2YUV_I420",
    "YV12": "BGR2YUV_YV12",
    "RGB3": "BGR2RGB",
    "XR24": "BGR2BGRA",
    "AR24": "BGR2BGRA",
    "BGR4": "BGR2BGRA",
    "XB24": "BGR2RGBA",
    "AB24": "BGR2RGBA",
    "RGBP": "BGR2BGR565",
    "GREY": "BGR2GRAY",
}
# Bytes per pixel in a row; 2 for formats not listed.
_BYTES = {"NV12": 1, "NV21": 1, "YU12": 1, "YV12": 1, "GREY": 1, "BGR3": 3, "RGB3": 3}
_BYTES |= dict.fromkeys(("XR24", "AR24", "BGR4", "XB24", "AB24"), 4)
# The formats that OpenCV converts itself.
_OPENCV = frozenset({"YUYV", "UYVY", "MJPG", "JPEG", "RGB3", "GREY", "YU12", "YV12", "NV12", "NV21"})


@dataclass
class Device:
    """One camera behind a path.

    Attributes:
        formats: the FOURCCs that it supports, its default first.
        sizes: the sizes that it supports, its default first.
        driver: the name of its kernel driver.
        busy: another program is streaming.
        capabilities: V4L2_CAP_…; the default captures and streams.
        listed: it lists its formats.
        fixed: it confirms every requested format but keeps its default.
        padding: the number of padding bytes at the end of each row.
        short: the number of bytes missing at the end of each frame.
        broken_every: every so many frames, one is cut in half; 0: none.
        broken_first: the number of frames after the opening that are cut in half.
        period_s: the time between two frames.
        silent: it delivers no frames.
        no_tables: its MJPG frames lack the Huffman tables (DHT), as those of many webcams do.
        unplugged: it was removed; the node may stay for a while, or for as long as a mount holds it.
        unplug_after: it is removed after this many frames, at whatever the driver does then; 0: never.
        opened, released: the number of captures that were opened and released.
        decoded: the number of frames that were retrieved.
        frames: the number of frames that were grabbed.
        asked: the formats that were requested.
    """

    formats: tuple[str, ...] = ("YUYV", "MJPG")
    sizes: tuple[tuple[int, int], ...] = ((640, 480), (1280, 720))
    driver: bytes = b"uvcvideo"
    busy: bool = False
    capabilities: int = 0x04000001
    listed: bool = True
    fixed: bool = False
    padding: int = 0
    short: int = 0
    broken_every: int = 0
    broken_first: int = 0
    period_s: float = 0.002
    silent: bool = False
    no_tables: bool = False
    unplugged: bool = False
    unplug_after: int = 0
    opened: int = 0
    released: int = 0
    decoded: int = 0
    frames: int = 0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Set the state as after plugging in."""
        self.set_to = (self.formats[0], self.sizes[0])

    def ioctl(self, fd: int, request: int, argument: bytes) -> bytes:
        """Answer as the kernel does."""
        del fd
        if self.unplugged:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        if request == _QUERYCAP:
            all_of_it = self.capabilities | 0x80000000
            return struct.pack(
                "=16s32s32sIII12x", self.driver, b"Double", b"usb-1", 6, all_of_it, self.capabilities
            )
        if request == _REQBUFS:
            if self.busy:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            return argument
        if request == _ENUM_FMT and self.listed:
            return self._describe(argument)
        if request == _G_FMT:
            return self._set_to()
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    def _describe(self, argument: bytes) -> bytes:
        index, *_ = struct.unpack("=III32s4sI12x", argument)
        if index >= len(self.formats):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fourcc = self.formats[index].encode("latin-1")
        return struct.pack("=III32s4sI12x", index, 1, 0, b"a format", fourcc, 0)

    def _set_to(self) -> bytes:
        fourcc, (width, height) = self.set_to
        stride = width * _BYTES.get(fourcc, 2) + self.padding
        code = fourcc.encode("latin-1")
        return struct.pack("=I4xII4sIII176x", 1, width, height, code, 1, stride, stride * height)

    def capture(self, path: str, backend: int) -> Capture:
        """Replace ``cv2.VideoCapture(path, cv2.CAP_V4L2)``."""
        import cv2

        if backend != cv2.CAP_V4L2:
            raise AssertionError(
                f"{path} was opened with backend {backend}: only V4L2 has a defined behaviour"
            )
        self.opened += 1
        return Capture(self)


class Capture:
    """The part of cv2.VideoCapture that a driver may use."""

    def __init__(self, device: Device) -> None:
        self._device = device
        device.set_to = (device.formats[0], device.sizes[0])
        self._convert = True
        self._began = device.frames
        self._open = not device.busy and not device.unplugged
        self._grabbed = False
        self._using = threading.Lock()

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Return whether it is open."""
        return self._open

    def set(self, prop: int, value: float) -> bool:
        """Request a property; of the sizes, the nearest one is set."""
        import cv2

        fourcc, size = self._device.set_to
        if prop == cv2.CAP_PROP_FOURCC:
            wish = int(value).to_bytes(4, "little").decode("latin-1")
            self._device.asked.append(wish)
            if self._device.fixed:
                return True
            if wish not in self._device.formats:
                return False
            self._device.set_to = (wish, size)
        elif prop == cv2.CAP_PROP_FRAME_WIDTH:
            nearest = min(self._device.sizes, key=lambda size: abs(size[0] - value))
            self._device.set_to = (fourcc, nearest)
        elif prop == cv2.CAP_PROP_CONVERT_RGB:
            self._convert = bool(value)
            return not value or fourcc in _OPENCV
        return True

    def get(self, prop: int) -> float:
        """Return a property."""
        import cv2

        fourcc, size = self._device.set_to
        values = {
            cv2.CAP_PROP_FOURCC: int.from_bytes(fourcc.encode("latin-1"), "little"),
            cv2.CAP_PROP_FRAME_WIDTH: size[0],
            cv2.CAP_PROP_FRAME_HEIGHT: size[1],
            cv2.CAP_PROP_POS_MSEC: time.monotonic() * 1000,
        }
        return float(values.get(prop, 0))

    def grab(self) -> bool:
        """Wait for a frame."""
        with self._using:
            threading.Event().wait(self._device.period_s)
            device = self._device
            device.unplugged |= 0 < device.unplug_after <= device.frames
            self._grabbed = self._open and not (device.silent or device.unplugged)
            device.frames += self._grabbed
            return self._grabbed

    def retrieve(self) -> tuple[bool, Any]:
        """Return the grabbed frame."""
        import numpy as np

        if not self._grabbed:
            return False, None
        self._device.decoded += 1
        fourcc, (width, height) = self._device.set_to
        picture: NDArray[np.uint8] = np.empty((height, width, 3), np.uint8)
        picture[:] = _BLUE_GREEN_RED
        picture[:8, :8] = self._device.frames % 251
        if self._convert and fourcc in _OPENCV:
            return True, picture
        sent = _bytes(picture, fourcc, self._device.padding)
        if self._device.no_tables and fourcc in ("MJPG", "JPEG"):
            sent = _without_tables(sent)
        since = self._device.frames - self._began
        every = self._device.broken_every
        if since <= self._device.broken_first or (every and since % every == 0):
            return True, sent[: len(sent) // 2].reshape(1, -1)
        return True, sent[: len(sent) - self._device.short].reshape(1, -1)

    def release(self) -> None:
        """Release the device; during a grab, OpenCV would crash."""
        if not self._using.acquire(blocking=False):
            raise AssertionError("release() while another thread is inside grab()")
        self._using.release()
        self._device.released += self._open
        self._open = False


def _bytes(picture: NDArray[np.uint8], fourcc: str, padding: int) -> NDArray[np.uint8]:
    """Return the picture as the camera sends it; zeros for formats that edged does not decode."""
    import cv2
    import numpy as np

    if fourcc in ("MJPG", "JPEG"):
        return np.asarray(cv2.imencode(".jpg", picture)[1].reshape(-1), np.uint8)
    if fourcc in ("NV12", "NV21"):
        rows = _semiplanar(picture, fourcc)
    elif fourcc == "BGR3":
        rows = picture
    elif fourcc in _ENCODED:
        rows = np.asarray(cv2.cvtColor(picture, getattr(cv2, f"COLOR_{_ENCODED[fourcc]}")), np.uint8)
    else:
        return np.zeros(picture.shape[0] * picture.shape[1] * 2, np.uint8)
    flat = rows.reshape(rows.shape[0], -1)
    return np.pad(flat, ((0, 0), (0, padding)), constant_values=0x55).reshape(-1)


def _without_tables(sent: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a JPEG without its DHT segments; a decoder is to assume the tables of the standard."""
    import numpy as np

    data, kept, at = sent.tobytes(), b"\xff\xd8", 2
    while data[at + 1] != _SCAN:
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        kept += b"" if data[at + 1] == _TABLES else data[at : at + length]
        at += length
    return np.frombuffer(kept + data[at:], np.uint8)


def _semiplanar(picture: NDArray[np.uint8], fourcc: str) -> NDArray[np.uint8]:
    """Return the rows of NV12 or NV21: luma, then interleaved chroma in half as many rows."""
    import cv2
    import numpy as np

    height, width = picture.shape[:2]
    planar = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    bright, colours = planar[: width * height], planar[width * height :].reshape(2, -1)
    pairs = colours if fourcc == "NV12" else colours[::-1]
    return np.asarray(np.concatenate([bright, pairs.T.reshape(-1)]).reshape(-1, width), np.uint8)
