"""Which part of the scene a sensor's mode shows, and the raw size that asks for all of it.

The sensors' modes differ in what they show, not only in their size: of Camera Module 2, the mode of 640x480
shows 39 % of the width. libcamera chooses the mode nearest to the raw stream's size, which is the picture's
where nobody asks for another. Half of the sensor's resolution in both directions is a mode with the whole
field of view on all official cameras that have several, and costs a quarter of the memory of the full one.
"""

from __future__ import annotations

from typing import Any

_WHOLE = 0.98  # of the width or height: less is a crop, and more a border of a few pixels


def whole(resolution: tuple[int, int], picture: tuple[int, int]) -> tuple[int, int]:
    """Return the raw size that shows everything and is not smaller than the picture, both in pixels."""
    half = (resolution[0] // 2, resolution[1] // 2)
    return half if picture[0] <= half[0] and picture[1] <= half[1] else resolution


def crop(controls: Any) -> tuple[int, int] | None:
    """Return width and height of what the mode shows, in pixels of the sensor; None where that is unknown.

    Args:
        controls: picamera2's ``camera_controls`` after the camera was configured.
    """
    limits = controls.get("ScalerCrop")
    if limits is None:
        return None
    largest = limits[1]
    _x, _y, width, height = largest.to_tuple() if hasattr(largest, "to_tuple") else largest
    return width, height


def view(shown: tuple[int, int] | None, resolution: tuple[int, int]) -> tuple[float, ...]:
    """Return how much a mode shows of the width and of the height; empty where that is all, or unknown."""
    if shown is None:
        return ()
    parts = tuple(round(min(1.0, have / full), 3) for have, full in zip(shown, resolution, strict=True))
    return () if min(parts) >= _WHOLE else parts
