"""Describes a model of pictures without a configuration: a detector by its last step, else a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.models import image_classifier, object_detector
from edged.models.tflite.detection import DETECTION_OP

if TYPE_CHECKING:
    from edged.models.spec import Spec
    from edged.models.tflite.file import ModelFile


def spec(model: ModelFile) -> Spec:
    """Return what a classifier or a detector takes and gives. Raises ``ModelError`` for another model."""
    if DETECTION_OP in model.custom_ops and model.chosen is None:
        return object_detector.spec(model)
    return image_classifier.spec(model)
