"""Describes the model that makes features of pictures for a taught head. Needs no runtime and no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models import image_classifier
from edged.models.spec import Spec
from edged.models.taught.head_file import MAX_FEATURES
from edged.models.tflite.embedding import LEAST_FEATURES

if TYPE_CHECKING:
    from edged.models.tflite.file import ModelFile


def spec(model: ModelFile, labels: tuple[str, ...] = ()) -> Spec:
    """Return what an embedder takes and gives.

    Args:
        model: the file.
        labels: those of the head, if there is one.

    Raises:
        ModelError: it takes no picture, or does not give one row of features.
    """
    picture = image_classifier.picture_input(model)
    if len(model.outputs) != 1:
        raise ModelError(f"{model.path}: it has {len(model.outputs)} outputs, not one row of features")
    features = model.outputs[0]
    if unfit := features.unfit("output", scaled=True):
        raise ModelError(f"{model.path}: {unfit}")
    sides = features.sides
    if len(sides) != 1 or not LEAST_FEATURES <= sides[0] <= MAX_FEATURES:
        raise ModelError(
            f"{model.path}: its output ({features.shown}) is not one row of {LEAST_FEATURES} to "
            f"{MAX_FEATURES} features"
        )
    return Spec(picture, (features,), labels=labels, last_step=model.last_step)


def features(found: Spec) -> int:
    """Return the number of features of an embedder."""
    return found.outputs[0].sides[0]
