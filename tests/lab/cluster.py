#!/usr/bin/env python3
"""A cluster of three brokers whose nodes are killed at random: is every event that was accepted delivered?

    tests/lab/cluster.py [--kind nats|rabbitmq] [--seconds 300] [--rate 200] [--seed 1]

One edged sink with its spool on the disk and ``mqtt: {host: [a, b, c]}`` accepts events at that rate, a
subscriber with a durable session follows the cluster in the same way. A node dies by SIGKILL and comes back
with its files; the others live meanwhile. After each kill the next event has to arrive within 10 s.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_nodes import HOST, KINDS, Cluster
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from reconcile import read, reconcile
from subscriber import entry
from verdict import verdict

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

from node import Node, event, until

from edged.spool.disk import DiskSpool
from edged.tools.audit import audit

if TYPE_CHECKING:
    from collections.abc import Sequence

NEXT_S = 10.0  # the longest silence after a kill
DOWN_S = (2.0, 6.0)  # a killed node is away
BETWEEN_S = (14.0, 22.0)  # between two kills: the node that came back has to catch up
DRAIN_S = 120.0
CONNACK_S = 3.0  # the subscriber waits this long for a node's answer


class Ear:
    """A subscriber with a durable session, which goes on at the next node when it loses one."""

    def __init__(self, path: Path, ports: Sequence[int]) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")
        self._ports = itertools.cycle(ports)
        self._done = threading.Event()
        self.ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._done.is_set():
            client = Client(
                CallbackAPIVersion.VERSION2,
                "ear",
                clean_session=False,
                protocol=MQTTProtocolVersion.MQTTv311,
                reconnect_on_failure=False,
            )
            client.connect_timeout = 2
            client.on_connect = lambda client, *_: client.subscribe("edged/+/+/event", 1)
            client.on_subscribe = lambda *_: self.ready.set()
            client.on_message = self._heard
            try:
                client.connect(HOST, next(self._ports), keepalive=5)
                began = time.monotonic()
                while client.loop(0.5) == 0 and not self._done.is_set():
                    if not client.is_connected() and time.monotonic() - began > CONNACK_S:
                        break
            except OSError:
                time.sleep(0.2)
            client.disconnect()

    def _heard(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        line = entry(message.payload, time.time(), dup=message.dup)
        if line and not message.retain:
            self._file.write(line)
            self._file.flush()

    def stop(self) -> None:
        self._done.set()
        self._thread.join(20)
        self._file.close()


async def kill_nodes(cluster: Cluster, seconds: float, draw: random.Random, kills: list[float]) -> None:
    """Kill one node after the other, each when all were there."""
    end = time.monotonic() + seconds
    await asyncio.sleep(draw.uniform(3, 6))
    while time.monotonic() < end:
        server = draw.choice(cluster.servers)
        kills.append(time.time())
        server.kill()
        await asyncio.sleep(draw.uniform(*DOWN_S))
        cluster.run(server)
        await until(server.answers, "a node that was killed", 60)
        await asyncio.sleep(draw.uniform(*BETWEEN_S))


async def publish(node: Node, seconds: float, rate: float) -> None:
    began = time.monotonic()
    for number in itertools.count():
        due = began + number / rate
        if due > began + seconds:
            return
        if (pause := due - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        node.spool.accept(event(f"label {number % 7}"))


async def work(cluster: Cluster, state: Path, options: argparse.Namespace, kills: list[float]) -> Any:
    hosts = [f"{HOST}:{server.port}" for server in cluster.servers]
    async with Node(host=hosts, disk=state, node="n") as node:
        await node.connected()
        draw = random.Random(options.seed)
        checks = asyncio.create_task(_check(node))
        killing = asyncio.create_task(kill_nodes(cluster, options.seconds - 15, draw, kills))
        await publish(node, options.seconds, options.rate)
        await killing
        await until(lambda: not _left(node), patience_s=DRAIN_S, fails=False)
        checks.cancel()
        return dict(node.sink.counts)


def _left(node: Node) -> int:
    """Return how many events were not delivered; those that wait for the disk are queued a moment later."""
    assert isinstance(node.spool, DiskSpool)
    return node.spool.unaccepted + node.spool.counts().queued


async def _check(node: Node) -> None:
    while True:
        node.sink.check()
        await asyncio.sleep(1)


def silences(kills: Sequence[float], heard_at: Sequence[float]) -> list[float]:
    """Return for each kill the longest silence that began before the next one, in s."""
    found = []
    for number, kill in enumerate(kills):
        end = kills[number + 1] if number + 1 < len(kills) else kill + BETWEEN_S[0]
        times = [kill, *(at for at in heard_at if kill < at < end)]
        found.append(max((b - a for a, b in itertools.pairwise(times)), default=end - kill))
    return found


def life(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    state = folder / "state"
    state.mkdir()
    kills: list[float] = []
    with KINDS[options.kind](folder, 3) as cluster:
        ear = Ear(folder / "heard.jsonl", [server.port for server in cluster.servers])
        assert ear.ready.wait(30), "the subscriber was not let in"
        counts = asyncio.run(work(cluster, state, options, kills))
        balance = audit(state)
        end = time.monotonic() + DRAIN_S
        while time.monotonic() < end and len({h.number for h in read(ear.path.open())}) < balance["last"]:
            time.sleep(1)
        ear.stop()
    heard = read(ear.path.open(encoding="utf-8"))
    found = reconcile(heard, balance)
    quiet = sorted(silences(kills, [message.at for message in heard]))
    return {
        "ok": bool(found["ok"] and not found["queued"] and kills and quiet[-1] <= NEXT_S),
        "kind": options.kind,
        "kills": len(kills),
        "next_event_s": {"p50": round(quiet[len(quiet) // 2], 2), "worst": round(quiet[-1], 2)},
        "connects": counts["connects"],
        **{k: found[k] for k in ("accepted", "acknowledged", "heard", "missing", "queued", "dropped")},
        **{k: found[k] for k in ("twice_marked", "twice_unmarked", "unknown", "out_of_order")},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kind", choices=["nats", "rabbitmq"], default="nats")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the logs, which stay")
    options = parser.parse_args()
    case = f"cluster {options.kind}"
    if not KINDS[options.kind].available():
        return verdict(case, ok=True, skipped=f"apt install {KINDS[options.kind].program}")
    with tempfile.TemporaryDirectory(prefix="edged-cluster-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        found = life(folder, options)
    return verdict(case, found.pop("ok"), seed=options.seed, **found)


if __name__ == "__main__":
    sys.exit(main())
