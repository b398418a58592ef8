"""From samples of sound to a score: how loud they are, beside a level from which sound is loud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edged.events import Finding
from edged.pipeline.level import dbfs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_RANGE_DB = 40.0  # from a score of 0 to one of 1


class Loud:
    """Scores the level of a window.

    Args:
        label: the one label.
        above_dbfs: the level with the score 0.5.
    """

    def __init__(self, label: str, above_dbfs: float) -> None:
        self._label = label
        self._above_dbfs = above_dbfs

    def decode(
        self, outputs: Sequence[NDArray[np.generic]], sample: NDArray[np.generic]
    ) -> Sequence[Finding]:
        """Return the finding; nothing where the samples are not numbers."""
        del outputs
        values = sample.reshape(-1).astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            return []
        score = 0.5 + (dbfs(float(values.var())) - self._above_dbfs) / _RANGE_DB
        return [Finding(self._label, min(max(score, 0.0), 1.0))]
