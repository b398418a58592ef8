"""Blacks out parts of each picture of a source, before anything else sees it.

The polygons of the key ``mask`` are turned back to the camera's picture once for each size of it, and made a
little larger, because a camera's scaler and a decoder that leaves out detail mix what is on both sides of an
edge. A picture that the polygons cannot be meant for is refused rather than shown.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from edged import sources
from edged.errors import ModelError
from edged.sources.mask import is_in_parts, outside, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.sources import Frame, Hint, InputConfig, Source
    from edged.sources.mask import Point
    from edged.sources.replay import RecordedTime

    Picture = NDArray[np.uint8]

_SMALLEST = 8  # px of width and height; less is not a picture
_EVEN = 2  # px that a camera may leave out, because it wants even numbers


class _Box(NamedTuple):
    """A rectangle of the picture, and what to keep of it: 255 where it stays, else 0."""

    place: tuple[slice, slice]
    keep: Picture


class Mask:
    """Blacks out polygons; for one thread.

    Args:
        polygons: the key ``mask``.
        rotate: by how many degrees the picture is turned clockwise afterwards.
        size: that of the camera's picture by the configuration, in pixels; None: it has none.
    """

    def __init__(
        self, polygons: Sequence[Sequence[Point]], rotate: int = 0, size: tuple[int, int] | None = None
    ) -> None:
        self._polygons = polygons
        self._rotate = rotate
        self._size = size
        self._boxes: dict[tuple[int, ...], list[_Box]] = {}

    def apply(self, pixels: Picture, shrink: int = 1) -> Picture:
        """Return the picture with black polygons: in its own place where that can be written.

        Args:
            pixels: uint8, ``[height, width]`` or ``[height, width, channels]``. What is not a picture comes
                back black as a whole.
            shrink: it was decoded at 1/shrink of its size.

        Raises:
            ModelError: the polygons are in pixels of a picture of another size.
        """
        if pixels.ndim not in (2, 3) or pixels.dtype != np.uint8 or min(pixels.shape[:2]) < _SMALLEST:
            return np.zeros_like(pixels)
        packed = pixels.strides[1:] == np.empty(pixels.shape[1:], np.uint8).strides and pixels.strides[0] > 0
        if not (pixels.flags.writeable and packed):
            pixels = pixels.copy(order="C")
        for box in self._of(pixels.shape, shrink):
            part = pixels[box.place]
            cv2.bitwise_and(part, box.keep, dst=part)
        return pixels

    def covers(self, shape: tuple[int, ...], shrink: int = 1) -> Picture:
        """Return where a picture is blacked out: uint8 ``[height, width]``, 255 there and else 0.

        Args:
            shape: of the picture.
            shrink: as :meth:`apply` has it.

        Raises:
            ModelError: as :meth:`apply`.
        """
        height, width = shape[:2]
        self._fits(width, height, shrink)
        covered = np.zeros((height, width), np.uint8)
        for polygon in self._polygons:
            one = np.zeros_like(covered)
            points = [self._unturned(point, polygon, width, height, shrink) for point in polygon]
            cv2.fillPoly(one, [np.array(points, np.int32)], (255,))
            # Where an outline crosses itself, that leaves holes; what the outline encloses is meant.
            outlines, _ = cv2.findContours(one, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(covered, outlines, -1, (255,), cv2.FILLED)
        wider = 3 if shrink == 1 else 5  # px of the kernel: one more on each side, or two
        return np.asarray(cv2.dilate(covered, np.ones((wider, wider), np.uint8)), np.uint8)

    def _of(self, shape: tuple[int, ...], shrink: int) -> list[_Box]:
        """Return what to black out of pictures of a shape, kept from the last one."""
        key = (*shape, shrink)
        boxes = self._boxes.get(key)
        if boxes is None:
            boxes = _boxes(self.covers(shape, shrink), shape)
            self._boxes = {key: boxes}
        return boxes

    def _fits(self, width: int, height: int, shrink: int) -> None:
        """Raise ``ModelError`` where polygons in pixels cannot be meant for a picture of this size."""
        if all(map(is_in_parts, self._polygons)):
            return
        whole = (width * shrink, height * shrink)
        seen = whole[::-1] if self._rotate % 180 else whole
        other = outside(self._polygons, (seen[0], seen[1]))
        if self._size is not None:
            less = tuple(a - b for a, b in zip(whole, self._size, strict=True))
            if not all(-_EVEN < n < shrink for n in less):
                raise ModelError(
                    f"mask is in pixels of {self._size[0]}x{self._size[1]}, and the picture has "
                    f"{whole[0]}x{whole[1]}: correct size, or write points as parts of the picture, 0 to 1"
                )
        elif other is not None:
            x, y = self._polygons[other[0]][other[1]]
            raise ModelError(
                f"mask point [{x:g}, {y:g}] is beyond the picture, which has {seen[0]}x{seen[1]} pixels "
                "after rotation"
            )

    def _unturned(
        self, point: Point, polygon: Sequence[Point], width: int, height: int, shrink: int
    ) -> tuple[int, int]:
        """Return the place of a point in the camera's picture, which is not rotated yet."""
        seen = (height, width) if self._rotate % 180 else (width, height)
        scale = (float(seen[0]), float(seen[1])) if is_in_parts(polygon) else (1 / shrink, 1 / shrink)
        x, y = point[0] * scale[0], point[1] * scale[1]
        if self._rotate == 90:
            x, y = y, height - x
        elif self._rotate == 180:
            x, y = width - x, height - y
        elif self._rotate == 270:
            x, y = width - y, x
        return min(width - 1, math.floor(x)), min(height - 1, math.floor(y))


def _boxes(covered: Picture, shape: tuple[int, ...]) -> list[_Box]:
    """Return the rectangles around what is covered: one for each part, where they do not touch."""
    boxes = []
    outlines, _ = cv2.findContours(covered, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for outline in outlines:
        x, y, width, height = cv2.boundingRect(outline)
        place = slice(y, y + height), slice(x, x + width)
        keep = np.invert(covered[place])
        if len(shape) == 3:
            keep = np.repeat(keep[:, :, None], shape[2], axis=2)
        boxes.append(_Box(place, np.ascontiguousarray(keep)))
    return boxes


class Masked:
    """A source of pictures, with parts of each one blacked out.

    Args:
        source: gives the pictures.
        mask: blacks out.
    """

    def __init__(self, source: Source, mask: Mask) -> None:
        self._source = source
        self._mask = mask

    @property
    def live(self) -> bool:
        """Return whether it is a camera."""
        return self._source.live

    @property
    def view(self) -> tuple[float, ...]:
        """Return how much of the sensor it shows."""
        return tuple(getattr(self._source, "view", ()))

    def open(self) -> None:
        """Open the source."""
        self._source.open()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest picture, masked. Raises also ``ModelError``: the mask is not meant for it."""
        frame = self._source.read(timeout_s)
        return None if frame is None else replace(frame, pixels=self._mask.apply(frame.pixels, frame.shrink))

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def create(config: InputConfig, hint: Hint) -> Any:
    """Return the source of a configuration, or its feed, which does no I/O yet; pictures come masked.

    Nothing else in a worker calls a driver's ``create``, so that nothing sees a picture without its mask.

    Raises:
        DriverError: there is no such driver.
    """
    source = sources.load(config.kind).create(config, hint)
    mask = of(config)
    return source if mask is None else Masked(source, mask)


def recorded(config: InputConfig, hint: Hint, time: RecordedTime) -> Any:
    """Return a recording in its own time, or its feed, which does no I/O yet; pictures come masked.

    Raises:
        DriverError: there is no such driver.
    """
    source = sources.load(config.kind).recorded(config, hint, time)
    mask = of(config)
    return source if mask is None else Masked(source, mask)


def of(config: Any) -> Mask | None:
    """Return the mask of a source; None where its configuration has none."""
    polygons = getattr(config, "mask", ())
    return Mask(polygons, int(config.rotate), size_of(config)) if polygons else None
