"""Which rows go out next: a backlog and what is fresh, in strict order, until the application has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from edged.sinks.mqtt.delivery import LONGEST_S, UNCONFIRMED_S, Delivery
from edged.spool.database import Trouble
from edged.spool.memory import MemorySpool
from unit.sinks.events import event
from unit.spool.doubles import Clock, FaultyDisk, disk, until, until_state

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from edged.spool import Row

HOUR = 3600.0


class Bench:
    """A spool and its delivery, on a clock that is set by hand."""

    def __init__(
        self, waiting: int = 0, *, strict: bool = False, confirm: bool = False, max_age_h: float = 1
    ) -> None:
        self.now = 1000.0
        self.spool = MemorySpool("n", max_mb=8, max_age_h=max_age_h, now=lambda: self.now, epoch="e")
        self.happen(waiting)
        self.delivery = Delivery(self.spool, strict=strict, confirm=confirm)
        self.delivery.connected()

    def happen(self, count: int = 1, pipeline: str = "p") -> None:
        for _ in range(count):
            self.spool.accept(event(pipeline))

    def take(self, places: int = 20) -> list[Row]:
        return list(self.delivery.take(places, self.now))

    def deliver(self, places: int = 20) -> list[int]:
        rows = self.take(places)
        for row in rows:
            self.delivery.accepted(row, self.now)
        return [row.sequence for row in rows]

    def confirm(self, payload: object, *, retained: bool = False) -> bool:
        return self.delivery.confirm(json.dumps(payload).encode(), retained=retained, now=self.now)


@pytest.mark.parametrize("places", [1, 2, 3, 4, 7, 20])
def test_what_is_fresh_takes_one_place_in_four_of_a_backlog(places: int) -> None:
    bench = Bench(waiting=1000)
    bench.deliver(20)
    bench.happen(1000)
    order: list[int] = []
    while len(order) < 400:
        order += bench.deliver(places)
    order = order[:400]
    fresh, old = [s for s in order if s > 1000], [s for s in order if s <= 1000]
    assert fresh == list(range(1001, 1001 + len(fresh)))
    assert old == list(range(21, 21 + len(old)))
    assert 95 <= len(fresh) <= 105


def test_an_event_waits_for_one_place_however_long_the_backlog_is() -> None:
    bench = Bench(waiting=5000)
    bench.deliver(20)
    bench.happen()
    assert bench.deliver(1) == [5001]
    bench.deliver(2)  # of the next four places only one is for what is fresh
    bench.happen(2)
    assert bench.deliver(1) == [23]
    assert bench.deliver(1) == [5002]


def test_places_that_nothing_fresh_wants_go_to_the_backlog_and_the_other_way_round() -> None:
    bench = Bench(waiting=30)
    assert bench.deliver() == list(range(1, 21))
    bench.happen(40)
    assert len(bench.deliver()) == 20
    left: list[int] = []
    while rows := bench.deliver():
        left += rows
    assert left[-5:] == [66, 67, 68, 69, 70]
    bench.happen(3)
    assert bench.deliver() == [71, 72, 73]
    assert bench.spool.counts().acknowledged == 73


def test_a_store_that_has_to_read_first_still_has_a_backlog() -> None:
    bench = Bench(waiting=100)
    take, bench.spool.pending = bench.spool.pending, lambda *_, **__: []  # type: ignore[method-assign]  # not yet
    assert bench.deliver() == []
    bench.spool.pending = take  # type: ignore[method-assign]  # now
    bench.deliver(20)
    bench.happen()
    assert bench.deliver(1) == [101]


def test_a_backlog_that_is_gone_is_not_asked_for_any_more() -> None:
    bench = Bench(waiting=5)
    bench.happen(3)
    while bench.deliver():
        pass
    asked: list[int] = []
    pending = bench.spool.pending

    def counted(limit: int, *, after: int = 0, without: Collection[str] = ()) -> Sequence[Row]:
        asked.append(after)
        return pending(limit, after=after, without=without)

    bench.spool.pending = counted  # type: ignore[method-assign]  # only to count
    bench.happen()
    assert bench.deliver() == [9]
    assert asked == [0]  # one stream again: nothing is asked for past a backlog


def test_what_waited_is_no_news_and_what_is_fresh_is() -> None:
    bench = Bench(waiting=1)
    bench.happen()
    assert [bench.delivery.waited(row) for row in bench.take()] == [True, False]
    bench.delivery.disconnected(bench.now)
    bench.delivery.connected()
    bench.happen()
    assert [bench.delivery.waited(row) for row in bench.take()] == [True, True, False]


def test_strict_has_one_row_under_way_and_keeps_the_order() -> None:
    bench = Bench(waiting=3, strict=True)
    bench.happen(2)
    order = []
    while rows := bench.take(20):
        assert bench.take(20) == []
        order += [row.sequence for row in rows]
        bench.delivery.accepted(rows[0], bench.now)
    assert order == [1, 2, 3, 4, 5]


def test_strict_waits_behind_a_row_that_is_refused_and_goes_on_when_it_is_taken() -> None:
    bench = Bench(waiting=2, strict=True)
    (row,) = bench.take()
    assert not bench.delivery.refused(row, 0x80, bench.now)
    assert bench.take() == []
    bench.now = bench.delivery.wake_at or 0
    (row,) = bench.take()
    assert row.sequence == 1
    bench.delivery.accepted(row, bench.now)
    assert bench.deliver() == [2]


def test_others_pass_a_row_that_is_refused() -> None:
    bench = Bench(waiting=3)
    first, *others = bench.take()
    bench.delivery.refused(first, 0x80, bench.now)
    for row in others:
        bench.delivery.accepted(row, bench.now)
    bench.happen(30)
    assert len(bench.deliver()) == 20
    assert bench.spool.counts().acknowledged == 22
    bench.now = bench.delivery.wake_at or 0
    assert bench.deliver(1) == [1]


def test_a_poison_row_is_dropped_and_counted() -> None:
    bench = Bench(waiting=1)
    given_up = False
    while not given_up:
        (row,) = bench.take()
        given_up = bench.delivery.refused(row, 0x80, bench.now)
        bench.happen(1, "other")
        bench.deliver()
        bench.now = bench.delivery.wake_at or bench.now
    assert bench.spool.counts().dropped == {"refused": 1}
    assert bench.spool.counts().balanced


def test_a_pipeline_whose_topic_is_closed_does_not_hold_up_another() -> None:
    bench = Bench()
    bench.happen(50, "closed")
    bench.happen(50, "open")
    for _ in range(10):
        for row in bench.take():
            if row.pipeline == "closed":
                bench.delivery.refused(row, 0x87, bench.now)
            else:
                bench.delivery.accepted(row, bench.now)
    assert bench.spool.counts().acknowledged == 50
    assert bench.delivery.wake_at is not None
    bench.now = bench.delivery.wake_at  # and then the ACL is mended
    while bench.deliver():
        pass
    assert bench.spool.counts().acknowledged == 100


def test_a_row_that_grew_too_old_while_it_was_held_is_dropped_for_its_age() -> None:
    bench = Bench(waiting=1)
    while bench.spool.counts().queued:
        for row in bench.take():
            assert row.left_s is not None
            assert row.left_s > 0
            bench.delivery.refused(row, 0x97, bench.now)
        bench.now = bench.delivery.wake_at or bench.now
    assert bench.spool.counts().dropped == {"age": 1}
    assert bench.now <= 1000 + HOUR + 61


def test_rows_live_until_the_application_confirms_them() -> None:
    bench = Bench(waiting=5, confirm=True)
    assert bench.deliver() == [1, 2, 3, 4, 5]
    assert bench.spool.counts().queued == 5
    assert bench.confirm(2)
    assert bench.confirm({"epoch": "e", "sequence": 4})
    assert (bench.spool.counts().queued, bench.spool.counts().acknowledged) == (1, 4)
    bench.delivery.disconnected(bench.now)
    bench.delivery.connected()
    (row,) = bench.take()
    assert (row.sequence, row.waited) == (5, True)
    assert bench.confirm(5)
    bench.delivery.accepted(row, bench.now)
    assert (bench.spool.counts().queued, bench.spool.counts().acknowledged) == (0, 5)
    bench.now = bench.delivery.wake_at or 0
    assert bench.deliver() == []
    assert bench.delivery.wake_at is None


def test_what_is_confirmed_for_another_epoch_or_was_never_sent_means_nothing() -> None:
    bench = Bench(waiting=3, confirm=True)
    bench.deliver()
    assert not bench.confirm({"epoch": "other", "sequence": 3})
    assert not bench.confirm(4)
    assert not bench.confirm(3, retained=True)  # of which epoch?
    assert not bench.confirm("x")
    assert bench.spool.counts().queued == 3
    assert bench.confirm({"epoch": "e", "sequence": 3}, retained=True)
    assert bench.spool.counts().queued == 0


def test_without_it_nothing_is_confirmed() -> None:
    bench = Bench(waiting=1)
    assert not bench.confirm(1)


def test_what_is_not_confirmed_in_time_is_sent_again_less_and_less_often() -> None:
    bench = Bench(waiting=2, confirm=True, max_age_h=1e6)
    pauses = []
    for _ in range(9):
        assert bench.deliver() == [1, 2]
        assert bench.deliver() == []
        assert bench.delivery.wake_at is not None
        pauses.append(bench.delivery.wake_at - bench.now)
        bench.now = bench.delivery.wake_at
    assert pauses == [min(LONGEST_S, UNCONFIRMED_S * 2**n) for n in range(9)]
    bench.deliver()
    assert bench.confirm(1)
    assert bench.delivery.wake_at == bench.now + UNCONFIRMED_S
    bench.now += UNCONFIRMED_S
    assert bench.deliver() == [2]


def test_what_happens_meanwhile_does_not_wait_behind_what_is_sent_again() -> None:
    bench = Bench(waiting=200, confirm=True)
    while bench.deliver():
        pass
    bench.now = bench.delivery.wake_at or 0
    bench.deliver(10)
    bench.happen()
    assert bench.deliver(1) == [201]


def test_a_new_epoch_is_confirmed_from_its_beginning(tmp_path: Path) -> None:
    broken = FaultyDisk()
    spool = disk(Clock(), tmp_path, connect=broken)
    delivery = Delivery(spool, confirm=True)
    delivery.connected()
    old = spool.epoch

    def deliver() -> int:
        rows = delivery.take(20, 1000.0)
        for row in rows:
            delivery.accepted(row, 1000.0)
        return len(rows)

    def confirm(epoch: str, sequence: int) -> bool:
        payload = json.dumps({"epoch": epoch, "sequence": sequence}).encode()
        return delivery.confirm(payload, retained=False, now=1000.0)

    for _ in range(5):
        spool.accept(event())
    until(deliver)
    until(lambda: confirm(old, 5) and spool.counts().queued == 0)
    broken.fault = Trouble.FULL
    for _ in range(2):
        spool.accept(event())
    until_state(spool, "memory")
    until(deliver)
    assert not confirm(old, 6)
    assert confirm(spool.epoch, 1)
    assert spool.counts().queued == 1
    assert confirm(spool.epoch, 2)
    assert spool.counts().queued == 0
    spool.close()
