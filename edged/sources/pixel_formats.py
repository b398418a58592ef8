"""Pixel formats of Video4Linux that edged decodes itself, from the bytes that the camera sent.

OpenCV's own conversion depends on its version and fails silently: 4.11 passes an unknown format, and BGR24,
on as one flat row. The raw bytes are available for every format, so edged decodes them itself, for formats
whose colours were compared with a known picture on a real kernel (``tests/board/run``). Its camera has no
compressed ones: those are decoded from real JPEG data, which a double of the device and an HTTP camera send;
not verified on hardware: ``edged try --source /dev/video0 -c FILE`` with ``format: mjpg``. Other formats are
refused: Bayer and the 10- to 16-bit greys come from a sensor without an image processor, which alone would
know their white and black.
Names: https://docs.kernel.org/userspace-api/media/v4l/pixfmt.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.sources import jpeg

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of the bytes of an uncompressed picture.

    Attributes:
        channels: bytes of a pixel in a row; 1 where the colour has rows of its own below.
        conversion: cv2.COLOR_… to BGR, without the prefix; "" where the bytes are BGR already.
        halves: colour follows the picture in half as many rows (4:2:0).
        padded: rows may end with padding.
    """

    channels: int
    conversion: str
    halves: bool = False
    padded: bool = True


_LAYOUTS = {
    "YUYV": Layout(2, "YUV2BGR_YUY2"),
    "UYVY": Layout(2, "YUV2BGR_UYVY"),
    "YVYU": Layout(2, "YUV2BGR_YVYU"),
    "NV12": Layout(1, "YUV2BGR_NV12", halves=True),
    "NV21": Layout(1, "YUV2BGR_NV21", halves=True),
    "YU12": Layout(1, "YUV2BGR_I420", halves=True, padded=False),
    "YV12": Layout(1, "YUV2BGR_YV12", halves=True, padded=False),
    "BGR3": Layout(3, ""),
    "RGB3": Layout(3, "RGB2BGR"),
    "XR24": Layout(4, "BGRA2BGR"),
    "AR24": Layout(4, "BGRA2BGR"),
    "BGR4": Layout(4, "BGRA2BGR"),
    "XB24": Layout(4, "RGBA2BGR"),
    "AB24": Layout(4, "RGBA2BGR"),
    "RGBP": Layout(2, "BGR5652BGR"),
}
COMPRESSED = ("MJPG", "JPEG")
_GREY = {"GREY": Layout(1, "GRAY2BGR")}

# Those that are cheap to decode first; grey last, because a camera with colours may offer it too.
KNOWN = (*_LAYOUTS, *COMPRESSED, *_GREY)


@dataclass(frozen=True, slots=True)
class Format:
    """The format that a camera was set to.

    Attributes:
        fourcc: four characters, such as ``YUYV``.
        width, height: in pixels.
        stride: bytes from one row to the next; 0 where the driver does not tell, or rows have no length.
    """

    fourcc: str
    width: int
    height: int
    stride: int = 0


def candidates(offered: Sequence[str], wanted: str, size: tuple[int, int]) -> list[str]:
    """Return the formats to try, the best first.

    Args:
        offered: the formats that the camera lists; empty where it has no list.
        wanted: the configured format, or "".
        size: in pixels; above 640x480 uncompressed pictures fill a USB 2 port, so compressed ones come first.
    """
    order = list(KNOWN)
    if size[0] * size[1] > 640 * 480:
        order = [*COMPRESSED, *(name for name in order if name not in COMPRESSED)]
    if wanted:
        order = [wanted, *(name for name in order if name != wanted)]
    return [name for name in order if name in offered or not offered]


def decode(raw: Any, given: Format, shrink: int = 1) -> NDArray[np.uint8] | None:
    """Return the picture as BGR, uint8 ``[height, width, 3]``; None where the bytes are not such a picture.

    Args:
        raw: OpenCV's frame with conversion switched off, an array of any shape.
        given: the format that the camera was set to.
        shrink: divide a compressed picture by this: 1, 2, 4 or 8.
    """
    import cv2
    import numpy as np

    data = np.ascontiguousarray(raw).reshape(-1).view(np.uint8)
    if given.fourcc in COMPRESSED:
        small = -(-given.height // shrink), -(-given.width // shrink), 3
        decoded = jpeg.decode(data, shrink)
        return decoded if decoded is not None and decoded.shape == small else None
    pixels = _rows(data, given)
    layout = _layout(given.fourcc)
    picture: Any = pixels
    if pixels is not None and layout.conversion:
        picture = cv2.cvtColor(pixels, getattr(cv2, f"COLOR_{layout.conversion}"))
    if picture is None or picture.shape != (given.height, given.width, 3):
        return None
    return np.asarray(picture, np.uint8)


def _layout(fourcc: str) -> Layout:
    return _LAYOUTS.get(fourcc) or _GREY[fourcc]


def _rows(data: NDArray[np.uint8], given: Format) -> NDArray[np.uint8] | None:
    """Return the pixels as ``[rows, width, channels]`` without padding; None where bytes are missing."""
    import numpy as np

    layout = _layout(given.fourcc)
    rows = given.height * 3 // 2 if layout.halves else given.height
    length = given.width * layout.channels
    stride = max(given.stride, length)
    if stride != length and not layout.padded:
        return None
    if data.size < stride * rows:
        return None
    picture = data[: stride * rows].reshape(rows, stride)[:, :length]
    if layout.channels > 1:
        picture = picture.reshape(rows, given.width, layout.channels)
    return np.ascontiguousarray(picture)
