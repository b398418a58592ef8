"""Turns a picture upright, as the camera noted in the file.

A phone or a doorbell stores the sensor's rows as they are, and the turn as a number from 1 to 8 in the EXIF
data. OpenCV applies it to some formats, depending on its version, and never to WebP; so edged reads it, from
JPEG (APP1), PNG (eXIf), WebP (chunk EXIF) and TIFF (a tag of its own).
Numbers: CIPA DC-008 (Exif 2.32), tag 274.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from edged.sources import picture_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UPRIGHT = 1
_TAG, _SHORT = 274, 3
_APP1 = 0xE1
_EXIF = b"Exif\0\0"
_MAX_ENTRIES = 512


def of(data: bytes) -> int:
    """Return the orientation of a JPEG, PNG, WebP or TIFF file, 1 to 8; 1 (upright) where it has none."""
    tiff = _exif(data)
    found = _entry(tiff) if tiff else None
    return found[1] if found is not None else UPRIGHT


def without(tiff: bytes) -> bytes:
    """Return a TIFF file that is marked as upright, so that no decoder turns it."""
    found = _entry(tiff)
    if found is None or found[1] == UPRIGHT:
        return tiff
    at, _ = found
    return tiff[:at] + struct.pack(_order(tiff) + "H", UPRIGHT) + tiff[at + 2 :]


def turn(pixels: NDArray[Any], orientation: int) -> NDArray[np.uint8]:
    """Return the picture, turned and mirrored upright."""
    import cv2
    import numpy as np

    flips = {2: 1, 3: -1, 4: 0}
    turns = {6: cv2.ROTATE_90_CLOCKWISE, 8: cv2.ROTATE_90_COUNTERCLOCKWISE}
    if orientation in flips:
        pixels = np.asarray(cv2.flip(pixels, flips[orientation]))
    elif orientation in turns:
        pixels = np.asarray(cv2.rotate(pixels, turns[orientation]))
    elif orientation == 5:
        pixels = np.asarray(cv2.transpose(pixels))
    elif orientation == 7:
        pixels = np.asarray(cv2.flip(cv2.transpose(pixels), -1))
    return np.asarray(pixels, np.uint8)


def _exif(data: bytes) -> bytes:
    """Return the EXIF data, which have the form of a TIFF file; empty where there are none."""
    if data.startswith(b"\xff\xd8"):
        for marker, at in picture_header.segments(data):
            if marker == _APP1 and data[at + 4 : at + 10] == _EXIF:
                return data[at + 10 : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    elif data.startswith(b"\x89PNG"):
        return picture_header.chunk(data, b"eXIf")
    elif data.startswith(b"RIFF"):
        return picture_header.chunk(data, b"EXIF").removeprefix(_EXIF)
    elif data.startswith((b"II*\0", b"MM\0*")):
        return data
    return b""


def _order(tiff: bytes) -> str:
    return "<" if tiff.startswith(b"II") else ">"


def _entry(tiff: bytes) -> tuple[int, int] | None:
    """Return where the first directory of a TIFF file has the orientation, and the orientation."""
    order = _order(tiff)
    try:
        if struct.unpack_from(order + "H", tiff, 2)[0] != 42:
            return None
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, at)
        for n in range(min(count, _MAX_ENTRIES)):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, at + 2 + 12 * n)
            if tag == _TAG and kind == _SHORT:
                return (at + 2 + 12 * n + 8, value) if 1 <= value <= 8 else None
    except struct.error:
        pass
    return None
