"""From a report to an event: by the schema whatever a worker says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edged
from edged.daemon.event_maker import SYNCED_FOR_S, EventMaker
from edged.events import Finding
from edged.ipc.worker_messages import Outcome
from edged.testing.supervisor import outcome, status

FOLDER = Path(edged.__file__).parent / "schema"
EVENT = jsonschema.Draft202012Validator(json.loads((FOLDER / "event.schema.json").read_text()))
STATE = jsonschema.Draft202012Validator(json.loads((FOLDER / "state.schema.json").read_text()))

labels = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=128)
times = st.floats(0, 253402300799)
outcomes = st.builds(
    Outcome,
    pipeline=st.just("porch"),
    type=st.sampled_from(["start", "change", "end", "heartbeat", "result"]),
    label=labels,
    score=st.floats(0, 1),
    previous=labels,
    top=st.lists(st.builds(Finding, labels, st.floats(0, 1)), max_size=10).map(tuple),
    captured_at=times,
    decided_at=times,
    frame=st.none() | st.integers(0, 2**53 - 1),
)


def event_maker(*, synced: bool = True) -> EventMaker:
    return EventMaker("porch-pi", synced=lambda: synced)


@given(outcomes, st.booleans(), st.sampled_from(["folder", "video", "v4l2"]))
def test_whatever_a_worker_says_becomes_an_event_by_the_schema(
    news: Outcome, network: bool, kind: str
) -> None:
    event = event_maker().event(news, status(network=network), kind=kind)
    if event.type != "result":
        event = event.with_id("porch-pi/3f9c/1")
    EVENT.validate(json.loads(event.to_json()))
    STATE.validate(event.state(event.ts))


def test_the_event() -> None:
    event = event_maker().event(outcome(), status(degraded=True), kind="v4l2")
    assert event.payload() == {
        "v": 1,
        "type": "start",
        "node": "porch-pi",
        "pipeline": "porch",
        "label": "cat",
        "score": 0.75,
        "previous": "unknown",
        "top": [{"label": "cat", "score": 0.75}, {"label": "dog", "score": 0.1}],
        "captured_at": "2026-01-31T12:00:00.000Z",
        "ts": "2026-01-31T12:00:00.012Z",
        "clock": "synced",
        "model": {"name": "efficientnet_lite0_uint8", "sha256": "35e8e20b"},
        "accelerator": "cpu",
        "degraded": True,
        "latency_ms": pytest.approx(12.0, abs=0.01),
        "replayed": False,
    }


@pytest.mark.parametrize(
    ("kind", "frame"), [("folder", 7), ("video", 7), ("v4l2", None), ("picamera2", None)]
)
def test_only_photographs_and_videos_have_numbered_frames(kind: str, frame: int | None) -> None:
    assert event_maker().event(outcome(frame=7), status(), kind=kind).frame == frame


def test_a_clock_that_was_set_back_makes_no_negative_latency() -> None:
    assert event_maker().event(outcome(decided_at=0.0), status(), kind="v4l2").latency_ms == 0


def test_the_kernel_is_asked_about_its_clock_now_and_then() -> None:
    now, asked = [0.0], []
    clocked = EventMaker(
        "n", synced=lambda: bool(asked.append(now[0])) or len(asked) > 1, monotonic=lambda: now[0]
    )
    clocks = []
    for second in range(25):
        now[0] = float(second)
        clocks.append(clocked.event(outcome(), status(), kind="v4l2").clock)
    assert asked == [0, SYNCED_FOR_S, 2 * SYNCED_FOR_S]
    assert clocks == ["unsynced"] * 10 + ["synced"] * 15


def test_nothing_decided_is_a_state_too() -> None:
    event = EventMaker("n", synced=lambda: False, wall=lambda: 1769860800.0).nothing(status())
    state = event.state(event.ts)
    STATE.validate(state)
    assert (state["label"], state["score"], state["since"]) == ("unknown", 0.0, "2026-01-31T12:00:00.000Z")
