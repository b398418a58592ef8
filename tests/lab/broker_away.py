#!/usr/bin/env python3
"""The broker is away while a real daemon makes 100,000 events: memory of main, and what it writes to disk.

    tests/lab/broker_away.py [--events 100000]

First at ten events a second, each with a commit of its own, as they come at one in ten seconds: bytes that
the kernel wrote to the disk for main, scaled to a day of one event in ten seconds (50 MB at most). Then as
fast as it goes: main may not grow by more than 5 MB from the 5,000th event on. Then the
configuration gets the right port, and a subscriber must get every one of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from plant import Broker, Daemon, Ear, free_port, model, pipelines, until, wait_for
from reconcile import reconcile
from verdict import verdict

from edged.tools.audit import audit

DAY = 24 * 360  # events at one in ten seconds
SLOW_S, SLOW_EVENTS = 0.1, 200
WARM = 5000
GROWTH_MB, WRITTEN_MB = 5.0, 50.0
EVENTS_S = 200  # the slowest that is waited for
DELIVERED_S = 1800.0


class Node:
    """The daemon, and a look into it."""

    def __init__(self, folder: Path, run_dir: str) -> None:
        (folder / "run").symlink_to(run_dir)
        self._folder, self._model = folder, model(folder)
        self.port = free_port()  # where nobody is
        self.daemon = Daemon(folder, self.text(SLOW_S, 1))

    def text(self, every_s: float, count: int, *, enabled: bool = True) -> str:
        names = [f"p{number}" for number in range(count)]
        return (
            f"node: client\nstate_dir: {self._folder}/state\nrun_dir: {self._folder}/run\n"
            "health: {interval_s: 1}\nspool: {max_mb: 512, min_free_mb: 0}\n"
            f"mqtt: {{host: 127.0.0.1, port: {self.port}}}\n"
            + pipelines(self._model, names, every_s, enabled=enabled)
        )

    def accepted(self) -> int:
        """How many there are, as the daemon says each second."""
        return self._events("accepted")

    def queued(self) -> int:
        return self._events("queued")

    def _events(self, key: str) -> int:
        return int(self.daemon.health()["events"][key])

    def memory_mb(self) -> float:
        return psutil.Process(self.daemon.pid).memory_info().rss / 1e6

    def written(self) -> int:
        """Return the bytes that the kernel wrote to a disk for main."""
        lines = Path(f"/proc/{self.daemon.pid}/io").read_text("ascii").splitlines()
        return int(dict(line.split(": ") for line in lines)["write_bytes"])


def wear(node: Node) -> dict[str, Any]:
    """Count what is written while events come one by one."""
    wait_for(lambda: node.accepted() > 5, "events")
    events, written = node.accepted(), node.written()
    until(lambda: node.accepted() >= events + SLOW_EVENTS, 20 * SLOW_EVENTS * SLOW_S, 1.0)
    events, written = node.accepted() - events, node.written() - written
    return {"slow_events": events, "written_mb_a_day": round(written / events * DAY / 1e6, 1)}


def flood(node: Node, count: int) -> dict[str, Any]:
    """Let events come as fast as they do, and watch main."""
    began, first = time.monotonic(), node.accepted()
    node.daemon.reload(node.text(0, 2))
    assert until(lambda: node.accepted() >= min(WARM, count // 2), count / EVENTS_S, 0.5), "too slow"
    most = before = node.memory_mb()
    deadline = began + count / EVENTS_S
    while node.accepted() < count and time.monotonic() < deadline:
        most = max(most, node.memory_mb())
        time.sleep(1)
    rate = (node.accepted() - first) / (time.monotonic() - began)
    node.daemon.reload(node.text(0, 2, enabled=False))
    return {
        "per_s": round(rate),
        "main_mb": round(before, 1),
        "main_grown_mb": round(max(most, node.memory_mb()) - before, 1),
    }


def life(folder: Path, count: int) -> dict[str, Any]:
    # As systemd has it: what is in the run directory is on no disk.
    with (
        Broker(folder, extra=["max_queued_messages 0"]) as broker,
        tempfile.TemporaryDirectory(dir="/dev/shm") as run_dir,
    ):
        ear = Ear(folder, broker.port, "edged/+/+/event", "edged/+/gap")
        node = Node(folder, run_dir)
        with node.daemon:
            found = wear(node) | flood(node, count)
            waited, began = audit(folder / "state")["queued"], time.monotonic()
            node.port = broker.port
            node.daemon.reload(node.text(0, 2, enabled=False))
            until(lambda: node.queued() == 0, DELIVERED_S, 1.0)
            drained_s = time.monotonic() - began
            node.daemon.stop()
        balance = audit(folder / "state")
        until(lambda: len(ear.heard()) >= balance["last"], 60, 1.0)
        ear.stop()
    all_of_it = reconcile(ear.heard(), balance)
    fit = found["main_grown_mb"] <= GROWTH_MB and found["written_mb_a_day"] <= WRITTEN_MB
    return {
        "ok": fit and all_of_it["accepted"] >= count and all_of_it["ok"],
        **found, "waited": waited, "drained_s": round(drained_s),
        **{key: all_of_it[key] for key in ("accepted", "heard", "missing", "dropped", "queued")},
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edged-away-") as folder:
        found = life(Path(folder), options.events)
    return verdict("broker_away", found.pop("ok"), **found)


if __name__ == "__main__":
    sys.exit(main())
