"""``cmd/infer``, ``cmd/arm`` and ``cmd/disarm`` over a real mosquitto, to real workers."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from broker import Broker
from daemon import Daemon, wait_for
from node import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mosquitto

PIPELINES = """pipelines:
  porch:
    source: {kind: synthetic, size: [64, 48], interval_s: 0.05}
    trigger: {frames: 2}
    publish: {result: true}
  yard:
    source: {kind: synthetic, size: [64, 48], interval_s: 0.05}
    gate: {armed: true}
    publish: {result: true}
"""


def text(folder: Path, port: int) -> str:
    mqtt = f"mqtt: {{host: 127.0.0.1, port: {port}, keepalive_s: 5}}"
    return f"node: n\nstate_dir: {folder}/state\nrun_dir: {folder}/run\n{mqtt}\n{PIPELINES}"


def ask(subscriber: Subscriber, verb: str, payload: bytes = b"") -> dict[str, Any]:
    topic = f"edged/n/cmd/{verb}/result"
    before = len(subscriber.on(topic))
    subscriber.publish(f"edged/n/cmd/{verb}", payload)
    wait_for(lambda: len(subscriber.on(topic)) > before, f"an answer to {verb}")
    answer: dict[str, Any] = json.loads(subscriber.on(topic)[-1])
    return answer


def test_a_pipeline_looks_when_it_is_told_to_and_only_then(tmp_path: Path) -> None:
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port)),
    ):
        wait_for(lambda: other.last("edged/n/porch/availability") == b"online", "porch watches")
        assert other.on("edged/n/porch/result") == []
        assert ask(other, "infer") == {"verb": "infer", "done": ["porch"], "refused": {}}
        wait_for(lambda: len(other.on("edged/n/porch/result")) == 2, "two pictures")
        answer = ask(other, "infer", b"yard,attic")
        assert (answer["refused"].keys(), answer["unknown"]) == ({"yard"}, 1)
        assert "no such verb" in ask(other, "reboot")["error"]
        assert len(other.on("edged/n/porch/result")) == 2


def test_a_gate_is_armed_and_stays_so_over_the_death_of_its_worker(tmp_path: Path) -> None:
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port)) as daemon,
    ):
        wait_for(lambda: other.last("edged/n/yard/availability") == b"online", "yard watches")
        assert other.on("edged/n/yard/result") == []
        assert ask(other, "arm", b"yard")["done"] == ["yard"]
        wait_for(lambda: other.on("edged/n/yard/result"), "results")
        pid = wait_for(lambda: daemon.health()["processes"].get("yard"), "its process")["pid"]
        os.kill(pid, signal.SIGKILL)
        seen = len(other.on("edged/n/yard/result"))
        wait_for(lambda: len(other.on("edged/n/yard/result")) > seen + 3, "results of the next worker")
        assert ask(other, "disarm")["done"] == ["yard"]
        wait_for(lambda: daemon.health()["pipelines"]["yard"]["held_by"] == "not armed", "held")
