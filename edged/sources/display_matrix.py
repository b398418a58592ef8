"""Reads how a recording in the form of MP4 or QuickTime is turned and mirrored.

A front camera that mirrors what it records notes that in the matrix of the track, beside the turn. OpenCV
reports the turn alone, and a wrong one for a mirrored track.
Form: ISO/IEC 14496-12, 8.3.2 (track header), 8.4.3 (handler).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_BOXES = 1024
_MAX_HEADER_BYTES = 16 << 20  # of all tracks together; an hour of video has less than one
# Signs of the matrix (a, b, c, d): x' = a x + c y, y' = b x + d y. Numbers as in orientation.py.
_ORIENTATIONS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}


def orientation(path: Path) -> int | None:
    """Return the orientation of the first video track, 1 to 8; None where the file has no such matrix."""
    try:
        with path.open("rb") as file:
            movie = _movie(file)
        return next(
            (found for name, track in _boxes(movie) if name == b"trak" if (found := _of(track))), None
        )
    except (OSError, struct.error):
        return None


def _movie(file: BinaryIO) -> bytes:
    """Return the content of the box ``moov``, which may stand before or after the pictures."""
    if file.read(8)[4:] != b"ftyp":
        return b""
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        size, name = struct.unpack_from(">I4s", head)
        begins = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            begins = at + 16
        if name == b"moov":
            file.seek(begins)
            return file.read(min(at + size - begins, _MAX_HEADER_BYTES)) if size > 8 else b""
        if size < 8:  # 0: to the end of the file
            break
        at += size
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of each box."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield name, data[at + 8 : at + size]
        at += size


def _of(track: bytes) -> int | None:
    """Return the orientation of a track; None where it is not a video, or its matrix does more."""
    boxes = dict(_boxes(track))
    handler = dict(_boxes(boxes.get(b"mdia", b""))).get(b"hdlr", b"")
    header = boxes.get(b"tkhd", b"")
    if handler[8:12] != b"vide" or not header:
        return None
    at = 4 + (32 if header[0] == 1 else 20) + 16  # version and flags; times, track, duration; layer, volume
    a, b, _, c, d = struct.unpack_from(">5i", header, at)
    return _ORIENTATIONS.get(tuple((n > 0) - (n < 0) for n in (a, b, c, d)))
