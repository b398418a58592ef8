from __future__ import annotations

import time

import numpy as np
import pytest

from edged.sources import Frame
from edged.worker.picture_quality import Quality

RANDOM = np.random.default_rng(3)


def frame(pixels: np.ndarray, order: str = "bgr") -> Frame:
    return Frame(pixels, 0.0, order=order)


def noise(height: int = 480, width: int = 640) -> np.ndarray:
    return RANDOM.integers(0, 255, (height, width, 3), np.uint8)


def test_the_same_picture_ten_times_is_frozen_until_it_moves() -> None:
    quality, picture = Quality(), noise()
    assert [quality.check(frame(picture.copy())) for _ in range(12)] == [None] * 9 + ["frozen"] * 3
    assert quality.check(frame(noise())) is None


def test_one_other_pixel_between_the_samples_is_movement() -> None:
    quality, picture = Quality(), noise()
    for n in range(20):
        moved = picture.copy()
        moved[5, 7, 1] = n
        assert quality.check(frame(moved)) is None


def test_photographs_may_repeat() -> None:
    quality, picture = Quality(frozen_after=0), noise()
    assert {quality.check(frame(picture)) for _ in range(50)} == {None}


@pytest.mark.parametrize("level", [0, 16])
def test_black_is_reported_though_it_is_also_frozen_later(level: int) -> None:
    assert Quality().check(frame(np.full((480, 640, 3), level, np.uint8))) == "black"


def test_a_dark_room_is_no_black_picture() -> None:
    dark = RANDOM.integers(0, 30, (480, 640, 3), np.uint8)
    assert Quality().check(frame(dark)) is None


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((1, 921600), np.uint8),
        np.zeros((480, 640), np.uint8),
        np.zeros((480, 640, 4), np.uint8),
        np.zeros((480, 640, 3), np.float32),
        np.zeros((480, 640, 2), np.uint8),
        np.zeros((0, 640, 3), np.uint8),
        np.zeros((4, 640, 3), np.uint8),
        np.zeros((2, 480, 640, 3), np.uint8),
        np.zeros((), np.uint8),
        np.zeros((921600,), np.uint8),
    ],
)
def test_what_has_not_the_shape_of_a_picture(pixels: np.ndarray) -> None:
    assert Quality().check(frame(pixels)) == "shape"


def test_grey_pictures_have_two_dimensions() -> None:
    assert Quality().check(frame(noise()[:, :, 0], "grey")) is None
    assert Quality().check(frame(noise(), "grey")) == "shape"


def test_another_size_is_not_a_fault() -> None:
    quality = Quality()
    assert quality.check(frame(noise())) is None
    assert quality.check(frame(noise(240, 320))) is None


def test_a_check_costs_next_to_nothing() -> None:
    quality, pictures = Quality(), [frame(noise()) for _ in range(4)]
    times = []
    for n in range(400):
        began = time.perf_counter()
        quality.check(pictures[n % 4])
        times.append(time.perf_counter() - began)
    assert sorted(times)[200] < 0.0002
