"""From the outputs of ``TFLite_Detection_PostProcess`` to the objects in a picture.

Boxes are [1, N, 4] (top, left, bottom, right, as parts of the picture, which they may leave a little),
classes and scores [1, N], and the count one number; rows after that many mean nothing. The operator may leave
two boxes of one object, so what overlaps a better one of its own label is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edged.events import MOST_OBJECTS, NOTHING, Detection

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from edged.events import Finding
    from edged.models.object_detector import DetectorSpec

_SAME = 0.5  # two boxes of one label with this intersection over union are one object
_LEAST_SCORE = 0.01  # what the operator fills its rows up with is left out


class BoxDecoder:
    """Decodes the outputs of a detector; pure: the same outputs give the same findings.

    Args:
        spec: what the model gives.
        labels: one for each class.
        only: the labels to find; empty: all.
    """

    def __init__(self, spec: DetectorSpec, labels: Sequence[str], only: Collection[str] = ()) -> None:
        self._parts = spec.parts
        self._labels = tuple(labels)
        self._wanted = np.array([not only or label in only for label in labels], bool)

    def decode(self, outputs: Sequence[NDArray[np.generic]], sample: object) -> Sequence[Finding]:
        """Return the objects, best first, each with its box in the model's picture.

        Where there are none it is one finding of ``unknown``; where the outputs are not numbers it is empty.

        Args:
            outputs: the outputs of the model, in its order.
            sample: what went into the model; not used.
        """
        del sample
        boxes, classes, scores, count = (outputs[part].astype(np.float64) for part in self._parts)
        boxes, classes, scores = boxes.reshape(-1, 4), classes.reshape(-1), scores.reshape(-1)
        said = float(count.reshape(-1)[0]) if count.size else np.nan
        if not np.isfinite(said):
            return []
        rows = int(min(max(said, 0), len(boxes), len(classes), len(scores), MOST_OBJECTS))
        boxes, classes, scores = boxes[:rows], classes[:rows], scores[:rows]
        if not (np.isfinite(boxes).all() and np.isfinite(classes).all() and np.isfinite(scores).all()):
            return []
        return self._objects(boxes, np.rint(classes).astype(np.int64), scores) or NOTHING

    def _objects(
        self, boxes: NDArray[np.float64], classes: NDArray[np.int64], scores: NDArray[np.float64]
    ) -> list[Finding]:
        top, left, bottom, right = np.clip(boxes, 0.0, 1.0).T
        known = (classes >= 0) & (classes < len(self._labels))
        usable = known & (scores >= _LEAST_SCORE) & (bottom > top) & (right > left)
        usable[usable] = self._wanted[classes[usable]]
        places = np.stack([left, top, right, bottom], axis=1)
        kept: list[int] = []
        for row in np.argsort(-scores, kind="stable"):
            if usable[row] and not any(
                classes[row] == classes[other] and overlap(places[row], places[other]) >= _SAME
                for other in kept
            ):
                kept.append(int(row))
        return [
            Detection(
                self._labels[classes[row]],
                min(float(scores[row]), 1.0),
                (float(left[row]), float(top[row]), float(right[row]), float(bottom[row])),
            )
            for row in kept
        ]


def overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the intersection over union of two boxes: x0, y0, x1, y1."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0.0)))
    return shared / (float(np.prod(one[2:] - one[:2])) + float(np.prod(other[2:] - other[:2])) - shared)
