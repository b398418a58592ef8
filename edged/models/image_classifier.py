"""Says what an image classifier needs and gives, and refuses what is none; needs no runtime and no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models import labels as label_files
from edged.models.tflite import file as tflite_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edged.models.tensor import Tensor
    from edged.models.tflite.file import ModelFile
    from edged.models.tflite.metadata import Normalization

_SMALLEST, _LARGEST = 8, 4096  # px
_RUNS = "edged runs image classifiers: one picture in, one row of scores out"
_FEATURES = " (if these are features and no classes, it is an embedding extractor, which edged cannot run)"


@dataclass(frozen=True, slots=True)
class ClassifierSpec:
    """What goes into a classifier and what comes out.

    Attributes:
        width, height: of the picture, in pixels.
        channels: 3 (RGB) or 1 (grey).
        input, output: the tensors, of ``uint8``, ``int8`` or ``float32``.
        classes: how many scores there are.
        last_step: what computes the scores: ``softmax``, ``sigmoid``, ``layer`` (a plain layer: probably
            logits), or empty where the file does not tell.
        normalization: that the model's metadata asks for, or None.
    """

    width: int
    height: int
    channels: int
    input: Tensor
    output: Tensor
    classes: int
    last_step: str = ""
    normalization: Normalization | None = None


@dataclass(frozen=True)
class Classifier:
    """A model file that is an image classifier, and its labels."""

    file: ModelFile
    spec: ClassifierSpec
    labels: tuple[str, ...] = field(repr=False)


def load(
    file: Path,
    labels: Path | None = None,
    sha256: str | None = None,
    *,
    edgetpu: bool = False,
    content: int | None = None,
) -> Classifier:
    """Read a model and its labels and check that they fit; what ``edged check`` does for each model.

    Args:
        file: the .tflite file.
        labels: the text file of labels; None: those that are packed in the model.
        sha256: the checksum that the model must have.
        edgetpu: the model is for an Edge TPU.
        content: a descriptor of sealed memory that holds the file's bytes; None: read the file.

    Raises:
        ModelError: it is no classifier that edged can run; one sentence.
    """
    model = tflite_file.read(file, sha256, edgetpu=edgetpu, content=content)
    named = label_files.load(labels) if labels is not None else None
    return Classifier(model, *spec_and_labels(model, named, str(labels) if labels is not None else str(file)))


def spec_and_labels(
    model: ModelFile, labels: Sequence[str] | None, where: str
) -> tuple[ClassifierSpec, tuple[str, ...]]:
    """Return what the model needs, and its labels; ``where`` names what they came from."""
    found = spec(model)
    return found, label_files.of_model(model, found.classes, labels, where, _FEATURES)


def spec(model: ModelFile) -> ClassifierSpec:
    """Return what the model needs and gives.

    Raises:
        ModelError: it is no image classifier; the sentence says what it looks like.
    """
    picture, scores = _input(model), _output(model)
    height, width, channels = _size(picture, model)
    return ClassifierSpec(
        width=width,
        height=height,
        channels=channels,
        input=picture,
        output=scores,
        classes=_classes(scores, model),
        last_step=model.last_step,
        normalization=model.normalization,
    )


def _refuse(model: ModelFile, what: str) -> ModelError:
    return ModelError(f"{model.path}: {what}; {_RUNS}")


def _input(model: ModelFile) -> Tensor:
    if len(model.inputs) != 1:
        raise _refuse(model, f"it takes {len(model.inputs)} inputs")
    tensor = model.inputs[0]
    if tensor.dtype == "string":
        raise _refuse(model, "it takes text")
    if unfit := tensor.unfit("input", scaled=False):
        raise _refuse(model, unfit)
    return tensor


def _output(model: ModelFile) -> Tensor:
    if tflite_file.DETECTION_OP in model.custom_ops:
        raise _refuse(model, "it is an object detector")
    if len(model.outputs) != 1:
        what = "it looks like an object detector" if len(model.outputs) == 4 else "it is no classifier"
        raise _refuse(model, f"{what}, with {len(model.outputs)} outputs")
    tensor = model.outputs[0]
    if unfit := tensor.unfit("output", scaled=True):
        raise _refuse(model, unfit)
    return tensor


def _size(tensor: Tensor, model: ModelFile) -> tuple[int, int, int]:
    """Return (height, width, channels)."""
    shape, shown = list(tensor.shape), tensor.shown
    if len(shape) == 4 and shape[0] != 1:
        raise _refuse(model, f"it takes {shape[0]} pictures at once ({shown}); convert it with batch size 1")
    if len(shape) == 4:
        sides = shape[1:]
    elif len(shape) == 3 and shape[2] in {1, 3} and shape[0] != 1:
        sides = shape
    elif len(shape) == 3 and shape[0] == 1:
        sides = [*shape[1:], 1]
    else:
        raise _refuse(model, f"its input ({shown}) is no picture")
    height, width, channels = sides
    if channels not in {1, 3}:
        first = ": channels come last in TFLite" if height in {1, 3} else ""
        raise _refuse(model, f"its picture has {channels} channels ({shown}), not 3 or 1{first}")
    if min(height, width) < _SMALLEST and tensor.dynamic:
        raise _refuse(model, f"it leaves the size of the picture open ({shown}); convert it with a fixed one")
    if min(height, width) < _SMALLEST or max(height, width) > _LARGEST:
        raise _refuse(model, f"its input ({shown}) is no picture of {_SMALLEST} to {_LARGEST} pixels")
    return height, width, channels


def _classes(tensor: Tensor, model: ModelFile) -> int:
    shown, sides = tensor.shown, tensor.sides
    if not sides:
        raise _refuse(model, "it gives one number")
    if len(sides) > 1:
        kind = {2: "boxes of a detector, or features", 3: "a map, as for segmentation"}.get(len(sides), "")
        raise _refuse(model, f"its output ({shown}) is no row of scores" + (f" but {kind}" if kind else ""))
    if not 2 <= sides[0] <= label_files.MAX_CLASSES:
        raise _refuse(model, f"its output ({shown}) is no row of scores")
    return sides[0]


def compile_hint(file: Path | None) -> str:
    """Return what makes the missing twin of a model."""
    return f"the compiler for the Edge TPU makes it: edgetpu_compiler {file or 'MODEL.tflite'}"
