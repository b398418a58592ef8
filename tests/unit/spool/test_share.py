"""One pipeline that floods the spool takes nothing from the others, on disk or in memory."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.spool.disk import NAME
from edged.spool.memory import MemorySpool
from edged.spool.rows import heavy_ones
from edged.tools.audit import audit
from unit.spool.doubles import FLUSH_S, Clock, disk, event

if TYPE_CHECKING:
    from pathlib import Path

    from edged.events import Event
    from edged.spool import Spool


def noise(pipeline: str = "loud") -> Event:
    """Return an event that packs badly."""
    return event(base64.b64encode(os.urandom(90)).decode(), pipeline)


def waiting(spool: Spool) -> dict[str, int]:
    """Return how many rows of each pipeline wait, by handing all of them out."""
    rows = []
    while found := spool.pending(1000):
        rows += found
    return {name: sum(row.pipeline == name for row in rows) for name in ("quiet", "loud")}


@given(st.dictionaries(st.text(max_size=2), st.integers(1, 100), min_size=1))
def test_there_is_always_one_with_more_than_its_share(room_of: dict[str, int]) -> None:
    heavy = heavy_ones(room_of)
    assert heavy
    assert heavy <= room_of.keys()
    assert max(room_of.values()) in {room_of[name] for name in heavy}
    assert len(heavy) == len(room_of) or all(
        room_of[name] <= sum(room_of.values()) / len(room_of) for name in room_of.keys() - heavy
    )


def test_on_disk(clock: Clock, tmp_path: Path) -> None:
    spool = disk(clock, tmp_path, max_mb=0.2)
    for _ in range(20):
        spool.accept(event(pipeline="quiet"))
    for _ in range(60):
        for _ in range(50):
            spool.accept(noise())
        assert spool.flush(FLUSH_S)
    counts = spool.counts()
    assert counts.balanced
    assert counts.dropped["full"] > 1000
    spool.close()
    again = disk(clock, tmp_path, max_mb=0.2)
    for _ in range(100):
        again.accept(noise())
    assert again.flush(FLUSH_S)
    assert audit(tmp_path)["balanced"]
    found = dict.fromkeys(("quiet", "loud"), 0)
    while again.counts().queued > sum(found.values()):
        for row in again.pending(100):
            found[row.pipeline] = found.get(row.pipeline, 0) + 1
    assert found["quiet"] == 20
    assert found["loud"] > 100
    again.close()
    assert (tmp_path / NAME).stat().st_size < 400_000


def test_with_too_little_room_on_the_disk(clock: Clock, tmp_path: Path) -> None:
    free = [10**9]
    spool = disk(clock, tmp_path, max_mb=0.5, min_free_mb=50, free=lambda _folder: free[0])
    for _ in range(20):
        spool.accept(event(pipeline="quiet"))
    for _ in range(300):
        spool.accept(noise())
    assert spool.flush(FLUSH_S)
    free[0] = 0
    for _ in range(300):
        spool.accept(noise())
    assert spool.flush(FLUSH_S)
    assert spool.counts().dropped["min_free"] > 100
    spool.close()
    again = disk(clock, tmp_path, max_mb=0.5)
    assert again.flush(FLUSH_S)
    rows = again.pending(20)
    assert [row.pipeline for row in rows] == ["quiet"] * 20
    again.close()


def test_in_memory() -> None:
    spool = MemorySpool("n", max_mb=0.2, max_age_h=1)
    for _ in range(20):
        spool.accept(event(pipeline="quiet"))
    for _ in range(3000):
        spool.accept(noise())
    assert spool.counts().dropped["memory_full"] > 1000
    assert waiting(spool)["quiet"] == 20


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_two_that_are_alike_lose_alike(order: tuple[str, str]) -> None:
    spool = MemorySpool("n", max_mb=0.1, max_age_h=1)
    for _ in range(1000):
        for name in order:
            spool.accept(event(pipeline=name))
    rows = spool.pending(10_000)
    counts = [sum(row.pipeline == name for row in rows) for name in order]
    assert abs(counts[0] - counts[1]) <= 2
