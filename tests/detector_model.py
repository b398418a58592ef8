"""Writes a small object detector, without TensorFlow: it finds red, green and blue things on black.

The picture is averaged over the cells of a grid. Each cell is an anchor, and the averages of its colours are
the scores of the classes, so a thing that fills a cell is found there with a score of 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from tflite_builder import Graph, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LABELS = ("red", "green", "blue")
SIZE, GRID = 64, 8  # px, cells a side
_AVERAGE_POOL, _RESHAPE, _PAD, _DEQUANTIZE, _CUSTOM = 1, 22, 34, 6, 32
_PIXELS = Kind("uint8", 1 / 255, 0)
_PARTS = ("boxes", "classes", "scores", "count")


def detector(order: Sequence[int] = (0, 1, 2, 3), *, classes: int = 3, compiled: bool = False) -> bytes:
    """Return the model.

    Args:
        order: the place of boxes, classes, scores and count: which of them each output of the graph is.
        classes: the number of classes that its last step claims.
        compiled: as the compiler for the Edge TPU leaves it: all but the last step is one operator.
    """
    graph = Graph()
    cells = GRID * GRID
    picture = graph.tensor("picture", (1, SIZE, SIZE, 3), _PIXELS)
    scores = graph.tensor("predictions", (1, cells, 4), Kind())
    if compiled:
        graph.operator(_CUSTOM, [picture], scores, None, 0, version=1)
        graph.model.operatorCodes[-1].customCode = b"edgetpu-custom-op"
    else:
        _net(graph, picture, scores)
    places = graph.tensor("places", (1, cells, 4), Kind(), np.zeros((1, cells, 4), np.float32))
    anchors = graph.tensor("anchors", (cells, 4), Kind(), _anchors())
    found = [graph.tensor(f"{number}", (), Kind()) for number, _ in enumerate(_PARTS)]
    graph.operator(_CUSTOM, [places, scores, anchors], found[0], None, 0, version=1)
    last = graph.graph.operators[-1]
    last.outputs, last.customOptions = found, np.frombuffer(last_options(classes), np.uint8)
    graph.model.operatorCodes[-1].customCode = b"TFLite_Detection_PostProcess"
    graph.graph.inputs, graph.graph.outputs = [picture], [found[part] for part in order]
    return graph.bytes()


def _net(graph: Graph, picture: int, scores: int) -> None:
    """Add the steps from the picture to the scores of each cell."""
    cells = GRID * GRID
    averages = graph.tensor("averages", (1, GRID, GRID, 3), _PIXELS)
    options = schema.Pool2DOptionsT()
    options.filterHeight = options.filterWidth = options.strideH = options.strideW = SIZE // GRID
    options.padding = 1  # VALID
    graph.operator(_AVERAGE_POOL, [picture], averages, options, schema.BuiltinOptions.Pool2DOptions)
    rows = graph.tensor("rows", (1, cells, 3), _PIXELS)
    shape = graph.tensor("shape", (3,), Kind("int32"), np.array([1, cells, 3], np.int32))
    graph.operator(_RESHAPE, [averages, shape], rows, None, 0, version=1)
    padded = graph.tensor("padded", (1, cells, 4), _PIXELS)
    before = np.array([[0, 0], [0, 0], [1, 0]], np.int32)  # the background comes first
    padding = graph.tensor("padding", (3, 2), Kind("int32"), before)
    graph.operator(_PAD, [rows, padding], padded, schema.PadOptionsT(), schema.BuiltinOptions.PadOptions)
    graph.operator(_DEQUANTIZE, [padded], scores, None, 0)


def _anchors() -> np.ndarray:
    """Return the cells: y, x of the centre, height, width."""
    side = 1 / GRID
    return np.array(
        [[(y + 0.5) * side, (x + 0.5) * side, side, side] for y in range(GRID) for x in range(GRID)],
        np.float32,
    )


def last_options(classes: int) -> bytes:
    """Return the options of the last step, a FlexBuffer."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in (
            ("max_detections", 20),
            ("max_classes_per_detection", 1),
            ("detections_per_class", 20),
            ("num_classes", classes),
        ):
            builder.Int(key, value)
        builder.Bool("use_regular_nms", value=False)
        for key, size in (("y_scale", 10.0), ("x_scale", 10.0), ("h_scale", 5.0), ("w_scale", 5.0)):
            builder.Float(key, size)
        builder.Float("nms_score_threshold", 0.1)
        builder.Float("nms_iou_threshold", 0.6)
    return bytes(builder.Finish())


def write(folder: Path, order: Sequence[int] = (0, 1, 2, 3)) -> tuple[Path, Path]:
    """Write the model and its labels; return their paths."""
    model, labels = folder / "things.tflite", folder / "things.txt"
    model.write_bytes(detector(order))
    labels.write_text("\n".join(LABELS))
    return model, labels


def picture(things: Sequence[tuple[str, int, int]], *, width: int = SIZE, height: int = SIZE) -> np.ndarray:
    """Return a picture, RGB, that shows things.

    Args:
        things: colour, column and row of the cell that each fills.
        width, height: of the picture in pixels.
    """
    made = np.zeros((height, width, 3), np.uint8)
    across, down = width // GRID, height // GRID
    for colour, column, row in things:
        cell = made[row * down : (row + 1) * down, column * across : (column + 1) * across]
        cell[:, :, LABELS.index(colour)] = 255
    return made
