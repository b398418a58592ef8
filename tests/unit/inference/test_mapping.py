from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.inference import mapping
from edged.models.normalization import InputValues, Normalization, of_input
from edged.models.spec import PictureInput
from edged.models.tensor import Tensor

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def _spec(
    dtype: str, scale: float = 0.0, zero_point: int = 0, normalization: Normalization | None = None
) -> PictureInput:
    return PictureInput(
        width=16,
        height=16,
        channels=1,
        tensor=Tensor("picture", (1, 16, 16, 1), dtype, scale, zero_point),
        normalization=normalization,
    )


def _values(spec: PictureInput, normalize: tuple[float, float] | None = None) -> InputValues:
    return of_input(spec, None if normalize is None else Normalization(normalize[:1], normalize[1:]))


def _mapped(spec: PictureInput, normalize: tuple[float, float] | None = None) -> np.ndarray:
    mapped = mapping.create(spec, _values(spec, normalize))
    if mapped is None:
        return RAMP.reshape(-1)
    tensor = np.empty(RAMP.shape, spec.tensor.dtype)
    mapped(RAMP, tensor)
    return tensor.reshape(-1)


@pytest.mark.parametrize(
    ("scale", "zero_point"),
    [(1 / 128, 128), (1 / 128, 127), (1 / 127.5, 128), (1 / 255, 0), (1.0, 0), (1.0, 128), (0.0, 0)],
)
def test_uint8_of_a_whole_picture_is_passed_straight(scale: float, zero_point: int) -> None:
    spec = _spec("uint8", scale, zero_point)
    assert mapping.create(spec, _values(spec, (0.0, 255.0))) is None


@pytest.mark.parametrize(
    ("scale", "zero_point"), [(1 / 128, 0), (1 / 127.5, -1), (1 / 255, -128), (1.0, -128), (1.0, 0), (0.0, 0)]
)
def test_int8_of_a_whole_picture_is_the_pixel_less_128(scale: float, zero_point: int) -> None:
    values = _mapped(_spec("int8", scale, zero_point))
    assert values.tolist() == list(range(-128, 128))


def test_other_ranges_are_normalised_and_quantised() -> None:
    # -2.5 … 2.5: the whole picture takes up the middle of it.
    values = _mapped(_spec("int8", 5 / 255, 0))
    assert (values[0], values[255]) == (-51, 51)
    values = _mapped(_spec("uint8", 5 / 255, 100), (0.0, 255.0))
    assert (values[0], values[255]) == (100, 151)
    # What the type cannot hold is clipped, not wrapped around.
    assert _mapped(_spec("uint8", 0.001, 0)).tolist()[0::255] == [0, 255]


@pytest.mark.parametrize(
    ("normalize", "metadata", "first", "last"),
    [
        (None, None, -1.0, 1.0),
        (None, Normalization((127.0,), (128.0,)), -127 / 128, 1.0),
        ((0.0, 255.0), Normalization((127.0,), (128.0,)), 0.0, 1.0),
        ((0.0, 1.0), None, 0.0, 255.0),
    ],
)
def test_float_takes_the_configuration_then_the_metadata_then_the_default(
    normalize: tuple[float, float] | None, metadata: Normalization | None, first: float, last: float
) -> None:
    values = _mapped(_spec("float32", normalization=metadata), normalize)
    assert values[[0, 255]] == pytest.approx([first, last])


def test_each_channel_may_have_its_own() -> None:
    spec = _spec("float32", normalization=Normalization((0.0, 100.0, 200.0), (1.0, 10.0, 100.0)))
    coloured = PictureInput(
        **{f: getattr(spec, f) for f in spec.__dataclass_fields__} | {"channels": 3},  # type: ignore[arg-type] # the same fields
    )
    mapped = mapping.create(coloured, _values(coloured))
    assert mapped is not None
    tensor = np.empty((1, 1, 3), np.float32)
    mapped(np.full((1, 1, 3), 150, np.uint8), tensor)
    assert tensor.reshape(-1).tolist() == [150.0, 5.0, -0.5]
    assert _mapped(spec)[150] == 150.0  # a grey model takes the first


def _by_hand(mean: float, std: float) -> InputValues:
    return InputValues((mean,), (std,), "rgb", "", "configuration")


@given(
    dtype=st.sampled_from(["uint8", "int8"]),
    scale=st.floats(1e-4, 10),
    zero_point=st.integers(-128, 255),
    mean=st.floats(-10, 300),
    std=st.floats(0.01, 300),
)
def test_a_stored_value_stands_for_the_nearest_real_one(
    dtype: str, scale: float, zero_point: int, mean: float, std: float
) -> None:
    spec = _spec(dtype, scale, zero_point)
    stored = mapping.stored_values(spec, _by_hand(mean, std)).astype(float)
    real = (np.arange(256) - mean) / std
    limits = np.iinfo(dtype)
    inside = (stored > limits.min) & (stored < limits.max)
    assert np.all(np.abs((stored - zero_point) * scale - real)[inside] <= scale * 0.5001 + 1e-9)
    assert np.all(np.diff(stored) >= 0)
