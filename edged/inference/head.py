"""The head of a taught model: what a few examples of each label teach, in closed form.

An example is a row of features: a picture's embedding, or the hashed n-grams of a text. All of them are
scaled to length 1. The head is ridge regression onto +1 for an example's label and -1 for the others, solved
in the dual, with a bias term in the kernel::

    G = A A' + 1        alpha = (G + ridge / w)⁻¹ Y        answers = (A x)' alpha + sum(alpha)

where ``w`` weighs each example so that all labels weigh the same, whatever their numbers of examples. A label
with few examples would still be named too rarely, so its bias is moved until the answers for examples that
were left out lie as far above the middle for its own as below for those of others (2026-11: with 5
photographs of ants and 60 of bees, 83 % of the ants are named instead of 45 %). One
inversion of n x n gives the head, and with it the answers for each example by a head that has not seen it
(``Y - alpha / diag((G + ridge / w)⁻¹)``), without fitting anything twice. With the bias inside the kernel
this leave-one-out is exact.

Two gates tell what was never taught: the mean cosine to the three nearest examples, and the best answer.
Each is set to about what 95 % of the examples reach when they are left out. Few examples tell that share only
roughly, and the gates differ in what they are good for. The cosine turns strangers away, so of ``n`` examples
its share is ``1/n`` less. In pictures the answer turns few away, so its gate is three standard errors lower
there, and loses fewer of the known (2026-11: with ten photographs each of ants and bees, 99.2 % of other
things are turned away instead of 98.6 %, and 83 % of the known are kept as before). A softmax of the answers
finds strangers much worse.

Scores are made for the decision: 0.5 is reached exactly where both gates are passed, 1 where an answer is as
good as that of an example.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edged.models.taught.head_file import LEAST, OTHER, Gates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.models.taught.head_file import HeadFile
    from edged.models.tensor import Tensor

    Floats = NDArray[np.float32]
    Numbers = NDArray[np.intp]

RIDGE = 0.3  # of the mean of the kernel's diagonal without the bias, which is 1
QUANTILE = 0.05  # of the examples, left out, that a gate turns away
ERRORS = 3.0  # standard errors by which the gate of answers is lower
NEIGHBOURS = 3
ALIKE = 0.9  # the cosine of what is almost the same example; strangers were at most at 0.75
NEAREST = 0.1  # the cosine below which nothing is like anything: what chance collisions of features give
_LOOSE = Gates(cosine=0.4, margin=-0.5)  # where no example can be left out
_SMALL = 1e-3
_EDGE = 0.499  # the best score of what a gate turns away


@dataclass(frozen=True)
class Fit:
    """A head, and what its own examples say of it.

    Attributes:
        weights: ``[features, labels]``.
        bias: ``[labels]``.
        gates: what an answer has to reach.
        left_out: ``[n, labels]``: the answers for each example by a head that was not taught it.
        nearest: ``[n]``: the mean cosine to the nearest other examples; -1 where it is alone.
    """

    weights: Floats
    bias: Floats
    gates: Gates
    left_out: Floats
    nearest: Floats


def scaled(features: NDArray[Any]) -> Floats:
    """Return rows of features scaled to length 1; a row of zeros stays as it is."""
    rows = np.asarray(features, np.float32)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)


def features_of(outputs: Sequence[NDArray[Any]], tensor: Tensor) -> Floats:
    """Return the features, of length 1, that an embedder gave.

    Args:
        outputs: the one output of the embedder, in its own type and shape.
        tensor: its description.
    """
    stored = outputs[0].reshape(-1).astype(np.float32)
    # Quantised features keep their direction without the scale; only the zero point moves it.
    return scaled(stored if tensor.is_float else stored - tensor.zero_point)


def fit(examples: Floats, answers: Numbers, labels: int, *, errors: float = ERRORS) -> Fit:
    """Teach a head.

    Args:
        examples: ``[n, features]``, each of length 1; n is at least 1.
        answers: ``[n]``: the number of the label of each.
        labels: how many labels there are; each has an example.
        errors: standard errors by which the gate of answers is lower: ``ERRORS`` for pictures, 0 for texts,
            among which answers find strangers better than cosines do.
    """
    count = len(examples)
    cosines = examples @ examples.T
    targets = np.where(answers[:, None] == np.arange(labels), 1.0, -1.0)
    per_label = np.bincount(answers, minlength=labels)
    ridge = RIDGE * per_label[answers] * labels / count  # its mean over labels is RIDGE
    inverse = np.linalg.inv(cosines.astype(np.float64) + 1.0 + np.diag(ridge))
    alpha = inverse @ targets
    left_out = targets - alpha / np.diag(inverse)[:, None]
    moved = _moved(left_out, answers, per_label)
    left_out = (left_out + moved).astype(np.float32)
    np.fill_diagonal(cosines, -1.0)
    nearest = _nearest(cosines, count - 1)
    return Fit(
        np.asarray(examples.T @ alpha, np.float32),
        np.asarray(alpha.sum(axis=0) + moved, np.float32),
        _gates(left_out, nearest, per_label[answers], errors),
        left_out,
        nearest,
    )


def _nearest(cosines: Floats, others: int) -> Floats:
    """Return the mean of the largest cosines of each row, of at most ``NEIGHBOURS`` and as many as there are.

    One neighbour alone is more often there by chance: with ten photographs each of ants and bees, the mean of
    three turns 98 % of other things away, and one 94 %.
    """
    among = max(min(NEIGHBOURS, others), 1)
    best = np.partition(cosines, cosines.shape[1] - among, axis=1)[:, -among:]
    return np.asarray(best.mean(axis=1), np.float32)


def _moved(left_out: NDArray[np.float64], answers: Numbers, per_label: Numbers) -> NDArray[np.float64]:
    """Return by how much to move the bias of each label; less for those with very few examples."""
    labels = len(per_label)
    if labels == 1:
        return np.zeros(1)
    own = answers[:, None] == np.arange(labels)
    levels = own.T @ left_out / per_label[:, None]  # of the answers for each label (column), by label (row)
    right = np.diag(levels)
    others = (levels.sum(axis=0) - right) / (labels - 1)
    moved = -(right + others) / 2 * per_label / (per_label + 1)
    return np.asarray(moved - moved.mean(), np.float64)


def _gates(left_out: Floats, nearest: Floats, peers: Numbers, errors: float) -> Gates:
    """Set the gates by the examples that have enough peers to be judged by them."""
    told = peers >= LEAST
    if not told.any():
        return _LOOSE
    count, best = int(told.sum()), left_out[told].max(axis=1)
    cosine = max(float(np.quantile(nearest[told], QUANTILE + 1 / count)), NEAREST)
    lower = errors * float(best.std()) / count**0.5
    return Gates(cosine, float(np.quantile(best, QUANTILE)) - lower)


class Head:
    """Judges rows of features.

    Args:
        file: the head as it was taught.

    Attributes:
        labels: those that it may answer with; ``other`` is not among them.
    """

    def __init__(self, file: HeadFile) -> None:
        width, count = len(file.labels), len(file.answers)
        self._weights = _matrix(file.weights, (file.features, width))
        self._bias = _matrix(file.bias, (width,))
        self._examples = _matrix(file.examples, (count, file.features))
        self._gates = file.gates
        self.labels = tuple(label for label in file.labels if label != OTHER)
        self._own = [number for number, label in enumerate(file.labels) if label != OTHER]
        self._other = file.labels.index(OTHER) if OTHER in file.labels else -1

    def answers(self, rows: Floats) -> Floats:
        """Return ``[n, all labels]``, also that of ``other``, for rows of length 1."""
        return np.asarray(rows @ self._weights + self._bias, np.float32)

    def passes(self, rows: Floats, answers: Floats) -> NDArray[np.bool_]:
        """Return which rows pass both gates and are not ``other``; rows have length 1."""
        best = answers.argmax(axis=1)
        near = self._near(rows)[0]
        return np.asarray(near & (answers.max(axis=1) >= self._gates.margin) & (best != self._other))

    def _near(self, rows: Floats) -> tuple[NDArray[np.bool_], Floats]:
        """Return which rows pass the gate of cosines, and what they are judged by there.

        A row that is almost an example passes, also where no other one is like it: so a correction counts at
        once for what was corrected. No stranger of those that were measured comes near ``ALIKE``.
        """
        cosines = rows @ self._examples.T
        nearest = _nearest(cosines, len(self._examples))
        return (nearest >= self._gates.cosine) | (cosines.max(axis=1) >= ALIKE), nearest

    def scores(self, row: NDArray[Any]) -> Floats:
        """Return a score 0..1 for each of ``labels``; 0.5 or more means that both gates are passed.

        Args:
            row: features, of any length and shape.
        """
        example = scaled(row.reshape(1, -1))
        answers = self.answers(example)[0]
        own = answers[self._own]
        margin = self._gates.margin
        over = 0.5 + 0.5 * (own - margin) / max(1.0 - margin, _SMALL)
        under = 0.5 * (own + 1.0) / max(margin + 1.0, _SMALL)
        scores = np.clip(np.where(own >= margin, over, under), 0.0, 1.0)
        near, cosine = self._near(example)
        if not near[0]:
            scores = scores * (_EDGE * max(float(cosine[0]), 0.0) / max(self._gates.cosine, _SMALL))
        elif self._other >= 0 and answers[self._other] > own.max(initial=-np.inf):
            scores = scores * _EDGE
        return np.asarray(scores, np.float32)


def _matrix(data: bytes | memoryview, shape: tuple[int, ...]) -> Floats:
    """Return the numbers of a file, which are float16, as float32."""
    return np.frombuffer(data, "<f2").reshape(shape).astype(np.float32)


def stored(values: NDArray[Any]) -> bytes:
    """Return numbers as a file holds them."""
    return np.asarray(values, "<f2").tobytes()
