"""From a report to an event, to its topics, and what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edged
from edged.daemon.outputs import Copy
from edged.daemon.publisher import SYNCED_FOR_S, Decided, EventMaker, EventPublisher
from edged.events import Finding, Present
from edged.ipc.worker_messages import Outcome
from edged.sinks.drivers.jsonl import JsonlSink
from edged.sinks.spooled import SpooledSink
from edged.spool.memory import MemorySpool
from edged.testing.supervisor import outcome, status

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.supervisor import PipelineStatus


class Sink:
    """Keeps what it is told."""

    state, detail, degraded = "connected", "", ""

    def __init__(self) -> None:
        self.topics: dict[str, str] = {}
        self.told: list[tuple[str, str]] = []
        self.results: list[dict[str, Any]] = []
        self.readings: list[bytes] = []
        self.drained = 0

    def open(self) -> None:
        pass

    def check(self) -> None:
        pass

    def drain(self) -> None:
        self.drained += 1

    def retain(self, suffix: str, payload: bytes | str) -> None:
        text = payload if isinstance(payload, str) else payload.decode()
        self.topics[suffix] = text
        self.told.append((suffix, text))

    def result(self, pipeline: str, payload: bytes) -> None:
        assert pipeline == "porch"
        self.results.append(json.loads(payload))

    def reading(self, line: bytes) -> None:
        self.readings.append(line)

    def close(self, timeout_s: float) -> None:
        pass


class Timer:
    def cancel(self) -> None:
        pass


class House:
    def __init__(
        self,
        *copies: JsonlSink,
        at_once: bool = True,
        publishes_results: Callable[[str], bool] | None = None,
    ) -> None:
        self.sink = Sink()
        self.spool = MemorySpool("n", max_mb=1, max_age_h=1, epoch="e")
        event_maker = EventMaker("n", synced=lambda: True)
        self.publisher = EventPublisher(
            event_maker, self.spool, {"porch": False}, at_once=at_once, publishes_results=publishes_results
        )
        self.publisher.attach(self.sink, [Copy("jsonl", copy) for copy in copies])

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.sink.topics["porch/state"])
        return state


def test_news_goes_through_the_spool_and_into_the_state() -> None:
    house = House()
    house.publisher.outcome(outcome(), status())
    row = house.spool.pending(1)[0]
    event = json.loads(row.payload)
    assert (event["id"], event["type"], event["label"]) == ("n/e/1", "start", "cat")
    assert house.state()["label"] == "cat"
    assert house.state()["since"] == event["ts"]
    assert house.sink.drained == 2  # at attach, and for the event
    assert house.publisher.decided()["porch"] == Decided("cat", event["ts"])


def test_a_result_is_no_news() -> None:
    house = House()
    house.publisher.outcome(outcome(kind="result"), status())
    assert house.sink.results[0]["type"] == "result"
    assert "id" not in house.sink.results[0]
    assert house.spool.counts().accepted == 0
    assert "porch/state" not in house.sink.topics


def test_a_result_that_is_only_asked_for_by_a_person_is_logged_and_not_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = House(publishes_results=lambda _name: False)
    house.publisher.outcome(outcome(kind="result"), status())
    assert not caplog.text
    caplog.set_level("DEBUG", "edged.daemon.publisher")
    house.publisher.outcome(outcome(kind="result"), status())
    assert "porch: sees cat 0.75, dog 0.10; decided: unknown" in caplog.text
    assert house.sink.results == []


def test_a_heartbeat_keeps_the_time_of_the_decision() -> None:
    house = House()
    house.publisher.outcome(outcome(), status())
    since = house.state()["since"]
    house.publisher.outcome(outcome(kind="heartbeat", decided_at=1769860900.0), status())
    assert house.state()["since"] == since
    assert house.state()["ts"] == "2026-01-31T12:01:40.000Z"
    house.publisher.outcome(outcome(kind="end", label="unknown", decided_at=1769861000.0), status())
    assert house.state()["since"] == house.state()["ts"] == "2026-01-31T12:03:20.000Z"


def test_a_pipeline_that_comes_online_without_news_sees_nothing_known() -> None:
    house = House()
    house.publisher.changed(status(online=False, state="starting"))
    house.publisher.tick()
    assert "porch/state" not in house.sink.topics
    house.publisher.changed(status())
    house.publisher.tick()
    assert (house.state()["label"], house.state()["previous"]) == ("unknown", "unknown")
    assert house.sink.topics["porch/availability"] == "online"
    assert house.sink.topics["porch/enabled/state"] == "ON"


def test_news_that_comes_at_once_is_the_first_state() -> None:
    house = House()
    house.publisher.changed(status())
    house.publisher.outcome(outcome(), status())
    house.publisher.tick()
    assert [json.loads(p)["label"] for t, p in house.sink.told if t == "porch/state"] == ["cat"]


def test_a_camera_that_comes_back_keeps_its_state_and_a_switch_begins_anew() -> None:
    house = House()
    house.publisher.outcome(outcome(), status())
    house.publisher.changed(status(online=False, state="waiting"))
    assert house.sink.topics["porch/availability"] == "offline"
    house.publisher.changed(status())
    house.publisher.tick()
    assert house.state()["label"] == "cat"
    house.publisher.changed(status(online=False, enabled=False, state="disabled"))
    assert house.sink.topics["porch/enabled/state"] == "OFF"
    house.publisher.changed(status())
    house.publisher.tick()
    assert house.state()["label"] == "unknown"


def test_a_pipeline_that_is_gone_leaves_no_topic_and_has_no_last_word() -> None:
    house = House()
    house.publisher.changed(status())
    house.publisher.outcome(outcome(), status())
    house.publisher.pipelines({"yard": False})
    assert {t: p for t, p in house.sink.topics.items() if t.startswith("porch")} == {
        "porch/state": "",
        "porch/availability": "",
        "porch/enabled/state": "",
    }
    told = len(house.sink.told)
    house.publisher.changed(status())
    house.publisher.outcome(outcome(), status())
    house.publisher.tick()
    assert len(house.sink.told) == told
    assert house.spool.counts().accepted == 1


def test_another_outlet_is_told_everything() -> None:
    house = House()
    house.publisher.changed(status())
    house.publisher.outcome(outcome(), status())
    house.publisher.retain("health", "{}")
    other = Sink()
    house.publisher.withdraw()
    assert set(house.sink.topics.values()) == {""}
    house.publisher.attach(other)
    assert other.topics.keys() == {"porch/state", "porch/availability", "porch/enabled/state", "health"}
    assert other.topics["porch/availability"] == "online"
    assert other.drained == 1


def test_at_the_end_nothing_is_seen() -> None:
    house = House()
    house.publisher.changed(status())
    house.publisher.offline()
    assert house.sink.topics["porch/availability"] == "offline"


def test_without_a_sink_outcomes_are_ignored_and_topics_kept() -> None:
    spool = MemorySpool("n", max_mb=1, max_age_h=1, epoch="e")
    publisher = EventPublisher(EventMaker("n", synced=lambda: True), spool, {"porch": False})
    publisher.changed(status())
    publisher.outcome(outcome(), status())
    publisher.tick()
    assert spool.counts().accepted == 0
    sink = Sink()
    publisher.attach(sink)
    assert sink.topics["porch/availability"] == "online"


def test_nobody_sees_an_event_before_its_spool_has_it_for_good(tmp_path: Path) -> None:
    house = House(JsonlSink(str(tmp_path / "events.jsonl")), at_once=False)
    before = house.sink.drained
    house.publisher.outcome(outcome(), status())
    assert house.sink.drained == before
    assert not (tmp_path / "events.jsonl").exists()
    house.publisher.committed([b'{"id":"n/e/1"}'])
    assert house.sink.drained == before + 1
    assert (tmp_path / "events.jsonl").read_text() == '{"id":"n/e/1"}\n'
    house.publisher.committed([])
    assert house.sink.drained == before + 2


def test_events_are_copied_and_one_that_cannot_be_harms_nothing(tmp_path: Path, caplog: Any) -> None:
    house = House(JsonlSink(str(tmp_path / "gone" / "events.jsonl")))
    for _ in range(3):
        house.publisher.outcome(outcome(), status())
    assert house.spool.counts().accepted == 3
    assert len([r for r in caplog.records if "not copied" in r.getMessage()]) == 1
    (tmp_path / "gone").mkdir()
    house.publisher.outcome(outcome(label="dog"), status())
    line = (tmp_path / "gone" / "events.jsonl").read_text()
    assert (json.loads(line)["label"], json.loads(line)["id"]) == ("dog", "n/e/4")


def test_a_reading_goes_to_the_sink_as_a_line(tmp_path: Path) -> None:
    house = House()
    house.publisher.line(b"{}")
    assert (house.sink.readings, house.sink.told) == ([b"{}"], [])
    file = tmp_path / "out.jsonl"
    spool = MemorySpool("n", max_mb=1, max_age_h=1)
    house.publisher.attach(SpooledSink(JsonlSink(str(file)), spool, lambda _s, _call: Timer()))
    house.publisher.line(b'{"type":"reading"}')
    assert file.read_text() == '{"type":"reading"}\n'


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


@given(outcomes, st.booleans(), st.booleans())
def test_whatever_a_worker_says_becomes_an_event_by_the_schema(
    news: Outcome, network: bool, numbered: bool
) -> None:
    event = event_maker().event(news, status(network=network), numbered=numbered)
    if event.type != "result":
        event = event.with_id("porch-pi/3f9c/1")
    EVENT.validate(json.loads(event.to_json()))
    STATE.validate(event.state(event.ts))


def test_the_event() -> None:
    event = event_maker().event(outcome(), status(degraded=True), numbered=False)
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


@pytest.mark.parametrize(("numbered", "frame"), [(True, 7), (False, None)])
def test_only_a_source_that_numbers_its_frames_has_them_in_events(numbered: bool, frame: int | None) -> None:
    assert event_maker().event(outcome(frame=7), status(), numbered=numbered).frame == frame


def test_a_clock_that_was_set_back_makes_no_negative_latency() -> None:
    assert event_maker().event(outcome(decided_at=0.0), status(), numbered=False).latency_ms == 0


def test_the_kernel_is_asked_about_its_clock_now_and_then() -> None:
    now, asked = [0.0], []
    clocked = EventMaker(
        "n", synced=lambda: bool(asked.append(now[0])) or len(asked) > 1, monotonic=lambda: now[0]
    )
    clocks = []
    for second in range(25):
        now[0] = float(second)
        clocks.append(clocked.event(outcome(), status(), numbered=False).clock)
    assert asked == [0, SYNCED_FOR_S, 2 * SYNCED_FOR_S]
    assert clocks == ["unsynced"] * 10 + ["synced"] * 15


def test_nothing_decided_is_a_state_too() -> None:
    event = EventMaker("n", synced=lambda: False, wall=lambda: 1769860800.0).nothing(status())
    state = event.state(event.ts)
    STATE.validate(state)
    assert (state["label"], state["score"], state["since"]) == ("unknown", 0.0, "2026-01-31T12:00:00.000Z")


def there(*labels: tuple[str, int], zone: str = "") -> PipelineStatus:
    return status(present=tuple(Present(name, zone, count, 0.75, 1769860800.0) for name, count in labels))


def test_the_state_by_label_is_everything_that_is_there() -> None:
    house = House()
    house.publisher.outcome(outcome(count=1), there(("cat", 1)))
    house.publisher.outcome(
        outcome(label="dog", count=2, decided_at=1769860900.0), there(("cat", 1), ("dog", 2))
    )
    state = house.state()
    assert (state["label"], state["count"], state["present"]) == ("cat", 1, {"cat": 1, "dog": 2})
    assert state["since"] == "2026-01-31T12:00:00.000Z"
    assert state["ts"] == "2026-01-31T12:01:40.000Z"
    assert house.publisher.decided()["porch"].label == "cat"
    gone = outcome(kind="end", label="unknown", previous="cat", count=0)
    house.publisher.outcome(gone, there(("dog", 2)))
    assert (house.state()["label"], house.state()["previous"], house.state()["count"]) == ("dog", "cat", 2)
    house.publisher.outcome(replace(gone, previous="dog"), there())
    assert (house.state()["label"], house.state()["previous"], house.state()["present"]) == (
        "unknown",
        "dog",
        {},
    )
    sent = [json.loads(row.payload) for row in house.spool.pending(9)]
    assert [(each["type"], each["label"], each["previous"], each["count"]) for each in sent] == [
        ("start", "cat", "unknown", 1),
        ("start", "dog", "unknown", 2),
        ("end", "unknown", "cat", 0),
        ("end", "unknown", "dog", 0),
    ]


def test_the_state_with_zones_names_those_that_are_not_empty() -> None:
    house = House()
    house.publisher.outcome(outcome(count=2, zone="door"), there(("cat", 2), zone="door"))
    assert house.state()["present"] == {"cat": 2}
    assert house.state()["zones"] == {"door": {"cat": 2}}
    house.publisher.changed(there())  # the zone is not configured any more
    assert house.state()["present"] == {}
    assert "zones" not in house.state()
    last = json.loads(house.spool.pending(9)[-1].payload)
    assert (last["type"], last["label"], last["previous"]) == ("end", "unknown", "cat")
    assert (last["count"], last["zone"]) == (0, "door")


def test_after_a_restart_nothing_is_there_until_it_is_seen() -> None:
    """What the broker retains of the run before may say that somebody is there."""
    house = House()
    house.publisher.changed(status())
    house.publisher.tick()
    assert house.state()["label"] == "unknown"
    assert not house.state().get("present")


def test_the_state_has_what_a_second_model_said_of_what_leads() -> None:
    house = House()
    macaw = (Finding("macaw", 0.9),)
    present = (Present("bird", "", 1, 0.8, 1769860800.0, macaw), Present("cat", "", 1, 0.8, 1769860900.0))
    house.publisher.outcome(outcome(label="cat", count=1), status(present=present))
    assert house.state()["then"] == [{"label": "macaw", "score": 0.9}]
    gone = outcome(kind="end", label="unknown", previous="bird", count=0)
    house.publisher.outcome(gone, status(present=present[1:]))
    assert "then" not in house.state()


def test_a_state_does_not_outlive_the_way_in_which_labels_are_decided() -> None:
    house = House()
    house.publisher.outcome(outcome(), status())
    house.publisher.changed(status())
    assert house.state()["label"] == "cat"
    house.publisher.changed(there())  # it was a classifier, and detects now
    assert (house.state()["label"], house.state()["present"]) == ("unknown", {})
    house.publisher.outcome(outcome(label="dog", count=1), there(("dog", 1)))
    house.publisher.changed(status())  # and back
    ended = json.loads(house.spool.pending(9)[-1].payload)
    assert (ended["type"], ended["previous"]) == ("end", "dog")
    assert house.state()["label"] == "unknown"
    assert "present" not in house.state()
