"""The spool in memory: it is bound by bytes, and is as old as the process."""

from __future__ import annotations

from edged.spool.memory import MemorySpool
from edged.spool.rows import ENTRY_BYTES
from unit.spool.doubles import HOUR, Clock, event, memory, sequences


def room(rows: int) -> float:
    """MB for this many rows."""
    return rows * (len(event().with_id("n/abc/1").to_json()) + ENTRY_BYTES) / 1e6


def test_two_spools_have_two_epochs() -> None:
    ids = {MemorySpool("n", max_mb=1, max_age_h=1).accept(event()).id for _ in range(2)}
    assert len(ids) == 2


def test_the_oldest_goes_when_it_is_full_but_never_one_in_flight() -> None:
    spool = memory(Clock(), max_mb=room(3), epoch="abc")
    for _ in range(3):
        spool.accept(event())
    spool.pending(1)
    for _ in range(4):
        spool.accept(event())
    assert spool.counts().dropped == {"memory_full": 4}
    spool.released([1])
    assert [row.sequence for row in spool.pending(9)] == [1, 6, 7]


def test_one_too_large_for_the_bound_is_dropped_and_counted() -> None:
    spool = memory(Clock(), max_mb=1e-6)
    spool.accept(event())
    assert spool.counts().dropped == {"memory_full": 1}
    assert spool.counts().balanced


def test_what_is_delivered_is_bound_like_what_waits() -> None:
    clock = Clock()
    spool = memory(clock, max_mb=room(3), epoch="abc")
    for _ in range(3):
        spool.accept(event())
    spool.pending(2)
    spool.delivered(2)
    spool.delivered(1)
    spool.accept(event())
    assert spool.counts().dropped == {"memory_full": 1}
    assert spool.requeue_delivered() == 1
    assert sequences(spool.pending(9)) == [2, 3, 4]
    for sequence in (2, 3, 4):
        spool.delivered(sequence)
    clock.now = HOUR + 1
    spool.accept(event())
    assert spool.counts().dropped == {"memory_full": 1, "age": 3}
