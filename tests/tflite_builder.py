"""Writes small real .tflite models of every kind that edged runs, without TensorFlow.

A model averages the picture over some of its axes; what is left is a row of scores. Averaged over rows and
colours its answer is the brightest column; averaged over rows and columns it is the strongest colour.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int16": 7, "int8": 9}


@dataclass
class Kind:
    """A quantised type, or float32 with scale 0."""

    dtype: str = "float32"
    scale: float = 0.0
    zero_point: int = 0


@dataclass
class Packed:
    """TFLite metadata to pack into a model."""

    labels: str | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    compression: int = zipfile.ZIP_STORED
    locales: dict[str, str] = field(default_factory=dict)  # names to show, by language
    calibration: str | None = None
    transformation: int = 0
    default_score: float = 0.0


class Graph:
    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.model.metadata = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name: str, shape: tuple[int, ...], kind: Kind, data: np.ndarray | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), list(shape), _TYPES[kind.dtype]
        tensor.buffer = 0 if data is None else self.buffer(data.tobytes())
        if kind.scale:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [kind.scale], [kind.zero_point]
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def buffer(self, data: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def operator(
        self,
        code: int,
        inputs: list[int],
        output: int,
        options: object,
        options_type: int,
        *,
        version: int = 2,
    ) -> None:
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), version
        self.model.operatorCodes.append(entry)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptions, operator.builtinOptionsType = options, options_type
        self.graph.operators.append(operator)

    def bytes(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def build(
    shape: tuple[int, ...] = (1, 8, 8, 3),
    axes: tuple[int, ...] = (1, 3),
    picture: Kind | None = None,
    scores: Kind | None = None,
    *,
    head: str = "softmax",
    gain: float = 1.0,
    outputs: int = 1,
    packed: Packed | None = None,
) -> bytes:
    """Return a model.

    Args:
        shape: of its input.
        axes: to average over.
        picture: the input's type.
        scores: the output's type; left out: that of the input.
        head: ``softmax``, ``sigmoid``, ``layer`` (float only: a fully connected one) or ``none``.
        gain: factor before the softmax or of the layer.
        outputs: how many times to name the output.
        packed: metadata.
    """
    picture = picture or Kind()
    scores = scores or picture
    graph = Graph()
    kept = tuple(size for axis, size in enumerate(shape) if axis not in axes)
    source = graph.tensor("picture", shape, picture)
    over = graph.tensor("axes", (len(axes),), Kind("int32"), np.array(axes, np.int32))
    mean = graph.tensor("mean", kept, scores if head == "none" else picture)
    graph.operator(40, [source, over], mean, schema.ReducerOptionsT(), schema.BuiltinOptions.ReducerOptions)
    answer = mean
    if head != "none":
        answer = graph.tensor("scores", kept, scores)
        _head(graph, head, gain, mean, answer)
    graph.graph.inputs, graph.graph.outputs = [source], [answer] * outputs
    archive = _pack(graph, packed) if packed is not None else b""
    return graph.bytes() + archive


def _head(graph: Graph, head: str, gain: float, source: int, target: int) -> None:
    if head == "softmax":
        options = schema.SoftmaxOptionsT()
        options.beta = gain
        graph.operator(25, [source], target, options, schema.BuiltinOptions.SoftmaxOptions)
    elif head == "sigmoid":
        graph.operator(14, [source], target, None, 0)
    else:
        count = graph.graph.tensors[source].shape[-1]
        weights = (np.eye(count) * gain).astype(np.float32)
        matrix = graph.tensor("weights", weights.shape, Kind(), weights)
        options = schema.FullyConnectedOptionsT()
        graph.operator(9, [source, matrix, -1], target, options, schema.BuiltinOptions.FullyConnectedOptions)


@dataclass
class Layer:
    """One plain layer of :func:`stack`: ``weights`` [out, in] and ``bias`` [out], as floats.

    ``kind`` is the type of its output; int8 layers have int8 weights.
    """

    weights: np.ndarray
    bias: np.ndarray
    kind: Kind
    relu: bool = False


def stack(
    shape: tuple[int, ...],
    given: Kind,
    layers: list[Layer],
    *,
    softmax: Kind | None = None,
    sigmoid: Kind | None = None,
    copies: int = 1,
    packed: Packed | None = None,
) -> bytes:
    """Return a model of plain layers.

    Args:
        shape: of its input, such as ``(1, steps, channels)``.
        given: the input's type; all layers are quantised like it, or float.
        layers: the first one first.
        softmax, sigmoid: the type of the output of a last step of that kind; None: there is none.
        copies: how many times to name the output.
        packed: metadata.
    """
    graph = Graph()
    source = at = graph.tensor("window", shape, given)
    before = given
    for number, layer in enumerate(layers):
        matrix, offset = _parameters(graph, number, layer, before)
        size = (1, len(layer.bias))
        out = graph.tensor(f"layer{number}", size, layer.kind)
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = 1 if layer.relu else 0
        graph.operator(
            9, [at, matrix, offset], out, options, schema.BuiltinOptions.FullyConnectedOptions, version=4
        )
        at, before = out, layer.kind
    for head, kind in (("softmax", softmax), ("sigmoid", sigmoid)):
        if kind is not None:
            out = graph.tensor("scores", (1, len(layers[-1].bias)), kind)
            _head(graph, head, 1.0, at, out)
            at = out
    graph.graph.inputs, graph.graph.outputs = [source], [at] * copies
    archive = _pack(graph, packed) if packed is not None else b""
    return graph.bytes() + archive


def lstm(steps: int, channels: int, units: int, seed: int = 1) -> bytes:
    """Return a float LSTM ``[1, steps, channels]`` that keeps its state from one run to the next."""
    random = np.random.default_rng(seed)
    graph = Graph()
    source = graph.tensor("window", (1, steps, channels), Kind())

    def constant(name: str, *shape: int) -> int:
        return graph.tensor(name, shape, Kind(), random.normal(0, 0.5, shape).astype(np.float32))

    def state(name: str) -> int:
        number = graph.tensor(name, (1, units), Kind())
        graph.graph.tensors[number].isVariable = True
        return number

    inputs = [source, *(constant(f"in{gate}", units, channels) for gate in "ifco")]
    inputs += [constant(f"again{gate}", units, units) for gate in "ifco"]
    inputs += [-1] * 3  # no peepholes
    inputs += [constant(f"bias{gate}", units) for gate in "ifco"]
    inputs += [-1] * 2  # no projection
    inputs += [state("output"), state("cell")]
    inputs += [-1] * 4  # no normalisation of layers
    answers = graph.tensor("answers", (1, steps, units), Kind())
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = 4  # tanh
    kind = schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions
    graph.operator(44, inputs, answers, options, kind)
    over = graph.tensor("axes", (1,), Kind("int32"), np.array([1], np.int32))
    mean = graph.tensor("mean", (1, units), Kind())
    graph.operator(40, [answers, over], mean, schema.ReducerOptionsT(), schema.BuiltinOptions.ReducerOptions)
    scores = graph.tensor("scores", (1, units), Kind())
    _head(graph, "softmax", 1.0, mean, scores)
    graph.graph.inputs, graph.graph.outputs = [source], [scores]
    return graph.bytes()


def _parameters(graph: Graph, number: int, layer: Layer, before: Kind) -> tuple[int, int]:
    if layer.kind.dtype == "float32":
        weights, kind, bias_kind = layer.weights.astype(np.float32), Kind(), Kind()
        bias = layer.bias.astype(np.float32)
    else:
        kind = Kind("int8", float(np.abs(layer.weights).max() / 127))
        weights = np.round(layer.weights / kind.scale).astype(np.int8)
        bias_kind = Kind("int32", before.scale * kind.scale)
        bias = np.round(layer.bias / bias_kind.scale).astype(np.int32)
    return (
        graph.tensor(f"weights{number}", weights.shape, kind, weights),
        graph.tensor(f"bias{number}", bias.shape, bias_kind, bias),
    )


def _pack(graph: Graph, packed: Packed) -> bytes:
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"TFLITE_METADATA", graph.buffer(metadata(packed))
    graph.model.metadata.append(entry)
    if packed.labels is None:
        return b""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed.compression) as archive:
        archive.writestr("labels.txt", packed.labels)
        for locale, labels in packed.locales.items():
            archive.writestr(f"labels_{locale}.txt", labels)
        if packed.calibration is not None:
            archive.writestr("calibration.csv", packed.calibration)
    return file.getvalue()


def metadata(packed: Packed) -> bytes:
    """Return TFLite metadata; positions of fields as in ``metadata_schema.fbs``."""
    b = flatbuffers.Builder(256)

    def table(fields: dict[int, tuple[str, float]]) -> int:
        b.StartObject(8)
        for slot, (kind, value) in fields.items():
            if kind == "offset":
                b.PrependUOffsetTRelativeSlot(slot, value, 0)
            elif kind == "float":
                b.PrependFloat32Slot(slot, value, 0.0)
            else:
                b.PrependInt8Slot(slot, value, 0)
        return b.EndObject()

    def tables(*offsets: int) -> int:
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    def floats(values: tuple[float, ...]) -> int:
        b.StartVector(4, len(values), 4)
        for value in reversed(values):
            b.PrependFloat32(value)
        return b.EndVector()

    scaling = table({0: ("offset", floats(packed.mean)), 1: ("offset", floats(packed.std))})
    unit = table({0: ("byte", 1), 1: ("offset", scaling)})
    picture = table({4: ("offset", tables(unit))})
    answer = table(_answer(packed, b, table, tables))
    graph = table({2: ("offset", tables(picture)), 3: ("offset", tables(answer))})
    b.Finish(table({3: ("offset", tables(graph))}), b"M001")
    return bytes(b.Output())


def _answer(
    packed: Packed, b: flatbuffers.Builder, table: Callable[..., int], tables: Callable[..., int]
) -> dict[int, tuple[str, float]]:
    """Return the fields of an output's metadata: its label files, and its calibration."""
    files = [table({0: ("offset", b.CreateString("labels.txt")), 2: ("byte", 2)})]
    for locale in packed.locales:
        named, language = b.CreateString(f"labels_{locale}.txt"), b.CreateString(locale)
        files.append(table({0: ("offset", named), 2: ("byte", 2), 3: ("offset", language)}))
    fields: dict[int, tuple[str, float]] = {}
    if packed.calibration is not None:
        files.append(table({0: ("offset", b.CreateString("calibration.csv")), 2: ("byte", 4)}))
        options = table({0: ("byte", packed.transformation), 1: ("float", packed.default_score)})
        fields[4] = ("offset", tables(table({0: ("byte", 2), 1: ("offset", options)})))
    if packed.labels is not None:
        fields[6] = ("offset", tables(*files))
    return fields
