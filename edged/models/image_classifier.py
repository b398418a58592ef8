"""Describes an image classifier: one picture in, one row of scores out. No runtime, no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models import labels as label_files
from edged.models.spec import PictureInput, Spec
from edged.models.tflite.detection import DETECTION_OP

if TYPE_CHECKING:
    from pathlib import Path

    from edged.models.calibration import Calibration
    from edged.models.tensor import Tensor
    from edged.models.tflite.file import ModelFile

_SMALLEST, _LARGEST = 8, 4096  # px
_RUNS = "edged runs image classifiers: one picture in, one row of scores out"


def spec(model: ModelFile) -> Spec:
    """Return what an image classifier takes and gives.

    Raises:
        ModelError: it is not an image classifier; the sentence says what it looks like.
    """
    if DETECTION_OP in model.custom_ops and model.chosen is None:
        raise ModelError(f"{model.path}: it is an object detector: write task: {{kind: detect}}")
    try:
        picture, scores = picture_input(model), _scores(model)
        classes = _classes(scores, model)
        calibration = _calibration(model, classes)
    except ModelError as error:
        raise ModelError(f"{error}; {_RUNS}") from None
    return Spec(
        picture,
        (scores,),
        max(2, classes),
        last_step=model.last_step,
        binary=classes == 1,
        calibration=calibration,
    )


def _calibration(model: ModelFile, classes: int) -> Calibration | None:
    found = model.calibration
    if found is None or classes == 1:
        return None
    if len(found.parameters) != classes:
        what = f"its scores are calibrated for {len(found.parameters)} classes, but it has {classes}"
        raise ModelError(f"{model.path}: {what}")
    return found


def picture_input(model: ModelFile) -> PictureInput:
    """Return the one input of a model that takes a picture.

    Raises:
        ModelError: it takes something else; the sentence says what.
    """
    if len(model.inputs) != 1:
        raise ModelError(f"{model.path}: it takes {len(model.inputs)} inputs")
    tensor = model.inputs[0]
    if tensor.dtype == "string":
        raise ModelError(f"{model.path}: it takes text")
    if tensor.dtype == "int32" and len(tensor.sides) == 1:
        raise ModelError(f"{model.path}: it takes text as numbers (source kind lines, task kind text)")
    if unfit := tensor.unfit("input", scaled=False):
        raise ModelError(f"{model.path}: {unfit}")
    height, width, channels = _size(tensor, model)
    return PictureInput(
        width,
        height,
        channels,
        tensor,
        model.normalization,
        model.input_range or ("0..1" if model.zero_to_one else ""),
        "graph" if model.input_range else "exporter",
        channels_first=_channels_first(tensor),
    )


def _channels_first(tensor: Tensor) -> bool:
    """Return whether the tensor is [1, channels, height, width], as exporters of PyTorch write it."""
    sides = tensor.shape[-3:]
    without_batch = len(tensor.shape) == 3 and tensor.shape[0] == 3
    if not (without_batch or (len(tensor.shape) == 4 and tensor.shape[0] == 1)):
        return False
    return sides[0] in {1, 3} and sides[2] not in {1, 3} and min(sides[1:]) >= _SMALLEST


def _size(tensor: Tensor, model: ModelFile) -> tuple[int, int, int]:
    """Return (height, width, channels)."""
    shape, shown = list(tensor.shape), tensor.shown
    if _channels_first(tensor):
        shape = [*shape[:-3], *shape[-2:], shape[-3]]
    if len(shape) == 4 and shape[0] != 1:
        what = f"it takes {shape[0]} pictures at once ({shown}); convert it with batch size 1"
        raise ModelError(f"{model.path}: {what}")
    if len(shape) == 4:
        sides = shape[1:]
    elif len(shape) == 3 and shape[2] in {1, 3} and shape[0] != 1:
        sides = shape
    elif len(shape) == 3 and shape[0] == 1:
        sides = [*shape[1:], 1]
    else:
        raise ModelError(f"{model.path}: its input ({shown}) is not a picture")
    height, width, channels = sides
    if channels not in {1, 3}:
        first = ": channels come last in TFLite" if height in {1, 3} else ""
        raise ModelError(f"{model.path}: its picture has {channels} channels ({shown}), not 3 or 1{first}")
    if min(height, width) < _SMALLEST and tensor.dynamic:
        what = f"it leaves the size of the picture open ({shown}); convert it with a fixed one"
        raise ModelError(f"{model.path}: {what}")
    if min(height, width) < _SMALLEST or max(height, width) > _LARGEST:
        what = f"its input ({shown}) is not a picture of {_SMALLEST} to {_LARGEST} pixels a side"
        raise ModelError(f"{model.path}: {what}")
    return height, width, channels


def _scores(model: ModelFile) -> Tensor:
    """Return the one output."""
    if len(model.outputs) != 1:
        what = (
            "it looks like an object detector" if len(model.outputs) == 4 else "it is not a plain classifier"
        )
        choice = (
            f"; if one of them is the scores, write model.output (option --output): {model.output_choices}"
        )
        raise ModelError(f"{model.path}: {what}, with {len(model.outputs)} outputs{choice}")
    tensor = model.outputs[0]
    if unfit := tensor.unfit("output", scaled=True):
        raise ModelError(f"{model.path}: {unfit}")
    return tensor


def _classes(tensor: Tensor, model: ModelFile) -> int:
    """Return the number of scores; 1 for one probability of two classes."""
    shown, sides = tensor.shown, tensor.sides
    if not sides:
        _, high = tensor.range
        # An Edge TPU's model hides its last step; the range of a quantised sigmoid is 0..1.
        if model.last_step == "sigmoid" or (model.for_edgetpu and 0.9 < high <= 1):
            return 1
        raise ModelError(f"{model.path}: it gives one number, which is not a probability (no sigmoid)")
    if len(sides) > 1:
        kind = {2: "boxes of a detector, or features", 3: "a map, as for segmentation"}.get(len(sides), "")
        what = f"its output ({shown}) is not a row of scores" + (f" but {kind}" if kind else "")
        raise ModelError(f"{model.path}: {what}")
    if not 2 <= sides[0] <= label_files.MAX_CLASSES:
        raise ModelError(f"{model.path}: its output ({shown}) is not a row of scores")
    return sides[0]


def compile_hint(file: Path | None) -> str:
    """Return the command that makes the missing twin of a model."""
    return f"the compiler for the Edge TPU makes it: edgetpu_compiler {file or 'MODEL.tflite'}"
