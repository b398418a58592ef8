from __future__ import annotations

import pytest

from edged.errors import Reason, Unavailable
from edged.sources.pacing import Pace


class Time:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 5.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_frames_come_on_the_grid_and_late_ones_are_counted() -> None:
    clock = Time()
    pace = Pace(clock.monotonic, clock.sleep)
    pace.begin(0.5)
    came = [(pace.wait(1), clock.now) for _ in range(3)]
    assert came == [(0, 5.0), (0, 5.5), (0, 6.0)]
    clock.sleep(1.75)
    assert [(pace.wait(1), clock.now) for _ in range(2)] == [(2, 7.75), (0, 8.0)]


def test_one_that_is_not_due_in_time_is_waited_for_that_long_and_stays_due() -> None:
    clock = Time()
    pace = Pace(clock.monotonic, clock.sleep)
    pace.begin(10)
    pace.wait(1)
    with pytest.raises(Unavailable, match="no frame is due within 4 s") as raised:
        pace.wait(4)
    assert (raised.value.reason, clock.now) == (Reason.TIMEOUT, 9.0)
    assert (pace.wait(6), clock.now) == (0, 15.0)


def test_without_a_period_every_frame_is_due() -> None:
    clock = Time()
    pace = Pace(clock.monotonic, clock.sleep)
    pace.begin(0)
    assert [pace.wait(0) for _ in range(3)] == [0, 0, 0]
    assert clock.now == 5.0
