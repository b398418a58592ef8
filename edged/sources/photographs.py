"""Reads one photograph, and distinguishes a complete file from one that is still being written.

OpenCV decodes half a JPEG to half a picture and a grey rest, without an error. A folder that somebody copies
into would give such pictures, so a file is decoded only when its end is there. And it decodes whatever it is
given, however large; so a file is decoded only when its format is promised and its size has a bound.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from edged.sources import picture_header
from edged.sources.picture_header import MAX_PIXELS
from edged.system.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

MAX_BYTES = 64_000_000
_SCAN, _END_OF_IMAGE = 0xDA, b"\xff\xd9"  # of a JPEG file


def read(path: Path, begins: Callable[[], object] = lambda: None) -> NDArray[np.uint8] | None:
    """Return the picture as BGR, turned upright by its EXIF data; None where the file is not complete.

    Args:
        path: the file.
        begins: called when the file was read and found in order, before the decoder gets it.

    Raises:
        OSError: the file cannot be read, or will not be: it is not a regular file, not a photograph, or too
            large. ``strerror`` is a sentence.
    """
    import cv2
    import numpy as np

    data = _content(path)
    if not is_whole(data) or not _is_in_bounds(path, data):
        return None
    begins()
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # what only the decoder can see
        return None
    return None if pixels is None else np.asarray(pixels, np.uint8)


def _content(path: Path) -> bytes:
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            what = f"it has {size / 1e6:.0f} MB; the maximum is {MAX_BYTES // 1_000_000}"
            raise OSError(errno.EFBIG, what, str(path))
        return file.read(size)


def _is_in_bounds(path: Path, data: bytes) -> bool:
    """Return whether a decoder may see the picture; False where its header is not there yet.

    Raises:
        OSError: it is in another format, or too large.
    """
    if len(data) >= picture_header.SIGNATURE_BYTES and not picture_header.is_known(data):
        raise OSError(errno.EINVAL, "it is not a JPEG, PNG, BMP, WebP or TIFF picture", str(path))
    size = picture_header.size(data)
    if size is not None and size.pixels > MAX_PIXELS:
        what = f"it has {size.width} x {size.height} pixels; the maximum is {MAX_PIXELS // 1_000_000} million"
        raise OSError(errno.EFBIG, what, str(path))
    return size is not None and size.pixels > 0


def is_whole(data: bytes) -> bool:
    """Return whether the file has its end, as far as its format tells."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg_is_whole(data)
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data[-64:] or b"IEND\xae\x42\x60\x82" in data
    if data.startswith(b"RIFF"):
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if data.startswith(b"BM"):
        # Some programs write a size of 0; then only the decoder can tell.
        return len(data) >= int.from_bytes(data[2:6], "little")
    return len(data) > 0


def _jpeg_is_whole(data: bytes) -> bool:
    """Look behind the first scan: a thumbnail in a segment has an end marker of its own."""
    at = next((at for marker, at in picture_header.segments(data) if marker == _SCAN), None)
    return at is not None and data.find(_END_OF_IMAGE, at) >= 0
