"""What is marked in the picture that a person sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edged.worker.viewfinder.composition import Marks, compose, fitted


def grey_frame(rotate: int, width: int = 160, height: int = 120) -> Any:
    """A frame of one colour whose upright picture is this wide and high."""
    shape = (width, height, 3) if rotate % 180 else (height, width, 3)
    return np.full(shape, 100, np.uint8)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_what_the_model_does_not_see_is_dimmed_behind_a_line(rotate: int) -> None:
    marks = Marks((40, 20, 80, 60))
    picture = compose(grey_frame(rotate), "bgr", rotate, marks, (160, 120))
    assert picture.shape == (120, 160, 3)
    assert picture[50, 80].tolist() == [100, 100, 100]
    assert picture[10, 10].tolist() == [35, 35, 35]
    assert picture[20, 80].tolist() == picture[79, 40].tolist() == [0, 220, 255]
    assert compose(grey_frame(rotate), "bgr", rotate, Marks((0, 0, 160, 120)), (160, 120)).max() == 100


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_masks_are_hatched_and_movement_is_tinted_where_they_are_upright(rotate: int) -> None:
    hidden = np.zeros((120, 160), np.uint8)
    hidden[:60, :40] = 255
    moving = np.zeros((6, 8), np.bool_)
    moving[5, 7] = True
    marks = Marks(
        (0, 0, 160, 120), np.rot90(hidden, rotate // 90), np.rot90(moving, rotate // 90)
    )  # as the camera gives them
    picture = compose(grey_frame(rotate), "bgr", rotate, marks, (160, 120))
    corner = picture[:58, :38].reshape(-1, 3)
    assert {tuple(pixel) for pixel in corner.tolist()} == {(40, 0, 120), (100, 100, 100)}
    assert (picture[70:90, 50:90] == 100).all()
    green = picture[110, 150].astype(int)
    assert green[1] > green[0] + 30
    assert green[1] > green[2] + 30


def test_small_pictures_keep_their_pixels_and_large_ones_fit() -> None:
    assert fitted(640, 480, (80, 40)) == (53, 40)
    assert fitted(10, 1000, (80, 40)) == (1, 40)
    checks = np.array([[0, 255], [255, 0]], np.uint8)
    picture = compose(checks, "grey", 0, Marks((0, 0, 2, 2)), (40, 40))
    assert set(np.unique(picture)) == {0, 255}
    red = np.zeros((4, 4, 3), np.uint8)
    red[:, :, 0] = 255
    assert compose(red, "rgb", 0, Marks((0, 0, 4, 4)), (4, 4))[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("rotate", [0, 90])
def test_zones_and_objects_are_outlined_in_parts_of_the_upright_picture(rotate: int) -> None:
    corners = ((0.25, 0.25), (0.75, 0.25), (0.75, 1.0), (0.25, 1.0))
    marks = Marks((0, 0, 160, 120), zones=(corners,), boxes=((0.5, 0.5, 1.0, 0.75),))
    picture = compose(grey_frame(rotate), "bgr", rotate, marks, (160, 120))
    assert picture[30, 60].tolist() == picture[119, 60].tolist() == [255, 160, 40]
    assert picture[60, 140].tolist() == picture[75, 159].tolist() == [255, 255, 255]
    assert picture[50, 60].tolist() == [100, 100, 100], "an outline, not an area"
