"""Specifications: the samples that a source gives, and what a task's model takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edged.models.calibration import Calibration
    from edged.models.normalization import Normalization, Origin
    from edged.models.tensor import Tensor
    from edged.models.text_ids import Hashing, Vocabulary

Gives = Literal["picture", "window", "text"]


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """A source's output, known from its configuration alone.

    Attributes:
        gives: ``picture``, ``window`` (numbers over time) or ``text``.
        steps: samples in a window; 0 for pictures and text.
        channels: numbers in each sample of a window; 0 for pictures and text.
        rate_hz: of sound: samples a second, and windows of 0 steps are as long as the model wants them; 0 for
            all else.
    """

    gives: Gives = "picture"
    steps: int = 0
    channels: int = 0
    rate_hz: int = 0


@dataclass(frozen=True, slots=True)
class PictureInput:
    """The input of a model that takes a picture.

    Attributes:
        width, height: the picture's size in pixels.
        channels: 3 (RGB) or 1 (grey).
        tensor: the input tensor.
        normalization: by the model's metadata, or None.
        range: the values that it wants by what else the file tells, such as ``0..255``; empty: nothing does.
        range_origin: how ``range`` is known.
        channels_first: the tensor is [1, channels, height, width].
    """

    width: int
    height: int
    channels: int
    tensor: Tensor
    normalization: Normalization | None = None
    range: str = ""
    range_origin: Origin = "graph"
    channels_first: bool = False


@dataclass(frozen=True, slots=True)
class WindowInput:
    """The input of a model that takes a window.

    Attributes:
        steps: samples in a window.
        channels: numbers in each sample.
        tensor: the input tensor.
    """

    steps: int
    channels: int
    tensor: Tensor


@dataclass(frozen=True, slots=True)
class TextInput:
    """The input of a model that takes text as numbers, one for each word or n-gram.

    Attributes:
        length: how many numbers it takes.
        words: how words become numbers.
        tensor: the input tensor.
    """

    length: int
    words: Hashing | Vocabulary
    tensor: Tensor


@dataclass(frozen=True)
class Spec:
    """A task's plan for a sample. A task may return a subclass with fields of its own.

    Attributes:
        input: the model's input; None: the task runs no model and gets the samples as they are.
        outputs: the model's output tensors.
        classes: how many labels the model needs, from its label file or packed in it.
        labels: the labels of a task that has its own; empty: those of the model.
        last_step: what computes the first output: ``softmax``, ``sigmoid``, ``layer`` (a plain layer:
            probably logits), or empty where the file does not tell.
        measure: the name that stands in events for a model, where there is none.
        binary: the output is one number, the probability of the second of two classes.
        calibration: of its scores, by the model's metadata, or None.
        background: a list of labels may begin with a background, which is not among the classes.
    """

    input: PictureInput | WindowInput | TextInput | None = None
    outputs: tuple[Tensor, ...] = ()
    classes: int = 0
    labels: tuple[str, ...] = ()
    last_step: str = ""
    measure: str = ""
    binary: bool = False
    calibration: Calibration | None = None
    background: bool = False
