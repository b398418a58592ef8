"""A double of a video device: the two ioctls that edged asks, and OpenCV's V4L2 capture with its ways.

What it does as the real ones do: a format that the camera lacks is refused and the old one stays; BGR3 comes
    as one
flat row (OpenCV 4.11); NV12 comes with red and blue swapped; a grab waits for a frame; a capture that was
released under a grab is a crash; a second stream is refused with EBUSY.
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

_QUERYCAP, _REQBUFS = 0x80685600, 0xC0145608
_BLUE_GREEN_RED = (40, 30, 200)  # what stands before the camera


@dataclass
class Device:
    """One camera behind a path.

    Attributes:
        formats: FOURCCs that it can give, its default first.
        sizes: sizes that it can give, its default first.
        driver: what it calls itself to the kernel.
        busy: somebody else streams.
        capabilities: V4L2_CAP_…; the default captures and streams.
        period_s: time between two frames.
        silent: it gives no frames.
        unplugged: it was pulled out.
        released: how often a capture was given back.
    """

    formats: tuple[str, ...] = ("YUYV", "MJPG")
    sizes: tuple[tuple[int, int], ...] = ((640, 480), (1280, 720))
    driver: bytes = b"uvcvideo"
    busy: bool = False
    capabilities: int = 0x04000001
    period_s: float = 0.002
    silent: bool = False
    unplugged: bool = False
    opened: int = 0
    released: int = 0
    decoded: int = 0
    frames: int = 0
    asked: list[str] = field(default_factory=list)

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
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    def capture(self, path: str, backend: int) -> Capture:
        """Stand for ``cv2.VideoCapture(path, cv2.CAP_V4L2)``."""
        import cv2

        if backend != cv2.CAP_V4L2:
            raise AssertionError(
                f"{path} was opened with backend {backend}: another one may answer with anything"
            )
        self.opened += 1
        return Capture(self)


class Capture:
    """The part of cv2.VideoCapture that a driver may rest on."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._format = device.formats[0]
        self._size = device.sizes[0]
        self._open = not device.busy and not device.unplugged
        self._grabbed = False
        self._using = threading.Lock()

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether it is open."""
        return self._open

    def set(self, prop: int, value: float) -> bool:
        """Ask for a property; sizes go to the nearest that there is."""
        import cv2

        if prop == cv2.CAP_PROP_FOURCC:
            wish = int(value).to_bytes(4, "little").decode()
            self._device.asked.append(wish)
            if wish not in self._device.formats:
                return False
            self._format = wish
        elif prop == cv2.CAP_PROP_FRAME_WIDTH:
            self._size = min(self._device.sizes, key=lambda size: abs(size[0] - value))
        return True

    def get(self, prop: int) -> float:
        """Read a property back."""
        import cv2

        values = {
            cv2.CAP_PROP_FOURCC: int.from_bytes(self._format.encode(), "little"),
            cv2.CAP_PROP_FRAME_WIDTH: self._size[0],
            cv2.CAP_PROP_FRAME_HEIGHT: self._size[1],
            cv2.CAP_PROP_POS_MSEC: time.monotonic() * 1000,
        }
        return float(values.get(prop, 0))

    def grab(self) -> bool:
        """Wait for a frame."""
        with self._using:
            threading.Event().wait(self._device.period_s)
            self._grabbed = self._open and not (self._device.silent or self._device.unplugged)
            self._device.frames += self._grabbed
            return self._grabbed

    def retrieve(self) -> tuple[bool, Any]:
        """Decode the frame that was grabbed."""
        import numpy as np

        if not self._grabbed:
            return False, None
        self._device.decoded += 1
        width, height = self._size
        picture: NDArray[np.uint8] = np.empty((height, width, 3), np.uint8)
        picture[:] = _BLUE_GREEN_RED
        picture[:8, :8] = self._device.frames % 251
        if self._format == "BGR3":
            return True, picture.reshape(1, -1)
        if self._format in ("NV12", "NV21"):
            return True, np.ascontiguousarray(picture[:, :, ::-1])
        if self._format in ("RG10", "Y16 "):
            return True, np.zeros((1, width * height * 2), np.uint8)
        return True, picture

    def release(self) -> None:
        """Give the device back; under a grab, OpenCV crashes."""
        if not self._using.acquire(blocking=False):
            raise AssertionError("release() while another thread is inside grab()")
        self._using.release()
        self._device.released += self._open
        self._open = False
