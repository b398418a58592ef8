"""What the broker refuses: poison rows go, closed topics and bad moments cost nothing, nobody waits."""

from __future__ import annotations

import pytest

from edged.sinks.mqtt.refusals import FIRST_S, NOT_AUTHORIZED, QUOTA, SHUT, TRIES, Refusals
from edged.spool import Row

UNSPECIFIED = 0x80


def row(sequence: int = 1, pipeline: str = "p", left_s: float | None = None) -> Row:
    return Row(sequence, pipeline, b"{}", left_s=left_s)


def refuse(refusals: Refusals, times: int, code: int, works: str = "") -> list[bool]:
    """Refuse row 1 so often, at the times when it is offered; between, a row of ``works`` gets through."""
    now, given_up = 0.0, []
    for number in range(times):
        given_up.append(refusals.refused(row(), code, now))
        if works:
            refusals.accepted(row(100 + number, works), now + 0.1)
        if given_up[-1]:
            break
        now = refusals.wake_at or 0.0
        assert [again.sequence for again in refusals.due(now, 9)] == [1]
    return given_up


def test_a_poison_row_is_given_up_after_five_refusals() -> None:
    assert refuse(Refusals(), 9, UNSPECIFIED, works="p") == [False] * (TRIES - 1) + [True]
    assert refuse(Refusals(), 9, NOT_AUTHORIZED, works="p") == [False] * (TRIES - 1) + [True]
    assert refuse(Refusals(), 9, UNSPECIFIED, works="other") == [False] * (TRIES - 1) + [True]


@pytest.mark.parametrize(
    ("code", "works"),
    [(UNSPECIFIED, ""), (NOT_AUTHORIZED, ""), (NOT_AUTHORIZED, "other"), (QUOTA, "p"), (QUOTA, "")],
)
def test_what_is_no_fault_of_the_row_never_costs_it(code: int, works: str) -> None:
    assert not any(refuse(Refusals(), 50, code, works))


def test_what_no_retry_helps_goes_at_once() -> None:
    assert Refusals().refused(row(), 0x99, 0.0)


def test_it_is_offered_less_and_less_often_up_to_once_a_minute() -> None:
    refusals = Refusals()
    now, pauses = 0.0, []
    for _ in range(7):
        refusals.refused(row(), QUOTA, now)
        assert refusals.due(now + 4.9, 9) == []
        pauses.append((refusals.wake_at or 0) - now)
        now = refusals.wake_at or 0
        refusals.due(now, 9)
    assert pauses == [5, 10, 20, 40, 60, 60, 60]


def test_a_topic_that_takes_nothing_is_left_alone_until_it_takes_one() -> None:
    refusals = Refusals()
    for sequence in range(1, SHUT + 1):
        assert refusals.shut == frozenset()
        refusals.refused(row(sequence), NOT_AUTHORIZED, 0.0)
    assert refusals.shut == {"p"}
    (first,) = refusals.due(FIRST_S, 1)
    refusals.accepted(first, FIRST_S + 1)
    assert refusals.shut == frozenset()
    assert [again.sequence for again in refusals.due(FIRST_S + 1, 9)] == [2, 3, 4, 5]


def test_what_no_retry_helps_says_nothing_of_the_topic() -> None:
    refusals = Refusals()
    for sequence in range(3 * SHUT):
        assert refusals.refused(row(sequence), 0x99, 0.0)
    assert refusals.shut == frozenset()


def test_a_topic_that_is_still_closed_after_a_reconnection_is_soon_left_alone() -> None:
    refusals = Refusals()
    for _ in range(2):
        assert refusals.shut == frozenset()
        for sequence in range(SHUT):
            refusals.refused(row(sequence), NOT_AUTHORIZED, 0.0)
        assert refusals.shut == {"p"}
        refusals.release()


def test_poison_rows_of_a_busy_topic_do_not_shut_it() -> None:
    refusals = Refusals()
    for sequence in range(1, 3 * SHUT, 3):
        refusals.refused(row(sequence), UNSPECIFIED, 0.0)
        refusals.accepted(row(sequence + 1), 0.0)
    assert refusals.shut == frozenset()


def test_tries_are_remembered_over_a_reconnection_but_not_the_rows() -> None:
    refusals = Refusals()
    for number in range(TRIES - 1):
        assert not refusals.refused(row(), UNSPECIFIED, number)
        refusals.accepted(None, number)
        assert refusals.release() == [1]
        assert refusals.release() == []
    assert refusals.wake_at is None
    assert refusals.refused(row(), UNSPECIFIED, 9)


def test_a_row_that_is_held_ages() -> None:
    refusals = Refusals()
    refusals.refused(row(left_s=7.0), UNSPECIFIED, 100.0)
    assert refusals.due(105.0, 1)[0].left_s == 2.0


def test_what_is_remembered_is_bounded() -> None:
    refusals = Refusals()
    for sequence in range(5000):
        refusals.refused(row(sequence), UNSPECIFIED, 0.0)
        refusals.release()
    refusals.accepted(None, 1.0)
    newest, oldest = row(4999), row(0)
    given_up = [refusals.refused(newest, UNSPECIFIED, 2.0) for _ in range(TRIES - 1)]
    assert given_up == [False] * (TRIES - 2) + [True]  # its first refusal is remembered
    assert not any(refusals.refused(oldest, UNSPECIFIED, 2.0) for _ in range(TRIES - 1))
