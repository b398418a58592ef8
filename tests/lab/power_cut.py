#!/usr/bin/env python3
"""Cuts the power while events are accepted, sent and dropped, and looks for what is missing afterwards.

    tests/lab/power_cut.py [--cuts 20000] [--seed 1] [--synchronous NORMAL]

The spool's own statements and bookkeeping run on a disk in memory (``cut_disk``). At a random operation
the power goes; what is found afterwards is opened by the product as it is, on sqlite of the standard
library, and life goes on from there until the next cut. Nothing that was accepted may be missing or
changed, the balance must hold, no id may be given twice, and nothing may be taken for damage. With
``--synchronous NORMAL`` it must fail: that is the control.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cut_disk import Apsw, CutDisk, Stored
from verdict import verdict

from edged.spool import ledger as _ledger
from edged.spool import recovery
from edged.spool.accounts import RowAccounts
from edged.spool.ages import Ages, Time
from edged.spool.commits import Commits
from edged.spool.database import DiskError, Sqlite
from edged.spool.disk import NAME
from edged.spool.ledger import Ledger
from edged.spool.ranges import Ranges
from edged.spool.store import Store, beside, create
from edged.spool.wal import inspect

if TYPE_CHECKING:
    from edged.spool.database import Database

NODE = "lab"
LINEAGE = 50  # cuts that one file lives through
LOG_PAGES = 24  # small, so that the log is often carried over and begun anew
MAX_PAGES = 200
MEMORY = Path("/dev/shm")  # noqa: S108  # mkdtemp makes the folder; flushing costs nothing there
EXAMPLES = 5  # complaints that are printed


@dataclass
class Life:
    """What the world knows of one file.

    Attributes:
        expected: rows that were accepted and are not done with, by place.
        dropping: rows that a commit under way drops by policy: they are there, or are counted.
        ids: every one it saw.
        now: time since boot, in s.
    """

    expected: dict[int, bytes] = field(default_factory=dict)
    dropping: Ranges = field(default_factory=Ranges)
    ids: set[str] = field(default_factory=set)
    now: float = 0.0


class Lab:
    """Runs and judges."""

    def __init__(self, seed: int, synchronous: str, folder: Path) -> None:
        self.chance = random.Random(seed)
        _ledger.new_epoch = lambda: self.chance.randbytes(6).hex()  # the same seed, the same run
        self.synchronous = synchronous
        self.path = folder / NAME
        self.disk = CutDisk(self.chance)
        self.life = Life()
        self.complaints: list[str] = []
        self.cuts = self.accepted = self.lost = self.commits = self.epochs = 0

    def begin(self) -> None:
        """A new file, whole and flushed."""
        for path in self.path.parent.iterdir():
            path.unlink()
        create(self.path, Sqlite, Ledger(NODE))
        self.disk.files = {NAME: Stored.of(self.path.read_bytes())}
        self.life = Life()

    def run(self) -> None:
        """Live until the power goes, and look."""
        self.disk.dead, self.disk.left = False, self.chance.randint(1, 120)
        self._live()
        self.disk.dead = True
        found = self.disk.after_cut(self.chance)
        self.cuts += 1
        self._judge(found)
        self.disk.files = {name: Stored.of(data) for name, data in found.items()}

    def _live(self) -> None:
        store = None
        try:
            for name, stored in self.disk.files.items():
                (self.path.parent / name).write_bytes(stored.flushed)
            log = inspect(beside(self.path, "-wal"))
            opened = recovery.open_sound(self.path, self._connect, NODE, log, self._store)
            store = opened.store
            recovery.begin_session(opened)
            self._work(store, opened.ledger, opened.present)
        except DiskError:
            if not self.disk.dead:
                raise
        finally:
            self.disk.dead = True
            if store is not None:
                store.close()

    def _connect(self, path: Path) -> Apsw:
        return Apsw(path)

    def _store(self, database: Database) -> Store:
        return Store(database, self.synchronous, LOG_PAGES)

    def _work(self, store: Store, ledger: Ledger, present: Ranges) -> None:
        ages = Ages(3600, Time(lambda: self.life.now, lambda: 1.7e9, lambda: False, lambda: "boot"))
        ages.adopt(ledger.boots)
        accounts = RowAccounts(ledger, present, ages, 10_000_000)
        commits = Commits(
            accounts, threading.Condition(), ages, max_pages=MAX_PAGES, min_free=0, free=lambda: 1
        )
        for _ in range(self.chance.randint(1, 20)):
            self._events(accounts)
            self._settle(accounts, store)
            self.life.now += self.chance.choice((0, 0, 1, 600))
            change = accounts.snapshot()
            self.life.dropping = change.dropped
            commits.write(store, change, check_ages=self.chance.random() < 0.3)
            self.life.dropping = Ranges()
            accounts.committed(change)
            self.commits += 1
            self._remember(accounts, change.inserts)
            store.relieve()

    def _events(self, accounts: RowAccounts) -> None:
        for _ in range(self.chance.choice((0, 1, 1, 1, 2, 8))):
            size = self.chance.choice((10, 100, 300, 300, 4000))
            id_ = accounts.ledger.id_of(accounts.ledger.last + 1)
            noise = self.chance.randbytes(size).hex()
            accounts.accept("porch", json.dumps({"id": id_, "label": noise}).encode())

    def _settle(self, accounts: RowAccounts, store: Store) -> None:
        answer = accounts.read_ahead.wanting
        if answer is not None:
            start = answer.upto
            accounts.read(answer, start, *store.fetch(start, (), 64))
        for row in accounts.take(self.chance.randint(0, 6), 0, ()):
            fate = self.chance.choice((accounts.acknowledged, accounts.acknowledged, accounts.refused, None))
            if fate is None:
                accounts.released([row.sequence])
            else:
                fate(row.sequence)
                self.life.expected.pop(row.sequence, None)

    def _remember(self, accounts: RowAccounts, inserts: list[Any]) -> None:
        """Rows that were committed are accepted; those dropped by a policy are not waited for."""
        self.accepted += len(inserts)
        for entry in inserts:
            self.life.expected[entry.place] = entry.payload
            self.life.ids.add(json.loads(entry.payload)["id"])
        for place in [place for place in self.life.expected if place not in accounts.rows.present]:
            del self.life.expected[place]

    def _judge(self, found: dict[str, bytes]) -> None:
        for path in self.path.parent.iterdir():
            path.unlink()
        for name, data in found.items():
            (self.path.parent / name).write_bytes(data)
        opened = recovery.open_file(self.path, Sqlite, NODE)
        rows, at = {}, 0
        while entries := opened.store.fetch(at, (), 500)[0]:
            rows |= {entry.place: entry.payload for entry in entries}
            at = entries[-1].place
        opened.store.close()
        for place in self.life.dropping:
            if place not in rows:
                self.life.expected.pop(place, None)
        self.life.dropping = Ranges()
        missing = [place for place, payload in self.life.expected.items() if rows.get(place) != payload]
        self.lost += len(missing)
        ledger = opened.ledger
        told = ledger.acknowledged + ledger.dropped.total() + len(rows)
        next_id = ledger.id_of(ledger.last + 1)
        self.epochs += len(ledger.epochs) > 1
        self._complain(bool(missing), f"{len(missing)} accepted rows are missing or changed")
        self._complain(bool(opened.reset), f"taken for damage: {opened.reset}")
        self._complain(ledger.last - ledger.base != told, "it does not add up")
        self._complain(next_id in self.life.ids, f"{next_id} was given before")

    def _complain(self, wrong: bool, what: str) -> None:
        if wrong:
            self.complaints.append(f"cut {self.cuts}: {what}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cuts", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--synchronous", choices=("FULL", "NORMAL"), default="FULL")
    options = parser.parse_args()
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="edged-cut-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        lab = Lab(options.seed, options.synchronous, folder)
        for number in range(options.cuts):
            if number % LINEAGE == 0 or lab.complaints:
                lab.begin()
            lab.run()
            if len(lab.complaints) >= EXAMPLES:
                break
    finally:
        shutil.rmtree(folder)
    return verdict(
        "power-cut", not lab.complaints, synchronous=options.synchronous, seed=options.seed, cuts=lab.cuts,
        commits=lab.commits, accepted=lab.accepted, lost=lab.lost, complaints=lab.complaints[:EXAMPLES],
        operations=lab.disk.operations, seconds=round(time.monotonic() - started, 1),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
