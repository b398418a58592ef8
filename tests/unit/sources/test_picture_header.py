"""The size of a picture is known before a decoder sees it, and it is what the decoder would make."""

from __future__ import annotations

import random
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sources import photographs, picture_header
from edged.sources.picture_header import MAX_PIXELS, Size

SUFFIXES = [".jpg", ".png", ".bmp", ".webp", ".tif"]
SIZES = [(1, 1), (17, 5), (640, 480), (300, 1000)]


def encoded(suffix: str, width: int, height: int, options: tuple[int, ...] = ()) -> bytes:
    ok, data = cv2.imencode(suffix, np.full((height, width, 3), 90, np.uint8), options)
    assert ok
    return data.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_size_is_that_of_the_decoder(suffix: str, width: int, height: int) -> None:
    data = encoded(suffix, width, height)
    assert picture_header.is_known(data)
    assert picture_header.size(data) == (width, height)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101)),  # lossless
        (".tif", (cv2.IMWRITE_TIFF_COMPRESSION, 5)),
    ],
)
def test_other_flavours_of_the_formats(suffix: str, options: tuple[int, ...]) -> None:
    assert picture_header.size(encoded(suffix, 64, 48, options)) == (64, 48)


def test_an_extended_webp_has_the_size_of_its_canvas() -> None:
    canvas = (9999).to_bytes(3, "little") + (19_999).to_bytes(3, "little")
    data = b"RIFF" + bytes(4) + b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + canvas
    assert picture_header.size(data) == (10_000, 20_000)


def test_a_bitmap_from_top_to_bottom_and_one_of_os2() -> None:
    assert picture_header.size(b"BM" + bytes(12) + struct.pack("<Iii", 40, 30, -20)) == (30, 20)
    assert picture_header.size(b"BM" + bytes(12) + struct.pack("<IHH", 12, 30, 20)) == (30, 20)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_counts_with_its_tiles(order: str) -> None:
    entries = [(256, 3, 1, 10), (257, 4, 1, 10), (322, 4, 1, 30_000), (323, 4, 1, 40_000)]
    body = b""
    for tag, kind, count, value in entries:
        packed = struct.pack(order + ("HH" if kind == 3 else "I"), *((value, 0) if kind == 3 else (value,)))
        body += struct.pack(order + "HHI", tag, kind, count) + packed
    mark = b"II*\0" if order == "<" else b"MM\0*"
    data = mark + struct.pack(order + "IH", 8, len(entries)) + body
    assert picture_header.size(data) == (30_000, 40_000)


def test_the_larger_of_two_frames_of_a_jpeg_counts() -> None:
    small = encoded(".jpg", 8, 8)
    frame = b"\xff\xc2\x00\x0b\x08" + struct.pack(">HH", 60_000, 50_000) + b"\x01\x01\x11\x00"
    assert picture_header.size(small[:2] + frame + small[2:]) == Size(50_000, 60_000)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x18ftypavif" + bytes(60),
        b"\x76\x2f\x31\x01" + bytes(60),  # OpenEXR
        b"\xffO\xffQ" + bytes(60),  # JPEG 2000
        b"P6\n9 9\n255\n" + bytes(300),
        b"II+\0" + bytes(60),  # BigTIFF
        b"#?RADIANCE\n" + bytes(60),
    ],
)
def test_other_formats_are_unknown(data: bytes) -> None:
    assert not picture_header.is_known(data)


@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF", b"II*\0", b"MM\0*"]), st.binary()
)
def test_any_bytes_get_an_answer(mark: bytes, rest: bytes) -> None:
    size = picture_header.size(mark + rest)
    assert size is None or size.pixels >= 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_decoder_makes_more_than_the_header_says(suffix: str) -> None:
    """Change single bytes of real pictures: whatever OpenCV makes of them, its size was known before."""
    rng = random.Random(7)
    whole = encoded(suffix, 40, 30)
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(min(200, len(data)))] = rng.randrange(256)
        size = picture_header.size(bytes(data))
        if size is None or size.pixels > 1_000_000 or not picture_header.is_known(bytes(data)):
            continue
        if not photographs.is_whole(bytes(data)):
            continue
        try:
            pixels = cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            continue
        if pixels is not None:
            assert pixels.shape[0] * pixels.shape[1] <= size.pixels


def test_a_png_whose_first_chunk_claims_gigabytes_is_refused() -> None:
    data = bytearray(encoded(".png", 40, 30))
    data[8] = 0x7F
    assert picture_header.size(bytes(data)) is None


def test_a_png_whose_later_chunk_claims_gigabytes_is_half_a_file() -> None:
    data = bytearray(encoded(".png", 40, 30))
    assert photographs.is_whole(bytes(data) + b"appended")
    data[33] = 0x7F
    assert not photographs.is_whole(bytes(data))


def test_opencv_keeps_the_same_bound() -> None:
    from edged.system.namespaces import ENVIRONMENT

    assert ENVIRONMENT["OPENCV_IO_MAX_IMAGE_PIXELS"] == str(MAX_PIXELS)


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of this size in a few kilobytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)  # one bit a pixel
    rows = zlib.compress(bytes((width // 8 + 2) * 64), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_bomb_is_known_by_its_header() -> None:
    assert picture_header.size(bomb(30_000, 30_000)) == (30_000, 30_000)
