"""What the broker acknowledged a moment before it died waits again, and nothing else."""

from __future__ import annotations

import json

import pytest

from edged.sinks.mqtt.delivery import FLUSH_S, Delivery, RecentAcks
from edged.spool.memory import MemorySpool
from unit.sinks.events import event

LATER_S = 1.5 * FLUSH_S


def spool_with(events: int) -> MemorySpool:
    spool = MemorySpool("n", max_mb=1, max_age_h=1)
    for _ in range(events):
        spool.accept(event())
    return spool


def test_what_was_acknowledged_last_may_be_forgotten() -> None:
    recent = RecentAcks(30)
    for sequence in (2, 1, 3):
        recent.add(sequence, 100.0)
    assert recent.lost(100.5, by_broker=False) == ([], [2, 1, 3])
    assert recent.lost(100.5, by_broker=False) == ([], [])


def test_what_a_broker_had_time_to_write_is_settled() -> None:
    recent = RecentAcks(30)
    recent.add(1, 100.0)
    recent.add(2, 100.0 + LATER_S - FLUSH_S / 2)
    assert recent.settled(100.0 + FLUSH_S / 2) == []
    assert recent.settled(100.0 + LATER_S) == [1]
    assert recent.lost(110.0, by_broker=False) == ([], [2])


@pytest.mark.parametrize(("later", "safe", "unsafe"), [(0.0, [], [1]), (0.1, [1], [])])
def test_what_was_acknowledged_before_a_silence_that_would_have_been_noticed_is_settled(
    later: float, safe: list[int], unsafe: list[int]
) -> None:
    recent = RecentAcks(30)
    recent.add(1, 100.0)
    assert recent.lost(100 + 30 + FLUSH_S + later, by_broker=False) == (safe, unsafe)


def test_a_broker_that_says_goodbye_forgets_nothing() -> None:
    recent = RecentAcks(30)
    for sequence in (1, 2):
        recent.add(sequence, 100.0)
    assert recent.lost(100.0, by_broker=True) == ([1, 2], [])


def test_what_may_be_forgotten_goes_out_once_more_and_marked() -> None:
    spool = spool_with(3)
    delivery = Delivery(spool)
    delivery.connected()
    for sent in delivery.take(20, 100.0):
        delivery.accepted(sent, 100.0)
    delivery.disconnected(100.1)
    assert (spool.counts().acknowledged, spool.counts().queued) == (0, 3)
    delivery.connected()
    spool.accept(event())
    rows = delivery.take(20, 101.0)
    assert [json.loads(row.message(replayed=delivery.waited(row)))["replayed"] for row in rows] == [
        True, True, True, False,
    ]  # fmt: skip
    for row in rows:
        delivery.accepted(row, 101.0)
    delivery.accepted(None, 101.0 + LATER_S)  # a retained value: it lives
    delivery.disconnected(110.0)
    delivery.connected()
    assert delivery.take(20, 110.0) == []
    assert (spool.counts().acknowledged, spool.counts().queued) == (4, 0)


def test_with_an_application_that_confirms_all_wait_again_anyway() -> None:
    spool = spool_with(1)
    delivery = Delivery(spool, confirm=True)
    delivery.connected()
    (sent,) = delivery.take(20, 100.0)
    delivery.accepted(sent, 100.0)
    delivery.disconnected(100.0)
    delivery.connected()
    assert len(delivery.take(20, 101.0)) == 1
    assert delivery.take(20, 101.0) == []


def test_strict_has_one_row_under_way_and_keeps_the_order() -> None:
    spool = spool_with(2)
    delivery = Delivery(spool, strict=True)
    delivery.connected()
    order = []
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
