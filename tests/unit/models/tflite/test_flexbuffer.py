from __future__ import annotations

import detector_model
import pytest
from flatbuffers import flexbuffers
from hypothesis import given
from hypothesis import strategies as st

from edged.models.tflite import flexbuffer
from edged.models.tflite.flatbuffer import Malformed

keys = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=20)
numbers = st.integers(-(2**31), 2**31 - 1)
values = st.one_of(numbers, st.booleans(), st.floats(0, 1, width=32), st.text(max_size=5))


def encoded(fields: dict[str, object]) -> bytes:
    builder = flexbuffers.Builder()
    builder.MapFromElements(fields)
    return bytes(builder.Finish())


@given(st.dictionaries(keys, values, max_size=12))
def test_the_whole_numbers_of_a_map_are_read(fields: dict[str, object]) -> None:
    whole = {key: int(value) for key, value in fields.items() if isinstance(value, int | bool)}
    assert flexbuffer.integers(encoded(fields)) == whole


def test_what_is_not_a_map_has_none() -> None:
    assert flexbuffer.integers(b"") == {}
    assert flexbuffer.integers(flexbuffers.Dumps([1, 2, 3])) == {}
    assert flexbuffer.integers(flexbuffers.Dumps(7)) == {}


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_whatever_is_there_is_read_or_refused(noise: bytes, at: int, byte: int) -> None:
    whole = bytearray(detector_model.last_options(3))
    whole[at % len(whole)] = byte
    for data in (noise, bytes(whole), bytes(whole[at % len(whole) :])):
        try:
            found = flexbuffer.integers(data)
        except Malformed:
            continue
        assert len(found) <= 64


def test_a_map_that_claims_more_keys_than_any_operator_has_is_refused() -> None:
    with pytest.raises(Malformed, match="too many keys"):
        flexbuffer.integers(encoded({f"k{n:03}": n for n in range(100)}))
