from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ipc import codec
from edged.ipc.codec import Codec, WireError

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
        parsed = parse(value)
    except WireError:
        return
    json.dumps(parsed)  # what is let through can be sent on
    assert parse(value) == parsed


@dataclass(frozen=True)
class Point:
    x: int
    y: int


@dataclass(frozen=True)
class Up:
    a: int
    why: str
    points: tuple[Point, ...] = ()


def point(value: Any) -> Point:
    return Point(*codec.list_of(codec.count, 2)(value))


MESSAGES = Codec(
    [Up],
    {"a": codec.count, "why": codec.text(5), "points": codec.list_of(point, 2)},
    max_bytes=60,
    sentences={"why"},
    longest_sentence=5,
)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{" * 61, "at most 60"),
        (b"{", "not JSON"),
        (b"[" * 60, "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "unknown type"),
        (b'{"t":7}', "unknown type"),
        (b'{"t":"down"}', "unknown type"),
        (b'{"t":"up","a":1}', "fields missing or unknown"),
        (b'{"t":"up","a":1,"why":"x","points":[],"b":1}', "fields missing or unknown"),
        (b'{"t":"up","a":-1,"why":"x","points":[]}', "a count expected"),
    ],
)
def test_a_datagram_is_one_message_of_a_known_type(data: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        MESSAGES.decode(data)


def test_a_message_comes_back_as_it_was_with_its_sentences_cut() -> None:
    data = MESSAGES.encode(Up(1, "because", (Point(1, 2),)))
    assert data == b'{"t":"up","a":1,"why":"becau","points":[[1,2]]}'
    assert MESSAGES.decode(data) == Up(1, "becau", (Point(1, 2),))
