"""Every event that edged can make fits its schema and the size that everything else counts on."""

from __future__ import annotations

import json
import sys
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edged.events import (
    MAX_BYTES,
    MAX_READINGS,
    MOST_BESIDE,
    MOST_BOXES,
    MOST_CLOSER,
    MOST_OBJECTS,
    MOST_PRESENT,
    MOST_WITH_CLOSER,
    Attached,
    Event,
    Finding,
    ModelTag,
    Present,
)
from edged.system import clock


def schema(name: str) -> Draft202012Validator:
    text = resources.files("edged").joinpath(f"schema/{name}.schema.json").read_text()
    Draft202012Validator.check_schema(json.loads(text))
    return Draft202012Validator(json.loads(text))


EVENT, STATE = schema("event"), schema("state")

names = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
labels = st.text(st.characters(exclude_categories=("Cs",), min_codepoint=0x20), min_size=1, max_size=128)
scores = st.floats(0, 1)
times = st.floats(0, 4e9).map(clock.rfc3339)

things = st.builds(
    Present, labels, names | st.just(""), st.integers(1, MOST_OBJECTS), scores, st.floats(0, 4e9)
)

attached = st.builds(
    Attached,
    st.from_regex(r"[a-z0-9-]{1,32}(/[a-z0-9_]{1,32})?", fullmatch=True),
    st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
    st.sampled_from(["", "°C", "µg/m³"]),
    st.sampled_from(["good", "stale", "suspect", "bad"]),
    st.floats(0, 1e9),
)


edges = st.floats(0, 1)
boxes = st.tuples(edges, edges, edges, edges)


@st.composite
def events(draw: st.DrawFn) -> Event:
    type_ = draw(st.sampled_from(["start", "change", "end", "heartbeat", "result"]))
    node = draw(names)
    by_label = draw(st.booleans())
    found = tuple(draw(st.lists(boxes, max_size=MOST_BOXES))) if by_label and draw(st.booleans()) else None
    seen = st.builds(Finding, labels, scores)
    closer = tuple(draw(st.lists(seen, max_size=MOST_CLOSER))) if by_label else ()
    most = MOST_WITH_CLOSER if closer else MOST_BESIDE if by_label else 10
    sequence = draw(st.integers(1, 2**63 - 1))
    return Event(
        type=type_,
        node=node,
        pipeline=draw(names),
        label=draw(labels),
        score=draw(scores),
        previous=draw(labels),
        top=tuple(draw(st.lists(st.builds(Finding, labels, scores), max_size=most))),
        captured_at=draw(times),
        ts=draw(times),
        clock=draw(st.sampled_from(["synced", "unsynced"])),
        model=ModelTag(draw(labels).replace("/", "_"), draw(st.from_regex(r"[0-9a-f]{8}", fullmatch=True))),
        accelerator=draw(st.sampled_from(["cpu", "edgetpu", "external"])),
        latency_ms=draw(st.floats(0, 1e9)),
        degraded=draw(st.booleans()),
        frame=draw(st.none() | st.integers(0, 2**53 - 1)),
        network=draw(st.booleans()),
        readings=tuple(draw(st.lists(attached, max_size=MAX_READINGS, unique_by=lambda r: r.name))),
        count=draw(st.integers(0, MOST_OBJECTS)) if by_label else None,
        zone=draw(names) if by_label and draw(st.booleans()) else "",
        boxes=found,
        then=closer,
        id=None if type_ == "result" else f"{node}/3f9c0a/{sequence}",
        replayed=draw(st.booleans()),
    )


@given(events())
def test_every_event_fits_its_schema_and_its_size(event: Event) -> None:
    text = event.to_json()
    assert len(text) <= MAX_BYTES
    data = json.loads(text)
    EVENT.validate(data)
    assert data == json.loads(json.dumps(event.payload()))


@given(events(), times)
def test_every_state_fits_its_schema(event: Event, since: str) -> None:
    state = event.state(since)
    STATE.validate(state)
    assert state["since"] == since


@given(events().filter(lambda e: e.count is not None), times, st.lists(things, max_size=MOST_PRESENT))
def test_every_state_by_label_fits_its_schema(event: Event, since: str, there: list[Present]) -> None:
    state = event.state(since, there)
    STATE.validate(state)
    assert sum(state["present"].values()) == sum(each.count for each in there)
    zoned = {each.zone for each in there if each.zone}
    assert set(state.get("zones", {})) == zoned


def test_the_longest_event_the_schema_allows_fits() -> None:
    data = json.loads(make().with_id("n" * 32 + "/" + "f" * 32 + "/" + "9" * 19).to_json())
    longest = "\U0001f408" * 128
    data |= {"label": longest, "previous": longest, "model": {"name": longest, "sha256": "35e8e20b"}}
    data |= {"top": [{"label": longest, "score": 0.1234}] * 10, "frame": 2**53 - 1, "network": True}
    data |= {"latency_ms": 999999999.123, "type": "heartbeat", "accelerator": "edgetpu", "clock": "unsynced"}
    data |= {"node": "n" * 32, "pipeline": "p" * 32}
    reading = {
        "value": -sys.float_info.max,
        "unit": "\U0001f408" * 6,  # the readings page has room for 24 bytes
        "quality": "suspect",
        "age_s": 1e9 - 0.001,
    }
    data["readings"] = {f"{'s' * 32}/{'c' * 31}{n}": reading for n in range(MAX_READINGS)}
    objects = {"count": MOST_OBJECTS, "zone": "z" * 32, "boxes": [[0.123] * 4] * MOST_BOXES}
    closer = {"then": data["top"][:MOST_CLOSER], "top": data["top"][:MOST_WITH_CLOSER]}
    for more in ({}, {**objects, "top": data["top"][:MOST_BESIDE]}, {**objects, **closer}):
        EVENT.validate(data | more)
        text = json.dumps(data | more, ensure_ascii=False, separators=(",", ":"))
        assert len(text.encode()) <= MAX_BYTES


def make(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "type": "start",
        "node": "porch-pi",
        "pipeline": "porch",
        "label": "Egyptian cat",
        "score": 0.79,
        "previous": "unknown",
        "top": (Finding("Egyptian cat", 0.79),),
        "captured_at": clock.rfc3339(1e9),
        "ts": clock.rfc3339(1e9),
        "clock": "synced",
        "model": ModelTag("mobilenet_v2", "35e8e20b"),
        "accelerator": "cpu",
        "latency_ms": 14.2,
    }
    return Event(**(fields | changes))


@pytest.mark.parametrize(
    "wrong",
    [
        {"extra": 1},
        {"label": "x" * 129},
        {"label": ""},
        {"label": "bell\u0007"},
        {"score": 1.01},
        {"top": [{"label": "x", "score": 0.1}] * 11},
        {"top": [{"label": "x", "score": 0.1, "box": [0, 0, 1, 1]}]},
        {"ts": "2026-01-31 12:00:00"},
        {"accelerator": "gpu"},
        {"id": "porch-pi/42"},
        {"network": False},
        {"model": {"name": "/home/me/m.tflite", "sha256": "35e8e20b"}},
        {"v": 2},
    ],
)
def test_the_schema_refuses(wrong: dict[str, Any]) -> None:
    good = make().with_id("porch-pi/3f9c/1").payload()
    EVENT.validate(good)
    assert not EVENT.is_valid(good | wrong)


def test_every_event_except_a_result_has_an_id() -> None:
    assert not EVENT.is_valid(make().payload())
    assert EVENT.is_valid(make(type="result").payload())
    assert not EVENT.is_valid(make(type="result").with_id("porch-pi/3f9c/1").payload())


def test_no_field_of_an_event_can_hold_a_picture() -> None:
    def kinds(part: Any) -> set[str]:
        found = {part["type"]} if isinstance(part, dict) and isinstance(part.get("type"), str) else set()
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            found |= kinds(inner)
        return found

    assert kinds(EVENT.schema) == {"object", "array", "string", "number", "integer", "boolean"}
    assert all(
        "maxItems" in part for part in EVENT.schema["properties"].values() if part.get("type") == "array"
    )
