from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.system.backoff import Backoff, between_restarts


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(1.0, 30.0)
    assert [backoff.pause_s() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_reset_starts_the_pauses_anew() -> None:
    backoff = Backoff(1.0, 30.0)
    backoff.pause_s()
    backoff.pause_s()
    backoff.reset()
    assert backoff.pause_s() == 1


def test_the_longest_pause_can_be_another_one_for_one_failure() -> None:
    backoff = Backoff(1.0, 5.0)
    for _ in range(6):
        backoff.pause_s()
    assert backoff.pause_s(longest_s=60.0) == 60
    assert backoff.pause_s() == 5


def test_jitter_draws_between_the_first_pause_and_twice_the_pause() -> None:
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    backoff = Backoff(1.0, 5.0, jitter=draw)
    assert [backoff.pause_s() for _ in range(4)] == [2, 4, 5, 5]
    assert drawn == [(1, 2), (1, 4), (1, 5), (1, 5)]


def test_a_restart_follows_at_once_then_later_and_later_up_to_a_minute() -> None:
    backoff, now, pauses = between_restarts(), 0.0, []
    for _ in range(13):
        pauses.append(backoff.pause_s(now))
        now += pauses[-1] + 1
    assert pauses == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60])


def test_after_a_quiet_time_the_pauses_start_anew() -> None:
    backoff = between_restarts()
    for now in (0.0, 1.0, 2.0, 3.0):
        backoff.pause_s(now)
    assert backoff.pause_s(3.0 + 0.4 + 20.1) == 0


def test_a_long_pause_is_not_a_quiet_time() -> None:
    backoff, now = between_restarts(), 0.0
    for _ in range(12):
        now += backoff.pause_s(now) + 0.1
    assert backoff.pause_s(now) == 60


@given(st.lists(st.floats(0, 1e5), max_size=200))
def test_pauses_are_bounded_and_never_give_up(gaps: list[float]) -> None:
    backoff, now = between_restarts(), 0.0
    for gap in gaps:
        now += gap
        assert 0 <= backoff.pause_s(now) <= 60
