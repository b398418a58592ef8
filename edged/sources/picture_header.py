"""Reads the size of a picture from its first bytes, before a decoder gets to see it.

A file of a few kilobytes may ask for gigabytes: OpenCV decodes what the header says. Only the five formats
that are promised are known here, by their first bytes; their decoders are the only ones that may run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE_BYTES = 12  # that tell a format
MAX_PIXELS = 1 << 26  # 67 megapixels: the largest camera for a Raspberry Pi has 64

# JPEG markers: start of a scan, those that begin no segment, and those that hold the size.
_SCAN = 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WIDTH, _LENGTH, _TILE_WIDTH, _TILE_LENGTH = 256, 257, 322, 323  # tags of TIFF
_NUMBERS = {1: 1, 3: 2, 4: 4}  # types of TIFF's values, and their bytes
_MAX_ENTRIES = 512


class Size(NamedTuple):
    """A picture's width and height, in pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.width * self.height


def is_known(data: bytes) -> bool:
    """Return whether the first bytes are those of a JPEG, PNG, BMP, WebP or TIFF file."""
    return (
        data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*"))
        or data[:4] + data[8:12] == b"RIFFWEBP"
    )


def size(data: bytes) -> Size | None:
    """Return the size that a decoder would make room for, or None where the header is cut or damaged."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG"):
            return _png(data)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data.startswith(b"RIFF"):
            return _webp(data)
        return _tiff(data)
    except (IndexError, ValueError):
        return None


def segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the marker and the position of each segment of a JPEG file, up to the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            yield marker, at
            if marker == _SCAN:
                return
            at += 2 + _number(data, at + 2, 2, "big")


def _jpeg(data: bytes) -> Size | None:
    found = [
        Size(_number(data, at + 7, 2, "big"), _number(data, at + 5, 2, "big"))
        for marker, at in segments(data)
        if marker in _FRAMES
    ]
    return max(found, key=lambda size: size.pixels, default=None)


def _png(data: bytes) -> Size | None:
    # A length other than 13 here makes OpenCV allocate and clear as much memory as it says, up to 2 GB.
    if data[8:16] != b"\0\0\0\x0dIHDR":
        return None
    return Size(_number(data, 16, 4, "big"), _number(data, 20, 4, "big"))


def _bmp(data: bytes) -> Size | None:
    if _number(data, 14, 4) == 12:  # the header of OS/2
        return Size(_number(data, 18, 2), _number(data, 20, 2))
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    return Size(abs(width), abs(height)) if len(data) >= 26 else None  # negative: from top to bottom


def _webp(data: bytes) -> Size | None:
    match data[12:16]:
        case b"VP8X":
            return Size(1 + _number(data, 24, 3), 1 + _number(data, 27, 3))
        case b"VP8L":
            bits = _number(data, 21, 4)
            return Size(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        case b"VP8 ":
            return Size(_number(data, 26, 2) & 0x3FFF, _number(data, 28, 2) & 0x3FFF)
    return None


def _tiff(data: bytes) -> Size | None:
    order = "little" if data.startswith(b"II") else "big"
    at = _number(data, 4, 4, order)
    entries = _number(data, at, 2, order)
    values: dict[int, int] = {}
    for number in range(min(entries, _MAX_ENTRIES)):
        entry = at + 2 + 12 * number
        tag, kind = _number(data, entry, 2, order), _number(data, entry + 2, 2, order)
        if tag in (_WIDTH, _LENGTH, _TILE_WIDTH, _TILE_LENGTH):
            values[tag] = max(values.get(tag, 0), _number(data, entry + 8, _NUMBERS.get(kind, 4), order))
    if _WIDTH not in values or _LENGTH not in values:
        return None
    # A decoder makes room for whole tiles.
    return Size(
        max(values[_WIDTH], values.get(_TILE_WIDTH, 0)), max(values[_LENGTH], values.get(_TILE_LENGTH, 0))
    )


def _number(data: bytes, at: int, length: int, order: str = "little") -> int:
    """Return a whole number. Raises ``IndexError`` where the file ends before it."""
    if not 0 <= at <= len(data) - length:
        raise IndexError
    return int.from_bytes(data[at : at + length], "little" if order == "little" else "big")
