#!/usr/bin/env python3
"""Kills a process that accepts, sends and acknowledges events, again and again, and looks for what is
missing.

    tests/lab/kill_spool.py [--kills 1000] [--seed 1]

The process writes down on a pipe what the world would know: each event that it was told is accepted, and
each row that the broker has for good, at once or after it rested. It is ended by SIGKILL at a random moment,
and the next one goes on with the same folder. Every event that was accepted, and that the broker has not for
good, must be in the file as it was; no id may ever stand for two events; the balance must hold after every
kill.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lab_events import event
from verdict import verdict

from edged.spool.database import Sqlite
from edged.spool.disk import NAME, DiskSpool
from edged.spool.store import Store, snapshot
from edged.tools.audit import audit

if TYPE_CHECKING:
    from edged.spool import Row

EXAMPLES = 5
LONGEST_S = 0.12  # a process lives at most so long once it accepts
START_S = 30.0


def live(folder: Path, pipe: int, seed: int) -> NoReturn:
    """Be the process."""
    chance = random.Random(seed)
    told: list[bytes] = []
    spool = DiskSpool(folder, "lab", call_soon=lambda fetch: fetch(), on_committed=told.extend)
    number = 0
    resting: list[Row] = []
    while True:
        for _ in range(chance.choice((1, 1, 1, 5, 40))):
            number += 1
            spool.accept(event(f"{seed}-{number}"))
        if chance.random() < 0.5:
            spool.flush(10)
        accepted = [told.pop(0) for _ in range(len(told))]
        rows = spool.pending(chance.choice((0, 20, 40)))
        # What is said before it is done may be said for nothing; what is acknowledged may come again.
        lines = [f"A {json.loads(p)['id']} {zlib.crc32(p)}\n" for p in accepted]
        ended, resting = resting, []
        if chance.random() < 0.2:  # the broker may have forgotten them
            spool.recalled(row.sequence for row in ended)
            ended = []
        done = [row for row in rows if chance.random() < 0.5]
        lines += [f"D {json.loads(row.payload)['id']} {zlib.crc32(row.payload)}\n" for row in done + ended]
        os.write(pipe, "".join(lines).encode())
        spool.settled(row.sequence for row in ended)
        for row in rows:
            spool.acknowledged(row.sequence, keep=row not in done)
        resting += [row for row in rows if row not in done]


def one(folder: Path, seed: int, chance: random.Random) -> tuple[str, float]:
    """Let a process live and kill it; returns what it wrote, and how long it took until it accepted."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        live(folder, writer, seed)
    os.close(writer)
    started, text = time.monotonic(), b""
    deadline = started + START_S
    first = 0.0
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([reader], [], [], left)[0]:
            break
        text += os.read(reader, 1 << 16)
        if not first:
            first = time.monotonic() - started
            deadline = time.monotonic() + chance.uniform(0, LONGEST_S)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reader, 1 << 16):
        text += more
    os.close(reader)
    return text.decode(), first


class World:
    """What was seen from outside."""

    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}
        self.known: dict[str, int] = {}
        self.accepted = self.acknowledged = self.lost = 0
        self.complaints: list[str] = []

    def hear(self, text: str) -> None:
        """Take over what a process said; its last line may be torn."""
        for line in text.splitlines(keepends=True):
            if not line.endswith("\n"):
                return
            what, id_, crc = line.split()
            if self.known.setdefault(id_, int(crc)) != int(crc):
                self.complaints.append(f"{id_} stands for two events")
            if what == "A":
                self.accepted += 1
                self.waiting[id_] = int(crc)
            else:
                self.acknowledged += 1
                self.waiting.pop(id_, None)

    def look(self, folder: Path) -> None:
        """Compare with the file."""
        with tempfile.TemporaryDirectory(prefix="edged-look-") as own:
            snapshot(folder / NAME, Path(own) / NAME)
            store = Store(Sqlite(Path(own) / NAME))
            found, at = {}, 0
            while entries := store.fetch(at, (), 500)[0]:
                found |= {json.loads(e.payload)["id"]: zlib.crc32(e.payload) for e in entries}
                at = entries[-1].place
            store.close()
        missing = [id_ for id_, crc in self.waiting.items() if found.get(id_) != crc]
        for id_ in missing:
            del self.waiting[id_]
        self.lost += len(missing)
        if missing:
            self.complaints.append(f"{len(missing)} are missing, {missing[0]} for one")
        balance = audit(folder)
        if not balance["balanced"] or balance["set_aside"]:
            self.complaints.append(f"audit: {balance}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    world, kills, slowest = World(), 0, 0.0
    with tempfile.TemporaryDirectory(prefix="edged-kill-") as folder:
        for number in range(options.kills):
            text, first = one(Path(folder), number, chance)
            slowest = max(slowest, first)
            kills += 1
            world.hear(text)
            world.look(Path(folder))
            if not text:
                world.complaints.append("a process did not accept anything")
            if len(world.complaints) >= EXAMPLES:
                break
        epochs = len({id_.split("/")[1] for id_ in world.known})
    return verdict(
        "kill-spool", not world.complaints, seed=options.seed, kills=kills, accepted=world.accepted,
        acknowledged=world.acknowledged, lost=world.lost, epochs=epochs, slowest_start_s=round(slowest, 2),
        complaints=world.complaints[:EXAMPLES],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
