#!/usr/bin/env python3
"""Damages spools in every way and starts with them.

    tests/lab/damage.py [--cases 200] [--rows 40000] [--seed 1]

Each case takes a spool that was closed in order, or was in use when its process was killed, and cuts,
zeroes, flips or overwrites its file or its log, replaces it, or locks it. Each must be open within 10 s,
accept an event on disk and hand it out under an id that no other event ever had, keep only rows that are
what they were, and add up. Every twentieth has ``--rows`` rows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab_events import event
from verdict import verdict

from edged.spool.database import Sqlite
from edged.spool.disk import NAME, DiskSpool
from edged.tools.audit import audit

if TYPE_CHECKING:
    from collections.abc import Callable

START_S = 10.0
FLUSH_S = 60.0
EXAMPLES = 5


def build(folder: Path, rows: int, *, closed: bool) -> dict[str, str]:
    """Make a spool, in a process of its own, and return the labels by id."""
    child = os.fork()
    if child == 0:
        spool = DiskSpool(folder, "lab")
        for number in range(rows):
            spool.accept(event(f"label {number}"))
            if number % 500 == 499 or number > rows - 50:
                spool.flush(FLUSH_S)
        for row in spool.pending(20):
            spool.acknowledged(row.sequence)
        spool.flush(FLUSH_S)
        if closed:
            spool.close()
        os._exit(0)
    os.waitpid(child, 0)
    epoch = audit(folder)["epoch"]
    return {f"lab/{epoch}/{number + 1}": f"label {number}" for number in range(rows)}


class Damage:
    """The ways to damage a spool; each takes the file or its log."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def ways(self) -> dict[str, Callable[[Path], Any]]:
        return {
            "cut": lambda path: os.truncate(path, self._chance.randrange(path.stat().st_size)),
            "cut at a page": lambda path: os.truncate(path, self._place(path) // 512 * 512),
            "empty": lambda path: os.truncate(path, 0),
            "flipped": self._flip,
            "zeroed": lambda path: self._put(path, bytes(self._size())),
            "noise": lambda path: self._put(path, self._chance.randbytes(self._size())),
            "head": lambda path: self._write(path, self._chance.randrange(100), self._chance.randbytes(8)),
            "foreign": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" * 4000),
            "removed": lambda path: path.unlink(),
            "a folder": self._folder,
        }

    def _flip(self, path: Path) -> None:
        for _ in range(self._chance.choice((1, 1, 10, 100))):
            at = self._place(path)
            byte = path.read_bytes()[at]
            self._write(path, at, bytes([byte ^ 1 << self._chance.randrange(8)]))

    def _folder(self, path: Path) -> None:
        path.unlink()
        path.mkdir()

    def _place(self, path: Path) -> int:
        return self._chance.randrange(path.stat().st_size)

    def _size(self) -> int:
        return self._chance.choice((1, 100, 512, 4096, 100_000))

    def _put(self, path: Path, data: bytes) -> None:
        at = self._place(path)
        self._write(path, at, data[: path.stat().st_size - at])

    @staticmethod
    def _write(path: Path, at: int, data: bytes) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data)


def lock(path: Path) -> int:
    """Have another process hold the file, as a shell of sqlite would; returns it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        database = Sqlite(path)
        database.rows("PRAGMA locking_mode=EXCLUSIVE")
        database.rows("BEGIN EXCLUSIVE")
        os.write(writer, b".")
        signal.pause()
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return child


def start(folder: Path, known: dict[str, str], *, volatile: bool) -> tuple[float, str]:
    """Open the spool as the daemon would; returns how long that took, and what is wrong with it."""
    started = time.monotonic()
    spool = DiskSpool(folder, "lab")
    took = time.monotonic() - started
    try:
        own = spool.accept(event("after")).id
        flushed = spool.flush(FLUSH_S)
        if flushed is volatile:
            return took, f"state is {spool.state}"
        rows = []
        while more := spool.pending(500):
            rows += more
            spool.flush(FLUSH_S)
        given = [json.loads(row.payload) for row in rows if row.pipeline]
    finally:
        spool.close()
    if own in known or own not in {data["id"] for data in given}:
        return took, f"{own} is not the new event's alone"
    if len({data["id"] for data in given}) != len(given):
        return took, "an id was given twice"
    wrong = [data for data in given if known.get(data["id"], "after") != data["label"]]
    return took, f"{len(wrong)} rows are not what they were" if wrong else ""


def run(folder: Path, known: dict[str, str], chance: random.Random) -> tuple[str, float, str]:
    """Damage one spool and start; returns the way, the time, and what is wrong."""
    ways = Damage(chance).ways()
    way = chance.choice([*ways, "locked"])
    parts = [path for path in (folder / NAME, folder / f"{NAME}-wal") if path.exists()]
    part = chance.choice(parts)
    holder = None
    if way == "locked":
        holder = lock(folder / NAME)
    else:
        ways[way](part)
    name = way if way == "locked" else f"{way} {'log' if part.name.endswith('-wal') else 'file'}"
    try:
        took, wrong = start(folder, known, volatile=holder is not None)
    finally:
        if holder is not None:
            os.kill(holder, signal.SIGKILL)
            os.waitpid(holder, 0)
    if not wrong and holder is None and not (found := audit(folder))["balanced"]:
        wrong = found["problem"]
    if took > START_S:
        wrong = f"open after {took:.1f} s"
    return name, took, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--rows", type=int, default=40_000, help="in every twentieth spool")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    times, ways, complaints = [], Counter[str](), []
    with tempfile.TemporaryDirectory(prefix="edged-damage-") as base:
        models = []
        for number, rows in enumerate((400, 400, options.rows)):
            folder = Path(base) / f"model{number}"
            models.append((folder, build(folder, rows, closed=number == 0)))
        for number in range(options.cases):
            model, known = models[2 if number % 20 == 19 else number % 2]
            folder = Path(base) / "case"
            shutil.copytree(model, folder)
            way, took, wrong = run(folder, known, chance)
            shutil.rmtree(folder)
            ways[way] += 1
            times.append(took)
            if wrong:
                complaints.append(f"case {number}, {way}: {wrong}")
    return verdict(
        "damage", not complaints, seed=options.seed, cases=len(times), longest_s=round(max(times), 2),
        ways=dict(ways), complaints=complaints[:EXAMPLES],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
