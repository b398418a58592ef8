from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ipc.heartbeat import Pulse, Stage
from edged.supervisor.stall_detector import GRACE_S, IDLE_S, Watch

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINES = {Stage.INVOKE: 2.0, Stage.OPEN: 8.0}


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    page = Pulse.create()
    yield page
    page.close()


def enter(pulse: Pulse, stage: Stage, at: float) -> None:
    lane = pulse.model()
    lane._monotonic = lambda: at
    lane.enter(stage)


def watch(pulse: Pulse) -> Watch:
    return Watch([pulse.model(), pulse.capture(0)], DEADLINES)


def test_a_stage_in_time_is_no_news(pulse: Pulse) -> None:
    look = watch(pulse).look
    for now in (1000.0, 1001.0, 1002.0):
        enter(pulse, Stage.INVOKE, 1000.0)
        assert look(now) is None


def test_overdue_is_what_two_looks_in_a_row_see(pulse: Pulse) -> None:
    look = watch(pulse).look
    enter(pulse, Stage.INVOKE, 1000.0)
    assert look(1002.1) is None
    overdue = look(1002.3)
    assert overdue is not None
    assert (overdue.stage, overdue.sentence) == (Stage.INVOKE, "hung running the model for 2.3 s")


def test_a_worker_that_goes_on_between_two_looks_is_in_order(pulse: Pulse) -> None:
    look = watch(pulse).look
    for now in (1003.0, 1006.0, 1009.0, 1012.0):
        enter(pulse, Stage.INVOKE, now - 2.5)
        assert look(now) is None


def test_a_thread_that_has_not_begun_is_not_waited_for(pulse: Pulse) -> None:
    look = watch(pulse).look
    enter(pulse, Stage.IDLE, 5000.0)
    assert look(5000.0) is None
    assert look(5000.1) is None


def test_after_an_absence_nobody_is_suspected_for_a_moment(pulse: Pulse) -> None:
    watching = watch(pulse)
    enter(pulse, Stage.INVOKE, 1000.0)
    assert watching.look(1003.0) is None
    watching.forgive(1003.1)
    assert watching.look(1003.2) is None
    assert watching.look(1003.4) is None
    assert watching.look(1003.2 + GRACE_S) is None
    assert watching.look(1003.4 + GRACE_S) is not None


@pytest.mark.parametrize("ahead", [2.0, 1e6, 1e300])
def test_a_stamp_from_the_future_is_no_excuse(pulse: Pulse, ahead: float) -> None:
    look = watch(pulse).look
    enter(pulse, Stage.INVOKE, 1000.0 + ahead)
    assert look(1000.0) is None
    assert look(1000.2) is not None


@given(st.lists(st.tuples(st.floats(0.01, 1.5), st.sampled_from(list(Stage))), max_size=60))
def test_whoever_stamps_in_time_is_never_overdue(steps: list[tuple[float, Stage]]) -> None:
    pulse = Pulse.create()
    try:
        watching, now = watch(pulse), 1000.0
        for seconds, stage in steps:
            enter(pulse, stage, now)
            now += seconds
            assert watching.look(now) is None
            assert watching.look(now) is None
    finally:
        pulse.close()


@given(st.sampled_from([s for s in Stage if s is not Stage.GONE]), st.floats(0.1, 0.4))
def test_whoever_stops_is_found_within_its_deadline_and_two_looks(stage: Stage, every: float) -> None:
    pulse = Pulse.create()
    try:
        watching, now = watch(pulse), 1000.0
        enter(pulse, stage, now)
        while watching.look(now) is None:
            now += every
        assert now - 1000.0 <= DEADLINES.get(stage, IDLE_S) + 2 * every + 1e-6
    finally:
        pulse.close()
