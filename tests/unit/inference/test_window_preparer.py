from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.inference.window_preparer import WindowPreparer
from edged.models.spec import WindowInput
from edged.models.tensor import Tensor
from edged.sources import Window


def prepared(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    return WindowPreparer(WindowInput(*values.shape, tensor)).prepare(Window(values, 0.0))


@given(st.lists(st.floats(-100, 100, width=32), min_size=6, max_size=6), st.sampled_from(["int8", "uint8"]))
def test_a_quantised_input_is_the_nearest_that_its_type_has(values: list[float], dtype: str) -> None:
    window = np.asarray(values, np.float32).reshape(3, 2)
    made = prepared(window, Tensor("window", (1, 3, 2), dtype, 0.5, 10))
    assert (made.dtype, made.shape) == (dtype, (1, 3, 2))
    back = (made.astype(np.float64) - 10) * 0.5
    info = np.iinfo(dtype)
    limited = np.clip(window, (info.min - 10) * 0.5, (info.max - 10) * 0.5)
    assert np.abs(back.reshape(3, 2) - limited).max() <= 0.25 + 1e-6


def test_a_float_input_may_be_flat() -> None:
    window = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert prepared(window, Tensor("window", (1, 6), "float32")).tolist() == [[0, 1, 2, 3, 4, 5]]
    with pytest.raises(ValueError, match=r"3 steps and 2 channels does not fill \[1, 3, 3\]"):
        prepared(window, Tensor("window", (1, 3, 3), "float32"))
