from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edged.supervisor.accelerator_choice import BREAKER_S, FIRST_S, LONGEST_S, SETTLE_S, STABLE_S, Choice


def test_is_used_until_it_fails() -> None:
    choice = Choice()
    assert choice.usable
    assert not choice.due(1e9)


def test_pauses_double_up_to_an_hour() -> None:
    choice, now, pauses = Choice(), 0.0, []
    for _ in range(7):
        pauses.append(choice.failed(now))
        assert not choice.usable
        assert not choice.due(now + pauses[-1] - 1)
        now += pauses[-1]
        assert choice.due(now)
    assert pauses == [300, 600, 1200, 2400, 3600, 3600, 3600]


def test_a_probe_that_works_makes_it_usable() -> None:
    choice = Choice()
    choice.failed(0.0)
    choice.proved(300.0)
    assert choice.usable
    assert not choice.due(301.0)


def test_pauses_begin_anew_after_ten_good_minutes_and_not_before() -> None:
    choice = Choice()
    choice.failed(0.0)
    choice.proved(FIRST_S)
    assert choice.failed(FIRST_S + STABLE_S - 1) == 2 * FIRST_S
    choice.proved(5000.0)
    assert choice.failed(5000.0 + STABLE_S + 1) == FIRST_S


def test_a_device_that_appears_is_tried_at_once() -> None:
    choice = Choice()
    choice.failed(0.0)
    choice.appeared(20.0)
    assert not choice.due(20.0)
    assert choice.due(20.0 + SETTLE_S)


def test_one_that_comes_and_goes_trips_the_breaker() -> None:
    choice, now = Choice(), 0.0
    for _ in range(2):
        choice.failed(now)
        choice.appeared(now + 1)
        choice.proved(now + 2)
        now += 100
    assert choice.failed(now) == LONGEST_S
    choice.appeared(now + 1)
    assert not choice.due(now + LONGEST_S - 1)
    assert choice.due(now + LONGEST_S)
    choice.failed(now + LONGEST_S)
    choice.appeared(now + LONGEST_S + 10)
    assert choice.due(now + LONGEST_S + 10 + SETTLE_S)


def test_appearing_while_in_use_means_nothing() -> None:
    choice = Choice()
    choice.appeared(1.0)
    assert choice.usable
    assert not choice.due(1e9)


steps = st.lists(
    st.tuples(st.sampled_from(["failed", "proved", "appeared"]), st.floats(0, 4000)), max_size=80
)


@given(steps)
def test_it_is_never_given_up_and_never_tried_three_times_in_ten_minutes(
    steps: list[tuple[str, float]],
) -> None:
    choice, now, attempts = Choice(), 0.0, []
    for what, gap in steps:
        now += gap
        if what == "failed" and (choice.usable or choice.due(now)):
            attempts.append(now)
            assert 0 < choice.failed(now) <= LONGEST_S
        elif what == "proved" and choice.due(now):
            choice.proved(now)
        elif what == "appeared":
            choice.appeared(now)
        assert choice.usable or choice.due(now + LONGEST_S)
    for first, fourth in zip(attempts, attempts[3:], strict=False):
        assert fourth - first > BREAKER_S
