"""The MQTT sink at brokers other than mosquitto: nats-server, RabbitMQ and aedes, where they are installed.

aedes: ``npm install aedes`` in a folder, and ``EDGED_AEDES`` names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from broker import free_port
from conftest import ROOT
from node import Node, until

from edged.homeassistant.announced import AnnouncedTopics
from edged.homeassistant.announcer import Announcer
from edged.sinks.mqtt.state import State

sys.path.append(str(ROOT / "tests" / "lab"))

from cluster_nodes import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

AEDES = """
const { Aedes } = require('aedes')
Aedes.createBroker({
  authorizePublish: (client, packet, done) =>
    done(/^edged.n.(?!secret)/.test(packet.topic) ? null : new Error('not allowed')),
  authorizeSubscribe: (client, sub, done) =>
    done(sub.topic.startsWith('edged/n/') ? null : new Error('not allowed'), sub),
}).then(broker => require('net').createServer(broker.handle).listen(PORT, '127.0.0.1'))
"""


@contextlib.contextmanager
def aedes() -> Iterator[int]:
    """A broker that lets a client publish and read below its own topic only, and hangs up otherwise."""
    folder, port = os.environ.get("EDGED_AEDES", ""), free_port()
    if not folder or shutil.which("node") is None:
        pytest.skip("EDGED_AEDES names no folder in which `npm install aedes` ran")
    with subprocess.Popen(["node", "-e", AEDES.replace("PORT", str(port))], cwd=folder) as process:
        try:
            time.sleep(2)
            yield port
        finally:
            process.kill()


@contextlib.contextmanager
def server(kind: str, folder: Path) -> Iterator[int]:
    if not KINDS[kind].available():
        pytest.skip(f"apt install {KINDS[kind].program}")
    with KINDS[kind](folder, 1) as single:
        yield single.servers[0].port


@pytest.mark.parametrize("kind", ["nats", "rabbitmq"])
def test_a_node_lives_at_another_broker(tmp_path: Path, kind: str) -> None:
    async def life(port: int, folder: Path) -> None:
        announcer = Announcer("n", ["porch"], announced=AnnouncedTopics(folder))
        async with Node(port=port, discovery=announcer) as node:
            await until(lambda: node.sink.state is State.CONNECTED, "connected", 30)
            node.sink.retain("porch/state", b"{}")
            for _ in range(100):
                node.happen()
            await until(lambda: node.spool.counts().acknowledged == 100, "taken", 30)
            await asyncio.sleep(12)  # what comes back would have come
            assert node.sink.problems == []
            assert node.sink.counts["connects"] == 1
            assert not node.sink._session.terms.mqtt5

    with server(kind, tmp_path) as port:
        (tmp_path / "state").mkdir()
        asyncio.run(life(port, tmp_path / "state"))


def test_aedes_hangs_up_and_everything_else_arrives(tmp_path: Path) -> None:
    async def life(port: int) -> None:
        announcer = Announcer("n", ["porch"], announced=AnnouncedTopics(tmp_path))
        async with Node(port=port, discovery=announcer) as node:
            await until(lambda: node.sink.state is State.CONNECTED, "connected", 30)
            node.sink.retain("secret/state", b"{}")
            for _ in range(20):
                node.happen()
            await until(lambda: len(node.sink.problems) > 0, "a topic is left out", 120)
            await until(lambda: node.spool.counts().queued == 0, "the events", 60)
            assert node.spool.counts().dropped == {}
            assert all("left out" in problem for problem in node.sink.problems)

    with aedes() as port:
        asyncio.run(life(port))
