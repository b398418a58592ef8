"""From a window to the model's input tensor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.models.spec import WindowInput
    from edged.sources import Window


class WindowPreparer:
    """Makes input tensors of one model: ``[1, T, C]`` or ``[1, T * C]``, float or quantised.

    Args:
        spec: the model's input.
    """

    def __init__(self, spec: WindowInput) -> None:
        self._tensor = spec.tensor

    def prepare(self, window: Window) -> NDArray[np.generic]:
        """Return the window as the model's input.

        Raises:
            ValueError: the window has another number of values than the input.
        """
        values, tensor = window.values, self._tensor
        if values.size != math.prod(tensor.shape):
            what = f"a window of {values.shape[0]} steps and {values.shape[1]} channels"
            raise ValueError(f"{what} does not fill {list(tensor.shape)}")
        if tensor.is_float:
            return values.reshape(tensor.shape).astype(tensor.dtype, copy=False)
        limits = np.iinfo(np.dtype(tensor.dtype))
        quantised = np.clip(np.round(values / tensor.scale) + tensor.zero_point, limits.min, limits.max)
        stored: NDArray[np.generic] = quantised.astype(tensor.dtype).reshape(tensor.shape)
        return stored
