"""Reads TensorFlow's formats: each becomes one frozen graph with one input and one output.

::

    SavedModel, Keras ──▶ concrete function ──▶ constants for variables ─┐
    frozen .pb, .pbtxt ──────────────────────────────────────────────────┼─▶ FrozenGraph
    MetaGraph + checkpoint ──▶ session ──▶ constants for variables ──────┤
    GraphDef + checkpoint ──▶ constants, read from the checkpoint ───────┘

2026-11: Keras 3's models go the same way, because ``from_concrete_functions`` of TensorFlow 2.21 silently
leaves the weights of a traced Keras model out of the .tflite file.

Only the process that converts imports this module: it takes seconds, and 600 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.python.framework import convert_to_constants

from edged.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edged.ipc.convert_request import ConvertRequest

_NO_RESULT = frozenset({"NoOp", "Assert", "Placeholder", "Const", "SaveV2", "VarIsInitializedOp"})
_VARIABLES = frozenset({"VariableV2", "Variable"})
_SAVING = ("save/", "save_")  # what tf.train.Saver adds to a graph
_FAKE_QUANT = "FakeQuant"
_SHOWN = 8  # names in a sentence


@dataclass
class FrozenGraph:
    """A graph whose variables are constants.

    Attributes:
        definition: the GraphDef.
        input, output: the names of their tensors, such as ``input:0``.
        shape: the shape of the input, with a batch of 1.
        dtype: numpy's name of the input's type.
        guessed: input and output were found, and not named by the command line.
    """

    definition: Any
    input: str
    output: str
    shape: tuple[int, ...]
    dtype: str
    guessed: bool = False

    @property
    def trained_quantised(self) -> bool:
        """Whether it was trained with quantisation: it holds the ranges of its layers."""
        return any(node.op.startswith(_FAKE_QUANT) for node in self.definition.node)

    def function(self) -> Any:
        """Return it as a concrete function of TensorFlow."""

        def run(x: Any) -> Any:
            return tf.graph_util.import_graph_def(
                self.definition, input_map={self.input: x}, return_elements=[self.output], name=""
            )[0]

        return tf.function(run).get_concrete_function(tf.TensorSpec(self.shape, self.dtype))


def read(request: ConvertRequest) -> FrozenGraph:
    """Return the graph of a source.

    Raises:
        ModelError: it cannot be read, or needs to be told more; the sentence says what.
    """
    source = request.source
    match request.kind:
        case "savedmodel":
            return _saved_model(request)
        case "keras":
            return _keras(request)
        case "frozen":
            definition = _graph_def(Path(source))
        case "metagraph":
            return _meta_graph(request)
        case _:
            definition = _with_constants(_graph_def(Path(request.graph)), request)
    return _named(definition, request)


def _saved_model(request: ConvertRequest) -> FrozenGraph:
    loaded = tf.saved_model.load(request.source)
    signatures = dict(loaded.signatures)
    if not signatures:
        raise ModelError(f"{request.source}: it has no signature; export it with one: model.export(FOLDER)")
    key = "serving_default" if "serving_default" in signatures else next(iter(signatures))
    if len(signatures) > 1 and key != "serving_default":
        raise ModelError(f"{request.source}: it has several signatures: {_listed(signatures)}")
    signature = signatures[key]
    _, given = signature.structured_input_signature
    name, spec = _only(request, given, "input")
    answer, _ = _only(request, signature.structured_outputs, "output")
    shape = _shape(request, spec.shape)
    found = _frozen(tf.function(lambda x: signature(**{name: x})[answer]), shape, spec.dtype)
    functions = found.definition.library.function
    nodes = [*found.definition.node, *(node for function in functions for node in function.node_def)]
    return _in_session(request, key, shape) if any(n.op in _VARIABLES for n in nodes) else found


def _in_session(request: ConvertRequest, key: str, shape: tuple[int, ...]) -> FrozenGraph:
    """Return the graph of a SavedModel of TensorFlow 1, whose variables only a session makes constants."""
    compat = tf.compat.v1
    with tf.Graph().as_default(), compat.Session() as session:
        loaded = compat.saved_model.load(session, [compat.saved_model.SERVING], request.source)
        signature = loaded.signature_def[key]
        (given,), (answer,) = signature.inputs.values(), signature.outputs.values()
        constant = compat.graph_util.convert_variables_to_constants(
            session, session.graph.as_graph_def(), [answer.name.partition(":")[0]]
        )
    return FrozenGraph(constant, given.name, answer.name, shape, tf.as_dtype(given.dtype).name)


def _keras(request: ConvertRequest) -> FrozenGraph:
    path = Path(request.source)
    if path.suffix != ".keras" and h5py.is_hdf5(path):
        _check_h5(path)
    try:
        model = tf.keras.models.load_model(path, compile=False)
    except Exception as error:  # noqa: BLE001 - whatever a layer's constructor raises
        said = " ".join(str(error).split())
        if "unsafe" in said or "safe_mode" in said or "Lambda" in said:
            raise ModelError(
                f"{path}: it holds a Lambda layer, which is code of whoever made it: save it as a SavedModel "
                "where you trust it, with model.export(FOLDER)"
            ) from None
        raise ModelError(f"{path}: Keras {tf.keras.__version__} cannot load it: {said[:200]}") from None
    _, given = _only(request, {i.name: i for i in model.inputs}, "input")
    _only(request, {o.name: o for o in model.outputs}, "output")
    shape = _shape(request, given.shape)
    traced = tf.function(lambda x: tf.nest.flatten(model(x, training=False))[0])
    return _frozen(traced, shape, tf.as_dtype(given.dtype))


def _check_h5(path: Path) -> None:
    """Refuse files of weights alone, and those of Keras 2, which Keras 3 may load wrongly or not at all."""
    with h5py.File(path, "r") as file:
        version, config = file.attrs.get("keras_version", ""), file.attrs.get("model_config")
    if config is None:
        raise ModelError(
            f"{path}: it holds weights and no layers; save the whole model: model.save('M.keras')"
        )
    version = version.decode() if isinstance(version, bytes) else str(version)
    if version.startswith("2."):
        raise ModelError(
            f"{path}: Keras {version} wrote it, and Keras 3 does not read all of its layers. Save it as a "
            "SavedModel with the TensorFlow that made it, or: pip install --no-deps tf_keras==2.21.0; "
            f"python -c \"import tf_keras; tf_keras.models.load_model('{path.name}').export('saved')\"; "
            "then convert the folder saved"
        )


def _frozen(traced: Any, shape: tuple[int, ...], dtype: Any) -> FrozenGraph:
    concrete = traced.get_concrete_function(tf.TensorSpec(shape, dtype))
    constant = convert_to_constants.convert_variables_to_constants_v2(concrete)
    return FrozenGraph(
        constant.graph.as_graph_def(),
        constant.inputs[0].name,
        constant.outputs[0].name,
        shape,
        dtype.name,
    )


def _meta_graph(request: ConvertRequest) -> FrozenGraph:
    compat = tf.compat.v1
    with tf.Graph().as_default(), compat.Session() as session:
        try:
            saver = compat.train.import_meta_graph(f"{request.source}.meta", clear_devices=True)
            saver.restore(session, request.source)
        except (tf.errors.OpError, OSError, ValueError, DecodeError) as error:
            raise ModelError(f"{request.source}: it cannot be restored: {_first(error)}") from None
        definition = session.graph.as_graph_def()
        found = _named(definition, request)
        constant = compat.graph_util.convert_variables_to_constants(
            session, definition, [found.output.partition(":")[0]]
        )
    found.definition = constant
    return found


def _graph_def(path: Path) -> Any:
    definition = tf.compat.v1.GraphDef()
    content = path.read_bytes()
    try:
        definition.ParseFromString(content)
    except DecodeError:
        try:
            text_format.Parse(content.decode(), definition)
        except (UnicodeDecodeError, text_format.ParseError):
            raise ModelError(
                f"{path}: it is not a graph of TensorFlow (GraphDef), or it is damaged"
            ) from None
    if not definition.node:
        raise ModelError(f"{path}: it is not a graph of TensorFlow (GraphDef), or it is empty")
    return definition


def _with_constants(definition: Any, request: ConvertRequest) -> Any:
    """Return a graph with the values of a checkpoint in the place of its variables."""
    try:
        checkpoint = tf.train.load_checkpoint(request.source)
    except (tf.errors.OpError, ValueError) as error:
        raise ModelError(f"{request.source}: the checkpoint cannot be read: {_first(error)}") from None
    there = checkpoint.get_variable_to_shape_map()
    missing = [n.name for n in definition.node if n.op in _VARIABLES and n.name not in there]
    if missing:
        raise ModelError(
            f"{request.source}: the checkpoint lacks {_listed(missing)} of {request.graph}, "
            "so it belongs to another graph"
        )
    frozen = tf.compat.v1.GraphDef()
    for node in definition.node:
        copy = frozen.node.add()
        if node.op not in _VARIABLES:
            copy.CopyFrom(node)
            continue
        copy.op, copy.name = "Const", node.name
        copy.attr["dtype"].CopyFrom(node.attr["dtype"])
        copy.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(checkpoint.get_tensor(node.name)))
    return frozen


def _named(definition: Any, request: ConvertRequest) -> FrozenGraph:
    """Return a graph with its input and its output: those that were named, else the only ones it has."""
    nodes = {node.name: node for node in definition.node}
    consumed = {name.lstrip("^").partition(":")[0] for node in definition.node for name in node.input}
    begins = [name for name, node in nodes.items() if node.op == "Placeholder"]
    ends = [
        name
        for name, node in nodes.items()
        if node.op not in _NO_RESULT and name not in consumed and not name.startswith(_SAVING)
    ]
    source, result = (
        _chosen(request, named, found, nodes, what)
        for named, found, what in ((request.inputs, begins, "input"), (request.outputs, ends, "output"))
    )
    _check_frozen(nodes, result, request)
    attributes = nodes[source].attr
    dtype = tf.as_dtype(attributes["dtype"].type).name if "dtype" in attributes else "float32"
    shape = _shape(request, tf.TensorShape(attributes["shape"].shape))
    guessed = not (request.inputs and request.outputs)
    # Without what saves and restores variables, which are constants now.
    needed = tf.compat.v1.graph_util.extract_sub_graph(definition, [result])
    if all(node.name != source for node in needed.node):
        raise ModelError(f"{request.graph or request.source}: {result} does not depend on {source}")
    return FrozenGraph(needed, f"{source}:0", f"{result}:0", shape, dtype, guessed)


def _check_frozen(nodes: dict[str, Any], result: str, request: ConvertRequest) -> None:
    """Refuse a graph whose weights are elsewhere. Those of a MetaGraph are in its session."""
    if request.kind == "metagraph":
        return
    wanted, seen = [result], {result}
    while wanted:
        node = nodes.get(wanted.pop())
        if node is None:
            continue
        if node.op in _VARIABLES or node.op == "VarHandleOp":
            raise ModelError(
                f"{request.graph or request.source}: the graph is not frozen: its weights, such as "
                f"{node.name}, are in a checkpoint; convert the checkpoint: its prefix, and --graph"
            )
        more = {name.lstrip("^").partition(":")[0] for name in node.input} - seen
        seen |= more
        wanted += more


def _chosen(
    request: ConvertRequest, named: Sequence[str], found: list[str], nodes: dict[str, Any], what: str
) -> str:
    """Return the name of an input or output."""
    where, option = request.graph or request.source, f"--{what}s"
    if named:
        (name, *others) = (entry.removesuffix(":0") for entry in named)
        if others:
            raise ModelError(f"{where}: edged runs models with one {what}: name one ({option})")
        if name not in nodes:
            raise ModelError(f"{where}: it has no {name}; likely {what}s are {_listed(found)} ({option})")
        return name
    if len(found) != 1:
        which = f"candidates are {_listed(found)}" if found else "none is apparent"
        raise ModelError(f"{where}: name its {what} with {option}: {which}")
    return found[0]


def _only(request: ConvertRequest, found: Any, what: str) -> tuple[str, Any]:
    """Return the one input or output of a model."""
    names = dict(found)
    if len(names) != 1:
        raise ModelError(
            f"{request.source}: it has {len(names)} {what}s ({_listed(names)}); edged runs models with one"
        )
    given = request.inputs if what == "input" else request.outputs
    if given and tuple(given) != tuple(names):
        raise ModelError(f"{request.source}: its {what} is {_listed(names)}, not {_listed(given)}")
    return next(iter(names.items()))


def _shape(request: ConvertRequest, declared: Any) -> tuple[int, ...]:
    """Return the shape of the input: that of the command line, else the declared one with a batch of 1."""
    known = tf.TensorShape(declared)
    if request.shape:
        if not known.is_compatible_with(request.shape):
            raise ModelError(
                f"{request.source}: its input is {known}, which --shape {_dashed(request)} is not"
            )
        return request.shape
    if known.rank is None or known.rank == 0 or None in known.as_list()[1:]:
        raise ModelError(
            f"{request.source}: it leaves the shape of its input open ({known}): write --shape, such as "
            "--shape 1,224,224,3"
        )
    batch, *others = known.as_list()
    if batch not in {None, 1}:
        raise ModelError(
            f"{request.source}: it takes {batch} pictures at once; save it with a batch of 1 or one left open"
        )
    return 1, *others


def _dashed(request: ConvertRequest) -> str:
    return ",".join(map(str, request.shape))


def _listed(names: Any) -> str:
    shown = [str(name) for name in names]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return (", ".join(shown[:_SHOWN]) or "none") + more


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def row(answer: Any) -> NDArray[np.float64]:
    """Return what the function gave as one row of numbers."""
    return np.asarray(answer, np.float64).ravel()
