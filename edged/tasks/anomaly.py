"""Anomaly detection over time: how unlike the usual a window is, as one score 0..1 for the Decision.

Two ways. With an autoencoder, what it cannot rebuild: the mean square of the difference between a window and
what the model makes of it. Without a model, how far a window lies from those before: a robust z-score, by
median and median absolute deviation, which a few outliers do not move.

Both become a score by ``e / (e + limit)``: 0 for nothing, one half at the limit, never above 1. So the
Decision's usual threshold of 0.5 means "beyond the limit", with its hysteresis, votes and dwell as for any
label.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from edged.events import ANOMALY, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NORMAL = 1.4826  # median absolute deviation to standard deviation, of a normal distribution
_LEAST_HISTORY = 8  # windows before the first judgement


class Config(BaseModel):
    """The keys of this task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["anomaly"] = Field(default="anomaly", description="the task")
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        default=3.5,
        description="score 0.5 at this reconstruction error; without a model at so many deviations",
    )
    history: Annotated[int, Field(ge=_LEAST_HISTORY, le=10000)] = Field(
        default=200, description="without a model: windows that make up what is usual"
    )


class Reconstruction:
    """Judges a window by what an autoencoder makes of it; pure.

    Args:
        limit: the mean square error, of normalised values, at which the score is 0.5.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def decode(
        self, window: NDArray[np.floating[Any]], rebuilt: NDArray[np.floating[Any]]
    ) -> Sequence[Finding]:
        """Return the finding; none where the model gives no numbers.

        Args:
            window: what went into the model, ``[T, C]``, normalised.
            rebuilt: what came out, dequantised, of as many values in any shape.
        """
        difference = rebuilt.reshape(-1).astype(np.float64) - window.reshape(-1)
        return _finding(float(np.mean(difference * difference)), self._limit)


class RobustZ:
    """Judges a window by those before: its mean and its spread, each channel by itself.

    The history takes a window after it was judged, so the first odd one does not excuse itself; and it takes
    all, so that what stays becomes usual.

    Args:
        limit: so many robust standard deviations have the score 0.5.
        history: windows to compare with.
    """

    def __init__(self, limit: float, history: int) -> None:
        self._limit = limit
        self._history: deque[NDArray[np.float64]] = deque(maxlen=history)

    @property
    def learning(self) -> bool:
        """Whether the next window cannot be judged yet."""
        return len(self._history) < _LEAST_HISTORY

    def decode(self, window: NDArray[np.floating[Any]]) -> Sequence[Finding]:
        """Return the finding; none while there is no history to compare with.

        Args:
            window: ``[T, C]``.
        """
        features = _features(window)
        if not np.isfinite(features).all():
            return []
        found: Sequence[Finding] = []
        if not self.learning:
            found = _finding(self._distance(features), self._limit)
        self._history.append(features)
        return found

    def _distance(self, features: NDArray[np.float64]) -> float:
        """Return the largest robust z of the features."""
        past = np.stack(self._history)
        median = np.median(past, axis=0)
        spread = _NORMAL * np.median(np.abs(past - median), axis=0)
        away = np.abs(features - median)
        # A feature that never moved has no spread: the smallest difference that its numbers can show counts.
        least = 1e-9 + 1e-6 * np.abs(median)
        return float(np.max(away / np.maximum(spread, least)))


def _features(window: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    data = window.astype(np.float64)
    with np.errstate(invalid="ignore"):  # an infinity is looked for afterwards
        return np.concatenate([data.mean(axis=0), data.std(axis=0)])


def _finding(error: float, limit: float) -> Sequence[Finding]:
    if math.isnan(error):
        return []
    return [Finding(ANOMALY, 1.0 if math.isinf(error) else error / (error + limit))]
