"""Reads one photograph, and distinguishes a complete file from one that is still being written.

OpenCV decodes half a JPEG to half a picture and a grey rest, without an error. A folder that somebody copies
into would give such pictures, so a file is decoded only when its end is there. And it decodes whatever it is
given, however large; so a file is decoded only when its format is promised and its size has a bound.

A picture is what a viewer shows: turned upright (:mod:`edged.sources.orientation`), on white where it is
transparent, the first one of an animation. Of 16 bits per value, those that are used are scaled to 8: cameras
write 10, 12 or 14.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from edged.sources import jpeg, orientation, picture_header
from edged.sources.picture_header import MAX_PIXELS
from edged.system.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

MAX_BYTES = 64_000_000
_CUT = "the file ends before the picture does"
_DAMAGED = "it is damaged: the picture cannot be decoded"
_MAX_DEEP = MAX_PIXELS // 4  # pixels with 16 bits or transparency, which need up to four times the memory
_ROWS = 256  # that are composed at a time


class Incomplete(OSError):  # noqa: N818 - it is a state of a file, as Unavailable is of a device
    """The file is cut or damaged, or still being written. ``strerror`` is a sentence."""


class Photograph(NamedTuple):
    """A decoded photograph.

    Attributes:
        pixels: BGR, uint8 ``[height, width, 3]``, upright.
        shrink: its size is divided by this: 1, 2, 4 or 8.
    """

    pixels: NDArray[np.uint8]
    shrink: int = 1


def whole(width: int, height: int) -> int:
    """Return 1: decode the picture in its own size."""
    del width, height
    return 1


def read(
    path: Path,
    shrink: Callable[[int, int], int] = whole,
    begins: Callable[[], object] = lambda: None,
) -> Photograph:
    """Return the picture of a file.

    Args:
        path: the file.
        shrink: returns the number by which a picture of this width and height, in pixels and upright, may
            be divided where that saves work.
        begins: called when the file was read and found in order, before a decoder gets it.

    Raises:
        Incomplete: the file is cut, damaged, or not written to its end yet.
        OSError: the file cannot be read, or will not be: it is not a regular file, not a photograph, or too
            large. ``strerror`` is a sentence.
    """
    data = _content(path)
    _check(path, data)
    begins()
    if picture_header.is_gif(data):
        return Photograph(_first_of_gif(path))
    return decode(data, shrink, str(path))


def decode(data: bytes, shrink: Callable[[int, int], int] = whole, name: str = "") -> Photograph:
    """Return the picture of the content of a file, as :func:`read` does.

    Raises:
        Incomplete: it is cut or damaged.
        OSError: it is not a picture that may be decoded.
    """
    _check(name, data)
    turned = orientation.of(data)
    if not jpeg.is_jpeg(data):
        return Photograph(orientation.turn(_other(data, name), turned))
    size = picture_header.size(data)
    if size is None:
        raise Incomplete(errno.EINVAL, _CUT, name)
    by = shrink(*(reversed(size) if turned >= 5 else size))
    pixels = jpeg.decode(data, by)
    if pixels is None:
        raise Incomplete(errno.EINVAL, _DAMAGED, name)
    if not jpeg.is_complete(data, pixels, by):
        raise Incomplete(errno.EINVAL, _CUT, name)
    return Photograph(orientation.turn(pixels, turned), by)


def _content(path: Path) -> bytes:
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            what = f"it has {size / 1e6:.0f} MB; the maximum is {MAX_BYTES // 1_000_000}"
            raise OSError(errno.EFBIG, what, str(path))
        return file.read(size)


def _check(path: Path | str, data: bytes) -> None:
    """Raise ``Incomplete`` or ``OSError`` where a decoder must not see the data."""
    if not data:
        raise Incomplete(errno.EINVAL, "the file is empty", str(path))
    if len(data) >= picture_header.SIGNATURE_BYTES and not picture_header.is_known(data):
        raise OSError(errno.EINVAL, picture_header.foreign(data), str(path))
    if not is_whole(data):
        raise Incomplete(errno.EINVAL, _CUT, str(path))
    size = picture_header.size(data)
    if size is None or size.pixels == 0:
        raise Incomplete(errno.EINVAL, _DAMAGED, str(path))
    if size.pixels > MAX_PIXELS:
        what = f"it has {size.width} x {size.height} pixels; the maximum is {MAX_PIXELS // 1_000_000} million"
        raise OSError(errno.EFBIG, what, str(path))


def is_whole(data: bytes) -> bool:
    """Return whether the file has its end, as far as its format tells."""
    if data.startswith(b"\xff\xd8"):
        return jpeg.has_end(data)
    if data.startswith(b"\x89PNG"):
        return _png_is_whole(data)
    if data.startswith(b"RIFF"):
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if data.startswith(b"BM"):
        return len(data) >= picture_header.bmp_bytes(data)
    if picture_header.is_gif(data):
        return b";" in data[-64:]
    return len(data) > 0


def _png_is_whole(data: bytes) -> bool:
    """Go from chunk to chunk: OpenCV makes room for what a length says, up to 2 GB, before it reads."""
    at = 8
    while at + 8 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False


def _other(data: bytes, name: str) -> NDArray[np.uint8]:
    """Return the picture of a PNG, BMP, WebP or TIFF file, not turned."""
    import cv2
    import numpy as np

    size = picture_header.size(data)
    deep = size is not None and size.pixels <= _MAX_DEEP and picture_header.may_be_transparent_or_deep(data)
    flags = cv2.IMREAD_UNCHANGED if deep else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(orientation.without(data), np.uint8), flags)
    except cv2.error:  # what only the decoder can see
        pixels = None
    if pixels is None:
        raise Incomplete(errno.EINVAL, _DAMAGED, name)
    clear = picture_header.transparent_grey(data) if pixels.ndim == 2 else None
    paper = None if clear is None else pixels == clear
    if pixels.dtype != np.uint8:
        pixels = _in_8_bits(pixels, name)
    if paper is not None:
        pixels[paper] = 255
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return _on_white(pixels) if pixels.shape[2] == 4 else np.asarray(pixels, np.uint8)


def _in_8_bits(pixels: Any, name: str) -> NDArray[np.uint8]:
    """Return a picture with 16 bits per value, of which a camera may use 10, 12 or 14, in 8 bits."""
    import numpy as np

    if pixels.dtype != np.uint16:
        raise OSError(errno.EINVAL, f"its values are of the type {pixels.dtype}; convert it to 8 bits", name)
    colours = pixels[..., :3] if pixels.ndim == 3 else pixels
    bits = int(colours.max()).bit_length()
    used = 8 if bits <= 8 else min(16, bits + bits % 2)
    scaled = (pixels >> (used - 8)).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        scaled[..., 3] = pixels[..., 3] >> 8
    return np.asarray(scaled, np.uint8)


def _on_white(pixels: Any) -> NDArray[np.uint8]:
    """Return a picture with transparency (BGRA) as it looks on white paper."""
    import numpy as np

    colours = np.ascontiguousarray(pixels[..., :3])
    if pixels[..., 3].min() == 255:
        return np.asarray(colours, np.uint8)
    for first in range(0, len(pixels), _ROWS):
        part = pixels[first : first + _ROWS].astype(np.uint16)
        alpha = part[..., 3:]
        colours[first : first + _ROWS] = (part[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return np.asarray(colours, np.uint8)


def _first_of_gif(path: Path) -> NDArray[np.uint8]:
    """Return the first picture of a GIF file, which FFmpeg decodes: on white where it is transparent."""
    import cv2
    import numpy as np

    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    try:
        ok, pixels = capture.read() if capture.isOpened() else (False, None)
    finally:
        capture.release()
    if not ok or pixels is None:
        raise Incomplete(errno.EINVAL, _DAMAGED, str(path))
    return np.asarray(pixels, np.uint8)
