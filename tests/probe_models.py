"""Writes classifiers that tell dark, middle and bright pictures apart, in every way that models want pixels.

Each finds the mean of the picture, scaled to 0..1 by its own first steps or by who prepares the picture, and
is sure of its answer only where it gets the values that it wants.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_builder import Graph, Kind

NAMES = ("dark", "mid", "bright")
LEVELS = {"dark": 12, "mid": 128, "bright": 243}  # of the grey pictures to classify
_CENTRES = np.array([0.05, 0.5, 0.95], np.float32)  # of a scale from 0 to 1
_SHARPNESS = 300.0
ADD, SUB, MUL, DIV, TRANSPOSE, CAST, QUANTIZE, DEQUANTIZE, MEAN = 0, 41, 18, 42, 39, 53, 114, 6, 40


@dataclass
class Probe:
    """What a probe wants and how it is written.

    Attributes:
        span: the values of black and white behind its first steps.
        steps: (code, constant) of these.
        given: the type of its input.
        first: the channels come first.
        outputs: names of its outputs; ``scores`` are the scores, others are features.
        head: ``softmax`` or ``sigmoid`` (one number: how bright it is).
        batch: the first dimension of the signature.
        half: constants are float16, behind a DEQUANTIZE.
    """

    span: tuple[float, float] = (0.0, 1.0)
    steps: list[tuple[int, tuple[float, ...]]] = field(default_factory=list)
    given: Kind = field(default_factory=Kind)
    first: bool = False
    outputs: tuple[str, ...] = ("scores",)
    head: str = "softmax"
    batch: int = 1
    half: bool = False
    scores: Kind = field(default_factory=Kind)


def build(probe: Probe, size: int = 16) -> bytes:
    """Return the model."""
    graph = Graph()
    shape = (1, 3, size, size) if probe.first else (1, size, size, 3)
    source = at = graph.tensor("picture", shape, probe.given)
    if probe.batch != 1:
        graph.graph.tensors[source].shapeSignature = [probe.batch, *shape[1:]]
    if probe.first:
        at = _transposed(graph, at, (1, size, size, 3))
    if probe.given.dtype != "float32":
        stored = probe.given.scale or probe.given.dtype == "float16"
        code = DEQUANTIZE if stored else CAST
        at = _unary(graph, code, at, "real", (1, size, size, 3))
    for number, step in enumerate(probe.steps):
        at = _arithmetic(graph, at, step, (f"step{number}", (1, size, size, 3)), half=probe.half)
    axes = graph.tensor("axes", (2,), Kind("int32"), np.array([1, 2], np.int32))
    mean = graph.tensor("mean", (1, 3), Kind())
    graph.operator(MEAN, [at, axes], mean, schema.ReducerOptionsT(), schema.BuiltinOptions.ReducerOptions)
    answer = _head(graph, probe, mean)
    ordered = [answer if name == "scores" else mean for name in probe.outputs]
    graph.graph.inputs, graph.graph.outputs = [source], ordered
    return graph.bytes()


def _head(graph: Graph, probe: Probe, mean: int) -> int:
    low, high = probe.span
    width = high - low
    if probe.head == "sigmoid":
        weights = np.full((1, 3), 40 / (3 * width), np.float32)
        bias = np.array([-40 * (0.5 + low / width)], np.float32)
    else:  # -(x - c)^2 up to what all classes share: 2 c x - c^2
        weights = np.repeat(2 * _SHARPNESS * _CENTRES[:, None] / (3 * width), 3, axis=1).astype(np.float32)
        bias = (-_SHARPNESS * _CENTRES**2 - 2 * _SHARPNESS * _CENTRES * low / width).astype(np.float32)
    matrix = graph.tensor("weights", weights.shape, Kind(), weights)
    offset = graph.tensor("bias", bias.shape, Kind(), bias)
    layer = graph.tensor("layer", (1, len(bias)), Kind())
    options = schema.FullyConnectedOptionsT()
    graph.operator(9, [mean, matrix, offset], layer, options, schema.BuiltinOptions.FullyConnectedOptions)
    real = graph.tensor("scores", (1, len(bias)), Kind())
    if probe.head == "sigmoid":
        graph.operator(14, [layer], real, None, 0)
    else:
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        graph.operator(25, [layer], real, options, schema.BuiltinOptions.SoftmaxOptions)
    if probe.scores.dtype == "float32":
        return real
    code = QUANTIZE if probe.scores.scale else CAST
    stored = graph.tensor("stored", (1, len(bias)), probe.scores)
    graph.operator(code, [real], stored, None, 0)
    return stored


def _arithmetic(
    graph: Graph,
    at: int,
    step: tuple[int, tuple[float, ...]],
    out: tuple[str, tuple[int, ...]],
    *,
    half: bool,
) -> int:
    (code, values), (name, shape) = step, out
    data = np.array(values, np.float16 if half else np.float32)
    size = (len(values),) if len(values) > 1 else ()
    constant = graph.tensor(f"{name}/constant", size, Kind("float16" if half else "float32"), data)
    if half:
        constant = _unary(graph, DEQUANTIZE, constant, f"{name}/real", size)
    result = graph.tensor(name, shape, Kind())
    kinds = schema.BuiltinOptions
    options, kind = {
        ADD: (schema.AddOptionsT(), kinds.AddOptions),
        SUB: (schema.SubOptionsT(), kinds.SubOptions),
        MUL: (schema.MulOptionsT(), kinds.MulOptions),
        DIV: (schema.DivOptionsT(), kinds.DivOptions),
    }[code]
    graph.operator(code, [at, constant], result, options, kind, version=1)
    return result


def _unary(graph: Graph, code: int, at: int, name: str, shape: tuple[int, ...]) -> int:
    out = graph.tensor(name, shape, Kind())
    options = (schema.CastOptionsT(), schema.BuiltinOptions.CastOptions) if code == CAST else (None, 0)
    graph.operator(code, [at], out, *options, version=3 if code == DEQUANTIZE else 1)
    return out


def _transposed(graph: Graph, at: int, shape: tuple[int, ...]) -> int:
    order = graph.tensor("order", (4,), Kind("int32"), np.array([0, 2, 3, 1], np.int32))
    out = graph.tensor("last", shape, Kind())
    graph.operator(
        TRANSPOSE, [at, order], out, schema.TransposeOptionsT(), schema.BuiltinOptions.TransposeOptions
    )
    return out
