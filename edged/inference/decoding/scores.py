"""From a row of scores to the best labels.

Scores are probabilities, 0..1. Models give them in several forms, and softmax is applied only to those that
are not probabilities yet, because a second softmax flattens every answer:

* the last step of the model is a softmax or a sigmoid: they are used as they are;
* quantised, and the range that its scale allows is 0..1: as they are (the sum tells nothing here: rounding
  leaves it far from 1 when the model is unsure);
* quantised in another range: logits;
* float: as they are if all lie in 0..1, and sum up to 1 where the last step is a plain layer; else logits.

A model with one sigmoid gives the probability of its second class. Scores that the metadata calibrates are
for :mod:`edged.inference.decoding.calibrated`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edged.events import NOTHING, Finding
from edged.inference.decoding.calibrated import CalibratedDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.models.spec import Spec
    from edged.models.tensor import Tensor

_ROUNDING = 1e-3  # how far a float softmax may leave 0..1, or its sum 1
_SLACK = 0.05  # the same for the range of a quantised output
_LEAST_SCORE, _MOST = 0.01, 100  # of several labels: the least score of a finding, and how many there are


class ScoreDecoder:
    """Decodes the one output of a classifier; pure: the same output gives the same findings.

    Args:
        spec: what the model gives.
        labels: one for each class.
        top_k: how many findings to return, at most.
    """

    def __init__(self, spec: Spec, labels: Sequence[str], top_k: int = 3) -> None:
        self._labels = tuple(labels)
        self._top_k = min(top_k, spec.classes)
        self._plain_layer = spec.last_step == "layer"
        self._final = spec.last_step in {"softmax", "sigmoid"}
        self._scores = self._float_scores
        (output,) = spec.outputs
        # A type with room for a value below all of the output's.
        self._wide = np.int16 if output.dtype in {"uint8", "int8"} else np.int32
        if not output.is_float:
            self._prepare_quantised(output)

    def _prepare_quantised(self, output: Tensor) -> None:
        stored = np.iinfo(np.dtype(output.dtype))
        values = (np.arange(stored.min, stored.max + 1) - output.zero_point) * output.scale
        self._lowest = int(stored.min)
        probabilities = values[0] >= -_SLACK and values[-1] <= 1 + _SLACK
        if self._final or probabilities:
            self._table: list[float] = np.clip(values, 0.0, 1.0).tolist()
            self._scores = self._stored_probabilities
        else:
            # exp of the distance to the best, so that nothing overflows; by stored distance.
            self._exp = np.exp(-np.arange(len(values)) * output.scale)
            self._scores = self._stored_logits

    def decode(self, outputs: Sequence[NDArray[np.generic]], sample: object) -> Sequence[Finding]:
        """Return the best findings, best first; of equal ones the lower class first.

        Args:
            outputs: the one output tensor, in its own type.
            sample: what went into the model; not used.
        """
        del sample
        output = outputs[0].reshape(-1)
        best, labels = self._best(output), self._labels
        scores = self._scores(output, best)
        return [Finding(labels[i], score) for i, score in zip(best, scores, strict=False)]

    def _best(self, output: NDArray[np.generic]) -> list[int]:
        """Return the best classes. For up to ten of them, one ``argmax`` each beats any sort."""
        if self._top_k == 1:
            return [int(output.argmax())]
        # A wider integer type has room for a value below all others; a float has -infinity.
        left = output.copy() if output.dtype.kind == "f" else output.astype(self._wide)
        lowest = -np.inf if output.dtype.kind == "f" else np.iinfo(self._wide).min
        found: list[int] = []
        for _ in range(self._top_k):
            best = int(left.argmax())
            if found and left.item(best) == lowest:
                break
            found.append(best)
            left[best] = lowest
        return found

    def _stored_probabilities(self, output: NDArray[np.generic], best: list[int]) -> list[float]:
        table, lowest, stored = self._table, self._lowest, output.item
        return [table[stored(i) - lowest] for i in best]

    def _stored_logits(self, output: NDArray[np.generic], best: list[int]) -> list[float]:
        top = int(output[best[0]])
        distance = np.subtract(top, output, dtype=self._wide)
        weights = self._exp.take(distance)
        total = float(weights.sum())
        return [float(weights[i]) / total for i in best]

    def _float_scores(self, output: NDArray[np.generic], best: list[int]) -> list[float]:
        top = float(output[best[0]])
        if not math.isfinite(top):  # argmax finds NaN first
            return []
        if self._final or self._is_distribution(output, top):
            return [min(max(float(output[i]), 0.0), 1.0) for i in best]
        weights = np.exp(np.subtract(output, top, dtype=np.float64))  # whose range two floats cannot leave
        total = float(weights.sum())
        return [float(weights[i]) / total for i in best]

    def _is_distribution(self, output: NDArray[np.generic], top: float) -> bool:
        if top > 1 + _ROUNDING or float(output.min()) < -_ROUNDING:
            return False
        return not self._plain_layer or abs(float(output.sum(dtype=np.float64)) - 1) < 10 * _ROUNDING


class BinaryDecoder:
    """Decodes one probability of two classes: the second has it, the first has the rest.

    Args:
        output: the one output.
        labels: the two labels.
        top_k: how many findings to return, at most.
    """

    def __init__(self, output: Tensor, labels: Sequence[str], top_k: int = 3) -> None:
        self._labels = tuple(labels)
        self._top_k = top_k
        self._scale = 1.0 if output.is_float else output.scale
        self._zero_point = 0 if output.is_float else output.zero_point

    def decode(self, outputs: Sequence[NDArray[np.generic]], sample: object) -> Sequence[Finding]:
        """Return both findings, the likelier first; nothing where the output is not a number."""
        del sample
        second = (float(outputs[0].reshape(-1)[0]) - self._zero_point) * self._scale
        if not math.isfinite(second):
            return []
        second = min(max(second, 0.0), 1.0)
        found = [Finding(self._labels[0], 1.0 - second), Finding(self._labels[1], second)]
        found.sort(key=lambda finding: -finding.score)
        return found[: self._top_k]


class MultiLabelDecoder:
    """Decodes independent scores: each class that has one worth mentioning is a finding.

    Scores that leave 0..1 are logits, of which each gets a sigmoid of its own.

    Args:
        spec: what the model gives.
        labels: one for each class.
    """

    def __init__(self, spec: Spec, labels: Sequence[str]) -> None:
        (output,) = spec.outputs
        self._labels = tuple(labels)
        self._calibrated = (
            CalibratedDecoder(spec, spec.calibration, labels, spec.classes) if spec.calibration else None
        )
        self._scale = 1.0 if output.is_float else output.scale
        self._zero_point = 0 if output.is_float else output.zero_point
        low, high = output.range
        leaves = not output.is_float and (low < -_SLACK or high > 1 + _SLACK)
        self._logits = spec.last_step == "layer" or leaves
        self._final = spec.last_step == "sigmoid"

    def decode(self, outputs: Sequence[NDArray[np.generic]], sample: object) -> Sequence[Finding]:
        """Return the findings, best first: ``unknown`` where there are none, nothing without numbers."""
        if self._calibrated is not None:
            found = self._calibrated.decode(outputs, sample)
            return [each for each in found if each.score >= _LEAST_SCORE][:_MOST] or (found and NOTHING)
        scores = (outputs[0].reshape(-1).astype(np.float64) - self._zero_point) * self._scale
        if not np.isfinite(scores).all():
            return []
        if self._logits or (not self._final and (scores.min() < -_ROUNDING or scores.max() > 1 + _ROUNDING)):
            scores = 1.0 / (1.0 + np.exp(-np.clip(scores, -700, 700)))
        best = np.argsort(-scores, kind="stable")[:_MOST]
        found = [Finding(self._labels[i], min(max(float(scores[i]), 0.0), 1.0)) for i in best]
        return [each for each in found if each.score >= _LEAST_SCORE] or NOTHING


def decoder(
    spec: Spec, labels: Sequence[str], top_k: int = 3
) -> ScoreDecoder | BinaryDecoder | CalibratedDecoder:
    """Return the decoder of a classifier's output."""
    if spec.binary:
        return BinaryDecoder(spec.outputs[0], labels, top_k)
    if spec.calibration is not None:
        return CalibratedDecoder(spec, spec.calibration, labels, top_k)
    return ScoreDecoder(spec, labels, top_k)
