"""JPEG pictures: whether they are whole, and how to decode no more of them than is needed.

The decoder can leave out detail: at 1/2, 1/4 or 1/8 of the size it computes only a part of each block of 8x8
pixels. For a model of 224x224 pixels, a picture of 1920x1080 at 1/4 costs less than a third of all of it, and
the difference after resizing is below half a step of 255 on average (measured on photographs).

The decoder also fills up what is missing: half a file becomes half a picture and a flat rest, without an
error. A missing end marker shows that, but programs that cut files may append one. So where the last pixels
are flat, the picture is decoded once more with other data before its end: what was complete stays the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edged.sources import View, picture_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edged.sources import Hint, SourceConfig

SHRINKS = (8, 4, 2)
_SCAN, _PROGRESSIVE, _END = 0xDA, 0xC2, b"\xff\xd9"
_BLOCK = 8  # px
# A marker ends the data of a scan, except a stuffed byte, a restart marker and a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTARTS = tuple(bytes((0xFF, 0xD0 + n)) for n in range(8))
_OTHER_DATA = b"".join(bytes(range(7, 250, 3)) + restart for restart in _RESTARTS * 2)


def is_jpeg(data: bytes) -> bool:
    """Return whether the data begin as a JPEG file does."""
    return data.startswith(b"\xff\xd8\xff")


def has_end(data: bytes) -> bool:
    """Return whether the end marker is there; that of a thumbnail in a segment does not count."""
    at = next((at for marker, at in picture_header.segments(data) if marker == _SCAN), None)
    return at is not None and data.find(_END, at) >= 0


def shrink(size: tuple[int, int], least: tuple[int, int]) -> int:
    """Return the largest of 8, 4, 2 and 1 by which a picture can be divided.

    Args:
        size: width and height of the part that is used, in pixels.
        least: width and height that must be left; (0, 0): all of it is wanted.
    """
    if min(least) <= 0:
        return 1
    return next((n for n in SHRINKS if size[0] >= n * least[0] and size[1] >= n * least[1]), 1)


class Shrink:
    """Chooses how much smaller the pictures of a source may be decoded, for its model.

    The part of the picture that is used must not become smaller than the model's input in either direction;
    of several pipelines that share the source, no part of any.

    Args:
        config: the source's keys: what is cropped, after which rotation.
        hint: the model's input; where its size is unknown, pictures keep theirs.
    """

    def __init__(self, config: SourceConfig, hint: Hint) -> None:
        self._views = hint.views or (View(hint.width, hint.height, config.rotate, config.crop),)

    def __call__(self, width: int, height: int) -> int:
        """Return 1, 2, 4 or 8 for a picture of this width and height."""
        return min(_shrink_for(view, width, height) for view in self._views)


def _shrink_for(view: View, width: int, height: int) -> int:
    if view.crop is not None:
        size = view.crop[2:]
    else:
        size = (height, width) if view.rotate in ("90", "270") else (width, height)
    return shrink(size, (view.width, view.height))


def decode(data: Any, shrink: int = 1) -> NDArray[np.uint8] | None:
    """Return the picture as BGR at 1/shrink of its size, not turned; None where it cannot be decoded.

    Args:
        data: bytes, or an array of them.
        shrink: 1, 2, 4 or 8.
    """
    import cv2
    import numpy as np

    flags = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }[shrink]
    array = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    if not array.size:
        return None
    try:
        pixels: Any = cv2.imdecode(array, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if pixels is None else np.asarray(pixels, np.uint8)


def is_complete(data: bytes, pixels: NDArray[np.uint8], shrink: int = 1) -> bool:
    """Return whether the data were enough for all of the picture.

    Args:
        data: a file that :func:`has_end`.
        pixels: what :func:`decode` made of it, at ``shrink``.
        shrink: 1, 2, 4 or 8.
    """
    import numpy as np

    if _is_progressive(data):
        if not _scans_are_complete(data):
            return False
    elif np.ptp(pixels[-1, -max(1, _BLOCK // shrink) :], axis=0).any():
        return True
    end = data.rfind(_END)
    again = decode(data[:end] + _OTHER_DATA + data[end:], shrink)
    return again is not None and np.array_equal(again, pixels)


def _is_progressive(data: bytes) -> bool:
    return any(marker == _PROGRESSIVE for marker, _ in picture_header.segments(data))


def _scans_are_complete(data: bytes) -> bool:
    """Return whether a progressive file has a last scan for each coefficient of each component."""
    frame = next((at for marker, at in picture_header.segments(data) if marker == _PROGRESSIVE), -1)
    if frame < 0 or frame + 10 > len(data):
        return False
    components = {data[at] for at in range(frame + 10, min(frame + 10 + 3 * data[frame + 9], len(data)), 3)}
    wanted = {(component, n) for component in components for n in range(64)}
    at = frame
    while wanted:
        found = _MARKER.search(data, at)
        if found is None or found[0] == _END:
            return False
        at = found.start() + 2
        length = int.from_bytes(data[at : at + 2], "big")
        if found[0][1] == _SCAN:
            header = data[at + 2 : at + length]
            number = header[0] if header else 0
            if len(header) < 4 + 2 * number:
                return False
            first, last, bits = header[1 + 2 * number : 4 + 2 * number]
            if not bits & 0x0F:
                wanted -= {(header[1 + 2 * i], n) for i in range(number) for n in range(first, last + 1)}
        at += length
    return True
