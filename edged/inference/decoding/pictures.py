"""The decoder of a model of pictures, by what it gives: objects or scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.inference.decoding import scores
from edged.inference.decoding.boxes import BoxDecoder
from edged.models.object_detector import DetectorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.inference.decoding.calibrated import CalibratedDecoder
    from edged.inference.decoding.scores import BinaryDecoder, ScoreDecoder
    from edged.models.spec import Spec


def decoder(
    spec: Spec, labels: Sequence[str], top_k: int
) -> BoxDecoder | ScoreDecoder | BinaryDecoder | CalibratedDecoder:
    """Return the decoder of a detector or of a classifier."""
    if isinstance(spec, DetectorSpec):
        return BoxDecoder(spec, labels)
    return scores.decoder(spec, labels, top_k)
