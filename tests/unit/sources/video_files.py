"""Recordings as phones and time lapses write them, by hand where OpenCV cannot."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Of each orientation of EXIF: x' = a x + c y, y' = b x + d y.
_MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def oriented(path: Path, orientation: int) -> Path:
    """A recording of 96x64 whose sensor's upper left quarter is bright, and that says how it was held."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (96, 64))
    picture = np.full((64, 96, 3), 30, np.uint8)
    picture[:32, :48] = 220
    for _ in range(3):
        writer.write(picture)
    writer.release()
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # after version, times, track, duration and layer
    a, b, c, d = (65536 * n for n in _MATRICES[orientation])
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def timed(path: Path, times_s: Sequence[float]) -> Path:
    """A Matroska file with a frame at each of these times; the n-th has the value 20 + 20 n."""
    blocks = b""
    for n, at_s in enumerate(times_s):
        picture = cv2.imencode(".jpg", np.full((48, 64, 3), 20 + 20 * n, np.uint8))[1].tobytes()
        block = _element(0xA3, b"\x81" + struct.pack(">hB", 0, 0x80) + picture)
        blocks += _element(0x1F43B675, _element(0xE7, struct.pack(">I", round(at_s * 1000))) + block)
    video = _element(0xE0, _element(0xB0, b"\x40") + _element(0xBA, b"\x30"))
    track = b"".join(
        (
            _element(0xD7, b"\1"),
            _element(0x73C5, b"\1"),
            _element(0x83, b"\1"),
            _element(0x86, b"V_MJPEG"),
            video,
        )
    )
    info = _element(0x1549A966, _element(0x2AD7B1, struct.pack(">I", 1_000_000)))
    segment = _element(0x18538067, info + _element(0x1654AE6B, _element(0xAE, track)) + blocks)
    path.write_bytes(_element(0x1A45DFA3, _element(0x4282, b"matroska")) + segment)
    return path


def _element(name: int, content: bytes) -> bytes:
    length = (name.bit_length() + 7) // 8
    return name.to_bytes(length, "big") + struct.pack(">Q", len(content) | 1 << 56) + content
