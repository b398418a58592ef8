"""Reads the graph of a .tflite file: its tensors, its operators, and the operator that computes the output.

Field numbers are those of TFLite's ``schema.fbs``, version 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.models.tensor import Tensor
from edged.models.tflite import detection, first_steps
from edged.models.tflite.flatbuffer import Malformed, Table
from edged.models.tflite.step import Operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.tflite.detection import DetectionStep

DTYPES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    5: "string",
    6: "bool",
    7: "int16",
    8: "complex64",
    9: "int8",
    10: "float64",
}

CUSTOM = 32  # BuiltinOperator
_STEPS = {
    25: "softmax",
    14: "sigmoid",
    9: "layer",
    3: "layer",
}  # FULLY_CONNECTED and CONV_2D are plain layers
_REPACKING = frozenset({22, 43, 6, 114})  # RESHAPE, SQUEEZE, DEQUANTIZE, QUANTIZE


@dataclass(frozen=True)
class Graph:
    """The inputs and outputs of a graph.

    Attributes:
        output_numbers: the numbers of the outputs among the tensors.
        last_steps: the kind of operator that computes each output: ``softmax``, ``sigmoid``, ``layer``, or
            empty for another one.
        input_range: the values that the first steps want for pixels, such as ``0..255``; empty where they do
            not tell.
        detection: the last step of an object detector, or None.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    output_numbers: tuple[int, ...]
    last_steps: tuple[str, ...]
    input_range: str
    detection: DetectionStep | None = None


def read(graph: Table, blobs: Sequence[memoryview], codes: Sequence[tuple[int, str]]) -> Graph:
    """Read and check everything in a graph.

    Args:
        graph: the SubGraph.
        blobs: the buffers of the model.
        codes: the builtin code and the custom name of each of its operator codes.

    Raises:
        Malformed: an offset points out of the file, or a number refers to something that does not exist.
    """
    stored = [(_tensor(table, len(blobs)), table.integer(2, "I")) for table in graph.tables(0)]
    tensors = [tensor for tensor, _ in stored]
    operators = [_operator(table, len(tensors), codes) for table in graph.tables(3)]
    inputs, outputs = (_indices(graph, slot, len(tensors)) for slot in (1, 2))
    kept = tuple(i for i in outputs if i >= 0)
    values = {n: blobs[at] for n, (_, at) in enumerate(stored) if at < len(blobs) and len(blobs[at])}
    constant = first_steps.constants(operators, tensors, values)
    return Graph(
        tuple(tensors[i] for i in inputs if i >= 0),
        tuple(tensors[i] for i in kept),
        kept,
        tuple(_last_step(operators, i) for i in kept),
        first_steps.input_range(operators, tensors, inputs[0], constant) if inputs else "",
        detection.find(operators, tensors, kept),
    )


def _tensor(table: Table, buffers: int) -> Tensor:
    within(table.integer(2, "I"), max(buffers, 1))
    declared = tuple(map(int, table.numbers(0, "i")))
    signature = table.numbers(7, "i") or declared
    shape = tuple(1 if size == -1 else size for size in declared)
    quantization = table.table(4)
    scales: tuple[float, ...] = ()
    zeros: tuple[float, ...] = ()
    if quantization is not None:
        scales, zeros = quantization.numbers(2, "f"), quantization.numbers(3, "q")
    if any(size < 0 for size in shape) or not all(map(math.isfinite, scales)):
        raise Malformed("tensor")
    kind = table.integer(1, "b")
    return Tensor(
        name=table.text(3),
        shape=shape,
        dtype=DTYPES.get(kind, f"type {kind}"),
        scale=scales[0] if scales else 0.0,
        zero_point=int(zeros[0]) if zeros else 0,
        dynamic=tuple(i for i, size in enumerate(signature) if size == -1),
        channels=len(scales),
        unsized=-1 in declared,
    )


def _operator(table: Table, tensors: int, codes: Sequence[tuple[int, str]]) -> Operator:
    table.table(4)  # its options, whose content the runtime checks
    table.table(12)
    options = table.blob(5)
    code, name = codes[within(table.integer(0, "I"), len(codes))]
    inputs, outputs, _ = (_indices(table, slot, tensors) for slot in (1, 2, 8))
    return Operator(code, inputs, outputs, name if code == CUSTOM else "", options)


def _indices(table: Table, slot: int, tensors: int) -> tuple[int, ...]:
    """Return tensor numbers; -1 stands for an optional tensor that is omitted."""
    numbers = tuple(map(int, table.numbers(slot, "i")))
    if numbers and not (min(numbers) >= -1 and max(numbers) < tensors):
        raise Malformed("number of a tensor")
    return numbers


def within(number: int, count: int) -> int:
    """Return the number if it is in ``range(count)``. Raises ``Malformed``."""
    if not 0 <= number < count:
        raise Malformed(f"number {number} of {count}")
    return number


def _last_step(operators: Sequence[Operator], output: int) -> str:
    """Return the kind of the last operator before the output, ignoring those that only repack it."""
    for operator in reversed(operators):
        if output not in operator.outputs:
            continue
        if operator.code not in _REPACKING:
            return _STEPS.get(operator.code, "")
        if not operator.inputs:
            return ""
        output = operator.inputs[0]
    return ""
