from __future__ import annotations

import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_builder import Kind, build

from edged.errors import ModelError
from edged.models import bundled
from edged.models.tflite import operators

INT8 = Kind("int8", 2 / 255, 0)


def test_names_are_those_of_the_schema() -> None:
    known = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    assert {n: known[n] for n in range(len(operators.NAMES))} == dict(enumerate(operators.NAMES))


def test_the_bundled_model_meets_the_needs_of_the_edge_tpu() -> None:
    steps = operators.read(bundled.MODEL.read_bytes(), "lite0")
    assert len(steps) == 63
    assert operators.against_edgetpu(steps) == []
    assert operators.versions(steps)["CONV_2D"] >= 1


def test_real_numbers_and_other_operators_are_named() -> None:
    found = operators.against_edgetpu(operators.read(build(), "m"))
    assert len(found) == 1
    assert "operators work on real numbers" in found[0]
    steps = operators.read(build(picture=INT8, scores=Kind("int8", 1 / 256, -128)), "m")
    assert operators.against_edgetpu(steps) == []
    odd = [operators.Step("ARG_MAX", 1, step.inputs, step.outputs) for step in steps]
    assert operators.against_edgetpu(odd) == [f"ARG_MAX is not supported ({len(odd)} x)"]


def test_open_sizes_and_many_dimensions_are_named() -> None:
    value = operators.Value((2, 2, 2, 2), "int8", dynamic=True, constant=False)
    found = operators.against_edgetpu([operators.Step("ADD", 1, (value,), (value,))])
    assert found == [
        "a size is left open: sizes must be fixed",
        "a tensor has more than 3 dimensions: (2, 2, 2, 2)",
    ]


@pytest.mark.parametrize("length", [0, 8, 100, 400])
def test_a_cut_file_is_refused(length: int) -> None:
    with pytest.raises(ModelError, match="truncated or damaged"):
        operators.read(build()[:length], "m")
