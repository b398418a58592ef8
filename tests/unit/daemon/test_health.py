"""The health message: always by its schema, and its sentences and status mean what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edged
from edged.daemon import health
from edged.daemon.publisher import Decided
from edged.events import ModelTag, Present
from edged.homeassistant import FINE
from edged.ipc.sensor_messages import SensorState
from edged.spool import Counts
from edged.supervisor import PipelineStatus
from edged.supervisor.switches import Switch
from edged.system.isolation import not_isolated
from edged.testing.supervisor import status

SCHEMA = json.loads((Path(edged.__file__).parent / "schema" / "health.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

names = st.from_regex(r"\A[a-z0-9-]{1,32}\Z")
counts = st.integers(0, 2**53)
figures = st.none() | st.floats(0, 1e6) | st.just(float("inf")) | st.just(float("nan"))
statuses = st.builds(
    PipelineStatus,
    name=names,
    state=st.sampled_from(["disabled", "starting", "running", "waiting", "ended"]),
    online=st.booleans(),
    enabled=st.booleans(),
    restarts=counts,
    last_error=st.text(max_size=500),
    fault=st.sampled_from(["", "source", "model", "defect"]),
    model=st.none() | st.builds(ModelTag, st.just("m"), st.just("35e8e20b")),
    runtime=st.sampled_from(["", "litert", "tflite-runtime"]),
    accelerator=st.sampled_from(["cpu", "edgetpu"]),
    degraded=st.booleans(),
    network=st.booleans(),
    isolation=st.sampled_from([(), ("seccomp",), ("seccomp", "netns")]),
    fps=st.floats(0, 1000),
    capture_p50_ms=figures,
    invoke_p50_ms=figures,
    invoke_p95_ms=figures,
    frames=counts,
    dropped=st.dictionaries(st.text(max_size=10), counts, max_size=3),
    view=st.sampled_from([(), (0.667, 1.0)]),
    moves=st.sampled_from([None, True, False]),
    present=st.sampled_from([None, (), (Present("cat", "", 2, 0.9, 1.7e9),)]),
)
snapshots = st.builds(
    health.Snapshot,
    node=names,
    uptime_s=st.floats(0, 1e9),
    at=st.floats(0, 4e9),
    synced=st.booleans(),
    pipelines=st.dictionaries(names, statuses, max_size=4),
    decided=st.dictionaries(
        names, st.builds(Decided, st.text(max_size=50), st.just("2026-03-01T12:00:00.000Z")), max_size=4
    ),
    counts=st.builds(
        Counts, counts, counts, counts, st.dictionaries(st.text(max_size=10), counts, max_size=2)
    ),
    broker=st.builds(
        health.Broker, st.sampled_from(["connected", "connecting", "none", "no answer"]), st.text()
    ),
    processes=st.dictionaries(
        names, st.builds(health.Process, st.integers(1, 2**22), st.floats(0, 1e5)), max_size=3
    ),
    isolation=st.sampled_from(["required", "optional"]),
    complaints=st.lists(st.text(min_size=1).filter(str.strip), max_size=30),
    switches=st.dictionaries(names, st.builds(Switch, st.booleans(), st.floats(0, 4e9)), max_size=4),
)


def snapshot(*pipelines: PipelineStatus, **changes: Any) -> health.Snapshot:
    fine: dict[str, Any] = {
        "node": "n",
        "uptime_s": 12.4,
        "at": 1769860800.0,
        "synced": True,
        "pipelines": {p.name: p for p in pipelines},
        "counts": Counts(3, 2, 1, {}),
        "broker": health.Broker("connected", "MQTT to broker b:1883"),
    }
    return health.Snapshot(**(fine | changes))


@given(snapshots)
def test_it_is_always_by_its_schema(now: health.Snapshot) -> None:
    message = health.message(now)
    VALIDATOR.validate(json.loads(json.dumps(message, allow_nan=False)))
    assert (message["status"] == "ok") == (not message["problems"])


def test_the_schema_is_one_and_refuses_what_it_does_not_know() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    message = health.message(snapshot(status()))
    for part in (message, message["pipelines"]["porch"]):
        part["more"] = 1
        assert not VALIDATOR.is_valid(message)
        del part["more"]
    assert VALIDATOR.is_valid(message)


def test_all_is_well() -> None:
    message = health.message(
        snapshot(status(), status("yard", state="disabled", enabled=False, online=False))
    )
    assert (message["status"], message["problems"]) == ("ok", [])
    assert (message["queue"], message["uptime_s"]) == (1, 12)
    assert message["events"] == {"accepted": 3, "acknowledged": 2, "queued": 1, "dropped": {}}


def test_a_pipeline_that_does_not_work_is_a_problem_and_named_first() -> None:
    away = status("yard", state="waiting", online=False, fault="source", last_error="/dev/video0 is away")
    message = health.message(snapshot(status(degraded=True), away))
    assert message["status"] == "problem"
    assert message["problems"] == ["yard: /dev/video0 is away", "porch: runs on cpu, not as configured"]


@pytest.mark.parametrize(
    ("pipeline", "changes", "sentence"),
    [
        ({"degraded": True}, {}, "porch: runs on cpu, not as configured"),
        ({"isolation": ()}, {}, not_isolated("porch: its worker")),
        (
            {},
            {"broker": health.Broker("auth refused", "wrong password", "auth")},
            "broker: auth refused: wrong password",
        ),
        (
            {},
            {"complaints": ["the changed configuration was refused"]},
            "the changed configuration was refused",
        ),
    ],
)
def test_what_is_not_as_it_should_be(
    pipeline: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    message = health.message(snapshot(status(**pipeline), **changes))
    assert (message["status"], message["problems"]) == ("degraded", [sentence])


@pytest.mark.parametrize("state", ["connecting", "connected", "none"])
def test_a_broker_that_is_being_reached_or_not_wanted_is_no_problem(state: str) -> None:
    assert health.message(snapshot(status(), broker=health.Broker(state, "")))["status"] == "ok"


@pytest.mark.parametrize("state", ["disabled", "starting", "running", "ended", "waiting"])
def test_home_assistant_and_health_agree_about_a_pipeline(state: str) -> None:
    message = health.message(snapshot(status(state=state)))
    assert (message["status"] != "problem") == (state in FINE)


def test_a_mode_that_crops_is_told_and_is_no_problem() -> None:
    for public in (False, True):
        message = health.message(snapshot(status(view=(0.5, 0.667)), status("yard")), public=public)
        assert message["pipelines"]["porch"]["view"] == {"width": 0.5, "height": 0.667}
        assert "view" not in message["pipelines"]["yard"]
        assert message["problems"] == []


def test_who_shares_a_camera_is_told() -> None:
    for public in (False, True):
        message = health.message(
            snapshot(status(), status("yard"), cameras={"porch": "front"}), public=public
        )
        assert message["pipelines"]["porch"]["camera"] == "front"
        assert "camera" not in message["pipelines"]["yard"]


def test_pictures_without_movement_are_counted_and_are_not_dropped() -> None:
    still = status(moves=False, dropped={"still": 70, "black": 1})
    for public in (False, True):
        message = health.message(snapshot(still, status("yard")), public=public)
        assert message["pipelines"]["porch"]["motion"] == {"moves": False, "skipped": 70}
        assert message["pipelines"]["porch"]["dropped"] == {"black": 1}
        assert "motion" not in message["pipelines"]["yard"]
        assert message["problems"] == []


def test_a_network_camera_keeps_its_route_by_configuration() -> None:
    message = health.message(snapshot(status(isolation=(), network=True)))
    assert (message["status"], message["pipelines"]["porch"]["network"]) == ("ok", True)


def test_many_problems_are_counted() -> None:
    message = health.message(snapshot(complaints=[f"complaint {n}" for n in range(64)]))
    assert len(message["problems"]) == health.MOST_PROBLEMS
    assert message["problems"][-1] == f"and {64 - health.MOST_PROBLEMS + 1} more"


def test_sentences_are_bounded() -> None:
    message = health.message(snapshot(status(last_error="x" * 400, state="waiting", fault="source")))
    assert len(message["pipelines"]["porch"]["last_error"]) == health.LONGEST
    assert message["problems"][0].endswith("…")


def test_figures_are_no_news_and_states_are() -> None:
    before = health.message(snapshot(status()))
    figures_moved = health.message(
        snapshot(status(fps=9.0, frames=7), uptime_s=99.0, at=1769860900.0, counts=Counts(9, 9, 0, {}))
    )
    state_moved = health.message(snapshot(status(state="waiting", fault="source", last_error="away")))
    assert health.essence(before) == health.essence(figures_moved)
    assert health.essence(before) != health.essence(state_moved)


def test_what_was_lost_is_said_for_an_hour() -> None:
    now = [0.0]
    losses = health.Losses(lambda: now[0])
    assert losses.sentences({"full": 0}) == []
    assert losses.sentences({"full": 1}) == ["events were dropped within the last hour (full)"]
    now[0] = 3000.0
    assert losses.sentences({"full": 1, "age": 2}) == ["events were dropped within the last hour (age, full)"]
    now[0] = 4000.0
    assert losses.sentences({"full": 1, "age": 2}) == ["events were dropped within the last hour (age)"]
    now[0] = 9000.0
    assert losses.sentences({"full": 1, "age": 2}) == []


def test_the_line_in_the_log_repeats_no_problem() -> None:
    fine = health.message(snapshot(status()))
    assert health.started(fine) == "1 of 1 pipelines running, 1 event queued"
    bad = health.message(snapshot(status(state="waiting", fault="source", last_error="away")))
    assert health.started(bad) == "0 of 1 pipelines running, 1 event queued; 1 problem: see above"


def test_the_headline() -> None:
    fine = health.message(snapshot(status(), status("yard", state="starting")))
    assert health.headline(fine) == "1 of 2 pipelines running, 1 event queued"
    bad = health.message(snapshot(status(state="waiting", fault="source", last_error="away")))
    assert health.headline(bad) == "0 of 1 pipelines running, 1 event queued; porch: away"


def test_memory_is_measured_of_those_that_are_there() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    found = health.measure({"main": os.getpid(), "gone": gone.pid})
    assert found.keys() == {"main"}
    assert 5 < found["main"].rss_mb < 2000


def test_what_was_decided_last_stands_with_its_pipeline() -> None:
    now = health.Snapshot(
        node="n",
        uptime_s=1,
        at=1,
        synced=True,
        pipelines={"porch": status("porch"), "attic": status("attic")},
        counts=Counts(0, 0, 0, {}),
        broker=health.Broker("connected", ""),
        decided={"porch": Decided("cat", "2026-03-01T12:00:00.000Z")},
    )
    pipelines = health.message(now)["pipelines"]
    assert pipelines["porch"]["decision"] == {"label": "cat", "since": "2026-03-01T12:00:00.000Z"}
    assert pipelines["attic"]["decision"] is None


def test_what_leaves_has_no_word_of_a_worker() -> None:
    leak = "row 7 of the porch"
    fault = status(
        state="waiting", online=False, fault="source", last_error=leak, public_error="its own words"
    )
    sensor = SensorState("lux", "waiting", leak, 3, 1)
    now = snapshot(fault, sensors={"lux": sensor})
    local, public = health.message(now), health.message(now, public=True)
    assert local["pipelines"]["porch"]["last_error"] == leak
    assert leak not in json.dumps(public)
    assert public["pipelines"]["porch"]["last_error"] == "its own words"
    assert "porch: its own words" in public["problems"]
    assert public["sensors"]["lux"]["last_error"].startswith("it cannot be read")
    assert public["status"] == local["status"]


def test_notes_are_no_problems_and_leave_in_mains_words() -> None:
    noted = status("porch", notes={"labels": "owl: two classes are called cat"})
    local, public = (health.message(snapshot(noted), public=which) for which in (False, True))
    assert local["status"] == public["status"] == "ok"
    assert local["notes"] == ["porch: owl: two classes are called cat"]
    assert public["notes"] == ["porch: names of its model's labels are not clear; edged check names them"]
    VALIDATOR.validate(public)


def test_where_several_labels_are_there_the_decision_counts_them() -> None:
    there = (Present("cat", "", 1, 0.9, 1.7e9), Present("dog", "left", 2, 0.9, 1.7e9))
    decided = {"porch": Decided("cat", "2026-01-31T12:00:00.000Z")}
    shown = health.message(snapshot(status(present=there), decided=decided))["pipelines"]["porch"]["decision"]
    assert shown == {"label": "cat", "since": "2026-01-31T12:00:00.000Z", "present": {"cat": 1, "dog": 2}}
