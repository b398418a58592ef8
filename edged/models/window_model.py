"""Describes a model over time: its input and its outputs. Needs no runtime and no numpy.

A window goes in, ``[1, T, C]`` or ``[1, T * C]``. Out comes a row of scores, or from an autoencoder the
window as the model rebuilt it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models import labels as label_files
from edged.models.spec import Spec, WindowInput

_NEARLY_ONE = 0.9
_SHORTEST_PART = 50  # of a second: a shorter input is not a window of sound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.spec import SampleSpec
    from edged.models.tensor import Tensor
    from edged.models.tflite.file import ModelFile


def classifier(model: ModelFile, sample: SampleSpec) -> Spec:
    """Return what a model that classifies windows takes and gives.

    Args:
        model: the file.
        sample: the windows that the source gives.

    Raises:
        ModelError: it does not fit; the sentence says what it looks like.
    """
    window, scores = _window_input(model, sample), _one(model, model.outputs, "output")
    sides = scores.sides
    if not sides and _is_probability(model, scores):
        return Spec(window, (scores,), 2, last_step=model.last_step, binary=True)
    if len(sides) != 1 or sides[0] > label_files.MAX_CLASSES:
        what = f"{model.path}: its output ({scores.shown}) is not a row of scores"
        raise ModelError(f"{what}; for an autoencoder write task: {{kind: anomaly}}")
    return Spec(window, (scores,), sides[0], last_step=model.last_step)


def _is_probability(model: ModelFile, output: Tensor) -> bool:
    """Return whether one number is the probability of the second of two classes, as wake words have it."""
    low, high = output.range
    return model.last_step == "sigmoid" or (low == 0 and _NEARLY_ONE < high <= 1)


def autoencoder(model: ModelFile, sample: SampleSpec, labels: tuple[str, ...]) -> Spec:
    """Return what a model that rebuilds its window takes and gives.

    Args:
        model: the file.
        sample: the windows that the source gives.
        labels: those of the task, since an autoencoder has none.

    Raises:
        ModelError: it does not fit; the sentence says what it looks like.
    """
    window, rebuilt = _window_input(model, sample), _one(model, model.outputs, "output")
    if math.prod(rebuilt.shape) != window.steps * window.channels:
        raise ModelError(
            f"{model.path}: its output ({rebuilt.shown}) is not a window of {_values(window)}, "
            "so it is not an autoencoder for this source"
        )
    return Spec(window, (rebuilt,), labels=labels, last_step=model.last_step)


def _window_input(model: ModelFile, sample: SampleSpec) -> WindowInput:
    tensor = _one(model, model.inputs, "input")
    if sample.rate_hz:
        return _sound_input(model, tensor, sample)
    steps, channels = sample.steps, sample.channels
    if tensor.shape not in {(1, steps, channels), (1, steps * channels), (1, steps, channels, 1)}:
        raise ModelError(f"{model.path}: {_unfit(tensor, sample)}")
    return WindowInput(steps, channels, tensor)


def _sound_input(model: ModelFile, tensor: Tensor, sample: SampleSpec) -> WindowInput:
    """Return the input of a model of sound: samples in a row, as many as it takes or as the source gives."""
    shown, sides = tensor.shown, tensor.sides
    if tensor.dynamic:
        what = f"it leaves the length of its window open ({shown}); convert it with a fixed one, [15600]"
        raise ModelError(f"{model.path}: {what}")
    if sample.channels > 1:
        return _features_input(model, tensor, sample)
    if len(sides) != 1 or sides[0] * _SHORTEST_PART < sample.rate_hz:
        what = f"its input ({shown}) is not a window of sound but probably a spectrum; edged gives samples"
        raise ModelError(f"{model.path}: {what}, or with source.features: micro 40 features a row")
    if sample.steps not in {0, sides[0]}:
        wants, given = (_sound(steps, sample.rate_hz) for steps in (sides[0], sample.steps))
        raise ModelError(f"{model.path}: it takes {wants}, not {given}: omit source.window_s")
    return WindowInput(sides[0], 1, tensor)


def _features_input(model: ModelFile, tensor: Tensor, sample: SampleSpec) -> WindowInput:
    """Return the input of a model of features: rows of some numbers each, one after the other."""
    channels, count = sample.channels, math.prod(tensor.shape)
    rows = count // channels
    if count % channels or tensor.shape not in {(1, rows, channels), (1, count), (1, rows, channels, 1)}:
        what = f"its input ({tensor.shown}) is not rows of {channels} features"
        raise ModelError(f"{model.path}: {what}; for samples omit source.features")
    if sample.steps not in {0, rows}:
        what = f"it takes {rows} rows of features, not {sample.steps}: omit source.window_s"
        raise ModelError(f"{model.path}: {what}")
    return WindowInput(rows, channels, tensor)


def _sound(steps: int, rate_hz: int) -> str:
    return f"{steps} samples ({steps / rate_hz:g} s at {rate_hz} Hz)"


def _one(model: ModelFile, tensors: Sequence[Tensor], what: str) -> Tensor:
    if len(tensors) != 1:
        found = f"{model.path}: it has {len(tensors)} {what}s; edged runs models over time with one"
        if what == "output" and tensors:
            choice = (
                f"if one of them is the scores, write model.output (option --output): {model.output_choices}"
            )
            raise ModelError(f"{found}; {choice}")
        raise ModelError(f"{found}, which keep their state inside")
    tensor = tensors[0]
    if unfit := tensor.unfit(what, scaled=True):
        raise ModelError(f"{model.path}: {unfit}")
    return tensor


def _unfit(tensor: Tensor, sample: SampleSpec) -> str:
    """Return why an input does not take the source's windows."""
    shape, shown = tensor.shape, tensor.shown
    steps, channels = sample.steps, sample.channels
    if any(axis > 0 for axis in tensor.dynamic):
        return f"it leaves the length of its window open ({shown}); convert it with a fixed one"
    if len(shape) == 4:
        return f"its input ({shown}) is a picture or a spectrum, not a window of readings"
    if len(shape) in {2, 3} and shape[0] != 1:
        return f"it takes {shape[0]} windows at once ({shown}); convert it with batch size 1"
    if shape == (1, channels, steps) and steps != channels:
        return f"its channels come first ({shown}); convert it with steps first, [1, {steps}, {channels}]"
    given = f"[1, {steps}, {channels}] or [1, {steps * channels}]"
    return f"its input ({shown}) is not what the source gives, {given}: {_values(sample)}"


def _values(sample: SampleSpec | WindowInput) -> str:
    return f"{sample.steps} steps of {sample.channels} channel{'s' if sample.channels > 1 else ''}"
