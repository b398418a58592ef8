"""Finds out from the first steps of a graph which values its input wants.

Exports of Keras and others carry their preprocessing inside: a rescaling, a mean, a deviation. Followed from
the input to the first layer, these steps are one line a channel, a * x + b. Pixels from 0 to 255, from 0 to 1
or from -1 to 1 give a plausible result, but hardly more than one of them does.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edged.models.tensor import Tensor
    from edged.models.tflite.step import Operator

    Constant = Callable[[int], tuple[float, ...] | None]

ADD, SUB, MUL, DIV, NEG = 0, 41, 18, 42, 59  # BuiltinOperator
DEQUANTIZE, QUANTIZE = 6, 114
_PASSING = frozenset(
    {
        *(53, 22, 43, 70, 39),  # CAST, RESHAPE, SQUEEZE, EXPAND_DIMS, TRANSPOSE
        *(34, 60, 100, 23, 97),  # PAD, PADV2, MIRROR_PAD, RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR
        *(36, 45, 65, 105, 49, 102, 88, 2, 83),  # GATHER, slices, REVERSE_V2, splits, CONCATENATION, PACK
        DEQUANTIZE,
    }
)
_SHAPE = 77
_MOST_STEPS = 24
MOST_VALUES = 16  # of a constant: one a channel

_CANDIDATES = (("0..255", 0.0, 255.0), ("0..1", 0.0, 1.0), ("-1..1", -1.0, 1.0))
_CANONICAL = ((0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5), (0.0, 255.0), (-128.0, 127.0), (-127.5, 127.5))
_SLACK = 0.02  # of a range's width
_MEANS = (80.0, 145.0)  # of the three colours of photographs

_NUMBERS = {"float32": "f", "float16": "e", "int8": "b", "uint8": "B", "int16": "h", "int32": "i"}


def input_range(
    operators: Sequence[Operator], tensors: Sequence[Tensor], start: int, constant: Constant
) -> str:
    """Return ``0..255``, ``0..1`` or ``-1..1``; empty where the graph does not tell.

    Args:
        operators: those of the graph, in their order.
        tensors: its tensors.
        start: the number of its input.
        constant: returns the values of a tensor that is a constant, by its number.
    """
    consumers: dict[int, Operator] = {}
    slopes: tuple[float, ...] = (1.0,)
    offsets: tuple[float, ...] = (0.0,)
    for operator in operators:
        if operator.code != _SHAPE:
            for number in operator.inputs:
                consumers.setdefault(number, operator)
    at = start
    for _ in range(_MOST_STEPS):
        step = consumers.get(at)
        if step is None or not step.outputs:
            break
        if step.code == QUANTIZE and tensors[step.outputs[0]].scale > 0:
            return _by_quantised(slopes, offsets, tensors[step.outputs[0]].range)
        moved = _moved(step, at, slopes, offsets, constant)
        if moved is None:
            break
        slopes, offsets = moved
        at = step.outputs[0]
    return _by_result(slopes, offsets)


def _moved(
    operator: Operator,
    at: int,
    slopes: tuple[float, ...],
    offsets: tuple[float, ...],
    constant: Constant,
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return slopes and offsets behind a step; None where it is a layer."""
    code = operator.code
    if code in _PASSING:
        return slopes, offsets
    if code == NEG:
        return tuple(-a for a in slopes), tuple(-b for b in offsets)
    if code not in {ADD, SUB, MUL, DIV} or len(operator.inputs) != 2:
        return None
    first = operator.inputs[0] == at
    values = constant(operator.inputs[1 if first else 0]) or ()
    count = max(len(slopes), len(values))
    useless = not values or not all(map(math.isfinite, values)) or {len(slopes), len(values)} - {1, count}
    if useless or (code == DIV and (not first or 0.0 in values)):
        return None
    wide = (_widened(slopes, count), _widened(offsets, count), _widened(values, count))
    return _calculated(code, *wide, first=first)


def _calculated(
    code: int,
    slopes: tuple[float, ...],
    offsets: tuple[float, ...],
    values: tuple[float, ...],
    *,
    first: bool,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if code in {MUL, DIV}:
        factors = values if code == MUL else tuple(1 / value for value in values)
        return _times(slopes, factors), _times(offsets, factors)
    sign = -1.0 if code == SUB and not first else 1.0  # a constant less the pixel
    moved = -1.0 if code == SUB and first else 1.0
    added = tuple(sign * b + moved * v for b, v in zip(offsets, values, strict=True))
    return tuple(sign * a for a in slopes), added


def _times(left: tuple[float, ...], right: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(a * b for a, b in zip(left, right, strict=True))


def _widened(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    return values * count if len(values) == 1 else values


def _image(
    slopes: tuple[float, ...], offsets: tuple[float, ...], low: float, high: float
) -> tuple[float, float]:
    """Return the lowest and the highest value that pixels in this range give."""
    ends = [a * x + b for a, b in zip(slopes, offsets, strict=True) for x in (low, high)]
    return min(ends), max(ends)


def _by_quantised(slopes: tuple[float, ...], offsets: tuple[float, ...], wanted: tuple[float, float]) -> str:
    """Return which pixels give the range for which the next step is quantised."""
    best, answer = 0.8, ""
    for name, low, high in _CANDIDATES:
        first, last = _image(slopes, offsets, low, high)
        union = max(last, wanted[1]) - min(first, wanted[0])
        common = min(last, wanted[1]) - max(first, wanted[0])
        if union > 0 and common / union > best:
            best, answer = common / union, name
    return answer


def _by_result(slopes: tuple[float, ...], offsets: tuple[float, ...]) -> str:
    if set(slopes) == {1.0} and set(offsets) == {0.0}:
        return ""
    images = [(name, *_image(slopes, offsets, low, high)) for name, low, high in _CANDIDATES]
    for name, first, last in images:
        for low, high in _CANONICAL:
            within = _SLACK * (high - low)
            if abs(first - low) <= within and abs(last - high) <= within:
                return name
    if set(slopes) == {1.0} and all(_MEANS[0] < -b < _MEANS[1] for b in offsets):
        return "0..255"  # less the mean of photographs, as for Caffe
    for name, first, last in images:
        if -6 <= first <= 0.05 and 0.4 <= last <= 6 and last - first >= 0.6:
            return name
    return ""


def numbers(data: bytes | memoryview, tensor: Tensor) -> tuple[float, ...] | None:
    """Return the values of a small constant; None where it is large or of another type."""
    code = _NUMBERS.get(tensor.dtype)
    count = len(data) // struct.calcsize(f"<{code}") if code else 0
    if code is None or not 0 < count <= MOST_VALUES or tensor.channels > 1:
        return None
    values = struct.unpack_from(f"<{count}{code}", data)
    if tensor.scale > 0:
        return tuple((value - tensor.zero_point) * tensor.scale for value in values)
    return tuple(map(float, values))


def constants(
    operators: Sequence[Operator],
    tensors: Sequence[Tensor],
    blobs: Mapping[int, memoryview],
) -> Constant:
    """Return a function that gives the values of a constant, also of one that is stored as float16.

    Args:
        operators: those of the graph.
        tensors: its tensors.
        blobs: the bytes of the tensors that are constants, by number.
    """
    sources = {
        operator.outputs[0]: operator.inputs[0]
        for operator in operators
        if operator.code in {DEQUANTIZE, *_PASSING} and operator.inputs and operator.outputs
    }

    def constant(number: int) -> tuple[float, ...] | None:
        for _ in range(3):
            if number in blobs:
                return numbers(blobs[number], tensors[number])
            if number not in sources:
                return None
            number = sources[number]
        return None

    return constant
