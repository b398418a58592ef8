"""Which values a model's input wants for the pixels of a picture, and how that is known.

A float input does not say: Keras exports often carry their own rescaling and want 0..255, Ultralytics' want
0..1, MobileNets -1..1, models of PyTorch a mean and a deviation a channel. What is known is taken, in this
order: the configuration, the metadata, the first steps of the graph, the exporter; else -1..1 is assumed
(0..1 where channels come first, as in models of PyTorch), and that is reported.

A quantised input says it by its range. One whose range is that of a whole picture (-1..1, 0..1, 0..255,
-128..127, or none at all) stores pixels as they are, for int8 less 128: that needs no arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edged.models.spec import PictureInput
    from edged.models.tensor import Tensor

Order = Literal["rgb", "bgr"]
Origin = Literal["configuration", "metadata", "graph", "exporter", "type", "assumed"]

ASSUMED, ASSUMED_CHANNELS_FIRST = "-1..1", "0..1"  # the latter are PyTorch's, whose pictures are 0..1
_SLACK = 0.03  # of a range's width: calibrated ranges are a little off
_LIKELY = 0.075  # of a range's width: calibrated on pictures that are not so dark or not so bright


@dataclass(frozen=True, slots=True)
class Normalization:
    """Scaling of pixels: (pixel - mean) / std, with one number for all channels or one per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


PRESETS = {
    "-1..1": Normalization((127.5,), (127.5,)),
    "0..1": Normalization((0.0,), (255.0,)),
    "0..255": Normalization((0.0,), (1.0,)),
    "imagenet": Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe": Normalization((123.68, 116.779, 103.939), (1.0,)),
}
BGR = frozenset({"caffe"})  # presets for pictures whose channels are blue, green, red
USUAL = ("-1..1", "0..1", "0..255", "imagenet", "caffe")  # what is worth trying where nothing is known

_RANGES = (  # of the values that a whole picture gives
    ("-1..1", -1.0, 1.0),
    ("0..1", 0.0, 1.0),
    ("0..255", 0.0, 255.0),
    ("-128..127", -128.0, 127.0),
    ("-0.5..0.5", -0.5, 0.5),
)
_NORMALISED = (("imagenet", -2.118, 2.640), ("caffe", -123.68, 151.06))
_BY_PEAK = (("0..255", 255.0), ("imagenet", 2.640), ("caffe", 151.06), ("-1..1", 1.0))


@dataclass(frozen=True, slots=True)
class InputValues:
    """The values that an input gets.

    Attributes:
        mean, std: for all channels, or by channel in the order of the tensor.
        order: ``rgb`` or ``bgr``.
        shown: the values in words, such as ``-1..1``.
        origin: how that is known.
        plain: a quantised input that stores pixels as they are; mean and std mean nothing then.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    order: Order
    shown: str
    origin: Origin
    plain: bool = False


def of_input(
    picture: PictureInput, given: Normalization | None = None, order: Order | None = None
) -> InputValues:
    """Return the values that a model's input gets.

    Args:
        picture: the input.
        given: the values by the configuration, for red, green and blue; None: nothing.
        order: the order of the channels by the configuration; None: what the values imply, else ``rgb``.
    """
    tensor = picture.tensor
    if tensor.is_float:
        return _of_float(picture, given, order)
    # Whole pixels are what a quantised input can always be given: "none".
    if is_plain(tensor) or (given == PRESETS["0..255"] and tensor.dtype != "int16"):
        mean, std = (0.0,), (1.0,)
        return InputValues(mean, std, order or "rgb", _whole(tensor), "type", plain=True)
    if given is None and picture.normalization is None:
        name = _of_peak(tensor, picture.range) if tensor.dtype == "int16" else _of_range(tensor)
        if name:
            return _preset(name, "type", order)
    return _of_float(picture, given, order)


def _of_float(picture: PictureInput, given: Normalization | None, order: Order | None) -> InputValues:
    if given is not None:
        return _by_hand(given, order or "rgb")
    if picture.normalization is not None:
        found = picture.normalization
        return InputValues(found.mean, found.std, order or "rgb", _in_words(found), "metadata")
    if picture.range:
        return _preset(picture.range, picture.range_origin, order)
    return _preset(ASSUMED_CHANNELS_FIRST if picture.channels_first else ASSUMED, "assumed", order)


def _by_hand(given: Normalization, order: Order) -> InputValues:
    turn = -1 if order == "bgr" else 1
    return InputValues(given.mean[::turn], given.std[::turn], order, _in_words(given), "configuration")


def _preset(name: str, origin: Origin, order: Order | None) -> InputValues:
    order = order or ("bgr" if name in BGR else "rgb")
    return replace(_by_hand(PRESETS[name], order), shown=name, origin=origin)


def _in_words(found: Normalization) -> str:
    name = next((name for name, preset in PRESETS.items() if preset == found), None)
    return name or f"mean {_listed(found.mean)}, std {_listed(found.std)}"


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def is_plain(tensor: Tensor) -> bool:
    """Return whether a quantised input stores pixels as they are (int8: less 128)."""
    if tensor.dtype == "int16":
        return False
    return tensor.scale <= 0 or _matching(tensor, _RANGES, _SLACK) != ""


def _whole(tensor: Tensor) -> str:
    return _matching(tensor, _RANGES, _SLACK) or "0..255"


def _of_range(tensor: Tensor) -> str:
    return _matching(tensor, (*_RANGES[:3], *_NORMALISED), _LIKELY)


def _matching(tensor: Tensor, ranges: tuple[tuple[str, float, float], ...], slack: float) -> str:
    low, high = tensor.range
    for name, first, last in ranges:
        within = slack * (last - first)
        if abs(low - first) <= within and abs(high - last) <= within:
            return name
    return ""


def _of_peak(tensor: Tensor, found: str) -> str:
    """Return what an int16 input wants: its range lies around zero, so that only its largest value tells."""
    _, high = tensor.range
    if found and abs(high - 255) > 20:  # the graph tells 0..1 from -1..1
        return found
    for name, peak in _BY_PEAK[:-1]:
        if abs(high - peak) <= _LIKELY * peak:
            return name
    return ""


def parse(text: str) -> str | dict[str, list[float]]:
    """Return what ``model.normalize`` is for a word of a command line.

    Args:
        text: a preset, ``MEAN,STD``, or three means and three deviations for red, green and blue.

    Raises:
        ValueError: it is neither; the message says what to write.
    """
    if text in PRESETS or text == "none":
        return text
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    half = len(numbers) // 2
    if len(numbers) not in {2, 6} or not all(map(math.isfinite, numbers)) or min(numbers[half:]) <= 0:
        raise ValueError(
            f"{text}: write {', '.join(PRESETS)}, none, MEAN,STD such as 127.5,127.5, or three of each; "
            "deviations above 0"
        )
    return {"mean": numbers[:half], "std": numbers[half:]}


def remark(file: str, values: InputValues, given: Normalization | None = None) -> str:
    """Return what a user should know about the values of an input, as a sentence; empty where all is known.

    Args:
        file: the model's name.
        values: what its input gets.
        given: the values by the configuration.
    """
    if values.origin == "assumed":
        return (
            f"{file} does not say which values its input wants, so edged assumes {values.shown}; if answers "
            "are wrong, write model.normalize (option --normalize): 0..1, 0..255, imagenet or caffe"
        )
    if values.plain and given is not None and given != PRESETS.get(values.shown):
        return f"{file} is quantised for {values.shown}, so model.normalize has no effect on it"
    return ""
