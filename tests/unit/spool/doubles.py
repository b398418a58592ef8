"""Events, a clock, disks that fail, and both stores behind one interface, for the tests of the spool."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from edged.events import Event, ModelTag
from edged.spool.ages import Time
from edged.spool.database import DiskError, Sqlite, Trouble
from edged.spool.disk import DiskSpool
from edged.spool.memory import MemorySpool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edged.spool import Row

HOUR = 3600.0
FLUSH_S = 30.0  # far beyond what a commit takes on a busy machine
_nothing = threading.Event()


def event(label: str = "cat", pipeline: str = "p") -> Event:
    return Event(
        type="start", node="n", pipeline=pipeline, label=label, score=0.5, previous="unknown", top=(),
        captured_at="2026-01-31T12:00:00.000Z", ts="2026-01-31T12:00:00.000Z", clock="synced",
        model=ModelTag("m", "35e8e20b"), accelerator="cpu", latency_ms=1.0,
    )  # fmt: skip


def until(condition: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    """Wait for what the spool's thread does."""
    deadline = time.monotonic() + FLUSH_S
    while not condition():
        assert time.monotonic() < deadline, what()
        _nothing.wait(0.002)


def until_state(spool: DiskSpool, state: str) -> None:
    """Wait until the spool is on disk, or in memory for that reason."""
    until(lambda: spool.state.startswith(state), lambda: spool.state)


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
        """Let time go by."""
        self.now += seconds
        self.wall += seconds

    def reboot(self, boot: str, away: float) -> None:
        """Turn the machine off for this many seconds, and on again."""
        self.boot, self.now = boot, 0.0
        self.wall += away

    def time(self) -> Time:
        return Time(lambda: self.now, lambda: self.wall, lambda: self.synced, lambda: self.boot)


class FaultyDisk:
    """Opens connections to a disk that can be told to fail.

    Attributes:
        fault: how it fails now; None: it works.
        only: only statements that begin with this, or ``OPEN``.
        once: the first failure mends it.
        tries: how often the statement that should fail was tried.
    """

    def __init__(self) -> None:
        self.fault: Trouble | None = None
        self.only = ""
        self.once = False
        self.tries = 0

    def __call__(self, path: Path) -> _FaultyDatabase:
        return _FaultyDatabase(self, path)

    def check(self, sql: str) -> None:
        fault = self.fault
        if fault is not None and sql.startswith(self.only):
            self.tries += 1
            self.fault = None if self.once else fault
            raise DiskError(fault, "as the test told it")


class _FaultyDatabase:
    def __init__(self, disk: FaultyDisk, path: Path) -> None:
        disk.check("OPEN")
        self._disk = disk
        self._database = Sqlite(path)

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if sql != "ROLLBACK":
            self._disk.check(sql)
        return self._database.rows(sql, values)

    def many(self, sql: str, values: Any) -> None:
        self._disk.check(sql)
        self._database.many(sql, values)

    def close(self) -> None:
        self._database.close()


class Flushed:
    """A spool on disk whose every answer waits for the disk, so that it can be asked like one in memory."""

    def __init__(self, spool: DiskSpool) -> None:
        self.spool = spool

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.spool, name)
        if not callable(found) or name == "close":
            return found

        def flushed(*args: Any, **kwargs: Any) -> Any:
            answer = found(*args, **kwargs)
            assert self.spool.flush(FLUSH_S)
            return answer

        return flushed

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
