"""Writes TFLite metadata into a model: the normalisation of its input, and the labels of its output.

The metadata is a FlatBuffer in one more of the model's buffers; the labels are in a zip archive behind the
model, as ``labels.txt`` (schema: ``metadata_schema.fbs`` of tflite-support). edged reads both, as others do.
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

from edged.models.tflite import layout, writer
from edged.models.tflite.flatbuffer import FlatBuffer
from edged.models.tflite.writer import Node, Uncopied, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.normalization import Normalization

LABELS = "labels.txt"
_NAME = b"TFLITE_METADATA"
_PARSER = b"1.0.0"  # the least version of the programs that read it
_NORMALIZATION, _IMAGE, _RGB, _AXIS_LABELS = 1, 2, 1, 2
_TIME = (1980, 1, 1, 0, 0, 0)  # of the archive's files, so that the same model has the same bytes


def annotate(content: bytes, labels: Sequence[str], normalization: Normalization | None) -> bytes:
    """Return a model with metadata.

    Args:
        content: the model, without metadata of that kind.
        labels: the names of its classes; empty: none are written.
        normalization: how pixels become values, for red, green and blue; None: it is not written.

    Raises:
        Uncopied: the model has parts that cannot be copied, or such metadata already.
    """
    if not labels and normalization is None:
        return content
    root = FlatBuffer(content).root()
    if any(entry.text(0).encode() == _NAME for entry in root.tables(6)):
        raise Uncopied("it has metadata already")
    graphs = list(root.tables(2))
    if len(graphs) != 1:
        raise Uncopied(f"it has {len(graphs)} graphs")
    model = writer.copy(root, layout.MODEL, leave_out=(5,))
    graph = writer.copy(graphs[0], layout.GRAPH)
    graph.refer(3, [layout.operator(table) for table in graphs[0].tables(3)])
    if any(table.integer(1, "Q") > 1 for table in root.tables(4)):
        raise Uncopied("it is larger than 2 GB")
    buffers = [writer.copy(table, layout.BUFFER) for table in root.tables(4)]
    blob = writer.write(_metadata(labels, normalization), b"M001", most=1 << 20)
    model.refer(1, [writer.copy(table, layout.OPERATOR_CODE) for table in root.tables(1)])
    model.refer(2, [graph])
    model.refer(4, [*buffers, writer.table({}, {0: Vector(blob, alignment=16)})])
    entry = writer.table({1: ("I", len(buffers))}, {0: _text(_NAME)})
    model.add(6, [*(writer.copy(table, layout.METADATA) for table in root.tables(6)), entry])
    if signatures := [writer.copy(table, layout.SIGNATURE) for table in root.tables(7)]:
        model.refer(7, signatures)
    else:
        model.drop(7)  # it may be there, and empty
    return writer.write(model, b"TFL3", most=2 * len(content) + (1 << 20)) + _archive(labels)


def _metadata(labels: Sequence[str], normalization: Normalization | None) -> Node:
    picture = writer.table({}, {3: writer.table({0: ("B", _IMAGE)}, {1: writer.table({0: ("b", _RGB)}, {})})})
    if normalization is not None:
        options = writer.table({}, {0: _floats(normalization.mean), 1: _floats(normalization.std)})
        picture.add(4, [writer.table({0: ("B", _NORMALIZATION)}, {1: options})])
    scores = writer.table({}, {0: _text(b"scores")})
    if labels:
        scores.add(6, [writer.table({2: ("b", _AXIS_LABELS)}, {0: _text(LABELS.encode())})])
    graph = writer.table({}, {2: [picture], 3: [scores]})
    return writer.table({}, {3: [graph], 7: _text(_PARSER)})


def _text(text: bytes) -> Vector:
    return Vector(text, ends=b"\0")


def _floats(numbers: Sequence[float]) -> Vector:
    return Vector(struct.pack(f"<{len(numbers)}f", *numbers), 4)


def _archive(labels: Sequence[str]) -> bytes:
    if not labels:
        return b""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(LABELS, _TIME), "\n".join(labels) + "\n")
    return file.getvalue()
