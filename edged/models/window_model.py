"""Says what a model over time needs and gives, and refuses what is none; needs no runtime and no numpy.

A window goes in, ``[1, T, C]`` or ``[1, T * C]``. Out comes a row of scores, or from an autoencoder the
window as it could rebuild it.
"""

from __future__ import annotations

import math
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


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """What goes into a model over time and what comes out.

    Attributes:
        steps, channels: of a window.
        input, output: the tensors, of ``uint8``, ``int8`` or ``float32``.
        classes: how many scores there are; 0 for an autoencoder.
        last_step: what computes the scores: ``softmax``, ``sigmoid``, ``layer``, or empty.
    """

    steps: int
    channels: int
    input: Tensor
    output: Tensor
    classes: int
    last_step: str = ""


@dataclass(frozen=True)
class SeriesModel:
    """A model file that fits the windows, and its labels, of which an autoencoder has none."""

    file: ModelFile
    spec: SeriesSpec
    labels: tuple[str, ...] = field(repr=False)


def load(
    file: Path,
    labels: Path | None = None,
    sha256: str | None = None,
    *,
    steps: int,
    channels: int,
    rebuilds: bool,
    content: int | None = None,
) -> SeriesModel:
    """Read a model over time and check that it fits the windows.

    Args:
        file: the .tflite file.
        labels: the text file of labels; None: those that are packed in the model.
        sha256: the checksum that the model must have.
        steps: samples in a window.
        channels: of a window.
        rebuilds: an autoencoder is wanted; otherwise a classifier.
        content: a descriptor of sealed memory that holds the file's bytes; None: read the file.

    Raises:
        ModelError: it is none that edged can run on these windows; one sentence.
    """
    model = tflite_file.read(file, sha256, content=content)
    found = spec(model, steps=steps, channels=channels, rebuilds=rebuilds)
    if rebuilds:
        return SeriesModel(model, found, ())
    named = label_files.load(labels) if labels is not None else None
    return SeriesModel(model, found, label_files.of_model(model, found.classes, named, str(labels or file)))


def spec(model: ModelFile, *, steps: int, channels: int, rebuilds: bool) -> SeriesSpec:
    """Return what the model needs and gives.

    Raises:
        ModelError: it does not fit; the sentence says what it looks like.
    """
    window = _one(model, model.inputs, "input")
    answer = _one(model, model.outputs, "output")
    _check_shape(model, window, steps, channels)
    if rebuilds and math.prod(answer.shape) != steps * channels:
        raise ModelError(
            f"{model.path}: its output ({answer.shown}) is no window of {_values(steps, channels)}, "
            "so it is no autoencoder for this source"
        )
    return SeriesSpec(
        steps=steps,
        channels=channels,
        input=window,
        output=answer,
        classes=0 if rebuilds else _classes(model, answer),
        last_step=model.last_step,
    )


def _one(model: ModelFile, tensors: Sequence[Tensor], what: str) -> Tensor:
    if len(tensors) != 1:
        raise ModelError(
            f"{model.path}: it has {len(tensors)} {what}s; edged runs models over time with one, which keep "
            "their state inside"
        )
    tensor = tensors[0]
    if unfit := tensor.unfit(what, scaled=True):
        raise ModelError(f"{model.path}: {unfit}")
    return tensor


def _check_shape(model: ModelFile, tensor: Tensor, steps: int, channels: int) -> None:
    if tensor.shape in {(1, steps, channels), (1, steps * channels), (1, steps, channels, 1)}:
        return
    shape, shown = tensor.shape, tensor.shown
    if any(axis > 0 for axis in tensor.dynamic):
        what = f"it leaves the length of its window open ({shown}); convert it with a fixed one"
    elif len(shape) == 4:
        what = f"its input ({shown}) is a picture or a spectrum, no window of readings"
    elif len(shape) in {2, 3} and shape[0] != 1:
        what = f"it takes {shape[0]} windows at once ({shown}); convert it with batch size 1"
    elif shape == (1, channels, steps) and steps != channels:
        what = f"its channels come first ({shown}); convert it with steps first, [1, {steps}, {channels}]"
    else:
        given = f"[1, {steps}, {channels}] or [1, {steps * channels}]"
        what = f"its input ({shown}) is not what the source gives, {given}: {_values(steps, channels)}"
    raise ModelError(f"{model.path}: {what}")


def _classes(model: ModelFile, tensor: Tensor) -> int:
    sides = tensor.sides
    if len(sides) != 1 or sides[0] > label_files.MAX_CLASSES:
        raise ModelError(
            f"{model.path}: its output ({tensor.shown}) is no row of scores; for an autoencoder write "
            "task: {kind: anomaly}"
        )
    return sides[0]


def _values(steps: int, channels: int) -> str:
    return f"{steps} steps of {channels} channel{'s' if channels > 1 else ''}"
