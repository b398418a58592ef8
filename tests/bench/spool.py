#!/usr/bin/env python3
"""How fast the spool accepts, what it costs in memory, and what it writes in a day.

    tests/bench/spool.py [--events N] [--folder DIR] [--json FILE]

``sustained``: events a second that are flushed, synchronous=FULL, at most 500 on their way. ``single``:
accept to flushed, one at a time. ``memory``: growth of this process while nobody takes 100,000 events out.
``wear``: bytes a day at one event in ten seconds, as the kernel counts them (whole pages of 4096) and as
they were written, with the broker there and with the broker away.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from edged.events import Event, Finding, ModelTag
from edged.spool.disk import DiskSpool

DAY = 24 * 360  # events at one in ten seconds
WAIT_S = 60.0


def event(number: int) -> Event:
    """An event as the bundled classifier makes it; no two are alike."""
    score = 0.5 + number * 7919 % 5000 / 10_000
    cat, tabby, tiger = "Egyptian cat", "tabby, tabby cat", "tiger cat"
    captured = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1.77e9 + number * 10))
    return Event(
        type="change", node="porch-pi", pipeline="porch", label=cat, score=score, previous=tabby,
        top=(Finding(cat, score), Finding(tabby, (1 - score) / 2), Finding(tiger, (1 - score) / 3)),
        captured_at=f"{captured}.{number * 37 % 1000:03}Z", ts=f"{captured}.{number * 41 % 1000:03}Z",
        clock="synced", model=ModelTag("efficientnet_lite0_uint8", "35e8e20b"), accelerator="cpu",
        latency_ms=10 + number * 131 % 9973 / 1000,
    )  # fmt: skip


class Told:
    """Lets a thread wait until the spool has accepted."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self, payloads: tuple[bytes, ...]) -> None:
        with self._changed:
            self.count += len(payloads)
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self.count >= count, WAIT_S):
                raise SystemExit("the spool does not answer")


def opened(folder: Path, told: Told) -> DiskSpool:
    return DiskSpool(folder, "porch-pi", call_soon=lambda fetch: fetch(), on_committed=told)


def sustained(folder: Path, events: int) -> dict[str, Any]:
    told = Told()
    spool = opened(folder, told)
    started, used = time.perf_counter(), time.process_time()
    for number in range(events):
        spool.accept(event(number))
        if number % 100 == 0:
            told.wait(number - 500)
    told.wait(events)
    took, used = time.perf_counter() - started, time.process_time() - used
    spool.close()
    return {"events": events, "per_s": round(events / took), "cpu_us_each": round(used / events * 1e6)}


def single(folder: Path, events: int) -> dict[str, Any]:
    told = Told()
    spool = opened(folder, told)
    took = []
    for number in range(events):
        started = time.perf_counter()
        spool.accept(event(number))
        told.wait(number + 1)
        took.append((time.perf_counter() - started) * 1000)
    spool.close()
    cuts = statistics.quantiles(took, n=100)
    return {
        "events": events,
        "per_s": round(events / (sum(took) / 1000)),
        "p50_ms": round(cuts[49], 3),
        "p99_ms": round(cuts[98], 3),
    }


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory(folder: Path, events: int) -> dict[str, Any]:
    told = Told()
    spool = opened(folder, told)
    spool.pending(20)
    before = 0
    for number in range(events + 2000):
        if number == 2000:  # what it needs at all is there by now
            told.wait(number)
            before = _resident()
        spool.accept(event(number))
        if number % 100 == 0:
            told.wait(number - 500)
    told.wait(events + 2000)
    grown = _resident() - before
    queued = spool.counts().queued
    spool.close()
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {"queued": queued, "grown_mb": round(grown / 1e6, 2), "file_mb": round(size / 1e6, 1)}


def _written() -> tuple[int, int]:
    lines = Path("/proc/self/io").read_text("ascii").splitlines()
    counts = {key: int(value) for key, value in (line.split(": ") for line in lines)}
    return counts["write_bytes"], counts["wchar"]


def wear(folder: Path, events: int, *, drained: bool) -> dict[str, Any]:
    told = Told()
    spool = opened(folder, told)
    before = _written()
    for number in range(events):
        spool.accept(event(number))
        told.wait(number + 1)
        for row in spool.pending(20) if drained else ():
            spool.acknowledged(row.sequence)
    after = _written()
    spool.close()
    pages, written = ((b - a) / events * DAY / 1e6 for a, b in zip(before, after, strict=True))
    return {"events": events, "pages_mb_a_day": round(pages, 1), "written_mb_a_day": round(written, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: the temporary folder")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    found: dict[str, Any] = {"sqlite": sqlite3.sqlite_version, "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="edged-bench-") as base:
        folder = Path(base)
        found["sustained"] = sustained(folder / "1", options.events)
        found["single"] = single(folder / "2", max(200, options.events // 10))
        found["memory"] = memory(folder / "3", 5 * options.events)
        found["wear_drained"] = wear(folder / "4", max(500, options.events // 10), drained=True)
        found["wear_away"] = wear(folder / "5", max(500, options.events // 10), drained=False)
    for name, figures in found.items():
        print(f"{name:14} {figures}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
