from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.system.backoff import Backoff


def test_at_once_then_longer_and_longer_up_to_a_minute() -> None:
    backoff, now, pauses = Backoff(), 0.0, []
    for _ in range(13):
        pauses.append(backoff.pause_s(now))
        now += pauses[-1] + 1
    assert pauses == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60])


def test_after_a_quiet_time_it_begins_anew() -> None:
    backoff = Backoff()
    for now in (0.0, 1.0, 2.0, 3.0):
        backoff.pause_s(now)
    assert backoff.pause_s(3.0 + 0.4 + 20.1) == 0


def test_a_long_pause_is_no_quiet_time() -> None:
    backoff, now = Backoff(), 0.0
    for _ in range(12):
        now += backoff.pause_s(now) + 0.1
    assert backoff.pause_s(now) == 60


@given(st.lists(st.floats(0, 1e5), max_size=200))
def test_pauses_are_bounded_and_never_give_up(gaps: list[float]) -> None:
    backoff, now = Backoff(), 0.0
    for gap in gaps:
        now += gap
        assert 0 <= backoff.pause_s(now) <= 60
