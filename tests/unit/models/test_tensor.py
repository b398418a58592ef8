from __future__ import annotations

from dataclasses import replace

import pytest

from edged.models.tensor import Tensor

WINDOW = Tensor("window", (1, 64, 3), "int8", 0.1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dtype": "float64"}, "its input is float64, not uint8, int8, int16, float16 or float32"),
        (
            {"unsized": True},
            "its input has a size of -1, which no runtime accepts; convert it with a fixed size",
        ),
        ({"channels": 3}, "its input is quantised per channel"),
        ({"scale": -0.1}, "its input has a negative scale"),
        ({"scale": 0.0}, "its int8 input has no scale"),
        ({"dtype": "float32", "scale": 0.0}, ""),
        ({}, ""),
    ],
)
def test_unfit_names_the_reason(change: dict[str, object], says: str) -> None:
    tensor = replace(WINDOW, **change)  # type: ignore[arg-type] # fields by name
    assert tensor.unfit("input", scaled=True) == says


def test_an_integer_input_needs_no_scale() -> None:
    assert replace(WINDOW, scale=0.0).unfit("input", scaled=False) == ""


def test_the_shape_in_messages() -> None:
    assert (WINDOW.shown, WINDOW.sides) == ("1 x 64 x 3", (64, 3))
    assert (replace(WINDOW, shape=()).shown, replace(WINDOW, shape=()).sides) == ("a single number", ())
