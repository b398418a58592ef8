"""Pictures that tests can distinguish, each identified by one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from edged.sources import Source


def paint(path: Path, value: int, *, size: tuple[int, int] = (64, 48)) -> Path:
    """Write a picture of one colour, with ``value`` (a multiple of ten) as its blue."""
    import cv2
    import numpy as np

    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[:, :] = (value, 90, 180)
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"OpenCV cannot write {path}")
    return path


def value_of(pixels: Any) -> int:
    """Return the number that ``paint`` was given; JPEG changes the pixels by one or two."""
    return round(float(pixels[10, 10, 0]) / 10) * 10


def drain(source: Source, times: int, timeout_s: float) -> None:
    """Read this many times, or until the source raises."""
    for _ in range(times):
        source.read(timeout_s)
