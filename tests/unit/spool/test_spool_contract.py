"""The promises of a spool, kept by each store: bounded, in order, and never a row lost without a count."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from unit.spool.doubles import FLUSH_S, HOUR, Clock, Flushed, disk, event, memory, sequences

Make = Callable[..., Any]


def test_ids_have_no_holes(make: Make) -> None:
    spool = make()
    ids = [spool.accept(event()).id for _ in range(3)]
    assert ids == [f"n/{spool.epoch}/{number}" for number in (1, 2, 3)]
    assert spool.last == 3


def test_a_row_is_handed_out_once_and_counts_as_queued_until_it_is_acknowledged(make: Make) -> None:
    spool = make()
    for _ in range(3):
        spool.accept(event())
    assert [row.sequence for row in spool.pending(2)] == [1, 2]
    assert [row.sequence for row in spool.pending(2)] == [3]
    assert spool.counts().queued == 3
    spool.acknowledged(2)
    spool.acknowledged(2)
    assert (spool.counts().queued, spool.counts().acknowledged) == (2, 1)


def test_released_rows_go_first_again_in_order_and_are_marked(make: Make) -> None:
    spool = make()
    for _ in range(5):
        spool.accept(event())
    spool.pending(3)
    spool.acknowledged(2)
    spool.released([3])
    spool.released([1])
    rows = spool.pending(9)
    assert [(row.sequence, row.waited) for row in rows] == [(1, True), (3, True), (4, False), (5, False)]
    assert json.loads(rows[0].message(replayed=False))["replayed"] is True
    assert json.loads(rows[2].message(replayed=False))["replayed"] is False
    assert json.loads(rows[2].message(replayed=True))["replayed"] is True


def test_rows_older_than_the_limit_are_dropped(make: Make, clock: Clock) -> None:
    spool = make()
    spool.accept(event())
    clock.now = HOUR + 1
    spool.accept(event())
    assert [row.sequence for row in spool.pending(9)] == [2]
    assert spool.counts().dropped == {"age": 1}


def test_refused_rows_are_dropped_and_counted(make: Make) -> None:
    spool = make()
    spool.accept(event())
    spool.pending(1)
    spool.refused(1)
    spool.refused(1)
    assert spool.counts().dropped == {"refused": 1}
    assert spool.counts().balanced


def test_what_is_fresh_can_be_asked_for_past_a_backlog_and_without_a_pipeline(make: Make) -> None:
    spool = make()
    for number in range(8):
        spool.accept(event(pipeline="ab"[number % 2]))
    assert sequences(spool.pending(2, after=5)) == [6, 7]
    assert sequences(spool.pending(2, without={"a"})) == [2, 4]
    assert sequences(spool.pending(0)) == sequences(spool.pending(-1)) == []
    assert sequences(spool.pending(9)) == [1, 3, 5, 8]
    assert sequences(spool.pending(9, after=3)) == []


def test_a_row_says_how_long_it_still_lives(make: Make, clock: Clock) -> None:
    spool = make()
    spool.accept(event())
    clock.now = 600
    assert spool.pending(1)[0].left_s == HOUR - 600


def test_what_is_delivered_stays_until_it_is_confirmed(make: Make) -> None:
    spool = make()
    for _ in range(6):
        spool.accept(event())
    spool.pending(4)
    for sequence in (3, 1, 2, 5):  # 5 is not in flight
        spool.delivered(sequence)
    assert sequences(spool.pending(1)) == [5]
    assert spool.confirmed(2) == 2
    assert spool.confirmed(2) == 0
    assert (spool.counts().queued, spool.counts().acknowledged) == (4, 2)
    assert spool.requeue_delivered() == 1
    rows = spool.pending(9)
    assert [(row.sequence, row.waited) for row in rows] == [(3, True), (6, False)]
    assert spool.confirmed(6) == 4
    spool.acknowledged(6)
    assert (spool.counts().queued, spool.counts().acknowledged) == (0, 6)


def test_what_rests_is_counted_as_acknowledged_until_it_is_recalled(make: Make) -> None:
    spool = make()
    for _ in range(5):
        spool.accept(event())
    spool.pending(4)
    for sequence in (1, 2, 3):
        spool.acknowledged(sequence, keep=True)
    assert (spool.counts().queued, spool.counts().acknowledged) == (2, 3)
    spool.settled([1, 4])  # 4 is in flight
    spool.recalled([1, 3, 4])
    assert (spool.counts().queued, spool.counts().acknowledged) == (3, 2)
    rows = spool.pending(9)
    assert [(row.sequence, row.waited) for row in rows] == [(3, True), (5, False)]
    spool.acknowledged(3, keep=True)
    spool.acknowledged(3, keep=True)
    assert spool.counts().acknowledged == 3
    assert spool.counts().balanced


def test_what_rests_goes_before_what_waits(make: Make) -> None:
    spool = make(max_mb=0.02)
    spool.accept(event())
    spool.pending(1)
    spool.acknowledged(1, keep=True)
    for _ in range(400):
        spool.accept(event())
    spool.recalled([1])
    assert 1 not in sequences(spool.pending(1000))
    assert spool.counts().acknowledged == 1
    assert spool.counts().balanced


def test_the_newest_stay_when_it_is_full_and_those_in_flight(make: Make) -> None:
    spool = make(max_mb=0.02)
    for _ in range(400):
        spool.accept(event())
    first = spool.pending(1)[0].sequence
    for _ in range(400):
        spool.accept(event())
    (dropped,) = spool.counts().dropped.values()  # for one reason only
    spool.released([first])
    rows = sequences(spool.pending(1000))
    assert rows == [first, *range(dropped + 2, 801)]
    assert spool.counts().balanced


@pytest.mark.parametrize("count", [0, 1, 20, 300])
def test_what_was_accepted_comes_out_in_order(make: Make, count: int) -> None:
    spool = make()
    for _ in range(count):
        spool.accept(event())
    out = []
    while rows := sequences(spool.pending(20)):
        out += rows
    assert out == list(range(1, count + 1))


class Accounting(RuleBasedStateMachine):
    """Whatever comes in whatever order: the balance holds, order holds, it is bounded."""

    flushed: Any

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.flying: set[int] = set()
        self.resting: set[int] = set()

    @rule(label=st.text("abc", min_size=1, max_size=50))
    def accept(self, label: str) -> None:
        self.flushed.accept(event(label))

    @rule(limit=st.integers(0, 5), after=st.integers(0, 20))
    def pending(self, limit: int, after: int) -> None:
        rows = sequences(self.flushed.pending(limit, after=after))
        assert all(row > after for row in rows)
        assert rows == sorted(rows)
        assert not self.flying & set(rows)
        self.flying |= set(rows)

    @rule(data=st.data(), fate=st.sampled_from(["acknowledged", "delivered", "refused", "released"]))
    def settle(self, data: st.DataObject, fate: str) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.flying)) if self.flying else st.integers(0, 9))
        self.flying.discard(sequence)
        getattr(self.flushed, fate)([sequence] if fate == "released" else sequence)

    @rule(data=st.data())
    def rest(self, data: st.DataObject) -> None:
        if self.flying:
            sequence = data.draw(st.sampled_from(sorted(self.flying)))
            self.flying.discard(sequence)
            self.resting.add(sequence)
            self.flushed.acknowledged(sequence, keep=True)

    @rule(data=st.data(), fate=st.sampled_from(["settled", "recalled"]))
    def end_rest(self, data: st.DataObject, fate: str) -> None:
        sequences = data.draw(st.lists(st.sampled_from(sorted(self.resting)))) if self.resting else [3]
        self.resting -= set(sequences)
        getattr(self.flushed, fate)(sequences)

    @rule(up_to=st.integers(0, 50))
    def confirm(self, up_to: int) -> None:
        self.flushed.confirmed(up_to)
        self.flying -= set(range(up_to + 1))

    @rule()
    def requeue_delivered(self) -> None:
        self.flushed.requeue_delivered()

    @rule(seconds=st.floats(0, 2 * HOUR))
    def wait(self, seconds: float) -> None:
        self.clock.step(seconds)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.flushed.counts().balanced


class InMemory(Accounting):
    def __init__(self) -> None:
        super().__init__()
        self.flushed = memory(self.clock, max_mb=0.005)


class OnDisk(Accounting):
    """As in memory, and over restarts too."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.boots = 1
        self.open()

    def open(self) -> None:
        self.spool = disk(self.clock, Path(self.folder.name), max_mb=0.005)
        self.flushed = Flushed(self.spool)

    @rule(reboot=st.booleans())
    def restart(self, reboot: bool) -> None:
        self.spool.flush(FLUSH_S)
        before = self.spool.counts()
        self.spool.close()
        if reboot:
            self.boots += 1
            self.clock.reboot(f"boot-{self.boots}", away=0)
        self.open()
        assert self.flushed.counts() == before
        self.flying, self.resting = set(), set()

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()


TestInMemory = InMemory.TestCase
TestOnDisk = OnDisk.TestCase
TestOnDisk.settings = settings(max_examples=25, stateful_step_count=40)
