"""The motion gate: what moves, what only looks like it, and which pictures pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edged.inference.preprocess import Preparer
from edged.models.spec import PictureInput
from edged.models.tensor import Tensor
from edged.sources import Frame
from edged.sources.progress import Place
from edged.worker.motion import BEFORE_S, Detector, MotionGate, Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

WIDTH, HEIGHT, AREA, STEP_S = 320, 240, 0.01, 0.2
ROWS, COLUMNS = np.arange(HEIGHT)[:, None, None] / HEIGHT, np.arange(WIDTH)[None, :, None] / WIDTH
PICTURES = 60


def _scene() -> NDArray[np.float32]:
    """A place with large and small things in it."""
    random = np.random.default_rng(7)
    large = cv2.resize(random.integers(40, 200, (15, 20, 3)).astype(np.uint8), (WIDTH, HEIGHT))
    small = cv2.resize(random.integers(30, 220, (60, 80, 3)).astype(np.uint8), (WIDTH, HEIGHT))
    return np.asarray(cv2.addWeighted(large, 0.6, small, 0.4, 0), np.float32)


SCENE = _scene()


NOISE = np.random.default_rng(1).standard_normal((2 * HEIGHT, WIDTH, 3), np.float32)


def film(picture: Callable[[int], Any], noise: float = 5) -> Iterable[NDArray[np.uint8]]:
    """Pictures as a camera gives them: each with other noise."""
    for n in range(PICTURES):
        shown = picture(n) + noise * NOISE[71 * n % HEIGHT :][:HEIGHT]
        yield np.clip(shown, 0, 255).astype(np.uint8)


def areas(pictures: Iterable[NDArray[np.uint8]], every_s: float = STEP_S) -> list[float]:
    """The part that changed in each picture but the first."""
    detector = Detector()
    found = [detector.look(picture, "bgr", n * every_s) for n, picture in enumerate(pictures)]
    assert found[0] == 1
    return found[1:]


def cloud(n: int) -> Any:
    """The edge of a shadow that takes half of the light goes over the scene."""
    return SCENE * (1 - 0.5 / (1 + np.exp(-(n / 30 - 0.5 - COLUMNS) / 0.09)))


STILL = {
    "noise": (lambda _n: SCENE, 8),
    "noise at night": (lambda _n: SCENE * 0.08, 6),
    "more noise": (lambda _n: SCENE, 15),
    "dusk": (lambda n: SCENE * (1 - 0.5 * n / PICTURES), 4),
    "a cloud": (cloud, 4),
    "automatic exposure": (lambda n: SCENE * (0.6 if n > 30 else 1), 4),
    "a lamp that flickers": (lambda n: SCENE * (1 + 0.2 * (n % 2)), 4),
    "bands of the mains": (lambda n: SCENE * (1 + 0.2 * np.sin(2 * np.pi * (3.3 * ROWS + 0.37 * n))), 4),
    "narrow bands": (lambda n: SCENE * (1 + 0.2 * np.sin(2 * np.pi * (7 * ROWS + 0.37 * n))), 4),
}


@pytest.mark.parametrize("what", STILL)
@pytest.mark.parametrize("every_s", [0.03, STEP_S, 5.0])
def test_what_only_looks_like_movement_is_none(what: str, every_s: float) -> None:
    picture, noise = STILL[what]
    assert max(areas(film(picture, noise), every_s)) < AREA


def walker(n: int, width: int, height: int, *, shade: float, step: int, begins: int = 30) -> Any:
    """Somebody goes through the scene from the left."""
    picture = SCENE.copy()
    if n >= begins:
        at = 20 + step * (n - begins)
        picture[90 : 90 + height, at : at + width] *= shade
    return picture


@pytest.mark.parametrize(
    ("width", "height", "shade", "step", "area"),
    [(20, 50, 0.5, 4, AREA), (20, 50, 1.6, 1, AREA), (10, 25, 0.4, 2, 0.004), (100, 140, 0.3, 3, 0.05)],
    ids=["a walker", "a slow one", "a small far one", "a near one"],
)
def test_a_walker_is_seen_from_the_first_picture_on(
    width: int, height: int, shade: float, step: int, area: float
) -> None:
    found = areas(film(lambda n: walker(n, width, height, shade=shade, step=step)))
    assert max(found[:28]) < area
    assert min(found[29:59]) >= area


def test_a_walker_under_a_lamp_that_flickers_is_seen() -> None:
    def picture(n: int) -> Any:
        return walker(n, 20, 50, shade=0.4, step=4) * (1 + 0.2 * np.sin(2 * np.pi * (3.3 * ROWS + 0.37 * n)))

    found = areas(film(picture))
    assert max(found[:28]) < AREA
    assert min(found[29:59]) >= AREA


def test_what_stays_is_usual_after_a_while() -> None:
    def parked(n: int) -> Any:
        picture = SCENE.copy()
        if n > 10:
            picture[100:160, 100:200] = 20
        return picture

    found = areas(film(parked), every_s=2.0)
    assert found[10] >= AREA
    assert max(found[-10:]) < AREA


def test_leaves_in_the_wind_are_learnt() -> None:
    random = np.random.default_rng(3)
    leaves = random.integers(0, 3, (PICTURES, 30, 40, 1)).astype(np.float32) * 40

    def windy(n: int) -> Any:
        picture = SCENE.copy()
        picture[:60, :80] = cv2.resize(leaves[n], (80, 60))[:, :, None]
        return picture

    found = areas(film(windy), every_s=2.0)
    assert max(found[-20:]) < AREA


def test_grey_pictures_and_other_sizes_are_taken() -> None:
    detector = Detector()
    for shape, order in (((48, 64), "grey"), ((1080, 1920, 3), "rgb"), ((9, 200, 3), "bgr")):
        picture = np.full(shape, 90, np.uint8)
        assert detector.look(picture, order, 0.0) == 1, "another size is another scene"
        assert detector.look(picture, order, 1.0) == 0
        assert max(detector.changed.shape) <= 128


def frame(number: int, value: int = 0, *, each: bool = False) -> Frame:
    """A picture with a bright square where the value says."""
    pixels = SCENE.astype(np.uint8)
    pixels[80:160, value : value + 60] = 255
    return Frame(pixels, 1000.0 + number, number=number, place=Place(number, each=each) if each else None)


class Passing:
    """A gate, and the numbers of the frames that it lets pass."""

    def __init__(self, rules: Rules) -> None:
        self.gate = MotionGate(rules, lambda frame: frame.pixels)
        self.now = 100.0
        self._number = 0

    def give(self, *values: int, every_s: float = 1.0, each: bool = False) -> list[int]:
        passed = []
        for value in values:
            given = frame(self._number, value, each=each)
            passed += [one.number for one in self.gate.pick(given, self.now)]
            self._number += 1
            self.now += every_s
        return passed


def test_the_first_picture_passes_and_then_none_while_nothing_moves() -> None:
    passing = Passing(Rules(0.01, 0))
    assert passing.give(0, 0, 0, 0) == [0, 1], "and one to see whether it is still there"
    assert not passing.gate.moves


def test_the_picture_before_a_movement_passes_as_well() -> None:
    passing = Passing(Rules(0.01, 0))
    assert passing.give(0, 0, 0, 0, 200) == [0, 1, 3, 4]
    assert passing.gate.moves
    assert passing.give(100) == [5], "it passed already"


def test_a_picture_of_long_ago_does_not_pass_again() -> None:
    passing = Passing(Rules(0.01, 0))
    assert passing.give(0, 0, 0, 0, 200, every_s=BEFORE_S + 1) == [0, 1, 4]


def test_the_picture_without_what_left_passes() -> None:
    """What was not usual is gone, and that is not movement: a decision would never end."""
    passing = Passing(Rules(0.01, 0))
    assert passing.give(0, 0, 0, 0, 200, 200, 0, 0) == [0, 1, 3, 4, 5, 6]


def test_pictures_pass_for_a_while_after_a_movement() -> None:
    passing = Passing(Rules(0.01, 3.5))
    passed = passing.give(*[0] * 8)
    assert passed == [0, 1, 2, 3]
    assert Passing(Rules(0.01, 0, frames=3)).give(*[0] * 8) == [0, 1, 2, 3], (
        "and enough of them for the votes"
    )


def test_a_restart_lets_the_next_picture_pass() -> None:
    passing = Passing(Rules(0.01, 0))
    assert passing.give(0, 0, 0) == [0, 1]
    passing.gate.restart()
    assert passing.give(0, 0, 0) == [3, 4]


def test_a_file_that_comes_once_always_passes() -> None:
    assert Passing(Rules(0.01, 0)).give(0, 0, 0, each=True) == [0, 1, 2]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_only_the_part_that_the_model_sees_counts(rotate: int) -> None:
    spec = PictureInput(96, 96, 3, Tensor("picture", (1, 96, 96, 3), "uint8", 1 / 128, 128))
    upright = (HEIGHT, WIDTH) if rotate % 180 else (WIDTH, HEIGHT)
    preparer = Preparer(spec, rotate=rotate, crop=(0, 0, upright[0] // 2, upright[1]))
    gate = MotionGate(Rules(0.01, 0), preparer.part)

    def shown(inside: int, outside: int) -> Frame:
        seen = np.rot90(SCENE.astype(np.uint8), -rotate // 90).copy()
        half = seen.shape[1] // 2
        seen[20:100, inside : inside + 40] = 255
        seen[20:100, half + 20 + outside : half + 50 + outside] = 255
        return Frame(np.ascontiguousarray(np.rot90(seen, rotate // 90)), 0.0)

    assert gate.pick(shown(0, 0), 0.0)
    assert gate.pick(shown(0, 0), 1.0)
    assert not gate.pick(shown(0, 0), 1.5)
    assert not gate.pick(shown(0, 30), 2.0), "beside the crop"
    assert gate.pick(shown(30, 30), 3.0)
