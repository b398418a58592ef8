"""Maps pixels to the values that a model's input stores; :mod:`edged.models.normalization` has the rules.

Everything is worked out once: a frame costs a look-up of each pixel in a table, or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edged.models.normalization import InputValues
    from edged.models.spec import PictureInput
    from edged.models.tensor import Tensor

    Map = Callable[[NDArray[np.uint8], NDArray[Any]], None]  # from a picture, into a tensor


def create(spec: PictureInput, values: InputValues) -> Map | None:
    """Return a function that fills the tensor, or None where it stores pixels as they are.

    Args:
        spec: the model's input.
        values: the values that it gets.
    """
    if values.plain:
        if spec.channels_first and spec.channels > 1:
            return _planes(None if spec.tensor.dtype == "uint8" else _less_128)
        return _less_128 if spec.tensor.dtype == "int8" else None
    table = stored_values(spec, values)
    if spec.channels_first and spec.channels > 1:
        return _planes_through(table)
    if table.dtype == np.float16:  # which OpenCV cannot look up
        return _half(table)

    def look_up(picture: NDArray[np.uint8], tensor: NDArray[Any]) -> None:
        cv2.LUT(picture, table, dst=tensor)

    return look_up


def _less_128(picture: NDArray[np.uint8], tensor: NDArray[Any]) -> None:
    np.bitwise_xor(picture, 0x80, out=tensor.view(np.uint8))


def _half(table: NDArray[Any]) -> Map:
    bits = table.view(np.uint16)

    def look_up(picture: NDArray[np.uint8], tensor: NDArray[Any]) -> None:
        cv2.LUT(picture, bits, dst=tensor.view(np.uint16))

    return look_up


def _planes(after: Map | None) -> Map:
    """Return a function that takes the channels apart, for tensors whose channels come first."""

    def split(picture: NDArray[np.uint8], tensor: NDArray[Any]) -> None:
        for channel, plane in enumerate(tensor):
            if after is None:
                cv2.extractChannel(picture, channel, dst=plane)
            else:
                after(np.asarray(cv2.extractChannel(picture, channel), np.uint8), plane)

    return split


def _planes_through(table: NDArray[Any]) -> Map:
    bits = table.view(np.uint16) if table.dtype == np.float16 else table
    columns = [np.ascontiguousarray(bits if bits.ndim == 1 else bits[0, :, channel]) for channel in range(3)]

    def split(picture: NDArray[np.uint8], tensor: NDArray[Any]) -> None:
        for channel, plane in enumerate(tensor):
            cv2.LUT(cv2.extractChannel(picture, channel), columns[channel], dst=plane.view(bits.dtype))

    return split


def stored_values(spec: PictureInput, values: InputValues) -> NDArray[Any]:
    """Return the stored value of each value of a pixel: ``[256]``, or ``[1, 256, 3]`` by channel."""
    mean, std = values.mean, values.std
    if spec.channels == 1:  # a grey model has no use for values by colour
        mean, std = mean[:1], std[:1]
    real = (np.arange(256.0)[:, None] - np.array(mean)) / np.array(std)
    stored = real.astype(spec.tensor.dtype) if spec.tensor.is_float else _quantise(real, spec.tensor)
    return np.ascontiguousarray(stored[:, 0]) if stored.shape[1] == 1 else np.ascontiguousarray(stored[None])


def _quantise(real: NDArray[np.float64], tensor: Tensor) -> NDArray[Any]:
    kind = np.dtype(tensor.dtype)
    limits = np.iinfo(kind)
    stored = np.rint(real / tensor.scale) + tensor.zero_point
    clipped: NDArray[Any] = np.clip(stored, limits.min, limits.max).astype(kind)
    return clipped
