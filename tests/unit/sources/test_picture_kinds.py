"""Pictures as people have them: each kind is read as a viewer shows it, or left out with the true reason."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edged.sources import photographs
from unit.sources import picture_files as files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TOP = files.top_bright()


def read(tmp_path: Path, name: str, data: bytes) -> NDArray[np.uint8]:
    (tmp_path / name).write_bytes(data)
    return photographs.read(tmp_path / name).pixels


def oriented(kind: str, orientation: int) -> bytes:
    picture, note = files.stored(TOP, orientation), files.exif(orientation, "<" if orientation % 2 else ">")
    match kind:
        case "jpg":
            return files.jpeg_with(files.encoded(".jpg", picture, cv2.IMWRITE_JPEG_QUALITY, 95), note)
        case "png":
            return files.png_with(files.encoded(".png", picture), note)
        case "webp":
            return files.webp_with(files.encoded(".webp", picture, cv2.IMWRITE_WEBP_QUALITY, 101), note)
    return files.tiff(picture, orientation, "<" if orientation % 2 else ">")


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_in_every_container(tmp_path: Path, kind: str, orientation: int) -> None:
    pixels = read(tmp_path, f"a.{kind}", oriented(kind, orientation))
    assert pixels.shape == TOP.shape
    assert np.abs(pixels.astype(int) - TOP).mean() < 8


@pytest.mark.parametrize("note", [b"", b"MM\0*", files.exif(0), files.exif(9), files.exif(6)[:14], b"x" * 40])
def test_a_damaged_note_turns_nothing(tmp_path: Path, note: bytes) -> None:
    data = files.jpeg_with(files.encoded(".jpg", TOP), note)
    assert read(tmp_path, "a.jpg", data).shape == TOP.shape


@pytest.mark.parametrize("kind", ["png", "webp", "tif"])
def test_transparency_is_composed_on_white(tmp_path: Path, kind: str) -> None:
    """A digit that is drawn in the transparency alone: black everywhere, where nobody looks."""
    picture = np.zeros((32, 32, 4), np.uint8)
    picture[8:24, 12:20, 3] = 255
    picture[8:24, 20:24, 3] = 128
    flags = (cv2.IMWRITE_WEBP_QUALITY, 101) if kind == "webp" else ()
    pixels = read(tmp_path, f"a.{kind}", files.encoded(f".{kind}", picture, *flags))
    assert pixels.shape == (32, 32, 3)
    assert (pixels[0, 0] == 255).all()
    assert (pixels[16, 16] == 0).all()
    assert (np.abs(pixels[16, 22].astype(int) - 127) <= 1).all()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)])
def test_bits_that_are_used_are_scaled(tmp_path: Path, kind: str, bits: int, shape: tuple[int, ...]) -> None:
    """An industrial or thermal camera writes 12 bits into 16: the picture is not black."""
    picture = np.full(shape, (1 << bits) // 2, np.uint16)
    picture[:10] = (1 << bits) - 1
    pixels = read(tmp_path, f"a.{kind}", files.encoded(f".{kind}", picture))
    assert pixels.shape == (40, 60, 3)
    assert (int(pixels[0, 0, 0]), int(pixels[20, 20, 0])) == (255, 128)


def test_a_grey_picture_and_a_palette_are_read(tmp_path: Path) -> None:
    grey = read(tmp_path, "a.png", files.encoded(".png", np.full((40, 60), 77, np.uint8)))
    assert grey.shape == (40, 60, 3)
    assert (grey == 77).all()


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("restart", [0, 4])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_half_a_jpeg_is_left_out_though_an_end_was_appended(
    tmp_path: Path, progressive: int, restart: int, share: float
) -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8), (0, 0), 3)
    flags = (cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, restart)
    data = files.encoded(".jpg", picture, *flags)
    assert read(tmp_path, "whole.jpg", data).shape == picture.shape
    cut = data[: int(len(data) * share)]
    for end in (b"", b"\xff\xd9"):
        with pytest.raises(photographs.Incomplete, match="ends before the picture does"):
            read(tmp_path, "cut.jpg", cut + end)


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("restart", [0, 4])
def test_a_flat_picture_is_whole(tmp_path: Path, progressive: int, restart: int) -> None:
    """A drawing on white, a night picture: flat to its end, and complete."""
    picture = np.full((100, 150, 3), 255, np.uint8)
    picture[10:20, 10:20] = 0
    flags = (cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_RST_INTERVAL, restart)
    assert read(tmp_path, "a.jpg", files.encoded(".jpg", picture, *flags)).shape == picture.shape


@pytest.mark.parametrize("size", [0, -1000, 2, 1000])
def test_a_bmp_file_with_a_wrong_size_field_is_read(tmp_path: Path, size: int) -> None:
    data = files.encoded(".bmp", TOP)
    field = 0 if size == 0 else len(data) + size
    wrong = data[:2] + struct.pack("<I", field) + data[6:]
    assert (read(tmp_path, "a.bmp", wrong) == TOP).all()
    with pytest.raises(photographs.Incomplete):
        read(tmp_path, "a.bmp", wrong[:-100])


@pytest.mark.parametrize("transparent", [False, True])
def test_the_first_picture_of_an_animation_is_read(tmp_path: Path, transparent: bool) -> None:
    data = files.gif([50, 150, 250], transparent=transparent)
    pixels = read(tmp_path, "a.gif", data)
    assert pixels.shape == (16, 16, 3)
    assert (pixels == (255 if transparent else 50)).all()
    with pytest.raises(photographs.Incomplete):
        read(tmp_path, "a.gif", data[: len(data) // 2])


@pytest.mark.parametrize(
    ("begin", "what"),
    [
        (b"\0\0\0\x24ftypheic\0\0\0\0", "HEIC: convert it to JPEG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC: convert it to JPEG"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF: convert it"),
        (b"\0\0\0\x20ftypisom\0\0\0\0", "a video: use `kind: video`"),
        (b"\x1aE\xdf\xa3 matroska", "a video: use `kind: video`"),
        (b"%PDF-1.4 a document", "a PDF document"),
        (b"<!DOCTYPE html><html>404", "a web page, not a picture: the download failed"),
        (b"<?xml version='1.0'?><svg/>", "SVG or XML"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"\xff\x0a a picture of jxl", "JPEG XL"),
        (b"PK\x03\x04 photographs", "a ZIP archive"),
    ],
)
def test_what_has_the_wrong_name_is_called_by_its_own(tmp_path: Path, begin: bytes, what: str) -> None:
    with pytest.raises(OSError, match=what) as caught:
        read(tmp_path, "a.jpg", begin + bytes(100))
    assert not isinstance(caught.value, photographs.Incomplete)


@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
def test_a_photograph_is_decoded_as_small_as_is_wanted(tmp_path: Path, shrink: int) -> None:
    data = files.jpeg_with(files.encoded(".jpg", files.stored(TOP, 6)), files.exif(6))
    (tmp_path / "a.jpg").write_bytes(data)
    asked: list[tuple[int, int]] = []

    def choose(width: int, height: int) -> int:
        asked.append((width, height))
        return shrink

    found = photographs.read(tmp_path / "a.jpg", choose)
    assert asked == [files.SIZE]  # upright
    assert found.shrink == shrink
    assert found.pixels.shape == (files.SIZE[1] // shrink, files.SIZE[0] // shrink, 3)


def test_the_cases_from_the_field(testdata: Path) -> None:
    cases = testdata.parent / "cases" / "pictures"
    if not cases.is_dir():
        pytest.skip(f"the cases are not there: {cases}")
    for name in ("cut_half_eoi.jpg", "no_eoi.jpg"):
        with pytest.raises(photographs.Incomplete, match="ends before the picture does"):
            photographs.read(cases / name)
    with pytest.raises(OSError, match="HEIC: convert it"):
        photographs.read(cases / "heic_named.jpg")
    assert photographs.read(cases / "size_field_plus_2.bmp").pixels.shape == (160, 240, 3)
    assert photographs.read(cases / "digit_in_alpha.png").pixels.mean() > 128
    for number in (3, 6, 8):
        pixels = photographs.read(cases / f"top_bright_exif{number}.jpg").pixels
        assert pixels[5].mean() > 180
        assert pixels[-5].mean() < 60


@pytest.mark.parametrize(("bits", "step"), [(1, 255), (2, 85), (4, 17), (8, 1), (16, 1)])
def test_a_grey_picture_with_a_transparent_value_stands_on_white(
    tmp_path: Path, bits: int, step: int
) -> None:
    """Digits from a scanner: black on a transparent 0 would be a black picture."""
    clear, ink = 0, 1
    row = np.array([clear] * 8 + [ink] * 8, ">u2" if bits == 16 else "u1")
    packed = row.tobytes() if bits >= 8 else np.packbits(_bits(row, bits)).tobytes()
    header = struct.pack(">IIBBBBB", 16, 4, bits, 0, 0, 0, 0)
    data = (
        b"\x89PNG\r\n\x1a\n"
        + files.png_chunk(b"IHDR", header)
        + files.png_chunk(b"tRNS", struct.pack(">H", clear))
        + files.png_chunk(b"IDAT", zlib.compress((b"\0" + packed) * 4))
        + files.png_chunk(b"IEND", b"")
    )
    pixels = read(tmp_path, "a.png", data)
    assert (pixels[:, :8] == 255).all()
    assert (pixels[:, 8:] == step).all()


def _bits(row: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """The bits of each value, the highest first."""
    return np.array([value >> n & 1 for value in row for n in reversed(range(bits))], np.uint8)
