from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from edged.config.task import TASKS
from edged.events import MOST_PRESENT, UNKNOWN, Finding, ModelTag, Present
from edged.ipc import worker_messages
from edged.supervisor.pipeline_status import LINES, StatusBoard, still_present

if TYPE_CHECKING:
    import pytest

    from edged.supervisor import PipelineStatus

TAG = ModelTag("mobilenet", "0c9f1a2b")
CAT = worker_messages.Outcome("porch", "start", "cat", 0.9, "unknown", (Finding("cat", 0.9),), 1.7e9, 1.7e9)


class Diary:
    def __init__(self) -> None:
        self.outcomes: list[worker_messages.Outcome] = []
        self.changes: list[PipelineStatus] = []

    def outcome(self, outcome: worker_messages.Outcome, status: PipelineStatus) -> None:
        assert status.name == outcome.pipeline
        self.outcomes.append(outcome)

    def changed(self, status: PipelineStatus) -> None:
        self.changes.append(status)


def running(diary: Diary, *names: str) -> StatusBoard:
    status_board = StatusBoard(names, diary)
    status_board.starting()
    status_board.started(4711, names)
    for name in names:
        status_board.take(worker_messages.Ready(name, TAG, "litert", "cpu", isolation=("seccomp",)))
        status_board.take(worker_messages.Running(name))
    return status_board


def only(status_board: StatusBoard) -> PipelineStatus:
    (status,) = status_board.all()
    return status


def test_a_pipeline_starts_and_runs() -> None:
    diary = Diary()
    status_board = StatusBoard(["porch"], diary)
    assert only(status_board).state == "starting"
    status_board.starting()
    status_board.started(4711, ["porch"])
    status_board.take(worker_messages.Ready("porch", TAG, "litert", "cpu", isolation=("seccomp",)))
    assert (only(status_board).state, only(status_board).online) == ("starting", False)
    status_board.take(worker_messages.Running("porch"))
    status = only(status_board)
    assert (status.state, status.online, status.model, status.pid) == ("running", True, TAG, 4711)
    assert [s.state for s in diary.changes] == ["running"]


def test_the_view_is_that_of_the_mode_that_is_in_use() -> None:
    status_board = running(Diary(), "porch")
    status_board.take(worker_messages.Running("porch", (0.5, 0.667)))
    assert only(status_board).view == (0.5, 0.667)
    status_board.take(worker_messages.Running("porch"))
    assert only(status_board).view == ()


def test_a_fault_takes_it_offline_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary()
    status_board = running(diary, "porch")
    diary.changes.clear()
    caplog.set_level(logging.INFO)
    for _ in range(100):
        status_board.take(worker_messages.Fault("porch", "source", "absent", "there is no camera"))
    status = only(status_board)
    assert (status.state, status.online, status.fault) == ("waiting", False, "source")
    assert status.reason == "absent"
    assert status.last_error == "there is no camera"
    assert len(diary.changes) == 1
    assert caplog.messages == ["porch: there is no camera"]
    status_board.take(worker_messages.Running("porch"))
    assert (only(status_board).fault, only(status_board).last_error) == ("", "there is no camera")
    assert only(status_board).reason == ""
    assert caplog.messages[1:] == ["porch: running again"]


def test_figures_go_on_over_restarts() -> None:
    diary = Diary()
    status_board = running(diary, "porch")
    status_board.take(worker_messages.Beat("porch", 10.0, 1.0, 2.0, 3.0, 100, {"frozen": 2}))
    status_board.exited("defect", "crashed", "the worker was ended by SIGKILL", ())
    status_board.started(4712, ["porch"])
    status_board.take(worker_messages.Ready("porch", TAG, "litert", "cpu"))
    status_board.take(worker_messages.Beat("porch", 9.0, 1.0, 2.0, 3.0, 7, {"frozen": 1, "black": 1}))
    status = only(status_board)
    assert (status.frames, dict(status.dropped), status.restarts) == (107, {"frozen": 3, "black": 1}, 1)
    assert diary.outcomes == []


def test_no_figures_before_the_first_frame() -> None:
    status_board = running(Diary(), "porch")
    status_board.take(worker_messages.Beat("porch", 0.0, 0.0, 0.0, 0.0, 0))
    assert only(status_board).invoke_p50_ms is None


def test_each_pipeline_of_a_worker_says_what_is_wrong_with_it() -> None:
    status_board = running(Diary(), "porch", "attic")
    status_board.take(worker_messages.Fault("porch", "model", "file", "m.tflite: truncated"))
    status_board.exited("defect", "crashed", "the worker was ended by SIGSEGV", {"porch"})
    porch, attic = status_board.all()
    assert (porch.fault, porch.last_error) == ("model", "m.tflite: truncated")
    assert (attic.fault, attic.last_error) == ("defect", "the worker was ended by SIGSEGV")
    assert (porch.reason, attic.reason) == ("file", "")
    assert porch.pid is attic.pid is None


def test_a_source_that_gave_everything_stays_ended() -> None:
    status_board = running(Diary(), "porch", "attic")
    status_board.take(worker_messages.Ended("porch"))
    assert not status_board.ended()
    status_board.exited("defect", "crashed", "the worker was ended by SIGSEGV", ())
    status_board.starting()
    status_board.fault("defect", "the fork server ended", "waiting")
    porch, attic = status_board.all()
    assert (porch.state, porch.restarts, porch.fault) == ("ended", 0, "")
    assert (attic.state, attic.restarts) == ("waiting", 1)
    status_board.take(worker_messages.Ended("attic"))
    assert status_board.ended()


def test_what_was_decided_is_remembered_and_a_mere_result_is_not() -> None:
    diary = Diary()
    status_board = running(diary, "porch")
    status_board.take(CAT)
    status_board.take(
        worker_messages.Outcome("porch", "result", "dog", 0.2, "cat", (Finding("dog", 0.2),), 1.7e9, 1.7e9)
    )
    assert status_board.label("porch") == "cat"
    assert status_board.label("attic") == "unknown"
    assert [o.type for o in diary.outcomes] == ["start", "result"]


def test_what_was_known_goes_on_in_another_worker() -> None:
    status_board = running(Diary(), "porch")
    status_board.take(worker_messages.Beat("porch", 10.0, 1.0, 2.0, 3.0, 100))
    status_board.exited("accelerator", "hung", "the worker hung running the model for 5.2 s", ())
    other = StatusBoard(["porch"], Diary(), {"porch": only(status_board)})
    status = only(other)
    assert (status.frames, status.restarts, status.fault, status.state) == (100, 1, "accelerator", "waiting")


def test_a_worker_writes_into_the_log_but_not_into_what_leaves(caplog: pytest.LogCaptureFixture) -> None:
    diary = Diary()
    status_board = running(diary, "porch")
    for number in range(1000):
        status_board.take(worker_messages.Fault("porch", "source", "busy", f"row {number} of the porch"))
    status = only(status_board)
    assert status.last_error == "row 999 of the porch"
    assert status.public_error == "another program uses its source; edged status on the device shows details"
    assert len(caplog.messages) <= LINES
    status_board.exited("defect", "memory", "the worker had grown to 900 MB, over 768", set())
    assert only(status_board).last_error == "the worker had grown to 900 MB, over 768"
    public = "its worker took too much memory; edged status on the device shows details"
    assert only(status_board).public_error == public


def test_the_label_before_is_the_one_that_main_has() -> None:
    diary = Diary()
    status_board = running(diary, "porch")
    for kind, label in (("start", "cat"), ("result", "owl"), ("change", "dog"), ("heartbeat", "dog")):
        status_board.take(dataclasses.replace(CAT, type=kind, label=label, previous="lie"))
    assert [o.previous for o in diary.outcomes] == ["unknown", "cat", "cat", "lie"]


def test_what_a_worker_notes_is_logged_once_and_leaves_in_mains_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    diary = Diary()
    status_board = running(diary, "porch")
    note = worker_messages.Note("porch", "input-values", "owl.tflite does not say which values it wants")
    for _ in range(3):  # each new worker sends it
        status_board.take(note)
        status_board.take(worker_messages.Note("porch", "gossip", "a reason that edged does not have"))
    status = only(status_board)
    assert status.notes == {"input-values": "owl.tflite does not say which values it wants"}
    assert "write model.normalize" in status.public_notes[0]
    assert "owl" not in status.public_notes[0]
    assert [line for line in caplog.messages if "owl" in line] == [f"porch: {note.message}"]


def test_what_is_there_by_label_is_counted_and_goes_on_in_another_worker() -> None:
    diary = Diary()
    status_board = running(diary, "porch")
    for kind, label, previous, count in (
        ("start", "cat", "unknown", 1),
        ("start", "dog", "unknown", 1),
        ("change", "dog", "dog", 2),
        ("result", "owl", "cat", 3),
        ("heartbeat", "dog", "dog", 2),
        ("end", "unknown", "cat", 0),
    ):
        report = dataclasses.replace(CAT, type=kind, label=label, previous=previous, count=count)
        status_board.take(report)
        assert diary.outcomes[-1] == report
    there = only(status_board).present
    assert there is not None
    assert [(each.label, each.count) for each in there] == [("dog", 2)]
    assert status_board.label("porch") == UNKNOWN
    known = {"porch": only(status_board)}
    assert only(StatusBoard(["porch"], diary, known)).present == there


def test_a_worker_cannot_make_more_labels_present_than_an_event_holds() -> None:
    status_board = running(Diary(), "porch")
    for number in range(50):
        status_board.take(dataclasses.replace(CAT, label=f"label {number}", count=1))
    there = only(status_board).present
    assert there is not None
    assert len(there) == MOST_PRESENT


def test_a_zone_that_is_not_configured_any_more_is_empty() -> None:
    there = (Present("cat", "door", 1, 0.9, 1.7e9), Present("cat", "yard", 1, 0.9, 1.7e9))
    triangle = [[0, 0], [1, 0], [1, 1]]
    zoned = TASKS.read({"kind": "detect", "zones": {"yard": triangle}})
    assert still_present(there, zoned) == there[1:]
    assert still_present(there, TASKS.read({"kind": "detect"})) == ()
    assert still_present(there, TASKS.read({})) is None
    assert still_present(None, zoned) == ()


def test_what_a_second_model_said_stays_with_what_is_there() -> None:
    status_board = running(Diary(), "porch")
    seen = dataclasses.replace(CAT, count=1, then=(Finding("tiger cat", 0.8),))
    for report in (seen, dataclasses.replace(CAT, type="heartbeat", count=1)):
        status_board.take(report)
        (there,) = only(status_board).present or ()
        assert there.then == seen.then
    status_board.take(dataclasses.replace(CAT, type="change", previous="cat", count=2))
    (there,) = only(status_board).present or ()
    assert (there.count, there.then) == (2, ())


def test_what_a_worker_says_of_a_pipeline_that_is_off_is_not_taken() -> None:
    diary = Diary()
    status_board = running(diary, "porch", "yard")
    status_board.take(CAT)
    status_board.remove("porch")
    diary.outcomes.clear()
    diary.changes.clear()
    for report in (
        CAT,
        worker_messages.Beat("porch", 9.0, 1.0, 1.0, 1.0, 99, {}),
        worker_messages.Running("porch"),
        worker_messages.Fault("porch", "source", "absent", "there is no camera"),
        worker_messages.Held("porch", "door is on"),
        worker_messages.Ended("porch"),
    ):
        status_board.take(report)
    status_board.fault("defect", "the worker cannot be started", state="waiting")
    assert diary.outcomes == []
    assert {status.name for status in diary.changes} == {"yard"}
    assert [status.name for status in status_board.all()] == ["yard"]
    status_board.take(worker_messages.Ready("porch", TAG, "tflite-runtime", "cpu"))
    status_board.add("porch")
    status_board.add("porch")
    porch = status_board.all()[0]
    assert (porch.state, porch.fault, porch.runtime) == ("starting", "", "tflite-runtime")
    assert diary.changes[-1] == porch
    status_board.take(CAT)
    assert diary.outcomes[-1].previous == "unknown", "it starts undecided"
