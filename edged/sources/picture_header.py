"""Reads the size of a picture from its first bytes, before a decoder gets to see it.

A file of a few kilobytes may ask for gigabytes: OpenCV decodes what the header says. Only the formats that
are promised are known here, by their first bytes; their decoders are the only ones that may run. Others are
named, so that a message can tell what a file is that has the wrong name.
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
_PHOTOMETRIC, _CMYK = 262, 5
_MAX_ENTRIES = 512
_MAX_CHUNKS = 1024

# The brands of files that begin with a box "ftyp", and what to do with such a file.
_CONVERT = "convert it to JPEG"
_BRANDS = {
    b"heic": f"HEIC: {_CONVERT}, or set the phone to JPEG",
    b"avif": f"AVIF: {_CONVERT}",
    b"crx ": f"a raw file of a Canon camera: {_CONVERT}",
    b"jxl ": f"JPEG XL: {_CONVERT}",
    b"jp2 ": f"JPEG 2000: {_CONVERT}",
}
_HEIF = {b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"mif2"}
_FOREIGN = (
    (b"\0\0\0\x0cjP  ", f"JPEG 2000: {_CONVERT}"),
    (b"\0\0\0\x0cJXL ", f"JPEG XL: {_CONVERT}"),
    (b"\xff\x0a", f"JPEG XL: {_CONVERT}"),
    (b"%PDF", f"a PDF document: {_CONVERT}"),
    (b"8BPS", f"a Photoshop file: {_CONVERT}"),
    (b"\x1aE\xdf\xa3", "a video: use `kind: video`"),
    (b"\0\0\x01\0", f"an icon: {_CONVERT}"),
    (b"v/1\x01", f"OpenEXR: {_CONVERT}"),
    (b"PK\x03\x04", "a ZIP archive: unpack it"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file itself with `git lfs pull`"),
)


class Size(NamedTuple):
    """A picture's width and height, in pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.width * self.height


def is_known(data: bytes) -> bool:
    """Return whether the first bytes are those of a JPEG, PNG, BMP, GIF, WebP or TIFF file."""
    return (
        data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*"))
        or data[:4] + data[8:12] == b"RIFFWEBP"
        or is_gif(data)
    )


def is_gif(data: bytes) -> bool:
    """Return whether the first bytes are those of a GIF file."""
    return data.startswith((b"GIF87a", b"GIF89a"))


def foreign(data: bytes) -> str:
    """Return a sentence that names the format of a file that is not known, and what to do."""
    if data[4:8] == b"ftyp":
        brand = b"heic" if data[8:12] in _HEIF else data[8:12].replace(b"avis", b"avif")
        return f"it is {_BRANDS.get(brand, 'a video: use `kind: video`')}"
    for begin, what in _FOREIGN:
        if data.startswith(begin):
            return f"it is {what}"
    start = data[:256].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is a web page, not a picture: the download failed"
    if start.startswith((b"<svg", b"<?xml")):
        return f"it is SVG or XML: {_CONVERT}"
    return "it is not a JPEG, PNG, BMP, GIF, WebP or TIFF picture"


def bmp_bytes(data: bytes) -> int:
    """Return how many bytes a BMP file must have at least.

    Its field for that is often wrong, and programs that show pictures do not read it: the header gives the
    bytes of uncompressed pixels. For compressed ones only the decoder can.
    """
    found = _bmp(data) if len(data) >= 34 else None
    if found is None:
        return 54
    old = _number(data, 14, 4) == 12
    bits = _number(data, 24 if old else 28, 2)
    compression = 0 if old else _number(data, 30, 4)
    start = _number(data, 10, 4)
    rows = (found.width * bits + 31) // 32 * 4 * found.height if compression in (0, 3, 6) else 0
    return start + rows


def may_be_transparent_or_deep(data: bytes) -> bool:
    """Return whether a decoder must keep what the file has: more than 8 bits per value, or transparency.

    Not for BMP, whose fourth byte is hardly ever meant, nor for the four inks of a printer.
    """
    if data.startswith((b"II*\0", b"MM\0*")):
        values = _tiff_values(data, {_PHOTOMETRIC})
        return values.get(_PHOTOMETRIC, 1) != _CMYK
    return not data.startswith(b"BM")


def transparent_grey(data: bytes) -> int | None:
    """Return the value that is transparent in a grey PNG, as a decoder gives it; None where there is none.

    Decoders apply this chunk to pictures in colour only. Of 1, 2 and 4 bits they make 8.
    """
    if not data.startswith(b"\x89PNG") or data[25:26] != b"\0":  # the kind of colour: 0 is grey
        return None
    content = chunk(data, b"tRNS")
    if len(content) != 2:
        return None
    bits, value = data[24], int.from_bytes(content, "big")
    return value * 255 // ((1 << bits) - 1) if bits in (1, 2, 4) else value


def size(data: bytes) -> Size | None:
    """Return the size that a decoder would make room for, or None where the header is cut or damaged."""
    try:
        return next((parse for begin, parse in _PARSERS if data.startswith(begin)), _tiff)(data)
    except (IndexError, ValueError):
        return None


def chunk(data: bytes, wanted: bytes) -> bytes:
    """Return the content of a chunk of a PNG or RIFF file; empty where it has no such chunk."""
    png = data.startswith(b"\x89PNG")  # length, name, content, checksum; RIFF: name, length, content, padding
    at = 8 if png else 12
    for _ in range(_MAX_CHUNKS):
        head = data[at : at + 8]
        if len(head) < 8:
            break
        name, size = (head[4:], head[:4]) if png else (head[:4], head[4:])
        length = int.from_bytes(size, "big" if png else "little")
        if name == wanted:
            return data[at + 8 : at + 8 + length]
        at += 8 + length + (4 if png else length % 2)
    return b""


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
    # A length other than 13 here makes OpenCV allocate and clear as much memory as it claims, up to 2 GB.
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


def _gif(data: bytes) -> Size | None:
    return Size(_number(data, 6, 2), _number(data, 8, 2))


def _tiff(data: bytes) -> Size | None:
    values = _tiff_values(data, {_WIDTH, _LENGTH, _TILE_WIDTH, _TILE_LENGTH})
    if _WIDTH not in values or _LENGTH not in values:
        return None
    # A decoder makes room for whole tiles.
    return Size(
        max(values[_WIDTH], values.get(_TILE_WIDTH, 0)), max(values[_LENGTH], values.get(_TILE_LENGTH, 0))
    )


def _tiff_values(data: bytes, wanted: set[int]) -> dict[int, int]:
    """Return the numbers of the first directory that have these tags; the largest where one is repeated."""
    order = "little" if data.startswith(b"II") else "big"
    at = _number(data, 4, 4, order)
    entries = _number(data, at, 2, order)
    values: dict[int, int] = {}
    for number in range(min(entries, _MAX_ENTRIES)):
        entry = at + 2 + 12 * number
        tag, kind = _number(data, entry, 2, order), _number(data, entry + 2, 2, order)
        if tag in wanted:
            values[tag] = max(values.get(tag, 0), _number(data, entry + 8, _NUMBERS.get(kind, 4), order))
    return values


def _number(data: bytes, at: int, length: int, order: str = "little") -> int:
    """Return a whole number. Raises ``IndexError`` where the file ends before it."""
    if not 0 <= at <= len(data) - length:
        raise IndexError
    return int.from_bytes(data[at : at + length], "little" if order == "little" else "big")


_PARSERS = ((b"\xff\xd8", _jpeg), (b"\x89PNG", _png), (b"BM", _bmp), (b"RIFF", _webp), (b"GIF8", _gif))
