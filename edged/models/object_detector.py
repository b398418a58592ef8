"""Describes an object detector: a picture in; boxes, classes, scores, a count out. No runtime, no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models import bundled, image_classifier
from edged.models.spec import Spec
from edged.models.tflite.detection import DETECTION_OP

if TYPE_CHECKING:
    from edged.models.tflite.file import ModelFile

_RUNS = f"edged runs detectors that end in {DETECTION_OP}, as SSD MobileNet and EfficientDet-Lite do"


@dataclass(frozen=True)
class DetectorSpec(Spec):
    """What a detector takes and gives.

    Attributes:
        parts: the places of boxes, classes, scores and count among the outputs.
    """

    parts: tuple[int, int, int, int] = (0, 1, 2, 3)


def spec(model: ModelFile) -> DetectorSpec:
    """Return what an object detector takes and gives.

    Raises:
        ModelError: it is not an object detector; the sentence says why.
    """
    if model.chosen is not None:
        raise ModelError(f"{model.path}: a detector needs all of its outputs: omit model.output")
    if model.path == bundled.MODEL:
        what = "write model: {name: NAME} (`edged models list` has detectors) or {file: FILE}"
        raise ModelError(f"edged brings no detector: {what}")
    if DETECTION_OP not in model.custom_ops:
        raise ModelError(f"{model.path}: it is not an object detector; {_RUNS}")
    step = model.detection
    if step is None:
        what = f"{DETECTION_OP} is not its last step, so its outputs are unknown"
        raise ModelError(f"{model.path}: {what}; {_RUNS}")
    picture = image_classifier.picture_input(model)
    for number in step.outputs:
        if not model.outputs[number].is_float:
            what = f"its output {number} ({model.outputs[number].shown}) is not float32"
            raise ModelError(f"{model.path}: {what}; {_RUNS}")
    return DetectorSpec(
        picture,
        model.outputs,
        step.classes or _labelled(model),
        background=step.background,
        parts=step.outputs,
    )


def _labelled(model: ModelFile) -> int:
    """Return the number of classes by the labels in the file, where its last step does not tell."""
    if model.labels is None:
        raise ModelError(f"{model.path}: its last step does not tell how many classes it has; {_RUNS}")
    return len(model.labels.names)
