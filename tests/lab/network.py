#!/usr/bin/env python3
"""Breaks the network between a node and its broker, and the broker, in every way; looks for what is missing.

    tests/lab/network.py [--faults 100] [--seed 1]

A node with its spool on disk sends 50 events a second through a proxy that delays, falls silent, resets,
reads slowly, tears packets and flaps, to a mosquitto that is frozen and killed as well and writes down
what it acknowledged. A subscriber whose session the broker keeps hears them from the broker itself. In
the end it must have each event that was accepted; what it has twice under one id must be marked as
replayed by the node, or as a duplicate by the broker.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from verdict import verdict

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

from broker import Broker
from node import Node, until
from proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 50  # events a second
PATIENCE_S = 120.0
EXAMPLES = 10


class Hearing:
    """What a subscriber hears; its session outlives its connections."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[int, bool]] = []  # number, replayed or duplicate; in order
        keep = Properties(PacketTypes.CONNECT)
        keep.SessionExpiryInterval = 3600
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id="hearing", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_connect = lambda client, *_: client.subscribe("edged/n/porch/event", 1)
        self._client.on_message = self._hear
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port, clean_start=False, properties=keep)
        self._client.loop_start()

    def _hear(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        event = json.loads(message.payload)
        self.heard.append((int(event["id"].split("/")[2]), event["replayed"] or message.dup))

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def reconcile(accepted: int, heard: list[tuple[int, bool]]) -> dict[str, object]:
    """Compare what was accepted with what was heard."""
    times = Counter(number for number, _ in heard)
    news = Counter(number for number, replayed in heard if not replayed)
    fresh = [number for number, replayed in heard if not replayed]
    missing = sorted(set(range(1, accepted + 1)) - times.keys())
    return {
        "missing": len(missing),
        "examples": missing[:EXAMPLES],
        "unknown": len(times.keys() - set(range(1, accepted + 1))),
        "twice": sum(count > 1 for count in times.values()),
        "twice_unmarked": sum(count > 1 for count in news.values()),
        "out_of_order": sum(b < a for a, b in itertools.pairwise(fresh)),
    }


class World:
    """A node, a broker, and what goes wrong between them."""

    def __init__(self, broker: Broker, proxy: Proxy, node: Node, chance: random.Random) -> None:
        self.broker, self.proxy, self.node, self.chance = broker, proxy, node, chance
        self.ready_again_s: list[float] = []
        self.faults: dict[str, Callable[[], None]] = {
            "delay": lambda: setattr(proxy, "delay_s", chance.uniform(0.05, 0.5)),
            "silence": lambda: setattr(proxy, "silent", True),
            "reset": lambda: proxy.cut(reset=True),
            "close": proxy.cut,
            "slow": lambda: setattr(proxy, "slow", True),
            "tear": lambda: setattr(proxy, "tear", True),
            "flap": lambda: None,
            "kill": broker.kill,
            "freeze": broker.freeze,
        }

    async def fail(self, name: str) -> None:
        """Let it fail for a while, then be well for a while."""
        self.faults[name]()
        end = time.monotonic() + self.chance.uniform(0.1, 3)
        while time.monotonic() < end:
            if name == "flap":
                self.proxy.cut(reset=True)
            await asyncio.sleep(0.2)
        if name == "kill":
            self.broker.start()
        if name == "freeze":
            self.broker.thaw()
        # A network that lost bytes without saying so ends the connections that lost them.
        if name == "silence":
            self.proxy.cut()
        self.proxy.heal()
        back, before = time.monotonic(), self.node.spool.counts().acknowledged
        await until(lambda: self.node.spool.counts().acknowledged > before, name, PATIENCE_S)
        self.ready_again_s.append(time.monotonic() - back)
        await asyncio.sleep(self.chance.uniform(0, 1))


async def happen(node: Node) -> None:
    while True:
        node.happen()
        node.sink.check()
        await asyncio.sleep(1 / RATE)


async def life(folder: Path, faults: int, seed: int) -> dict[str, object]:
    chance = random.Random(seed)
    with Broker(folder, keeps=True, extra=["max_queued_messages 0"]) as broker:
        hearing = Hearing(broker.port)
        async with Proxy(broker.port) as proxy, Node(port=proxy.port, disk=folder / "state") as node:
            await node.connected()
            world = World(broker, proxy, node, chance)
            events = asyncio.create_task(happen(node))
            done: Counter[str] = Counter()
            for _ in range(faults):
                name = chance.choice(list(world.faults))
                done[name] += 1
                await world.fail(name)
            events.cancel()
            await until(lambda: node.spool.counts().queued == 0, "delivered", PATIENCE_S)
            counts, last = node.spool.counts(), node.spool.last
            await until(lambda: len({n for n, _ in hearing.heard}) >= last, "heard", 30, fails=False)
            connects = node.sink.counts["connects"]
        hearing.stop()
    waits = sorted(world.ready_again_s)
    return {
        "faults": dict(done), "accepted": counts.accepted, "acknowledged": counts.acknowledged,
        "dropped": dict(counts.dropped), "balanced": counts.balanced, "connects": connects,
        "again_after_s": {"p50": round(waits[len(waits) // 2], 2), "worst": round(waits[-1], 2)},
        **reconcile(last, hearing.heard),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(life(Path(folder), options.faults, options.seed))
    ok = found["balanced"] is True and not any(
        found[key] for key in ("missing", "unknown", "dropped", "twice_unmarked", "out_of_order")
    )
    return verdict("network", ok, seed=options.seed, **found)


if __name__ == "__main__":
    sys.exit(main())
