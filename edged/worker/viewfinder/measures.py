"""Measures of a picture for a person who aims and focuses a camera: sharpness, light, highlights."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

_MOST = 1280  # pixels of a side that are measured, in the middle
_STEP = 4  # light is measured in every fourth pixel of both directions
_CLIPPED, _DARK = 250, 12  # values from which, and up to which, a pixel has no detail left
_LIFT = 8.0  # added to the mean, so that a black picture has a sharpness
_SMOOTH = 0.5  # how much of a new value counts
_SETTLED = 3  # pictures until the best one is kept: the first ones are exposed wrongly
_COLOURS = {"bgr": cv2.COLOR_BGR2GRAY, "rgb": cv2.COLOR_RGB2GRAY}


class Light(NamedTuple):
    """The light of a picture, each 0..1.

    Attributes:
        mean: of all values.
        clipped: the part that is too bright to have detail.
        dark: the part that is too dark.
    """

    mean: float
    clipped: float
    dark: float


def grey(pixels: Picture, order: str) -> Picture:
    """Return a picture, ``[height, width]`` or with three colours in this order, as grey."""
    code = _COLOURS.get(order)
    return pixels if code is None else np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def light(shades: Picture, hidden: Picture | None = None) -> Light:
    """Return the light of a grey picture.

    Args:
        shades: uint8 ``[height, width]``.
        hidden: where it is blacked out, of the same shape: that does not count.
    """
    values = shades[::_STEP, ::_STEP]
    if hidden is not None:
        values = values[hidden[::_STEP, ::_STEP] == 0]
    if not values.size:
        return Light(0.0, 0.0, 1.0)
    clipped, dark = (
        float(np.count_nonzero(part)) / values.size for part in (values >= _CLIPPED, values <= _DARK)
    )
    return Light(float(values.mean()) / 255, clipped, dark)


def sharpness(shades: Picture) -> float:
    """Return how much fine detail a grey picture has, whatever its light; larger is sharper."""
    height, width = shades.shape
    top, left = max(0, height - _MOST) // 2, max(0, width - _MOST) // 2
    middle = shades[top : top + _MOST, left : left + _MOST]
    calm = cv2.GaussianBlur(middle, (3, 3), 0)  # noise is detail, too, and not that of a lens
    detail = cv2.Laplacian(calm, cv2.CV_16S)
    return 100 * float(detail.std()) / (float(middle.mean()) + _LIFT)


class Focus:
    """The sharpness now, and the best one so far: turn the lens until they are the same.

    Attributes:
        now: smoothed over a few pictures.
        best: the largest since the start, or since it was forgotten.
    """

    def __init__(self) -> None:
        self.now = self.best = 0.0
        self._seen = 0

    def add(self, value: float) -> None:
        """Take the sharpness of a picture."""
        self._seen += 1
        self.now = value if self._seen == 1 else self.now + _SMOOTH * (value - self.now)
        if self._seen >= _SETTLED:
            self.best = max(self.best, self.now)

    def forget(self) -> None:
        """Forget the best one: the scene is another."""
        self.best = self.now

    @property
    def part(self) -> float:
        """Return the sharpness as a part of the best one, 0..1."""
        return min(1.0, self.now / self.best) if self.best else 1.0
