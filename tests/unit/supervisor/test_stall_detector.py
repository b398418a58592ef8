from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ipc.heartbeat import Heartbeat, Stage
from edged.supervisor.stall_detector import GRACE_S, IDLE_S, StallDetector

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINES = {Stage.INVOKE: 2.0, Stage.OPEN: 8.0}


@pytest.fixture
def heartbeat() -> Iterator[Heartbeat]:
    page = Heartbeat.create()
    yield page
    page.close()


def enter(heartbeat: Heartbeat, stage: Stage, at: float) -> None:
    beat = heartbeat.model()
    beat._monotonic = lambda: at
    beat.enter(stage)


def stall_detector(heartbeat: Heartbeat) -> StallDetector:
    return StallDetector([heartbeat.model(), heartbeat.capture(0)], DEADLINES)


def test_a_stage_in_time_is_no_news(heartbeat: Heartbeat) -> None:
    look = stall_detector(heartbeat).look
    for now in (1000.0, 1001.0, 1002.0):
        enter(heartbeat, Stage.INVOKE, 1000.0)
        assert look(now) is None


def test_overdue_is_what_two_looks_in_a_row_see(heartbeat: Heartbeat) -> None:
    look = stall_detector(heartbeat).look
    enter(heartbeat, Stage.INVOKE, 1000.0)
    assert look(1002.1) is None
    overdue = look(1002.3)
    assert overdue is not None
    assert (overdue.stage, overdue.sentence) == (Stage.INVOKE, "hung running the model for 2.3 s")


def test_a_worker_that_goes_on_between_two_looks_is_in_order(heartbeat: Heartbeat) -> None:
    look = stall_detector(heartbeat).look
    for now in (1003.0, 1006.0, 1009.0, 1012.0):
        enter(heartbeat, Stage.INVOKE, now - 2.5)
        assert look(now) is None


def test_a_thread_that_has_not_begun_is_not_waited_for(heartbeat: Heartbeat) -> None:
    look = stall_detector(heartbeat).look
    enter(heartbeat, Stage.IDLE, 5000.0)
    assert look(5000.0) is None
    assert look(5000.1) is None


def test_after_an_absence_nobody_is_suspected_for_a_moment(heartbeat: Heartbeat) -> None:
    watching = stall_detector(heartbeat)
    enter(heartbeat, Stage.INVOKE, 1000.0)
    assert watching.look(1003.0) is None
    watching.forgive(1003.1)
    assert watching.look(1003.2) is None
    assert watching.look(1003.4) is None
    assert watching.look(1003.2 + GRACE_S) is None
    assert watching.look(1003.4 + GRACE_S) is not None


@pytest.mark.parametrize("ahead", [2.0, 1e6, 1e300])
def test_a_stamp_from_the_future_is_no_excuse(heartbeat: Heartbeat, ahead: float) -> None:
    look = stall_detector(heartbeat).look
    enter(heartbeat, Stage.INVOKE, 1000.0 + ahead)
    assert look(1000.0) is None
    assert look(1000.2) is not None


@given(st.lists(st.tuples(st.floats(0.01, 1.5), st.sampled_from(list(Stage))), max_size=60))
def test_whoever_stamps_in_time_is_never_overdue(steps: list[tuple[float, Stage]]) -> None:
    heartbeat = Heartbeat.create()
    try:
        watching, now = stall_detector(heartbeat), 1000.0
        for seconds, stage in steps:
            enter(heartbeat, stage, now)
            now += seconds
            assert watching.look(now) is None
            assert watching.look(now) is None
    finally:
        heartbeat.close()


@given(st.sampled_from([s for s in Stage if s is not Stage.GONE]), st.floats(0.1, 0.4))
def test_whoever_stops_is_found_within_its_deadline_and_two_looks(stage: Stage, every: float) -> None:
    heartbeat = Heartbeat.create()
    try:
        watching, now = stall_detector(heartbeat), 1000.0
        enter(heartbeat, stage, now)
        while watching.look(now) is None:
            now += every
        assert now - 1000.0 <= DEADLINES.get(stage, IDLE_S) + 2 * every + 1e-6
    finally:
        heartbeat.close()
