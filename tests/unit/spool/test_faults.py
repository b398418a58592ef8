"""A disk that fails at any statement, again and again: whatever was told stays accounted for."""

from __future__ import annotations

import json
import os
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from edged.spool.database import DiskError, Sqlite, Trouble
from edged.spool.disk import NAME, DiskSpool
from edged.tools.audit import audit
from unit.spool.doubles import FLUSH_S, Clock, disk, event, until_state

if TYPE_CHECKING:
    from pathlib import Path


class Flaky:
    """Opens connections that fail by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rate = 0.0
        self.failed = 0

    def __call__(self, path: Path) -> _Flaky:
        self.check()
        return _Flaky(self, path)

    def check(self, *, never: Trouble | None = None) -> None:
        if self.chance.random() < self.rate:
            self.failed += 1
            raise DiskError(self.chance.choice([t for t in Trouble if t is not never]), "as the test told it")


class _Flaky:
    def __init__(self, flaky: Flaky, path: Path) -> None:
        self._flaky = flaky
        self._database = Sqlite(path)

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if sql != "ROLLBACK":
            self._flaky.check()
        found = self._database.rows(sql, values)
        if sql == "COMMIT":
            # It is there, and nobody knows; only a full disk is known to have taken nothing.
            self._flaky.check(never=Trouble.FULL)
        return found

    def many(self, sql: str, values: Any) -> None:
        self._flaky.check()
        self._database.many(sql, values)

    def close(self) -> None:
        self._database.close()


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_and_nothing_is_two_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("edged.spool.writer.RETRY_S", (0.001, 0.002))
    flaky, told = Flaky(seed), []
    before = disk(Clock(), tmp_path, on_committed=told.extend, call_soon=lambda fetch: fetch())
    for _ in range(20):
        before.accept(event("before"))
    before.close()
    flaky.rate = seed % 2  # every other time not even the start succeeds
    spool = disk(Clock(), tmp_path, connect=flaky, call_soon=lambda fetch: fetch(), on_committed=told.extend)
    pause = threading.Event()
    seen: dict[str, bytes] = {}
    done: set[str] = set()
    flying: dict[int, str] = {}
    resting: dict[int, str] = {}
    for number in range(400):
        flaky.rate = 0.05 if number % 40 < 30 else 0.0
        for _ in range(flaky.chance.choice((0, 1, 1, 5))):
            spool.accept(event(f"label {number}"))
        if flaky.chance.random() < 0.3:
            spool.flush(0.02)
        pause.wait(0.002)  # the writer has its turn
        for row in spool.pending(flaky.chance.randrange(8)):
            id_ = json.loads(row.payload)["id"]
            assert seen.setdefault(id_, row.payload) == row.payload
            assert id_ not in done
            flying[row.sequence] = id_
        for sequence in flaky.chance.sample(sorted(flying), min(len(flying), flaky.chance.randrange(6))):
            id_, keep = flying.pop(sequence), flaky.chance.random() < 0.5
            if flaky.chance.random() < 0.2:
                spool.released([sequence])
            else:
                spool.acknowledged(sequence, keep=keep)
                resting |= {sequence: id_} if keep else {}
                done |= set() if keep else {id_}
        done |= _end_rest(spool, resting, flaky.chance)
        assert spool.counts().balanced
    flaky.rate = 0.0
    assert flaky.failed
    until_state(spool, "disk")
    assert spool.flush(FLUSH_S)
    spool.released(flying)
    while rows := spool.pending(100):
        for row in rows:
            id_ = json.loads(row.payload)["id"]
            assert seen.setdefault(id_, row.payload) == row.payload
        spool.flush(FLUSH_S)
    counts = spool.counts()
    spool.close()
    found = audit(tmp_path)
    assert found["balanced"], found
    assert (found["accepted"], found["acknowledged"]) == (counts.accepted, counts.acknowledged)
    missing = {json.loads(payload)["id"] for payload in told} - set(seen)
    assert len(missing) == sum(counts.dropped.values())


def _end_rest(spool: DiskSpool, resting: dict[int, str], chance: random.Random) -> set[str]:
    """Let some rows that rest be gone, or wait again; returns the ids of those that are gone."""
    ended = chance.sample(sorted(resting), chance.randrange(len(resting) + 1))
    ids = {resting.pop(sequence) for sequence in ended}
    if chance.random() < 0.5:
        spool.settled(ended)
        return ids
    spool.recalled(ended)
    return set()


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_set_aside_at_once(tmp_path: Path, suffix: str, kind: str) -> None:
    file = tmp_path / f"{NAME}{suffix}"
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    spool = DiskSpool(tmp_path, "n")
    assert spool.state == "disk"
    spool.close()
    assert file.with_name(NAME).is_file()
