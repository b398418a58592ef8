"""Reads one photograph, and tells a whole file from one that is still being written.

OpenCV decodes half a JPEG to half a picture and a grey rest, without an error. A folder that somebody copies
into would give such pictures, so a file is decoded only when its end is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_SOS, _EOI = 0xDA, b"\xff\xd9"
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})  # JPEG markers that stand alone


def read(path: Path) -> NDArray[np.uint8] | None:
    """Return the picture as BGR, upright as its EXIF data says, or None where there is no whole one.

    Raises:
        OSError: the file cannot be read.
    """
    import cv2
    import numpy as np

    data = path.read_bytes()
    if not is_whole(data):
        return None
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV takes
        return None
    return None if pixels is None else np.asarray(pixels, np.uint8)


def is_whole(data: bytes) -> bool:
    """Whether the end of the picture is there, as far as its format can say."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg_is_whole(data)
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data[-64:] or b"IEND\xae\x42\x60\x82" in data
    if data.startswith(b"RIFF"):
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if data.startswith(b"BM"):
        # Some writers leave the size 0; then only the decoder can tell.
        return len(data) >= int.from_bytes(data[2:6], "little")
    return len(data) > 0


def _jpeg_is_whole(data: bytes) -> bool:
    """Walk over the segments to the first scan (a thumbnail in a segment has an end marker of its own)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _SOS:
            return data.find(_EOI, at) >= 0
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False
