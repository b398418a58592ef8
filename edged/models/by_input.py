"""Describes a model without a configuration: of pictures, sound or text, by its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.models import picture_model, text_classifier, window_model
from edged.models.spec import SampleSpec

if TYPE_CHECKING:
    from edged.models.spec import Spec
    from edged.models.tflite.file import ModelFile

RATE_HZ = 16000  # of sound, which nearly all models of it want
SOUND = SampleSpec("window", 0, 1, RATE_HZ)
_SAMPLES = frozenset({"float32", "float16", "int8", "int16", "uint8"})  # not the numbers of words
_SHORTEST = 320  # samples: a shorter row of numbers is probably no sound


def is_sound(model: ModelFile) -> bool:
    """Return whether a model takes sound: one long row of numbers."""
    if len(model.inputs) != 1 or model.inputs[0].dtype not in _SAMPLES:
        return False
    sides = model.inputs[0].sides
    return len(sides) == 1 and sides[0] >= _SHORTEST


def needs_no_file(model: ModelFile) -> bool:
    """Return whether a model can be run without files of samples: on noise, or on a sentence."""
    return is_sound(model) or text_classifier.is_text(model)


def spec(model: ModelFile) -> Spec:
    """Return what the model takes and gives. Raises ``ModelError`` where it is another one."""
    if text_classifier.is_text(model):
        return text_classifier.spec(model)
    return window_model.classifier(model, SOUND) if is_sound(model) else picture_model.spec(model)
