"""Maps pixels to the values that a model's input stores; :mod:`edged.inference.preprocess` has the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edged.models.spec import PictureInput

    Map = Callable[[NDArray[np.uint8], NDArray[Any]], None]  # from a picture, into a tensor

_DEFAULT = 127.5  # mean and standard deviation without configuration and metadata
_WHOLE_PICTURE = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-128.0, 127.0))
_SLACK = 0.03  # of a range's width: calibrated ranges are a little off


def create(spec: PictureInput, normalize: tuple[float, float] | None) -> Map | None:
    """Return a function that fills the tensor, or None where it stores pixels as they are.

    Args:
        spec: the model's input.
        normalize: (mean, std) instead of the metadata's.
    """
    if spec.tensor.dtype != "float32" and is_plain(spec):
        return _less_128 if spec.tensor.dtype == "int8" else None
    table = stored_values(spec, normalize)

    def look_up(picture: NDArray[np.uint8], tensor: NDArray[Any]) -> None:
        cv2.LUT(picture, table, dst=tensor)

    return look_up


def _less_128(picture: NDArray[np.uint8], tensor: NDArray[Any]) -> None:
    np.bitwise_xor(picture, 0x80, out=tensor.view(np.uint8))


def is_plain(spec: PictureInput) -> bool:
    """Return whether a quantised input stores pixels as they are (int8: less 128)."""
    if spec.tensor.scale <= 0:
        return True
    lowest = -128 if spec.tensor.dtype == "int8" else 0
    low = (lowest - spec.tensor.zero_point) * spec.tensor.scale
    high = low + 255 * spec.tensor.scale
    return any(
        abs(low - first) <= _SLACK * (last - first) and abs(high - last) <= _SLACK * (last - first)
        for first, last in _WHOLE_PICTURE
    )


def stored_values(spec: PictureInput, normalize: tuple[float, float] | None) -> NDArray[Any]:
    """Return the stored value of each value of a pixel: ``[256]``, or ``[1, 256, 3]`` by channel."""
    mean: tuple[float, ...] = (_DEFAULT,)
    std: tuple[float, ...] = (_DEFAULT,)
    if normalize is not None:
        mean, std = (normalize[0],), (normalize[1],)
    elif spec.normalization is not None:
        mean, std = spec.normalization.mean, spec.normalization.std
    if spec.channels == 1:  # a grey model has no use for values by colour
        mean, std = mean[:1], std[:1]
    real = (np.arange(256.0)[:, None] - np.array(mean)) / np.array(std)
    values = _quantise(real, spec) if spec.tensor.dtype != "float32" else real.astype(np.float32)
    return np.ascontiguousarray(values[:, 0]) if values.shape[1] == 1 else values[None]


def _quantise(real: NDArray[np.float64], spec: PictureInput) -> NDArray[Any]:
    kind = np.dtype(spec.tensor.dtype)
    limits = np.iinfo(kind)
    stored = np.rint(real / spec.tensor.scale) + spec.tensor.zero_point
    clipped: NDArray[Any] = np.clip(stored, limits.min, limits.max).astype(kind)
    return clipped
