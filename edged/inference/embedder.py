"""From a model's output to a row of features, as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edged.inference.head import scaled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.models.tensor import Tensor


def row(outputs: Sequence[NDArray[Any]], tensor: Tensor) -> NDArray[np.float32]:
    """Return the features of length 1 that an embedder gave.

    Args:
        outputs: the one output of the embedder, in its own type and shape.
        tensor: its description.
    """
    stored = outputs[0].reshape(-1).astype(np.float32)
    # Quantised features keep their direction without the scale; only the zero point moves it.
    return scaled(stored - tensor.zero_point if tensor.dtype != "float32" else stored)
