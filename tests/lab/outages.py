#!/usr/bin/env python3
"""Takes the broker away for some time: how long after it is back does it acknowledge the first event?

    tests/lab/outages.py [--outages 3 3 3 20 20 35 35] [--nodes 3]

Real daemons with TLS send two events a second each; the broker is killed. The clock runs from the moment at
which its port answers again to the first acknowledgement of an event, in the broker's own log, for each node
and outage: 5 s at most for 95 of 100. In the end every event that was accepted must have been heard.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plant import Plant, quantile
from verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon import Daemon

EVERY_S = 0.5
BOUND_S = 5.0
PATIENCE_S = 90.0
_PUBLISH = re.compile(r"Received PUBLISH from edged-([a-z0-9-]+) \(d\d, q1, r0, m(\d+), 'edged/[^']*/event'")
_PUBACK = re.compile(r"Sending PUBACK to edged-([a-z0-9-]+) \(m(\d+), rc(\d+)\)")


class Ledger:
    """Follows the broker's log: which nodes had an event acknowledged."""

    def __init__(self, plant: Plant) -> None:
        self._path = plant.broker.log_path
        self._at = self._path.stat().st_size
        self._under_way: set[tuple[str, str]] = set()
        self.nodes: dict[str, float] = {}  # when it was seen, monotonic

    def follow(self) -> None:
        """Read on."""
        with self._path.open(errors="replace") as log:
            log.seek(self._at)
            text = log.read()
        whole = text.rfind("\n") + 1
        self._at += len(text[:whole].encode())
        for line in text[:whole].splitlines():
            if found := _PUBLISH.search(line):
                self._under_way.add((found[1], found[2]))
            elif (found := _PUBACK.search(line)) and (found[1], found[2]) in self._under_way:
                self.nodes.setdefault(found[1], time.monotonic())


def outage(plant: Plant, names: Sequence[str], seconds: float) -> list[float]:
    """Take the broker away and give it back; returns what each node took."""
    plant.broker.kill()
    time.sleep(seconds)
    ledger = Ledger(plant)
    plant.broker.start()
    back = time.monotonic()
    while len(ledger.nodes) < len(names):
        ledger.follow()
        if time.monotonic() - back > PATIENCE_S:
            break
        time.sleep(0.01)
    return [round(ledger.nodes.get(name, back + PATIENCE_S) - back, 3) for name in names]


def life(folder: Path, outages: Sequence[float], count: int) -> dict[str, Any]:
    names = [f"node-{number}" for number in range(count)]
    took: dict[float, list[float]] = {seconds: [] for seconds in sorted(set(outages))}
    nodes: list[Daemon] = []
    with Plant(folder, *names) as plant:
        try:
            for name in names:
                nodes.append(plant.node(name, plant.text(name, plant.pipelines(1, EVERY_S))))
                nodes[-1].start()
            for node in nodes:
                node.ready()
            for seconds in outages:
                time.sleep(3)
                took[seconds] += outage(plant, names, seconds)
            found = []
            for name, node in zip(names, nodes, strict=True):
                plant.quiet(node, plant.text(name, plant.pipelines(1, EVERY_S, enabled=False)))
                found.append(plant.settle(node))
        finally:
            for node in nodes:
                node.__exit__()
    every = [value for values in took.values() for value in values]
    return {
        "ok": all(one["ok"] for one in found) and quantile(every, 0.95) <= BOUND_S,
        "back_to_first_s": {
            f"{seconds:g} s": {
                "n": len(values), "p50": quantile(values, 0.5), "p95": quantile(values, 0.95)
            }
            for seconds, values in took.items()
        },
        "p95_s": quantile(every, 0.95),
        **{key: sum(one[key] for one in found) for key in ("accepted", "heard", "missing", "twice_marked")},
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--outages", type=float, nargs="+", default=[3, 3, 3, 20, 20, 35, 35], help="s")
    parser.add_argument("--nodes", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edged-outages-") as folder:
        found = life(Path(folder), options.outages, options.nodes)
    return verdict("outages", found.pop("ok"), **found)


if __name__ == "__main__":
    sys.exit(main())
