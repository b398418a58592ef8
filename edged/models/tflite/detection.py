"""Finds the last step of an object detector: ``TFLite_Detection_PostProcess``.

The operator gives boxes, classes, scores and their count, always in this order. Converters put the outputs of
the graph in any order and give them any names, so each is followed back to the operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.models.tflite import flexbuffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.tensor import Tensor
    from edged.models.tflite.step import Operator

DETECTION_OP = "TFLite_Detection_PostProcess"
_PARTS = 4  # boxes, classes, scores, count
_SCORES_IN = 1  # the operator's input with a score for each anchor and class
_PASSING = frozenset({22, 43, 53, 70, 6, 114})  # RESHAPE, SQUEEZE, CAST, EXPAND_DIMS, DEQUANTIZE, QUANTIZE


@dataclass(frozen=True, slots=True)
class DetectionStep:
    """The last step of a detector.

    Attributes:
        outputs: the places of boxes, classes, scores and count among the graph's outputs.
        classes: the number of classes, without a background; 0 where the file does not tell.
        background: whether the model also scores a background, which is never an answer.
    """

    outputs: tuple[int, int, int, int]
    classes: int
    background: bool


def find(
    operators: Sequence[Operator], tensors: Sequence[Tensor], outputs: Sequence[int]
) -> DetectionStep | None:
    """Return the detector's last step; None where there is none, or where the graph hides its answers.

    Args:
        operators: those of the graph, in their order.
        tensors: its tensors.
        outputs: the numbers of its outputs among the tensors.

    Raises:
        Malformed: the options of the operator point out of their buffer.
    """
    found = next((operator for operator in operators if operator.name == DETECTION_OP), None)
    if found is None or len(found.outputs) != _PARTS:
        return None
    makers = {number: operator for operator in operators for number in operator.outputs}
    origins = [_origin(number, makers) for number in outputs]
    if not all(part in origins for part in found.outputs):
        return None
    boxes, classes, scores, count = (origins.index(part) for part in found.outputs)
    named = flexbuffer.integers(found.options).get("num_classes", 0)
    scored = _scored(found, tensors)
    return DetectionStep((boxes, classes, scores, count), named, background=scored == named + 1)


def _origin(number: int, makers: dict[int, Operator]) -> int:
    """Return the tensor that an output repeats, perhaps in another shape or type."""
    for _ in range(len(makers)):
        maker = makers.get(number)
        if maker is None or maker.code not in _PASSING or not maker.inputs:
            break
        number = maker.inputs[0]
    return number


def _scored(operator: Operator, tensors: Sequence[Tensor]) -> int:
    """Return how many classes the model scores, with the background where it has one."""
    if len(operator.inputs) <= _SCORES_IN or operator.inputs[_SCORES_IN] < 0:
        return 0
    shape = tensors[operator.inputs[_SCORES_IN]].shape
    return shape[-1] if shape else 0
