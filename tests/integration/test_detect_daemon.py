"""The example that counts people, through the daemon and a broker: state, discovery, kills, account."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import detector_model
import pytest
import yaml
from broker import Broker
from daemon import Daemon, wait_for
from node import Subscriber
from unit.test_events import EVENT, STATE

import edged
from edged.tools.audit import audit

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]
EXAMPLE = Path(edged.__file__).parents[1] / "config" / "examples" / "person-counter.yaml"


def runnable(folder: Path, port: int) -> str:
    """Return the example with a folder of pictures for the camera, and a small model."""
    text = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    model, labels = detector_model.write(folder)
    labels.write_text("person\ndog\ncat\n")
    people = text["pipelines"]["people"]
    people["source"] = {"kind": "folder", "path": str(folder / "film"), "interval_s": 0.05, "loop": True}
    people["model"] = {"file": str(model), "labels": str(labels)}
    people["decision"] |= {"votes": 1, "window": 1}
    text |= {"state_dir": f"{folder}/state", "run_dir": f"{folder}/run"}
    text["mqtt"] = {"host": "127.0.0.1", "port": port}
    return yaml.safe_dump(text)


def walk(folder: Path) -> None:
    """Write pictures of a person who walks from the door to the inside, and of one who stands there."""
    (folder / "film").mkdir()
    for column in range(8):
        pixels = detector_model.picture([("red", column, 6), ("red", 6, 4)], width=320, height=320)
        cv2.imwrite(str(folder / "film" / f"{column}.png"), pixels[:, :, ::-1])


def test_the_example_counts_and_loses_nothing_when_it_is_killed(tmp_path: Path) -> None:
    walk(tmp_path)
    base = "edged/shop/people"
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, runnable(tmp_path, broker.port)) as daemon,
    ):

        def state() -> dict[str, Any]:
            return json.loads(other.last(f"{base}/state") or b"{}")

        def seen(what: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
            return wait_for(lambda: state() if what(state()) else None, "a state", 30)

        inside = seen(lambda s: s.get("zones", {}).get("inside", {}).get("person") == 2)
        STATE.validate(inside)
        seen(lambda s: "door" in s.get("zones", {}))
        config = json.loads(wait_for(lambda: other.last("homeassistant/device/shop/config"), "discovery"))
        for id_ in ("person_present", "person_count", "person_at_door_present", "person_at_inside_count"):
            assert config["cmps"][f"people_{id_}"]["stat_t"] == f"{base}/state"
        killed: set[int] = set()

        def worker() -> int | None:
            pid = daemon.health()["processes"].get("people", {}).get("pid")
            return pid if pid not in killed else None

        for _ in range(2):
            told = len(other.on(f"{base}/event"))
            killed.add(pid := wait_for(worker, "a worker", 30))
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda told=told: len(other.on(f"{base}/event")) > told + 3, "news after a kill", 30)
        events = {e["id"]: e for e in map(json.loads, other.on(f"{base}/event"))}
        there: Counter[tuple[str, str]] = Counter()
        for event in sorted(events.values(), key=lambda e: int(e["id"].rsplit("/", 1)[1])):
            EVENT.validate(event)
            label = event["previous"] if event["type"] == "end" else event["label"]
            if event["type"] == "start":
                assert not there[label, event["zone"]], event
            there[label, event["zone"]] = event["count"]
        numbers = sorted(int(id_.rsplit("/", 1)[1]) for id_ in events)
        assert numbers == list(range(1, len(numbers) + 1)), "no id is missing"
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.wait(10)
        account = audit(tmp_path / "state")
        lost = sum(account["dropped"].values())
        assert account["accepted"] == account["acknowledged"] + account["queued"] + lost
        assert lost == 0
