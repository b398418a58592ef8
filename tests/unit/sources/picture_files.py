"""Files of pictures as cameras, phones and programs write them, by hand where OpenCV cannot."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = (96, 64)  # width, height


def top_bright() -> NDArray[np.uint8]:
    """A picture whose upper half is bright, and whose left edge is red: no turn or mirroring leaves it."""
    picture = np.full((SIZE[1], SIZE[0], 3), 30, np.uint8)
    picture[: SIZE[1] // 2] = 220
    picture[:, :24] = (0, 0, 255)
    return picture


def encoded(suffix: str, picture: NDArray[np.generic], *flags: int) -> bytes:
    ok, data = cv2.imencode(suffix, picture, flags)
    assert ok
    return data.tobytes()


def stored(picture: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The rows of the sensor of which this orientation makes the picture."""
    undo = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }
    return np.ascontiguousarray(undo[orientation](picture))


def exif(orientation: int, order: str = ">") -> bytes:
    """EXIF data with a maker's name and an orientation."""
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "IH", 8, 2)
    maker = struct.pack(order + "HHI4s", 271, 2, 4, b"abc\0")
    return head + maker + struct.pack(order + "HHIHHI", 274, 3, 1, orientation, 0, 0)


def jpeg_with(data: bytes, tiff: bytes) -> bytes:
    body = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_with(data: bytes, tiff: bytes) -> bytes:
    return data[:33] + png_chunk(b"eXIf", tiff) + data[33:]


def webp_with(data: bytes, tiff: bytes) -> bytes:
    """The extended form, with a prefix that some programs write by mistake."""
    picture, content = data[12:], b"Exif\0\0" + tiff
    size = struct.pack("<I", SIZE[0] - 1)[:3] + struct.pack("<I", SIZE[1] - 1)[:3]
    height, width = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    extended = b"VP8X" + struct.pack("<II", 10, 0x08) + size
    note = b"EXIF" + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    body = b"WEBP" + extended + picture + note
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(picture: NDArray[np.uint8], orientation: int, order: str = "<") -> bytes:
    """An uncompressed TIFF file of one strip."""
    height, width = picture.shape[:2]
    pixels = np.ascontiguousarray(picture[..., ::-1]).tobytes()
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, 8 + 2 + 9 * 12 + 4),
        (262, 3, 1, 2),
        (273, 4, 1, 8 + 2 + 9 * 12 + 4 + 6),
        (274, 3, 1, orientation),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, len(pixels)),
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    body = b""
    for tag, kind, count, value in entries:
        short = kind == 3 and count == 1
        body += struct.pack(order + "HHI", tag, kind, count)
        body += struct.pack(order + ("HH" if short else "I"), *((value, 0) if short else (value,)))
    return head + body + struct.pack(order + "I", 0) + struct.pack(order + "3H", 8, 8, 8) + pixels


def gif(values: list[int], *, transparent: bool = False) -> bytes:
    """An animation of pictures of one grey each, 16 by 16 pixels."""
    table = b"".join(bytes((v, v, v)) for v in [*values, *[0] * (8 - len(values))])
    data = b"GIF89a" + struct.pack("<HHBBB", 16, 16, 0xF2, 0, 0) + table
    for n in range(len(values)):
        data += b"\x21\xf9\x04" + struct.pack("<BHB", 1 if transparent else 0, 10, n) + b"\0"
        data += b"\x2c" + struct.pack("<HHHHB", 0, 0, 16, 16, 0) + b"\x03" + _lzw([n] * 256) + b"\0"
    return data + b";"


def _lzw(pixels: list[int]) -> bytes:
    """Codes of 4 bits, with a reset before they would grow."""
    codes = [code for n, pixel in enumerate(pixels) for code in ([8, pixel] if n % 4 == 0 else [pixel])]
    codes.append(9)
    bits = sum(code << (4 * n) for n, code in enumerate(codes))
    raw = bits.to_bytes((len(codes) + 1) // 2, "little")
    return b"".join(bytes((len(raw[at : at + 255]),)) + raw[at : at + 255] for at in range(0, len(raw), 255))
