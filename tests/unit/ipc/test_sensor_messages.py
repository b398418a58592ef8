from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ipc import sensor_messages
from edged.ipc.codec import WireError
from edged.ipc.sensor_messages import Alive, Measured, Message, Refused, SensorState, Up, decode, encode

TEXT = st.text(st.characters(exclude_categories=("C", "Z")), max_size=16)
MESSAGES = st.one_of(
    st.builds(Up, st.sampled_from([(), ("seccomp",), ("seccomp", "netns")])),
    st.builds(Refused, TEXT),
    st.just(Alive()),
    st.builds(
        Measured,
        TEXT,
        TEXT,
        st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
        TEXT,
        st.floats(0, 4e9),
        st.sampled_from(["bad", "good", "stale", "suspect"]),
        TEXT,
    ),
    st.builds(
        SensorState,
        TEXT,
        st.sampled_from(sorted(sensor_messages.STATES)),
        TEXT,
        st.integers(0, 2**50),
        st.integers(0, 9),
    ),
)
GOOD = {
    "t": "measured", "sensor": "a", "channel": "", "value": 1.5, "unit": "°C", "ts": 5.0, "quality": "good",
    "reason": "",
}  # fmt: skip


@given(MESSAGES)
def test_what_is_sent_arrives(message: Message) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


OTHER = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["t", "sensor", "value"]), inner),
    max_leaves=9,
)


@given(OTHER)
def test_other_json_is_refused(data: Any) -> None:
    with pytest.raises(WireError):
        decode(json.dumps(data).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"t": "none"},
        {"t": ["up"]},
        {"more": 1},
        {"sensor": 5},
        {"sensor": "x" * 33},
        {"value": "21"},
        {"value": [1]},
        {"value": float("nan")},
        {"value": float("inf")},
        {"value": 10**400},
        {"ts": -1},
        {"ts": True},
        {"ts": 1e15},
        {"quality": "fine"},
        {"unit": "x" * 17},
        {"reason": "x" * 201},
        {"reason": None},
    ],
)
def test_one_wrong_field_is_refused(change: dict[str, Any]) -> None:
    assert decode(json.dumps(GOOD).encode()) == Measured("a", "", 1.5, "°C", 5.0, "good", "")
    with pytest.raises(WireError):
        decode(json.dumps(GOOD | change).encode())
    missing = {name: value for name, value in GOOD.items() if name not in change or name == "t"}
    if len(missing) < len(GOOD):
        with pytest.raises(WireError):
            decode(json.dumps(missing).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {"t": "up", "isolation": ["wall"]},
        {"t": "up", "isolation": ["netns"] * 7},
        {"t": "up", "isolation": "netns"},
        {"t": "turned", "name": "a", "state": "asleep", "last_error": "", "reads": 0, "faults": 0},
        {"t": "turned", "name": "a", "state": "hung", "last_error": "", "reads": -1, "faults": 0},
        {"t": "turned", "name": "a", "state": "hung", "last_error": "", "reads": 1.5, "faults": 0},
    ],
)
def test_other_messages_with_a_wrong_field_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        decode(json.dumps(fields).encode())


def test_what_is_long_is_cut_by_the_sender_and_refused_by_the_receiver() -> None:
    assert decode(encode(Refused("x" * 1000))) == Refused("x" * 200)
    assert decode(encode(Refused("a\nb"))) == Refused("a?b")
    with pytest.raises(WireError, match="at most"):
        decode(b" " * 3000)
