#!/usr/bin/env python3
"""A thousand nodes at a broker: does ``edged fleet`` read all of them, how fast, and in how much memory?

    tests/lab/fleet_reading.py [--nodes 1000] [--kind nats|mosquitto]

Each node is edged's own sink with a connection of its own, a status and a health message as a real one has
them; a process has a hundred. ``edged fleet --json`` runs as a person runs it, and has to list every node.
With nats the nodes are spread over a cluster of three, and read at each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_nodes import HOST, KINDS
from verdict import verdict

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

from node import Node, until

import edged
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

A_PROCESS = 100
READ_S, READ_MB = 5.0, 120.0
START_S = 300.0


def health(name: str) -> str:
    """A health message as long as that of a node with three pipelines."""
    pipeline = {
        "state": "running", "online": True, "enabled": True,
        "decision": {"label": "cat", "since": clock.rfc3339(0)},
        "fps": 4.2, "invoke_ms": {"p50": 12.3, "p95": 15.1}, "capture_ms": 1.2, "frames": 100_000,
        "dropped": {"stale": 12}, "restarts": 0, "held_by": "", "last_error": "",
        "model": {"name": "mobilenet_v2", "sha256": "35e8e20b"}, "runtime": "litert", "accelerator": "cpu",
        "degraded": False, "isolation": ["user", "seccomp", "netns"], "network": False,
    }  # fmt: skip
    data = {
        "v": 1, "node": name, "version": edged.__version__, "status": "ok", "problems": [], "uptime_s": 86400,
        "ts": clock.rfc3339(clock.wall()), "clock": "synced", "sensors": {}, "queue": 0, "spool": "disk",
        "pipelines": dict.fromkeys(("porch", "yard", "gate"), pipeline),
        "events": {"accepted": 1, "acknowledged": 1, "queued": 0, "dropped": {}},
        "broker": {"state": "connected", "detail": "MQTT to broker"}, "isolation": "required",
        "processes": {"main": {"pid": 1, "rss_mb": 45.0}},
    }  # fmt: skip
    return json.dumps(data)


async def publish(hosts: Sequence[str], first: int, count: int) -> None:
    """Keep that many nodes connected until a signal ends this process."""
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    nodes = []
    for number in range(first, first + count):
        # As many begin at each address.
        own = [*hosts[number % len(hosts) :], *hosts[: number % len(hosts)]]
        node = Node(node=f"board-{number:05}", host=own, keepalive_s=60)
        await node.__aenter__()
        node.sink.retain("health", health(f"board-{number:05}"))
        nodes.append(node)
        await asyncio.sleep(0.02)
    await until(lambda: all(node.sink.state == "connected" for node in nodes), "connected", START_S)
    await until(lambda: not any(node.sink._retained or node.sink._in_flight for node in nodes), "", START_S)
    print("ready", flush=True)
    await done.wait()
    os._exit(0)  # as boards that lose their power


def read(port: int) -> tuple[float, float, list[dict[str, Any]]]:
    """Run ``edged fleet``; return the seconds, the MB and the rows."""
    began = time.monotonic()
    command = [sys.executable, "-m", "edged", "fleet", "--broker", f"{HOST}:{port}", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    rows = json.loads(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    return time.monotonic() - began, usage.ru_maxrss / 1024, rows


def life(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    with KINDS[options.kind](folder, 3 if options.kind == "nats" else 1) as cluster:
        hosts = [f"{HOST}:{server.port}" for server in cluster.servers]
        began = time.monotonic()
        publishers = [
            subprocess.Popen(
                [sys.executable, __file__, "--publish", *hosts, "--first", str(first),
                 "--nodes", str(min(A_PROCESS, options.nodes - first))],
                stdout=subprocess.PIPE, text=True,
            )
            for first in range(0, options.nodes, A_PROCESS)
        ]  # fmt: skip
        try:
            for publisher in publishers:
                assert publisher.stdout is not None
                assert publisher.stdout.readline() == "ready\n"
            connected_s = time.monotonic() - began
            seconds, megabytes, rows = zip(*(read(server.port) for server in cluster.servers), strict=True)
        finally:
            for publisher in publishers:
                publisher.terminate()
                publisher.wait(20)
    listed = [sum(row["state"] == "ok" for row in found) for found in rows]
    return {
        "ok": set(listed) == {options.nodes} and max(seconds) <= READ_S and max(megabytes) <= READ_MB,
        "nodes": options.nodes,
        "kind": options.kind,
        "connected_s": round(connected_s),
        "listed": listed,
        "read_s": round(max(seconds), 1),
        "read_mb": round(max(megabytes)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--kind", choices=["nats", "mosquitto"], default="nats")
    parser.add_argument("--publish", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        asyncio.run(publish(options.publish, options.first, options.nodes))
        return 0
    if not KINDS[options.kind].available():
        return verdict("fleet_reading", ok=True, skipped=f"apt install {KINDS[options.kind].program}")
    with tempfile.TemporaryDirectory(prefix="edged-fleet-") as folder:
        found = life(Path(folder), options)
    return verdict("fleet_reading", found.pop("ok"), **found)


if __name__ == "__main__":
    sys.exit(main())
