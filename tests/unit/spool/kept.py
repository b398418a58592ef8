"""Events, a clock, and both stores behind one face, for the tests of the spool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged.events import Event, ModelTag
from edged.spool.ages import Time
from edged.spool.disk import DiskSpool
from edged.spool.memory import MemorySpool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edged.spool import Row

HOUR = 3600.0
FLUSH_S = 30.0  # far beyond what a commit takes on a busy machine


def event(label: str = "cat", pipeline: str = "p") -> Event:
    return Event(
        type="start", node="n", pipeline=pipeline, label=label, score=0.5, previous="unknown", top=(),
        captured_at="2026-01-31T12:00:00.000Z", ts="2026-01-31T12:00:00.000Z", clock="synced",
        model=ModelTag("m", "35e8e20b"), accelerator="cpu", latency_ms=1.0,
    )  # fmt: skip


class Clock:
    """One clock for all: since boot, wall, and whether that one is right."""

    def __init__(self) -> None:
        self.now = 0.0
        self.wall = 1.7e9
        self.synced = True
        self.boot = "boot-1"

    def __call__(self) -> float:
        return self.now

    def step(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self.wall += seconds

    def reboot(self, boot: str, away: float) -> None:
        """The machine was off for so long."""
        self.boot, self.now = boot, 0.0
        self.wall += away

    def time(self) -> Time:
        return Time(lambda: self.now, lambda: self.wall, lambda: self.synced, lambda: self.boot)


class Settled:
    """A spool on disk whose every answer waits until the disk has it, so that it can be asked like memory."""

    def __init__(self, spool: DiskSpool) -> None:
        self.spool = spool

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.spool, name)
        if not callable(found) or name == "close":
            return found

        def settled(*args: Any, **kwargs: Any) -> Any:
            answer = found(*args, **kwargs)
            assert self.spool.flush(FLUSH_S)
            return answer

        return settled

    def pending(self, limit: int, **question: Any) -> list[Row]:
        """Ask again for what had to be read first."""
        rows: list[Row] = []
        asked_after_reading = False
        while len(rows) < limit:
            more = self.spool.pending(limit - len(rows), **question)
            if not more and asked_after_reading:
                break
            asked_after_reading = not more
            assert self.spool.flush(FLUSH_S)
            rows += more
        return rows


def sequences(rows: Sequence[Row]) -> list[int]:
    return [row.sequence for row in rows]


def memory(clock: Clock, **changes: Any) -> MemorySpool:
    return MemorySpool("n", **({"max_mb": 1, "max_age_h": 1, "now": clock} | changes))


def disk(clock: Clock, folder: Path, **changes: Any) -> DiskSpool:
    options = {"max_mb": 1, "max_age_h": 1, "time": clock.time(), "free": lambda _: 10**12} | changes
    return DiskSpool(folder, "n", **options)
