from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from edged.ipc.heartbeat import MARKS, Heartbeat, Stage
from edged.supervisor.fatal_samples import MOST, FatalSamples, decoded_by, is_certain
from edged.system.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def heartbeat() -> Iterator[Heartbeat]:
    page = Heartbeat.create()
    yield page
    page.close()


def test_only_what_is_being_decoded_counts(heartbeat: Heartbeat) -> None:
    names = ["porch", "attic", "gate"]
    for slot, stage in enumerate((Stage.CAPTURE, Stage.IDLE, Stage.CAPTURE)):
        heartbeat.capture(slot).enter(stage)
    heartbeat.capture(0).note(4711)
    heartbeat.capture(1).note(4712)
    assert decoded_by(heartbeat, names) == {"porch": 4711}
    heartbeat.capture(0).note(0)
    assert decoded_by(heartbeat, names) == {}


@pytest.mark.parametrize("nonsense", [-1.0, float(MARKS), float("nan"), float("inf")])
def test_nonsense_is_no_mark(heartbeat: Heartbeat, nonsense: Any) -> None:
    beat = heartbeat.capture(0)
    beat.enter(Stage.CAPTURE)
    beat.note(nonsense)
    assert beat.mark == 0
    beat.note(MARKS - 1)
    assert beat.mark == MARKS - 1


def test_where_it_is_certain_one_end_is_enough() -> None:
    fatal = FatalSamples()
    assert fatal.blame({"porch": 7}, certain=True)
    assert fatal.of("porch") == (7,)
    assert fatal.of("attic") == ()


def test_where_it_may_be_chance_it_takes_two_in_a_row() -> None:
    fatal = FatalSamples()
    assert [fatal.blame({"porch": mark}, certain=False) for mark in (7, 8, 7, 7)] == [False] * 3 + [True]
    assert fatal.of("porch") == (7,)


def test_of_two_samples_none_is_certain() -> None:
    fatal = FatalSamples()
    assert not fatal.blame({"porch": 7, "attic": 8}, certain=True)
    assert fatal.blame({"porch": 7, "attic": 9}, certain=True)
    assert (fatal.of("porch"), fatal.of("attic")) == ((7,), ())


def test_what_was_left_out_is_not_blamed_again() -> None:
    fatal = FatalSamples()
    assert fatal.blame({"porch": 7}, certain=True)
    assert not fatal.blame({"porch": 7}, certain=True)


def test_remembers_a_bounded_number_and_hurries_no_more_often() -> None:
    fatal = FatalSamples()
    for mark in range(1, MOST + 2):
        assert fatal.may_hurry(["porch"]) is (mark <= MOST)
        assert fatal.blame({"porch": mark}, certain=True)
    assert fatal.of("porch") == tuple(range(2, MOST + 2))


def test_a_pipeline_that_is_configured_anew_begins_anew() -> None:
    fatal = FatalSamples()
    fatal.blame({"porch": 7}, certain=True)
    fatal.forget({"porch", "attic"})
    assert fatal.of("porch") == ()


@pytest.mark.parametrize(
    ("status", "model", "certain"),
    [
        (-signal.SIGSEGV, Stage.IDLE, True),
        (70, Stage.IDLE, True),
        (-signal.SIGSEGV, Stage.INVOKE, False),
        (-signal.SIGKILL, Stage.IDLE, False),
    ],
)
def test_when_nothing_else_can_have_ended_a_worker(status: int, model: Stage, certain: bool) -> None:
    assert is_certain(Ending(status), model) is certain
