from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ipc import codec
from edged.ipc.codec import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = codec.text(4)
WORD = codec.one_of(frozenset({"a", "b"}))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
PARSERS = (
    *(TEXT, WORD, codec.number(5), codec.list_of(WORD, 2), codec.count, codec.flag),
    *(codec.measured, codec.time, codec.quality, codec.isolation),
)


@pytest.mark.parametrize(
    ("parse", "value", "says"),
    [
        (TEXT, "abcde", "text of at most 4 characters"),
        (TEXT, "", "text of at most 4 characters"),
        (WORD, "c", "one of a, b"),
        (codec.number(5), True, "a number"),
        (codec.number(5), 5.1, "a number from 0 to 5"),
        (codec.number(5), math.nan, "a number from 0 to 5"),
        (codec.list_of(WORD, 1), ["a", "a"], "a list of at most 1"),
        (codec.list_of(WORD, 1), ["c"], "one of a, b"),
        (codec.count, -1, "a count"),
        (codec.count, 2**53, "a count"),
        (codec.count, False, "a count"),
        (codec.flag, 1, "true or false"),
        (codec.measured, 10**400, "a number from "),
        (codec.measured, math.inf, "a number from "),
        (codec.time, 253402300800, "a number from "),
    ],
)
def test_what_is_none_is_refused_with_what_it_should_be(
    parse: Callable[[Any], object], value: object, says: str
) -> None:
    with pytest.raises(WireError, match=f"^{says}.* expected$"):
        parse(value)


def test_what_is_good_comes_back_as_its_type() -> None:
    assert codec.text(4, empty=True)("") == ""
    assert TEXT("a\nb") == "a?b"
    assert codec.list_of(WORD, 2)(["a", "b"]) == ("a", "b")
    assert (codec.measured(sys.float_info.max), codec.measured(None)) == (sys.float_info.max, None)
    assert codec.measured(True) is True
    assert isinstance(codec.number(5)(3), float)


@given(st.sampled_from(PARSERS), JSON)
def test_nothing_but_a_wire_error_comes_of_any_json(parse: Callable[[Any], object], value: object) -> None:
    try:
        parse(value)
    except WireError:
        return


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"{" * 9, "are the most"), (b"{", "no JSON"), (b"[" * 8, "no JSON"), (b"[]", "no object")],
)
def test_a_datagram_is_one_object(data: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        codec.unwrap(data, 8)


def test_its_type_and_its_fields() -> None:
    assert codec.unwrap(b'{"t":"up","a":1}', 99) == ("up", {"a": 1})
    assert codec.unwrap(b'{"t":7}', 99) == ("", {})
