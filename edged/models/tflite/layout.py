"""What the tables of a .tflite file refer to, so that they can be copied.

Field numbers are those of TFLite's ``schema.fbs``, version 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.models.tflite import writer
from edged.models.tflite.writer import Kind, Node, Uncopied

if TYPE_CHECKING:
    from edged.models.tflite.flatbuffer import Table

# The options of operators, by type: 17 and 30 are those of RESHAPE and SQUEEZE.
_OPTIONS = {17: Kind(vectors={0: 4}), 30: Kind(vectors={0: 4})}
# Those that name other graphs, or refer to what is not known here.
_OTHER_OPTIONS = frozenset({3, 16, 92, 93, 103, 111, 115})

_QUANTIZATION = Kind(vectors={0: 4, 1: 4, 2: 4, 3: 8}, refused=frozenset({5}))
_TENSOR = Kind(
    vectors={0: 4, 7: 4}, texts=frozenset({3}), tables={4: _QUANTIZATION}, refused=frozenset({6, 9, 10})
)
_OPERATOR = Kind(vectors={1: 4, 2: 4, 5: 1, 7: 1, 8: 4}, refused=frozenset({12}))
_NAMED_TENSOR = Kind(texts=frozenset({0}))

OPERATOR_CODE = Kind(texts=frozenset({1}))
BUFFER = Kind(blobs=frozenset({0}))
MODEL = Kind(texts=frozenset({3}), refused=frozenset({8, 9}))
GRAPH = Kind(vectors={1: 4, 2: 4}, texts=frozenset({4}), lists={0: _TENSOR})
METADATA = Kind(texts=frozenset({0}))
SIGNATURE = Kind(texts=frozenset({2, 3}), lists={0: _NAMED_TENSOR, 1: _NAMED_TENSOR})


def operator(table: Table) -> Node:
    """Return an operator with its options, ready to be written.

    Raises:
        Uncopied: its options refer to what is not known here.
    """
    kind = table.integer(3, "B")
    node = writer.copy(table, _OPERATOR)
    options = table.table(4)
    if options is not None:
        if kind in _OTHER_OPTIONS:
            raise Uncopied(f"options of kind {kind}")
        node.children[4] = writer.copy(options, _OPTIONS.get(kind, Kind()))
    return node
