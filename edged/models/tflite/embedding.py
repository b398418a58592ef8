"""Cuts a classifier at its embedding: the row of features that its last layer judges.

::

    picture ─▶ layers ─▶ pool ─▶ features ─▶ last layer ─▶ softmax ─▶ scores
                                   └─ output of the cut model

The cut model keeps only the operators, tensors and buffers that its features need, so it is smaller and
faster, and any runtime that runs the classifier runs it. Its features are, bit by bit, those that the
classifier computes inside. A model that ends in features (an embedding extractor) stays as it is.

Field numbers are those of TFLite's ``schema.fbs``, version 3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models.tflite import layout, writer
from edged.models.tflite.flatbuffer import FlatBuffer, Malformed, Table
from edged.models.tflite.graph import within
from edged.models.tflite.writer import Node, Uncopied, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.tflite.file import ModelFile

LEAST_FEATURES = 8

_FULLY_CONNECTED, _CONV_2D = 9, 3
_SCORES = frozenset({25, 14, 50})  # SOFTMAX, LOGISTIC, LOG_SOFTMAX
_REPACKING = frozenset({22, 43, 6, 114})  # RESHAPE, SQUEEZE, DEQUANTIZE, QUANTIZE


def cut(model: ModelFile) -> bytes | None:
    """Return the model that gives the features; None where it is the model itself.

    Raises:
        ModelError: the model has no such row of features; the sentence names the file.
    """
    if model.for_edgetpu:
        return None
    try:
        return _cut(model)
    except Malformed:
        raise ModelError(f"{model.path}: the file is damaged; copy it again") from None
    except Uncopied as error:
        raise ModelError(
            f"{model.path}: it cannot be cut at its embedding ({error}); use an embedding extractor"
        ) from None


@dataclass
class _Parts:
    """The parts of a model that change.

    Attributes:
        codes: the builtin code of each operator code.
        operators: those of its graph.
        tensors: those of its graph.
    """

    codes: list[int]
    operators: list[Node]
    tensors: list[Node]


def _cut(model: ModelFile) -> bytes | None:
    root = FlatBuffer(model.content).root()
    graphs = list(root.tables(2))
    entries = list(root.tables(1))
    if not graphs:
        raise Malformed("no graph")
    graph = writer.copy(graphs[0], layout.GRAPH)
    parts = _Parts(
        [max(entry.integer(0, "b"), entry.integer(3, "i")) for entry in entries],
        [layout.operator(table) for table in graphs[0].tables(3)],
        _nodes(graph, 0),
    )
    outputs = _numbers(graph, 2)
    if len(outputs) != 1:
        raise ModelError(f"{model.path}: it has {len(outputs)} outputs, so it is not a classifier")
    features = _features(parts, outputs[0])
    if not _is_row(parts.tensors[within(features, len(parts.tensors))]):
        raise ModelError(
            f"{model.path}: what its last layer judges is not one row of at least {LEAST_FEATURES} features: "
            "only a classifier with a global pool, or an embedding extractor, can be taught"
        )
    if features == outputs[0]:
        return None
    _prune(graph, parts, features)
    return _assemble(root, graph, parts, entries, most=2 * len(model.content) + 4096)


def _nodes(node: Node, slot: int) -> list[Node]:
    found = node.children.get(slot, [])
    if not isinstance(found, list):
        raise Malformed(f"field {slot}")
    return found


def _numbers(node: Node, slot: int) -> tuple[int, ...]:
    found = node.children.get(slot)
    return struct.unpack(f"<{len(found.data) // 4}i", found.data) if isinstance(found, Vector) else ()


def _code(parts: _Parts, operator: Node) -> int:
    return parts.codes[within(_field(operator, 0, "I"), len(parts.codes))]


def _field(node: Node, slot: int, code: str) -> int:
    offset = node.slots[slot] if slot < len(node.slots) else 0
    return int(struct.unpack_from("<" + code, node.inline, offset - 4)[0]) if offset else 0


def _is_row(tensor: Node) -> bool:
    """Return whether a tensor is one row of features."""
    sides = [size for size in _numbers(tensor, 0) if size != 1]
    return len(sides) == 1 and sides[0] >= LEAST_FEATURES


def _features(parts: _Parts, output: int) -> int:
    """Return the tensor that the last layer judges; where no layer follows the pool, the pool's."""
    at = output
    for operator in reversed(parts.operators):
        if at not in _numbers(operator, 2):
            continue
        code, inputs = _code(parts, operator), _numbers(operator, 1)
        if (
            code in {_FULLY_CONNECTED, _CONV_2D}
            and inputs
            and _is_row(parts.tensors[within(inputs[0], len(parts.tensors))])
        ):
            return inputs[0]
        if code not in _SCORES | _REPACKING or not inputs:
            break
        at = inputs[0]
    return at


def _prune(graph: Node, parts: _Parts, features: int) -> None:
    """Drop the operators and tensors that the features do not need, and number the others anew."""
    needed, kept = {features}, []
    for operator in reversed(parts.operators):
        if needed.isdisjoint(_numbers(operator, 2)):
            continue
        kept.append(operator)
        for slot in (1, 2, 8):
            needed.update(number for number in _numbers(operator, slot) if number >= 0)
    inputs = _numbers(graph, 1)
    needed.update(inputs)
    order = sorted(needed)
    within(order[-1], len(parts.tensors))
    anew = {old: new for new, old in enumerate(order)} | {-1: -1}
    parts.operators = kept[::-1]
    parts.tensors = [parts.tensors[number] for number in order]
    for operator in parts.operators:
        for slot in (1, 2, 8):
            if slot in operator.children:
                operator.children[slot] = Vector.of([anew[number] for number in _numbers(operator, slot)])
    graph.children[1] = Vector.of([anew[number] for number in inputs])
    graph.children[2] = Vector.of([anew[features]])


def _assemble(root: Table, graph: Node, parts: _Parts, entries: Sequence[Table], *, most: int) -> bytes:
    """Write the model with the buffers and operator codes that are still in use."""
    model = writer.copy(root, layout.MODEL, leave_out=(5, 6, 7))  # metadata and signatures of the classifier
    tables = list(root.tables(4))
    numbers = sorted({0, *(_field(tensor, 2, "I") for tensor in parts.tensors)})
    within(numbers[-1], len(tables))
    buffers = [writer.copy(tables[number], layout.BUFFER) for number in numbers]
    if any(_field(buffer, 1, "Q") > 1 for buffer in buffers):
        raise Uncopied("it is larger than 2 GB")
    anew = {old: new for new, old in enumerate(numbers)}
    for tensor in parts.tensors:
        tensor.integer(2, "I", anew[_field(tensor, 2, "I")])
    used = sorted({_field(operator, 0, "I") for operator in parts.operators})
    for operator in parts.operators:
        operator.integer(0, "I", used.index(_field(operator, 0, "I")))
    graph.refer(0, parts.tensors)
    graph.refer(3, parts.operators)
    model.refer(1, [writer.copy(entries[number], layout.OPERATOR_CODE) for number in used])
    model.refer(2, [graph])
    model.refer(4, buffers)
    return writer.write(model, b"TFL3", most=most)
