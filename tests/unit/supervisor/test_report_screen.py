"""A worker with an attacker in it: what main takes of its reports, and how often."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edged.config.pipeline import PipelineSection
from edged.events import (
    BOX_DIGITS,
    MOST_BOXES,
    MOST_CLOSER,
    MOST_OBJECTS,
    UNKNOWN,
    Attached,
    Detection,
    Finding,
    ModelTag,
)
from edged.ipc import fault_sentences
from edged.ipc.codec import WireError
from edged.ipc.pace import BURST, MOST_PER_S, pace
from edged.ipc.worker_messages import (
    Beat,
    Ended,
    Fault,
    Features,
    Held,
    Labels,
    Outcome,
    Ready,
    Report,
    Running,
    decode,
    encode,
    in_parts,
)
from edged.models import bundled
from edged.models import labels as label_files
from edged.supervisor.report_screen import (
    BEATS_BURST,
    MAX_AGE_S,
    MAX_FRAME,
    MAX_GROWTH,
    MAX_OWN,
    OLDEST_S,
    SCORE_DIGITS,
    STATES_BURST,
    VALUE_DIGITS,
    Known,
    ReportScreen,
    known_of,
)
from edged.tasks.detect import MOST_ZONES

TAG = ModelTag("mobilenet", "0c9f1a2b")
NAMES = ("cat", "dog", "owl", "ant")
WALL = 1_769_860_800.0


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Stand:
    """A screen on its test stand, with a clock that a test moves."""

    def __init__(
        self, labels: tuple[str, ...] | None = NAMES, *, all_results: bool = False, **keys: Any
    ) -> None:
        section: dict[str, Any] = {"source": {"kind": "synthetic", "interval_s": 1.0}} | keys
        self.time = Time()
        self.screen = ReportScreen(
            PipelineSection.model_validate(section), all_results=all_results, now=self.time, wall=lambda: WALL
        )
        self.labels = None if labels is None else frozenset(labels)
        self.another_worker()

    def another_worker(self, sha256: str = "") -> None:
        self.screen.begin({"cpu": Known(self.labels, TAG if sha256 else None, sha256)})

    def takes(self, report: Report, *, behind: bool = False) -> Any:
        return self.screen.check(decode(encode(report)), behind=behind)

    def refuses(self, report: Report, why: str) -> None:
        with pytest.raises(WireError, match=why):
            self.takes(report)

    def ready(self) -> Stand:
        self.takes(Ready("porch", TAG, "litert", "cpu"))
        return self


def outcome(kind: str = "start", label: str = "cat", **changes: Any) -> Outcome:
    plain: dict[str, Any] = {
        "score": 0.75,
        "previous": UNKNOWN,
        "top": (Finding(label, 0.75),),
        "captured_at": WALL - 0.02,
        "decided_at": WALL - 0.01,
    }
    return Outcome("porch", kind, label, **plain | changes)


# Labels.


@pytest.mark.parametrize(
    "attack",
    [
        outcome(label="eyJwaXhlbHMiOiJ"),
        outcome(previous="pixels"),
        outcome(top=(Finding("cat", 0.75), Finding("row 7 of the porch", 0.1))),
    ],
)
def test_a_label_that_the_model_does_not_have_is_refused(attack: Outcome) -> None:
    Stand().ready().refuses(attack, "a label that its model does not have")


def test_labels_of_the_file_pass_as_the_pipe_shows_them() -> None:
    stand = Stand(("Häuser", "a?b"))
    stand.ready()
    assert stand.takes(outcome(label="Häuser")).label == "Häuser"
    assert stand.takes(outcome(label="a\u202eb")).label == "a?b"  # the pipe replaces it, and main too


def test_labels_are_taken_once_and_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stand = Stand(labels=None)
    parts = list(in_parts("porch", NAMES))
    for part in parts:
        assert stand.takes(part) is None
    stand.ready()
    digest = hashlib.sha256("\n".join(NAMES).encode()).hexdigest()[:16]
    shown = f"4, from 'cat' to 'ant', sha256 {digest}"
    assert caplog.messages == [f"porch: takes the labels of its model: {shown}"]
    assert stand.takes(outcome(label="owl")).label == "owl"
    stand.refuses(outcome(label="fox"), "a label that its model does not have")
    stand.another_worker()
    for part in in_parts("porch", ("pixels", *NAMES[1:])):
        stand.takes(part)
    stand.refuses(Ready("porch", TAG, "litert", "cpu"), "other labels than the worker before it")


def test_another_model_may_have_other_labels() -> None:
    stand = Stand(labels=None)
    for sha256, labels in (("a" * 64, NAMES), ("b" * 64, ("fox",))):
        stand.another_worker(sha256)
        for part in in_parts("porch", labels):
            stand.takes(part)
        stand.ready()
        assert stand.takes(outcome(label=labels[0])).label == labels[0]


def test_no_label_comes_after_ready_or_out_of_turn() -> None:
    stand = Stand(labels=None)
    stand.refuses(Labels("porch", 5, 9, ("cat",)), "labels out of turn")
    stand.refuses(Ready("porch", TAG, "litert", "cpu"), "ready without labels")
    stand.another_worker()
    stand.takes(Labels("porch", 0, 1, ("cat",)))
    stand.ready()
    stand.refuses(Labels("porch", 1, 2, ("dog",)), "labels out of turn")


def test_the_labels_that_a_worker_tells_are_bounded() -> None:
    stand = Stand(labels=None)
    most = 1_000_000 // (18 * 128 * 3)
    for number in range(most):
        stand.takes(Labels("porch", number * 18, 10**6, ("猫" * 128,) * 18))
    stand.refuses(Labels("porch", most * 18, 10**6, ("猫" * 128,) * 18), "too many labels")


def test_many_labels_cross_the_pipe_in_parts() -> None:
    names = tuple(f"{'猫' * 100} {number}" for number in range(1000))
    parts = [decode(encode(part)) for part in in_parts("porch", names)]
    assert all(isinstance(part, Labels) for part in parts)
    assert tuple(label for part in parts for label in part.labels) == names  # type: ignore[union-attr]  # asserted


# What is known without a worker.


def _files(*paths: Path) -> dict[Path, tuple[int, str]]:
    return {p: (os.open(p, os.O_RDONLY), hashlib.sha256(p.read_bytes()).hexdigest()) for p in paths}


def test_main_knows_model_and_labels_from_their_files(tmp_path: Path) -> None:
    model, labels = tmp_path / "porch\x1b[2J.tflite", tmp_path / "labels.txt"
    model.write_bytes(b"model")
    labels.write_text("cat\ndog\n")
    keys = {"source": {"kind": "synthetic"}, "model": {"file": str(model), "labels": str(labels)}}
    section = PipelineSection.model_validate(keys)
    found = known_of(section, _files(model, labels), accelerated=False)["cpu"]
    assert found.labels == {"cat", "dog"}
    assert found.tag == ModelTag("porch?[2J", found.sha256[:8])
    assert known_of(section, {}, accelerated=False)["cpu"] == Known()
    labels.write_bytes(b"\xff")
    assert known_of(section, _files(labels), accelerated=False)["cpu"].labels == frozenset()


def test_main_knows_the_labels_of_the_bundled_model_and_of_tasks_with_their_own() -> None:
    section = PipelineSection.model_validate({"source": {"kind": "synthetic"}})
    names = set(label_files.load(bundled.LABELS).names)
    assert known_of(section, {}, accelerated=False)["cpu"].labels == names
    series = {"kind": "sensors", "channels": ["x"], "step_s": 0.1, "window": 8}
    section = PipelineSection.model_validate({"source": series, "task": {"kind": "anomaly"}})
    assert known_of(section, {}, accelerated=False)["cpu"].labels == {"anomaly"}


def test_where_the_cpu_may_take_over_main_knows_both(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\n")
    model = {"file": "a.tflite", "edgetpu_file": "a_edgetpu.tflite", "labels": str(labels)}
    for policy, kinds in (("prefer", {"cpu", "edgetpu"}), ("require", {"edgetpu"})):
        keys = {"source": {"kind": "synthetic"}, "model": model, "accelerator": {"policy": policy}}
        section = PipelineSection.model_validate(keys)
        assert known_of(section, _files(labels), accelerated=True).keys() == kinds


def test_what_main_knows_goes_before_what_a_worker_says() -> None:
    stand = Stand()
    stand.another_worker("0" * 64)
    lie = Ready("porch", ModelTag("x" * 64, "ffffffff"), "litert", "cpu", degraded=True, network=True)
    ready = stand.takes(lie)
    assert (ready.model, ready.degraded, ready.network) == (TAG, False, False)
    stand.refuses(Ready("porch", TAG, "litert", "cpu"), "or twice")
    stand.another_worker()
    stand.refuses(Ready("porch", TAG, "litert", "edgetpu"), "an accelerator that it was not to use")


def test_the_name_of_a_model_that_main_cannot_read_is_taken_once() -> None:
    stand = Stand().ready()
    stand.another_worker()
    assert stand.takes(Ready("porch", ModelTag("pixels", "12345678"), "litert", "cpu")).model == TAG


# Pace.


@pytest.mark.parametrize(
    ("every_s", "per_second", "burst"),
    [
        (1.0, 2.0, 20.0),
        (10.0, 1.0, 20.0),
        (0.1, 20.0, 60.0),
        (0.0, MOST_PER_S, MOST_PER_S),
        (1e-6, 1e3, 1e3),
    ],
)
def test_the_pace_follows_the_interval(every_s: float, per_second: float, burst: float) -> None:
    assert pace(every_s) == (per_second, burst)
    assert pace(every_s).workers_burst == burst / 2


def test_several_labels_at_a_time_have_room_for_events_of_each() -> None:
    assert pace(1.0, by_label=True) == (6.0, BURST)
    assert pace(0.0, by_label=True).per_second == MOST_PER_S
    assert pace(10.0, by_label=True).per_second == 3.0


def test_a_flood_of_events_ends_with_the_burst() -> None:
    stand = Stand().ready()
    for _ in range(int(BURST)):
        stand.takes(outcome())
    stand.refuses(outcome(), "more than 2 events a second")


def test_over_an_hour_no_more_leaves_than_the_pace() -> None:
    stand = Stand().ready()
    passed = 0
    for second in range(3600):
        stand.time.now = 100.0 + second
        for _ in range(50):
            try:
                stand.takes(outcome())
            except WireError:
                break
            passed += 1
    assert 2 * 3600 - 2 <= passed <= 2 * 3600 + BURST


def test_what_piled_up_while_main_was_away_is_no_flood() -> None:
    stand = Stand().ready()
    for _ in range(200):
        stand.takes(outcome(), behind=True)
    stand.refuses(outcome(), "events a second")
    stand.screen.refill()
    stand.takes(outcome())


def test_features_come_only_from_a_pipeline_that_learns_over_mqtt() -> None:
    Stand().ready().refuses(Features("porch", "AAAA"), "features, which nobody asked for")
    source = {"kind": "folder", "path": "/p", "interval_s": 1.0}
    taught = {"model": {"taught": "/s/models/taught/discs"}, "teach": {"allow": "local"}}
    stand = Stand(source=source, **taught).ready()
    assert stand.takes(Features("porch", "AAA=")) == Features("porch", "AAA=")
    for odd in ("AAAA!", "AA==AA", 6001 * "A"):
        stand.refuses(Features("porch", odd), "base64 expected")
    for _ in range(int(STATES_BURST)):
        with contextlib.suppress(WireError):
            stand.takes(Features("porch", "AAAA"))
    stand.refuses(Features("porch", "AAAA"), "changes of its state a second")


def test_results_leave_only_where_they_are_published_and_at_their_own_pace() -> None:
    Stand().ready().refuses(outcome("result"), "results, which nobody asked for")
    stand = Stand(publish={"result": True}).ready()
    for _ in range(int(BURST)):
        stand.takes(outcome("result"))
        stand.takes(outcome())
    stand.refuses(outcome("result"), "more than 2 results a second")


def test_somebody_on_this_machine_may_want_every_result() -> None:
    stand = Stand(all_results=True).ready()
    for _ in range(5000):
        stand.takes(outcome("result"))


@pytest.mark.parametrize(
    ("report", "burst", "why"),
    [
        (Fault("porch", "source", "lost", "pixels"), STATES_BURST, "changes of its state"),
        (Running("porch"), STATES_BURST, "changes of its state"),
        (Held("porch", ""), STATES_BURST, "changes of its state"),
        (Ended("porch"), STATES_BURST, "changes of its state"),
        (Beat("porch", 1.0, 1.0, 1.0, 1.0, 1), BEATS_BURST, "figures"),
    ],
)
def test_a_flood_of_anything_else_ends_too(report: Report, burst: float, why: str) -> None:
    stand = Stand().ready()
    for _ in range(int(burst) - (burst == STATES_BURST)):  # Ready was one of these
        stand.takes(report)
    stand.refuses(report, why)


# Numbers and times.


def test_scores_are_rounded() -> None:
    top = (Finding("cat", 1 / 3), Finding("dog", math.pi / 9))
    taken = Stand().ready().takes(outcome(score=1 / 3, top=top))
    assert (taken.score, [f.score for f in taken.top]) == (0.333, [0.333, 0.349])


@pytest.mark.parametrize(
    ("captured_at", "decided_at"), [(0.0, 0.0), (253402300799.0, 253402300799.0), (WALL - 1, WALL + 1e6)]
)
def test_times_are_of_the_last_minute(captured_at: float, decided_at: float) -> None:
    taken = Stand().ready().takes(outcome(captured_at=captured_at, decided_at=decided_at))
    assert WALL - OLDEST_S <= taken.captured_at <= taken.decided_at <= WALL


def test_no_more_findings_than_the_task_reports() -> None:
    top = tuple(Finding(name, 0.5) for name in NAMES)
    Stand().ready().refuses(outcome(top=top), "more findings")
    assert len(Stand(task={"top_k": 4}).ready().takes(outcome(top=top)).top) == 4


def test_a_frame_has_a_number_only_where_the_source_counts(tmp_path: Path) -> None:
    assert Stand().ready().takes(outcome(frame=7)).frame is None
    stand = Stand(source={"kind": "folder", "path": str(tmp_path)}).ready()
    assert stand.takes(outcome(frame=7)).frame == 7
    stand.refuses(outcome(frame=1 << 40), "impossible number")


def test_readings_are_those_of_the_configuration() -> None:
    stand = Stand(attach=["hall/lux"]).ready()
    reading = Attached("hall/lux", 123.456789, "lx", "good", 0.123456)
    (taken,) = stand.takes(outcome(readings=(reading,))).readings
    assert (taken.value, taken.age_s) == (123.457, 0.1)
    stand.refuses(outcome(readings=(Attached("pixels", 1.0, "lx", "good", 0.0),)), "was not to attach")
    stand.refuses(outcome(readings=(reading, reading)), "was not to attach")
    stand.takes(outcome(readings=(Attached("hall/lux", None, "", "bad", 0.0),)))
    stand.refuses(outcome(readings=(Attached("hall/lux", 1.0, "pixels", "good", 0.0),)), "another unit")


def test_the_level_of_sound_is_a_number_to_a_tenth_and_nothing_else() -> None:
    stand = Stand(source={"kind": "sound", "path": "/a.wav"}, model={"file": "/m.tflite"}).ready()
    reading = Attached("level", -23.456789, "dBFS", "suspect", 1.23)
    (taken,) = stand.takes(outcome(readings=(reading,))).readings
    assert taken == Attached("level", -23.5, "dBFS", "good", 0.0)
    (taken,) = stand.takes(outcome(readings=(replace(reading, value=1e9),))).readings
    assert taken.value == MAX_OWN
    stand.refuses(outcome(readings=(replace(reading, name="sound"),)), "was not to attach")


# Words.


def test_a_gate_is_closed_by_what_it_has() -> None:
    stand = Stand(gate={"conditions": [{"sensor": "hall/lux", "above": 5}]}).ready()
    for clause in ("", "not armed", "hall/lux is unknown", "the condition on hall/lux does not hold"):
        assert stand.takes(Held("porch", clause)).held_by == clause
    stand.refuses(Held("porch", "row 7 of the porch"), "a condition that its gate does not have")


def test_reasons_that_edged_does_not_have_are_one_reason() -> None:
    beat = Stand().ready().takes(Beat("porch", 1.0, 1.0, 1.0, 1.0, 9, {"frozen": 1, "pixels": 2, "row 7": 3}))
    assert beat.dropped == {"frozen": 1, "other": 5}


@pytest.mark.parametrize(("keys", "taken"), [({"motion": {}}, True), ({}, None)])
def test_only_a_motion_gate_says_whether_something_moves(keys: dict[str, Any], taken: bool | None) -> None:
    beat = Beat("porch", 1.0, 1.0, 1.0, 1.0, 9, {"still": 3}, moves=True)
    assert Stand(**keys).ready().takes(beat).moves is taken


def test_figures_are_rounded_and_counters_grow_as_they_can() -> None:
    stand = Stand().ready()
    beat = stand.takes(Beat("porch", 1234.5678, 0.0123456, 9.87654e8, 1.0, 2**53 - 1, {"frozen": 10**9}))
    assert (beat.fps, beat.capture_ms, beat.invoke_p50_ms) == (1230.0, 0.0123, 9.88e8)
    assert (beat.frames, beat.dropped) == (MAX_GROWTH, {"frozen": MAX_GROWTH})
    stand.takes(Beat("porch", 1.0, 1.0, 1.0, 1.0, MAX_GROWTH + 5))
    assert stand.takes(Beat("porch", 1.0, 1.0, 1.0, 1.0, 7)).frames == MAX_GROWTH + 5
    stand.another_worker()
    assert stand.takes(Beat("porch", 1.0, 1.0, 1.0, 1.0, 7)).frames == 7


def detecting(*, all_results: bool = False, **publish: bool) -> Stand:
    zones = {"door": [[0, 0], [1, 0], [1, 1]]}
    model = {"file": "ssd.tflite"}
    task = {"kind": "detect", "zones": zones}
    return Stand(all_results=all_results, model=model, task=task, publish=publish)


def test_counts_zones_and_boxes_are_those_of_the_configuration() -> None:
    box = (0.12345, 0.0, 1.0, 0.5)
    stand = detecting(boxes=True).ready()
    taken = stand.takes(outcome(count=2, zone="door", boxes=(box,)))
    assert (taken.count, taken.zone, taken.boxes) == (2, "door", ((0.123, 0.0, 1.0, 0.5),))
    for wrong, why in (
        (outcome(), "a count"),
        (outcome(count=1, zone="somewhere"), "a zone"),
        (outcome(count=101), "a number from 0 to 100"),
        (outcome(count=1, zone="door", boxes=(box,) * 11), "at most 10"),
        (outcome(count=1, zone="door", boxes=((0.9, 0.0, 0.1, 1.0),)), "a box"),
    ):
        stand.refuses(wrong, why)
    stand = detecting().ready()
    stand.refuses(outcome(count=1, boxes=(box,)), "boxes")
    stand = Stand().ready()
    stand.refuses(outcome(count=1), "a count")


def test_all_that_was_found_is_for_a_person_who_looks() -> None:
    found = (Detection("cat", 0.12345, (0.12345, 0.0, 1.0, 0.5)), Finding("dog", 0.5))
    result = outcome("result", top=(), found=found, count=1)
    taken = detecting(all_results=True).ready().takes(result)
    assert taken.found == (Detection("cat", 0.123, (0.123, 0.0, 1.0, 0.5)), Finding("dog", 0.5))
    detecting(result=True).ready().refuses(result, "all that it found")
    stand = detecting(all_results=True).ready()
    stand.refuses(outcome("start", top=(), found=found, count=1), "all that it found")
    stand.refuses(replace(result, found=(Finding("tiger", 0.5),)), "a label")
    Stand(all_results=True).ready().refuses(outcome("result", found=found), "all that it found")


def test_no_event_carries_more_bits_than_the_documents_say() -> None:
    """Count the values that each field can have once main has taken it."""
    classes, top_k = 1001, 3
    label, score = math.log2(classes + 1), math.log2(10**SCORE_DIGITS + 1)
    bits = {
        "type": math.log2(4),
        "label and score": label + score,
        "previous, of a heartbeat": label,
        "top": top_k * (label + score),
        "captured_at, ts and latency_ms": 2 * math.log2(10_000 * OLDEST_S),
    }
    reading = math.log2(2 * 10**VALUE_DIGITS * 617) + math.log2(10 * MAX_AGE_S) + math.log2(4) + 1
    counters = 1 + len(fault_sentences.DROPS) + 1
    figures = 4 * math.log2(900 * 18) + counters * math.log2(MAX_GROWTH + 1)
    figures += math.log2(10 * 768)  # the memory of its process, to 0.1 MB
    figures += math.log2(fault_sentences.SENTENCES * 5 * 2)  # with its state, and whether it is online
    figures += fault_sentences.NOTES  # each there or not
    figures += 1  # whether something moves
    said = Path(__file__).parents[3].joinpath("docs/security.md").read_text("utf-8")
    level = math.log2(20 * MAX_OWN + 1)
    for number, unit in (
        (math.ceil(level), "bits for the level of sound"),
        (round(sum(bits.values())), "bits an event"),
        (round(reading), "bits for each reading"),
        (round(math.log2(MOST_OBJECTS + 1) + math.log2(MOST_ZONES + 1)), "bits for count and zone"),
        (round(MOST_BOXES * 4 * math.log2(10**BOX_DIGITS + 1)), "bits for the boxes"),
        (round(MOST_CLOSER * (label + score)), "bits for the closer look"),
        (round(math.log2(MAX_FRAME)), "bits for the number of a frame"),
        (round(figures), "bits a health message"),
    ):
        assert f"{number} {unit}" in said


def test_a_closer_look_says_labels_of_its_model_and_only_where_it_is_configured() -> None:
    seen = outcome(count=1, then=(Finding("owl", 0.81234),))
    stand = Stand(model={"file": "ssd.tflite"}, task={"kind": "detect"}, then={}).ready()
    assert stand.takes(seen).then == (Finding("owl", 0.812),)
    stand.refuses(outcome(count=1, then=(Finding("pixels", 0.8),)), "a label that its model does not have")
    stand.refuses(outcome(count=1, then=(Finding("owl", 0.8),) * 4), "at most 3")
    stand = Stand(model={"file": "ssd.tflite"}, task={"kind": "detect"}).ready()
    stand.refuses(seen, "a closer look")


def test_main_knows_the_labels_of_both_models_or_asks_for_both(tmp_path: Path) -> None:
    first, labels = tmp_path / "a.tflite", tmp_path / "a.txt"
    first.write_bytes(b"a")
    labels.write_text("person\nbird\n")
    keys: dict[str, Any] = {"source": {"kind": "synthetic"}, "task": {"kind": "detect"}}
    model = {"file": str(first), "labels": str(labels)}
    section = PipelineSection.model_validate({**keys, "model": model, "then": {}})
    known = known_of(section, _files(first, labels), accelerated=False)["cpu"].labels
    assert known is not None
    assert {"person", "bird"} < known
    assert "macaw" in known
    section = PipelineSection.model_validate(
        {**keys, "model": model, "then": {"model": {"file": str(first)}}}
    )
    assert known_of(section, _files(first, labels), accelerated=False)["cpu"].labels is None
