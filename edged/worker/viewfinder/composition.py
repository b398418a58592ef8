"""Makes the picture that a person sees: upright, in the size of the terminal, with what is configured marked.

What the model does not see is dimmed, and has an outline; what is masked is hatched; what moves is tinted;
zones and the objects that were found have outlines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edged.inference.preprocess import TURNS, resize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.inference.preprocess import Region

    Picture = NDArray[np.uint8]

_OUTSIDE = 0.35  # of the light that is left outside of what the model sees
_OUTLINE, _HATCH, _MOVES = (0, 220, 255), (40, 0, 120), (60, 200, 60)  # blue, green, red
_ZONE, _BOX = (255, 160, 40), (255, 255, 255)
_STRIPE = 4  # pixels of a stripe of the hatching
_TINT = 0.45  # of what moves
_COLOURS = {"rgb": cv2.COLOR_RGB2BGR, "grey": cv2.COLOR_GRAY2BGR}


@dataclass(frozen=True, slots=True)
class Marks:
    """What is marked in a picture.

    Attributes:
        region: x, y, width and height of what the model sees, in pixels of the upright picture.
        hidden: where it is masked, uint8 ``[height, width]`` as the camera gives it; None: nowhere.
        moving: what moves in the region, bool ``[rows, columns]`` as the camera gives it; None: not marked.
        zones: the corners of each zone, as parts of the upright picture.
        boxes: the objects that were found: left, top, right and bottom, as parts of the upright picture.
    """

    region: Region
    hidden: Picture | None = None
    moving: NDArray[np.bool_] | None = None
    zones: Sequence[Sequence[tuple[float, float]]] = ()
    boxes: Sequence[tuple[float, float, float, float]] = ()


def fitted(width: int, height: int, most: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size in this shape that is at most so wide and high, and at least one pixel."""
    scale = min(most[0] / width, most[1] / height)
    return max(1, min(most[0], round(width * scale))), max(1, min(most[1], round(height * scale)))


def upright(pixels: Picture, rotate: int) -> Picture:
    """Return a picture turned clockwise by 0, 90, 180 or 270 degrees."""
    turn = TURNS.get(rotate % 360)
    return pixels if turn is None else np.asarray(cv2.rotate(pixels, turn), np.uint8)


def compose(pixels: Picture, order: str, rotate: int, marks: Marks, most: tuple[int, int]) -> Picture:
    """Return what a person sees, BGR.

    Args:
        pixels: the frame as the camera gives it.
        order: of its colours: ``bgr``, ``rgb`` or ``grey``.
        rotate: by how many degrees it is turned clockwise.
        marks: what is marked.
        most: the largest width and height, in pixels.
    """
    height, width = pixels.shape[:2]
    seen = (height, width) if rotate % 180 else (width, height)
    size = fitted(*seen, most)
    small = upright(_shrunk(pixels, size[::-1] if rotate % 180 else size), rotate)
    code = _COLOURS.get(order)
    picture = np.array(small if code is None else cv2.cvtColor(small, code), np.uint8)
    place = _scaled(marks.region, size[0] / seen[0], size[1] / seen[1], size)
    if marks.moving is not None:
        _tint(picture, place, upright(marks.moving.astype(np.uint8), rotate))
    if marks.hidden is not None:
        _hatch(picture, upright(marks.hidden, rotate))
    if place != (0, 0, *size):
        _frame(picture, place)
    for zone in marks.zones:
        _outline(picture, zone, _ZONE)
    for x0, y0, x1, y1 in marks.boxes:
        _outline(picture, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)), _BOX)
    return picture


def _shrunk(pixels: Picture, size: tuple[int, int]) -> Picture:
    """Return a picture in another size; a small one is not smoothed, so that its pixels can be told apart."""
    if size[0] > pixels.shape[1]:
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return resize(pixels, size)


def _scaled(region: Region, across: float, down: float, size: tuple[int, int]) -> Region:
    x, y, w, h = region
    left, top = min(size[0] - 1, round(x * across)), min(size[1] - 1, round(y * down))
    width, height = max(1, round(w * across)), max(1, round(h * down))
    return left, top, min(width, size[0] - left), min(height, size[1] - top)


def _tint(picture: Picture, place: Region, cells: Picture) -> None:
    x, y, w, h = place
    if not cells.size:
        return
    moves = cv2.resize(cells, (w, h), interpolation=cv2.INTER_NEAREST) > 0
    part = picture[y : y + h, x : x + w]
    part[moves] = (1 - _TINT) * part[moves] + _TINT * np.array(_MOVES)


def _hatch(picture: Picture, hidden: Picture) -> None:
    rows, columns = picture.shape[:2]
    black = cv2.resize(hidden, (columns, rows), interpolation=cv2.INTER_NEAREST) > 0
    stripes = (np.arange(rows)[:, None] + np.arange(columns)[None, :]) % (2 * _STRIPE) < _STRIPE
    picture[black & stripes] = _HATCH


def _outline(picture: Picture, corners: Sequence[tuple[float, float]], colour: tuple[int, int, int]) -> None:
    """Draw a line around a polygon, whose corners are parts of the picture."""
    rows, columns = picture.shape[:2]
    points = [(min(columns - 1, round(x * columns)), min(rows - 1, round(y * rows))) for x, y in corners]
    cv2.polylines(picture, [np.array(points, np.int32)], True, colour)


def _frame(picture: Picture, place: Region) -> None:
    """Dim what the model does not see, and draw a line around what it sees."""
    x, y, w, h = place
    inside = picture[y : y + h, x : x + w].copy()
    np.multiply(picture, _OUTSIDE, out=picture, casting="unsafe")
    picture[y : y + h, x : x + w] = inside
    if w > 2 and h > 2:
        cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), _OUTLINE, 1)
