"""The spool in memory: bounded, in order, and never a row lost without a count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edged.events import Event, ModelTag
from edged.spool.memory import ROW_BYTES, MemorySpool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.spool import Row

HOUR = 3600.0


def event(label: str = "cat", pipeline: str = "p") -> Event:
    return Event(
        type="start", node="n", pipeline=pipeline, label=label, score=0.5, previous="unknown", top=(),
        captured_at="2026-01-31T12:00:00.000Z", ts="2026-01-31T12:00:00.000Z", clock="synced",
        model=ModelTag("m", "35e8e20b"), accelerator="cpu", latency_ms=1.0,
    )  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def spool(**changes: Any) -> MemorySpool:
    return MemorySpool("n", **({"max_mb": 1, "max_age_h": 1, "epoch": "abc"} | changes))


def test_ids_have_no_holes() -> None:
    kept = spool()
    assert [kept.accept(event()).id for _ in range(3)] == ["n/abc/1", "n/abc/2", "n/abc/3"]
    assert kept.last == 3


def test_two_spools_have_two_epochs() -> None:
    ids = {MemorySpool("n", max_mb=1, max_age_h=1).accept(event()).id for _ in range(2)}
    assert len(ids) == 2


def test_a_row_is_handed_out_once_and_counts_as_queued_until_it_is_acknowledged() -> None:
    kept = spool()
    for _ in range(3):
        kept.accept(event())
    assert [row.sequence for row in kept.pending(2)] == [1, 2]
    assert [row.sequence for row in kept.pending(2)] == [3]
    assert kept.counts().queued == 3
    kept.acknowledged(2)
    kept.acknowledged(2)
    assert (kept.counts().queued, kept.counts().acknowledged) == (2, 1)


def test_released_rows_go_first_again_in_order_and_are_marked() -> None:
    kept = spool()
    for _ in range(5):
        kept.accept(event())
    kept.pending(3)
    kept.acknowledged(2)
    kept.released([3])
    kept.released([1])
    rows = kept.pending(9)
    assert [(row.sequence, row.waited) for row in rows] == [(1, True), (3, True), (4, False), (5, False)]
    assert json.loads(rows[0].message(replayed=False))["replayed"] is True
    assert json.loads(rows[2].message(replayed=False))["replayed"] is False
    assert json.loads(rows[2].message(replayed=True))["replayed"] is True


def test_the_oldest_goes_when_it_is_full_but_never_one_in_flight() -> None:
    size = len(event().with_id("n/abc/1").to_json()) + ROW_BYTES
    kept = spool(max_mb=3 * size / 1e6)
    for _ in range(3):
        kept.accept(event())
    kept.pending(1)
    for _ in range(4):
        kept.accept(event())
    assert kept.counts().dropped == {"full": 4}
    kept.released([1])
    assert [row.sequence for row in kept.pending(9)] == [1, 6, 7]


def test_one_too_large_for_the_bound_is_dropped_and_counted() -> None:
    kept = spool(max_mb=1e-6)
    kept.accept(event())
    assert kept.counts().dropped == {"full": 1}
    assert kept.counts().balanced


def test_old_ones_go() -> None:
    now = Clock()
    kept = spool(now=now)
    kept.accept(event())
    now.now = HOUR + 1
    kept.accept(event())
    assert [row.sequence for row in kept.pending(9)] == [2]
    assert kept.counts().dropped == {"age": 1}


def test_refused_ones_are_counted() -> None:
    kept = spool()
    kept.accept(event())
    kept.pending(1)
    kept.refused(1)
    kept.refused(1)
    assert kept.counts().dropped == {"refused": 1}
    assert kept.counts().balanced


def sequences(rows: Sequence[Row]) -> list[int]:
    return [row.sequence for row in rows]


def test_what_is_fresh_can_be_asked_for_past_a_backlog_and_without_a_pipeline() -> None:
    kept = spool()
    for number in range(8):
        kept.accept(event(pipeline="ab"[number % 2]))
    assert sequences(kept.pending(2, after=5)) == [6, 7]
    assert sequences(kept.pending(2, without={"a"})) == [2, 4]
    assert sequences(kept.pending(0)) == sequences(kept.pending(-1)) == []
    assert sequences(kept.pending(9)) == [1, 3, 5, 8]
    assert sequences(kept.pending(9, after=3)) == []


def test_a_row_says_how_long_it_still_lives() -> None:
    now = Clock()
    kept = spool(now=now)
    kept.accept(event())
    now.now = 600
    assert kept.pending(1)[0].left_s == HOUR - 600


def test_what_is_delivered_stays_until_it_is_confirmed() -> None:
    kept = spool()
    for _ in range(6):
        kept.accept(event())
    kept.pending(4)
    for sequence in (3, 1, 2, 5):  # 5 is not in flight
        kept.delivered(sequence)
    assert sequences(kept.pending(1)) == [5]
    assert kept.confirmed(2) == 2
    assert kept.confirmed(2) == 0
    assert (kept.counts().queued, kept.counts().acknowledged) == (4, 2)
    assert kept.again() == 1
    rows = kept.pending(9)
    assert [(row.sequence, row.waited) for row in rows] == [(3, True), (6, False)]
    assert kept.confirmed(6) == 4
    kept.acknowledged(6)
    assert (kept.counts().queued, kept.counts().acknowledged) == (0, 6)


def test_what_is_delivered_is_bound_like_what_waits() -> None:
    size = len(event().with_id("n/abc/1").to_json()) + ROW_BYTES
    now = Clock()
    kept = spool(max_mb=3 * size / 1e6, now=now)
    for _ in range(3):
        kept.accept(event())
    kept.pending(2)
    kept.delivered(2)
    kept.delivered(1)
    kept.accept(event())
    assert kept.counts().dropped == {"full": 1}
    assert kept.again() == 1
    assert sequences(kept.pending(9)) == [2, 3, 4]
    for sequence in (2, 3, 4):
        kept.delivered(sequence)
    now.now = HOUR + 1
    kept.accept(event())
    assert kept.counts().dropped == {"full": 1, "age": 3}


class Accounting(RuleBasedStateMachine):
    """Whatever comes in whatever order: the balance holds, order holds, memory is bounded."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.kept = spool(max_mb=0.005, now=self.clock)
        self.flying: set[int] = set()

    @rule(label=st.text("abc", min_size=1, max_size=50))
    def accept(self, label: str) -> None:
        self.kept.accept(event(label))

    @rule(limit=st.integers(0, 5), after=st.integers(0, 20))
    def pending(self, limit: int, after: int) -> None:
        rows = sequences(self.kept.pending(limit, after=after))
        assert all(row > after for row in rows)
        assert rows == sorted(rows)
        assert not self.flying & set(rows)
        self.flying |= set(rows)

    @rule(data=st.data(), fate=st.sampled_from(["acknowledged", "delivered", "refused", "released"]))
    def settle(self, data: st.DataObject, fate: str) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.flying)) if self.flying else st.integers(0, 9))
        self.flying.discard(sequence)
        getattr(self.kept, fate)([sequence] if fate == "released" else sequence)

    @rule(up_to=st.integers(0, 50))
    def confirm(self, up_to: int) -> None:
        self.kept.confirmed(up_to)
        self.flying -= set(range(up_to + 1))

    @rule()
    def again(self) -> None:
        self.kept.again()

    @rule(seconds=st.floats(0, 2 * HOUR))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.kept.counts().balanced


TestAccounting = Accounting.TestCase


@given(st.integers(0, 300))
def test_what_was_accepted_comes_out_in_order(count: int) -> None:
    kept = spool()
    for _ in range(count):
        kept.accept(event())
    out = []
    while rows := kept.pending(20):
        out += [row.sequence for row in rows]
    assert out == list(range(1, count + 1))
