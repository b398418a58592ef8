from __future__ import annotations

import os
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sources import photograph_names, photographs
from unit.sources.test_picture_header import bomb

if TYPE_CHECKING:
    from pathlib import Path

PICTURE = np.random.default_rng(1).integers(0, 255, (40, 56, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_a_whole_file_is_read_and_a_part_of_it_never(suffix: str, tmp_path: Path) -> None:
    ok, data = cv2.imencode(suffix, PICTURE)
    assert ok
    whole = data.tobytes()
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(whole)
    assert photographs.read(path).pixels.shape == PICTURE.shape
    for part in (0, 1, 10, len(whole) // 4, len(whole) // 2, len(whole) * 3 // 4, len(whole) - 4):
        path.write_bytes(whole[:part])
        with pytest.raises(photographs.Incomplete, match=r"ends before|damaged|is empty"):
            photographs.read(path)


def test_the_thumbnails_end_is_not_the_pictures_end() -> None:
    ok, data = cv2.imencode(".jpg", PICTURE)
    assert ok
    whole, thumbnail = data.tobytes(), b"\xff\xd8\xff\xda....\xff\xd9"
    framed = whole[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + whole[2:]
    assert photographs.is_whole(framed)
    assert not photographs.is_whole(framed[:-2])


def test_what_some_cameras_append_does_no_harm() -> None:
    ok, data = cv2.imencode(".jpg", PICTURE)
    assert ok
    assert photographs.is_whole(data.tobytes() + b"\0" * 1000 + b"ftypmp42")


@given(st.binary(max_size=300).map(lambda tail: b"\xff\xd8" + tail))
def test_any_bytes_get_an_answer(data: bytes) -> None:
    assert photographs.is_whole(data) in {True, False}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("a.JPG", True), ("a.tiff", True), (".a.jpg", False), ("a.jpg.part", False), ("jpg", False)],
)
def test_knows_a_photograph_by_its_name(name: str, is_one: bool) -> None:
    assert photograph_names.is_photograph(name) is is_one


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("pipe", "a device or pipe"),
        ("device", "a device or pipe"),
        ("folder", "a folder"),
        ("huge", "it has 100 MB; the maximum is 64"),
        ("bomb", "it has 30000 x 30000 pixels; the maximum is 67 million"),
        ("text", "not a JPEG, PNG, BMP, GIF, WebP or TIFF"),
    ],
)
def test_what_must_not_be_decoded_is_refused_at_once(tmp_path: Path, name: str, what: str) -> None:
    path = tmp_path / "b.jpg"
    match name:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "huge":
            path.touch()
            os.truncate(path, 100_000_000)
        case "bomb":
            path.write_bytes(bomb(30_000, 30_000))
        case "text":
            path.write_bytes(b"not a photograph")
    with pytest.raises(OSError, match=what):
        photographs.read(path)


def test_a_link_to_a_photograph_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(cv2.imencode(".jpg", PICTURE)[1].tobytes())
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    assert photographs.read(tmp_path / "b.jpg").pixels.shape == PICTURE.shape
