"""Lists the operators of a .tflite file with what they work on, and judges them by an Edge TPU's needs.

Names are those of ``BuiltinOperator`` in TFLite's ``schema.fbs``, version 3.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models.tflite.flatbuffer import FlatBuffer, Malformed, Table
from edged.models.tflite.graph import CUSTOM, DTYPES, within

if TYPE_CHECKING:
    import mmap
    from collections.abc import Sequence


def _words(names: str) -> tuple[str, ...]:
    return tuple(names.split())


NAMES = _words("""
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6
    RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM
    EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND
    TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN
    EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX
    MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV
    SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT
    REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
    REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
    SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU
    REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
    PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
    HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE
    READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM
    MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
""")
# https://coral.ai/docs/edgetpu/models-intro/#supported-operations
_EDGETPU = frozenset(
    _words("""
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED
    L2_NORMALIZATION LOGISTIC LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE
    REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT
    SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE
    TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM
""")
)
_REAL = frozenset({"float32", "float16", "float64"})
_MOST_SIDES = 3  # dimensions larger than 1 that the Edge TPU takes


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor that an operator works on.

    Attributes:
        shape: as the file declares it.
        dtype: numpy's name of its type.
        dynamic: the file leaves a size other than the batch open.
        constant: the file has its content.
    """

    shape: tuple[int, ...]
    dtype: str
    dynamic: bool
    constant: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One operator.

    Attributes:
        name: such as ``CONV_2D``, or that of a custom operator.
        version: the version of the operator, which a runtime must have.
        inputs, outputs: its tensors, without those that are omitted.
    """

    name: str
    version: int
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    @property
    def is_real(self) -> bool:
        """Whether it computes with real numbers; conversions to and from integers do not count."""
        if self.name in {"QUANTIZE", "DEQUANTIZE"}:
            return False
        return any(value.dtype in _REAL for value in (*self.inputs, *self.outputs))


def read(content: bytes | mmap.mmap, where: str) -> tuple[Step, ...]:
    """Return the operators of the main graph in their order.

    Args:
        content: the bytes of a .tflite file.
        where: its name in errors.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        return _read(content)
    except Malformed:
        raise ModelError(f"{where}: the file is truncated or damaged") from None


def versions(steps: Sequence[Step]) -> dict[str, int]:
    """Return the highest version of each operator, by name."""
    found: dict[str, int] = {}
    for step in sorted(steps, key=lambda step: step.name):
        found[step.name] = max(step.version, found.get(step.name, 0))
    return found


def against_edgetpu(steps: Sequence[Step]) -> list[str]:
    """Return what keeps operators from an Edge TPU by its documentation, as clauses; empty: nothing does.

    This does not promise that its compiler takes them all: it also looks at sizes, which are not documented.
    """
    unknown = Counter(step.name for step in steps if step.name not in _EDGETPU)
    found = [f"{name} is not supported ({count} x)" for name, count in unknown.items()]
    values = [value for step in steps for value in (*step.inputs, *step.outputs)]
    real = Counter(
        step.name for step in steps if any(v.dtype in _REAL for v in (*step.inputs, *step.outputs))
    )
    if real:
        (name, _), *_ = real.most_common(1)
        found.append(
            f"{sum(real.values())} operators work on real numbers ({name} and others): it takes int8"
        )
    if any(value.dynamic for value in values):
        found.append("a size is left open: sizes must be fixed")
    large = {v.shape for v in values if not v.constant and sum(side > 1 for side in v.shape) > _MOST_SIDES}
    if large:
        found.append(f"a tensor has more than {_MOST_SIDES} dimensions: {min(large)}")
    return found


def _read(content: bytes | mmap.mmap) -> tuple[Step, ...]:
    model = FlatBuffer(content).root()
    codes = [
        (max(c.integer(0, "b"), c.integer(3, "i")), c.text(1), c.integer(2, "i", 1)) for c in model.tables(1)
    ]
    filled = [len(entry.blob(0)) > 0 or entry.integer(1, "Q") > 1 for entry in model.tables(4)]
    graph = next(model.tables(2), None)
    if graph is None:
        raise Malformed("no graph")
    values = [_value(table, filled) for table in graph.tables(0)]
    steps = []
    for table in graph.tables(3):
        code, custom, version = codes[within(table.integer(0, "I"), len(codes))]
        inputs, outputs = (
            tuple(values[within(int(n), len(values))] for n in table.numbers(slot, "i") if n >= 0)
            for slot in (1, 2)
        )
        steps.append(Step(_name(code, custom), version, inputs, outputs))
    return tuple(steps)


def _value(table: Table, filled: Sequence[bool]) -> Value:
    shape = tuple(map(int, table.numbers(0, "i")))
    signature = tuple(map(int, table.numbers(7, "i"))) or shape
    number, kind = table.integer(2, "I"), table.integer(1, "b")
    return Value(
        shape=shape,
        dtype=DTYPES.get(kind, f"type {kind}"),
        dynamic=any(size < 0 for size in signature[1:]),
        constant=number < len(filled) and filled[number],
    )


def _name(code: int, custom: str) -> str:
    if code == CUSTOM:
        return custom or "a custom operator"
    return NAMES[code] if 0 <= code < len(NAMES) else f"operator {code}"
