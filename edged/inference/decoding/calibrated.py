"""From a row of scores that the model's metadata calibrates to the best labels.

Google's models come with a sigmoid a class, which makes their scores comparable; without it a threshold means
another thing for each class. :mod:`edged.models.calibration` has the formula.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edged.errors import ModelError
from edged.events import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.models.calibration import Calibration
    from edged.models.spec import Spec

_SMALLEST = 1e-16  # of which a logarithm is taken


class CalibratedDecoder:
    """Decodes the one output of a classifier whose scores are calibrated.

    Args:
        spec: what the model gives.
        calibration: how its scores are calibrated.
        labels: one for each class.
        top_k: how many findings to return, at most.

    Raises:
        ModelError: the calibration has not one line for each class.
    """

    def __init__(self, spec: Spec, calibration: Calibration, labels: Sequence[str], top_k: int = 3) -> None:
        rows = calibration.parameters
        if len(rows) != spec.classes:
            raise ModelError(
                f"the scores are calibrated for {len(rows)} classes, but the model has {spec.classes}"
            )
        (output,) = spec.outputs
        self._labels, self._top_k = tuple(labels), min(top_k, spec.classes)
        self._scale = 1.0 if output.is_float else output.scale
        self._zero_point = 0 if output.is_float else output.zero_point
        self._transformation, self._default = calibration.transformation, calibration.default
        # A class without parameters is below any lowest score, and so gets the default.
        table = np.array([row if row is not None else (0.0, 0.0, 0.0, np.inf) for row in rows])
        self._scales, self._slopes, self._offsets, self._lowest = table.T

    def decode(self, outputs: Sequence[NDArray[np.generic]], sample: object) -> Sequence[Finding]:
        """Return the best findings, best first; nothing where the output is not numbers."""
        del sample
        scores = (outputs[0].reshape(-1).astype(np.float64) - self._zero_point) * self._scale
        if not np.isfinite(scores).all():
            return []
        line = self._slopes * self._transformed(scores) + self._offsets
        calibrated = self._scales / (1.0 + np.exp(-np.clip(line, -700, 700)))
        calibrated = np.where(scores < self._lowest, self._default, calibrated)
        best = np.argsort(-calibrated, kind="stable")[: self._top_k]
        return [Finding(self._labels[i], min(max(float(calibrated[i]), 0.0), 1.0)) for i in best]

    def _transformed(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._transformation == "identity":
            return scores
        logarithm: NDArray[np.float64] = np.log(np.maximum(scores, _SMALLEST))
        if self._transformation == "log":
            return logarithm
        rest: NDArray[np.float64] = logarithm - np.log(np.maximum(1.0 - scores, _SMALLEST))
        return rest
