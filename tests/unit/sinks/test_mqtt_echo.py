"""What the broker acknowledged a moment before it died is said again, and nothing else."""

from __future__ import annotations

import json

from edged.events import Event, ModelTag
from edged.sinks.mqtt._delivery import Delivery
from edged.sinks.mqtt._echo import FLUSH_S, MOST, Echo
from edged.spool import Row
from edged.spool.memory import MemorySpool


def event() -> Event:
    return Event(
        type="start", node="n", pipeline="p", label="cat", score=0.5, previous="unknown", top=(),
        captured_at="2026-01-31T12:00:00.000Z", ts="2026-01-31T12:00:00.000Z", clock="synced",
        model=ModelTag("m", "35e8e20b"), accelerator="cpu", latency_ms=1.0,
    )  # fmt: skip


def row(sequence: int) -> Row:
    return Row(sequence, "p", b"{}")


def said_again(echo: Echo, now: float) -> list[int]:
    echo.lost(now)
    return [again.sequence for again in echo.take(9999)]


def test_what_was_acknowledged_last_is_said_again_in_order_and_marked() -> None:
    echo = Echo(30)
    for sequence in (2, 1, 3):
        assert not echo.heard(row(sequence), 100.0)
    echo.lost(100.5)
    rows = echo.take(2)
    assert [(again.sequence, again.waited) for again in rows] == [(1, True), (2, True)]
    assert len(echo) == 2
    assert echo.heard(rows[0], 101.0)
    assert not echo.heard(rows[0], 101.0)
    assert [again.sequence for again in echo.take(2)] == [3]


def test_what_a_broker_had_time_to_write_is_not_said_again() -> None:
    echo = Echo(30)
    echo.heard(row(1), 100.0)
    echo.heard(row(2), 100.1)
    echo.heard(None, 100.05 + FLUSH_S)  # a retained value: it lives
    assert said_again(echo, 110.0) == [2]


def test_what_was_acknowledged_before_a_silence_that_would_have_been_noticed_is_not_said_again() -> None:
    for lost_at, again in ((100 + 30 + FLUSH_S, [1]), (100.1 + 30 + FLUSH_S, [])):
        echo = Echo(30)
        echo.heard(row(1), 100.0)
        assert said_again(echo, lost_at) == again


def test_a_broker_that_says_goodbye_forgets_nothing() -> None:
    echo = Echo(30)
    for sequence in (1, 2):
        echo.heard(row(sequence), 100.0)
    echo.lost(100.0, told=True)
    assert echo.take(9) == []


def test_an_echo_that_is_lost_too_is_said_again() -> None:
    echo = Echo(30)
    for sequence in range(1, 5):
        echo.heard(row(sequence), 100.0)
    echo.lost(100.0)
    echo.take(2)
    assert said_again(echo, 200.0) == [1, 2, 3, 4]


def test_an_echo_that_is_refused_is_given_up() -> None:
    echo = Echo(30)
    echo.heard(row(1), 100.0)
    echo.lost(100.0)
    (again,) = echo.take(9)
    assert echo.refused(again)
    assert not echo.refused(again)
    assert said_again(echo, 101.0) == []


def test_it_is_bounded() -> None:
    echo = Echo(30)
    for sequence in range(3 * MOST):
        echo.heard(row(sequence), 100.0)
    assert said_again(echo, 100.0) == list(range(2 * MOST, 3 * MOST))


def test_the_account_knows_nothing_of_an_echo() -> None:
    spool = MemorySpool("n", max_mb=1, max_age_h=1)
    delivery = Delivery(spool)
    delivery.connected()
    for _ in range(3):
        spool.accept(event())
    for sent in delivery.take(20, 100.0):
        delivery.accepted(sent, 100.0)
    delivery.disconnected(100.1)
    delivery.connected()
    spool.accept(event())
    rows = delivery.take(20, 101.0)
    assert [json.loads(again.message(replayed=delivery.waited(again)))["replayed"] for again in rows] == [
        True, True, True, False,
    ]  # fmt: skip
    assert not delivery.refused(rows[3], 0x80, 101.0)
    assert delivery.refused(rows[0], 0x80, 101.0)
    delivery.give_up(rows[1])
    delivery.accepted(rows[2], 101.0)
    assert spool.counts().balanced
    assert (spool.counts().acknowledged, spool.counts().queued, spool.counts().dropped) == (3, 1, {})


def test_with_an_application_that_confirms_there_is_no_echo() -> None:
    spool = MemorySpool("n", max_mb=1, max_age_h=1)
    delivery = Delivery(spool, confirm=True)
    delivery.connected()
    spool.accept(event())
    (sent,) = delivery.take(20, 100.0)
    delivery.accepted(sent, 100.0)
    delivery.disconnected(100.0)
    delivery.connected()
    assert len(delivery.take(20, 101.0)) == 1
    assert delivery.take(20, 101.0) == []


def test_strict_has_one_echo_under_way() -> None:
    spool = MemorySpool("n", max_mb=1, max_age_h=1)
    delivery = Delivery(spool, strict=True)
    delivery.connected()
    order = []
    for _ in range(2):
        spool.accept(event())
    for connection in range(2):
        while rows := delivery.take(20, 100.0):
            assert delivery.take(20, 100.0) == []
            order += [sent.sequence for sent in rows]
            delivery.accepted(rows[0], 100.0)
        if not connection:
            delivery.disconnected(100.0)
            spool.accept(event())
            delivery.connected()
    assert order == [1, 2, 1, 2, 3]
