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

    from edged.events import Box, Finding
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
        self._wanted = tuple(not only or label in only for label in labels)

    def decode(self, outputs: Sequence[NDArray[np.generic]], sample: object) -> Sequence[Finding]:
        """Return the objects, best first, each with its box in the model's picture.

        Where there are none it is one finding of ``unknown``; where the outputs are not numbers it is empty.

        Args:
            outputs: the outputs of the model, in its order.
            sample: what went into the model; not used.
        """
        del sample
        boxes, classes, scores, count = (outputs[part] for part in self._parts)
        boxes, classes, scores = boxes.reshape(-1, 4), classes.reshape(-1), scores.reshape(-1)
        said = float(count.reshape(-1)[0]) if count.size else np.nan
        if not np.isfinite(said):
            return []
        rows = int(min(max(said, 0), len(boxes), len(classes), len(scores), MOST_OBJECTS))
        boxes, classes, scores = boxes[:rows], classes[:rows], scores[:rows]
        if not (np.isfinite(boxes).all() and np.isfinite(classes).all() and np.isfinite(scores).all()):
            return []
        return self._objects(boxes.tolist(), np.rint(classes).tolist(), scores.tolist()) or NOTHING

    def _objects(
        self, boxes: Sequence[Sequence[float]], classes: Sequence[float], scores: Sequence[float]
    ) -> list[Finding]:
        """Return the objects of the rows. Without arrays: for some rows that takes a tenth of the time."""
        kept: list[tuple[float, Box]] = []
        findings: list[Finding] = []
        for row in sorted(range(len(scores)), key=lambda row: -scores[row]):
            top, left, bottom, right = (min(max(edge, 0.0), 1.0) for edge in boxes[row])
            wanted = 0 <= classes[row] < len(self._labels) and self._wanted[int(classes[row])]
            if not wanted or scores[row] < _LEAST_SCORE or bottom <= top or right <= left:
                continue
            box = left, top, right, bottom
            if any(classes[row] == other and overlap(box, place) >= _SAME for other, place in kept):
                continue
            kept.append((classes[row], box))
            findings.append(Detection(self._labels[int(classes[row])], min(scores[row], 1.0), box))
        return findings


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    either = _area(one) + _area(other) - shared
    return shared / either if either > 0 else 0.0  # boxes may be so small that their areas are 0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
