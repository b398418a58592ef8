"""From a window to one score for how unlike the usual it is.

There are two ways. With an autoencoder, it is the mean square of the difference between a window and what the
model makes of it. Without a model, it is how far a window lies from those before it: a robust z-score, by
median and median absolute deviation, which a few outliers do not move.

Both become a score by ``e / (e + limit)``: 0 for no difference, one half at the limit, never above 1. So the
decision's usual threshold of 0.5 means "beyond the limit", with its hysteresis, votes and dwell as for any
label.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from edged.events import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edged.models.spec import Spec
    from edged.models.tensor import Tensor

_NORMAL = 1.4826  # median absolute deviation to standard deviation, of a normal distribution


class Reconstruction:
    """Judges a window by the error with which an autoencoder rebuilds it; pure.

    Args:
        label: the label of its findings.
        limit: the mean square error, of normalised values, at which the score is 0.5.
        spec: what the model takes and gives.
    """

    def __init__(self, label: str, limit: float, spec: Spec) -> None:
        if spec.input is None:
            raise ValueError("a reconstruction needs a model")
        self._label = label
        self._limit = limit
        # Compared with the model's input: the model cannot rebuild what quantising took away.
        self._given, self._rebuilt = _real(spec.input.tensor), _real(spec.outputs[0])

    def decode(self, outputs: Sequence[NDArray[np.generic]], sample: NDArray[Any]) -> Sequence[Finding]:
        """Return the finding; none where the model gives no numbers.

        Args:
            outputs: the one output tensor, of as many values as the window, in any shape.
            sample: the window that went into the model, normalised and in the input's own type.
        """
        difference = self._rebuilt(outputs[0]).reshape(-1) - self._given(sample).reshape(-1)
        return _finding(self._label, float(np.mean(difference * difference)), self._limit)


class RobustZ:
    """Judges a window by those before it: its mean and its spread, each channel by itself.

    The history takes a window after it was judged, so that the first odd one does not excuse itself; and it
    takes all of them, so that what stays becomes usual.

    Args:
        label: the label of its findings.
        limit: the number of robust standard deviations at which the score is 0.5.
        history: windows to compare with.
        least_history: windows to learn from before the first judgement.
    """

    def __init__(self, label: str, limit: float, history: int, *, least_history: int) -> None:
        self._label = label
        self._limit = limit
        self._least_history = least_history
        self._history: deque[NDArray[np.float64]] = deque(maxlen=history)

    def decode(self, outputs: Sequence[object], sample: NDArray[Any]) -> Sequence[Finding] | None:
        """Return the finding; none where the window holds no numbers, None while it learns.

        Args:
            outputs: none, since there is no model.
            sample: the window, ``[T, C]``.
        """
        del outputs
        features = _features(sample.astype(np.float64))
        if not np.isfinite(features).all():
            return []
        found: Sequence[Finding] | None = None
        if len(self._history) >= self._least_history:
            found = _finding(self._label, self._distance(features), self._limit)
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


def _real(tensor: Tensor) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Return a function that makes real numbers of stored ones."""
    if tensor.dtype == "float32":
        return lambda stored: stored.astype(np.float64)
    return lambda stored: (stored.astype(np.float64) - tensor.zero_point) * tensor.scale


def _features(window: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # the caller checks for infinities
        return np.concatenate([window.mean(axis=0), window.std(axis=0)])


def _finding(label: str, error: float, limit: float) -> Sequence[Finding]:
    if math.isnan(error):
        return []
    return [Finding(label, 1.0 if math.isinf(error) else error / (error + limit))]
