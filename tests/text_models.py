"""Small models that take text as numbers, for tests: the answer of each word is a row of a table."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_builder import Graph, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping


def text_model(table: np.ndarray, length: int = 8, files: Mapping[str, str] | None = None) -> bytes:
    """Return a model ``int32[1, length]`` whose scores are the softmax of the mean of its words' rows.

    Args:
        table: ``[ids, classes]``.
        length: how many ids it takes.
        files: what to append to it.
    """
    graph, width = Graph(), table.shape[1]
    ids = graph.tensor("ids", (1, length), Kind("int32"))
    rows = graph.tensor("table", table.shape, Kind(), table.astype(np.float32))
    found = graph.tensor("rows", (1, length, width), Kind())
    graph.operator(36, [rows, ids], found, schema.GatherOptionsT(), schema.BuiltinOptions.GatherOptions)
    over = graph.tensor("axes", (1,), Kind("int32"), np.array([1], np.int32))
    mean, scores = graph.tensor("mean", (1, width), Kind()), graph.tensor("scores", (1, width), Kind())
    graph.operator(40, [found, over], mean, schema.ReducerOptionsT(), schema.BuiltinOptions.ReducerOptions)
    options = schema.SoftmaxOptionsT()
    options.beta = float(length)
    graph.operator(25, [mean], scores, options, schema.BuiltinOptions.SoftmaxOptions)
    graph.graph.inputs, graph.graph.outputs = [ids], [scores]
    return graph.bytes() + archive(files or {})


def archive(files: Mapping[str, str]) -> bytes:
    """Return a zip archive, as it is appended to a model."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return content.getvalue() if files else b""
