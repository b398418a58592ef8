"""config/examples/consumer.py beside a real node and broker: each event once, whoever is killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest
from broker import Broker
from node import Node, until

from edged.sinks.mqtt import delivery

pytestmark = pytest.mark.mosquitto

PROGRAM = Path(__file__).resolve().parents[2] / "config" / "examples" / "consumer.py"

GAP = "edged/n/gap"


class Consumer:
    """The program, in a process of its own."""

    def __init__(self, broker: Broker, folder: Path, patience_s: float = 600) -> None:
        self._log = len(broker.log)
        self._out, self._err = folder / "events", folder / "missing"
        with self._out.open("a") as out, self._err.open("a") as err:
            self._process = subprocess.Popen(
                [
                    sys.executable, PROGRAM, f"127.0.0.1:{broker.port}", "n", folder / "seen.json",
                    "--patience", str(patience_s),
                ],
                stdout=out,
                stderr=err,
            )  # fmt: skip

    async def listening(self, broker: Broker) -> Self:
        """Wait until it is subscribed: what was sent before is not for it until it is sent again."""
        await until(lambda: f"consumer-n 1 {GAP}" in broker.log[self._log :], "subscribed")
        return self

    def numbers(self) -> list[int]:
        return [int(json.loads(line)["id"].split("/")[2]) for line in self._out.read_text().splitlines()]

    @property
    def complaints(self) -> str:
        return self._err.read_text()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_each_event_arrives_once_over_the_death_of_everybody(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "UNCONFIRMED_S", 1.0)
    disk = tmp_path / "state" if where == "disk" else None

    async def life() -> None:
        with Broker(tmp_path) as broker:  # which keeps nothing when it is killed
            async with Node(port=broker.port, confirm=True, disk=disk) as node:
                await node.connected()
                with Consumer(broker, tmp_path) as consumer:
                    await consumer.listening(broker)
                    for _ in range(30):
                        node.happen()
                    await until(lambda: node.spool.counts().acknowledged == 30, "confirmed")
                    consumer.kill()
                for _ in range(30):
                    node.happen()
                await until(lambda: node.sink.counts["acknowledged"] >= 60, "at the broker")
                assert node.spool.counts().queued == 30
                broker.kill()
                node.happen()
                broker.start()
                with Consumer(broker, tmp_path) as consumer:
                    await consumer.listening(broker)
                    await until(lambda: node.sink.counts["connects"] == 2, "connected again")
                    # What was sent before the consumer was there is sent once more, when its time has come.
                    await until(lambda: node.spool.counts().acknowledged == 61, "confirmed")
                    assert sorted(consumer.numbers()) == list(range(1, 62))
                    assert consumer.complaints == ""

    asyncio.run(life())


def test_what_the_node_had_to_drop_is_named_and_passed_over(tmp_path: Path) -> None:
    async def life() -> None:
        with Broker(tmp_path) as broker:
            async with Node(port=broker.port, confirm=True) as node:
                await node.connected()
                with Consumer(broker, tmp_path, patience_s=0.3) as consumer:
                    await consumer.listening(broker)
                    node.happen()
                    await until(lambda: node.spool.counts().acknowledged == 1, "confirmed")
                    node.drop(2)
                    for _ in range(2):
                        node.happen()
                    await until(lambda: consumer.numbers() == [1, 4, 5], "what is there")
                    await asyncio.sleep(0.4)
                    node.happen()
                    await until(lambda: node.spool.counts().acknowledged == 4, "confirmed")
                    epoch = node.spool.epoch
                    assert consumer.complaints == f"missing: {epoch} 2-3\n"

    asyncio.run(life())


def test_it_logs_in_and_says_in_a_line_what_is_wrong(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, PROGRAM, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "the following arguments are required" in run()
    file = str(tmp_path / "seen.json")
    (tmp_path / "password").write_text("p\n")
    (tmp_path / "wrong").write_text("q\n")
    with Broker(tmp_path, users={"u": "p"}, acl=["topic readwrite #"]) as broker:
        address = f"127.0.0.1:{broker.port}"
        refused = run(address, "n", file, "--user", "u", "--password-file", str(tmp_path / "wrong"))
        assert "the broker refuses the login: Not authorized" in refused
        command = [sys.executable, PROGRAM, address, "n", file, "--user", "u"]
        process = subprocess.Popen([*command, "--password-file", tmp_path / "password"])
        try:
            asyncio.run(until(lambda: "as consumer-n (" in broker.log, "the login"))
        finally:
            process.kill()
            process.wait()
    assert f"the broker {address} cannot be reached: " in run(address, "n", file)
