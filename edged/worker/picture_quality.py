"""Recognises bad pictures: frozen, black, or not a picture at all.

A camera that hangs often keeps delivering: the same frame for ever, black, or a buffer of the wrong shape.
Such frames are reported and never classified. The check runs on every frame, so it looks at one pixel in 256
and compares whole pictures only when those agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edged.sources import Frame

_STEP = 16  # look at every 16th pixel in both directions
_SMALLEST = 8  # px; smaller pictures are useless


class Quality:
    """Judges the frames of one source, in order.

    Args:
        frozen_after: the number of equal pictures in a row from which they count as frozen; 0: never. A
            camera's noise makes two equal pictures all but impossible; use 0 for sources whose pictures may
            repeat (``live`` is False).
        black_below: a picture counts as black when no sampled value reaches this (0..255; video black is 16).
    """

    def __init__(self, frozen_after: int = 10, black_below: int = 17) -> None:
        self._frozen_after = frozen_after
        self._black_below = black_below
        self._sample = b""
        self._last: NDArray[np.uint8] | None = None
        self._repeats = 0

    def check(self, frame: Frame) -> str | None:
        """Return ``shape``, ``black`` or ``frozen``, or None for a picture worth classifying."""
        pixels = frame.pixels
        if not _is_picture(frame):
            return "shape"
        sparse = pixels[::_STEP, ::_STEP].copy()
        frozen = self._frozen_after > 0 and self._is_frozen(pixels, sparse.tobytes())
        if int(sparse.max()) < self._black_below:
            return "black"  # takes precedence: black pictures soon count as frozen too
        return "frozen" if frozen else None

    def _is_frozen(self, pixels: NDArray[np.uint8], sample: bytes) -> bool:
        same = sample == self._sample and _equal(pixels, self._last)
        self._repeats = self._repeats + 1 if same else 1
        self._sample, self._last = sample, pixels
        return self._repeats >= self._frozen_after


def _is_picture(frame: Frame) -> bool:
    pixels = frame.pixels
    if pixels.dtype != "uint8" or min(pixels.shape[:2], default=0) < _SMALLEST:
        return False
    if frame.order == "grey":
        return pixels.ndim == 2
    return pixels.ndim == 3 and pixels.shape[2] == 3


def _equal(a: NDArray[np.uint8], b: NDArray[np.uint8] | None) -> bool:
    return b is not None and a.shape == b.shape and bool((a == b).all())
