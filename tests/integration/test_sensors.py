"""Sensors in the running daemon: real processes, kernel-shaped trees, a real mosquitto."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from broker import Broker
from build_vibration import write
from commandline import python_path
from daemon import Daemon, is_alive, wait_for
from node import Subscriber

import edged
from edged.ipc import readings_page, sensor_messages
from edged.sensors.drivers.synthetic import Config as Synthetic
from edged.supervisor import ForkServer, SensorWorker

pytestmark = pytest.mark.mosquitto

HEALTH = Path(edged.__file__).parent / "schema" / "health.schema.json"
EVENT = HEALTH.with_name("event.schema.json")


def text(folder: Path, port: int, sensors: str) -> str:
    return (
        f"node: n\nstate_dir: {folder}/state\nrun_dir: {folder}/run\n"
        f"mqtt: {{host: 127.0.0.1, port: {port}, keepalive_s: 5}}\nsensors:\n{sensors}"
    )


def state(subscriber: Subscriber, sensor: str) -> dict[str, Any]:
    payload = subscriber.last(f"edged/n/{sensor}/state")
    return json.loads(payload) if payload else {}


def chip(root: Path, number: int, value: int) -> Path:
    folder = root / f"class/hwmon/hwmon{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text("lm75\n")
    (folder / "temp1_input").write_text(f"{value}\n")
    return folder


def test_what_a_subscriber_receives(tmp_path: Path) -> None:
    folder = chip(tmp_path / "sys", 1, 21500)
    sensors = (
        f"  attic: {{kind: hwmon, chip: lm75, root: {tmp_path}/sys, interval_s: 0.1, deadband: 0.2}}\n"
        "  wave: {kind: synthetic, wave: ramp, period: 100, high: 99, round: 0, interval_s: 0.1,"
        " publish: bare}\n"
        "  secret: {kind: synthetic, interval_s: 0.1, publish: none}\n"
        "  door: {kind: synthetic, binary: true, edge_s: 0.3, interval_s: 60, device_class: door}\n"
        "  board: {kind: system, interval_s: 0.2, channels: {disk: {publish: none}}}\n"
        "  gone: {kind: w1, id: 28-00000000dead}\n"
    )
    with Broker(tmp_path) as broker, Subscriber(broker.port) as other:
        with Daemon(tmp_path, text(tmp_path, broker.port, sensors)) as daemon:
            reading = wait_for(lambda: state(other, "attic"), "a reading")
            assert (reading["value"], reading["unit"], reading["quality"]) == (21.5, "°C", "good")
            (folder / "temp1_input").write_text("21600\n")
            (folder / "temp1_input").write_text("22900\n")
            wait_for(lambda: state(other, "attic")["value"] == 22.9, "the value follows the chip")
            assert other.last("edged/n/attic/availability") == b"online"

            shutil.rmtree(folder)
            wait_for(lambda: other.last("edged/n/attic/availability") == b"offline", "the chip is gone")
            chip(tmp_path / "sys", 7, 19000)
            wait_for(lambda: state(other, "attic")["value"] == 19.0, "the chip is back as another number")
            assert other.last("edged/n/attic/availability") == b"online"

            wait_for(lambda: len(other.on("edged/n/wave/state")) >= 10, "bare values")
            numbers = [int(payload) for payload in other.on("edged/n/wave/state")]
            assert all(b == a + 1 for a, b in itertools.pairwise(numbers))
            wait_for(lambda: len(other.on("edged/n/door/state")) >= 4, "edges")
            doors = [json.loads(payload)["value"] for payload in other.on("edged/n/door/state")]
            assert all(a is not b for a, b in itertools.pairwise(doors))
            assert state(other, "board/load")["quality"] == "good"
            wait_for(lambda: other.last("edged/n/gone/availability") == b"offline", "what is not there")
            for topic in ("secret/state", "board/disk/state", "gone/state"):
                assert other.last(f"edged/n/{topic}") is None

            health = wait_for(lambda: daemon.health() if daemon.health()["sensors"] else None, "health")
            told = {key: value for key, value in health.items() if key not in ("pid", "monotonic")}
            for sensor in told["sensors"].values():
                del sensor["readings"]  # of the status file alone, as the two above are
            jsonschema.validate(told, json.loads(HEALTH.read_text()))
            assert "there is no thermometer 28-00000000dead" in health["sensors"]["gone"]["last_error"]
            assert health["status"] == "problem"
            pid = health["processes"]["sensors"]["pid"]
            status = Path(f"/proc/{pid}/status").read_text()
            assert "Seccomp:\t2" in status
            maps = Path(f"/proc/{pid}/maps").read_text()
            assert not [name for name in ("numpy", "cv2", "libopenblas", "tflite") if name in maps]
            assert health["processes"]["sensors"]["rss_mb"] <= 45

            found = wait_for(lambda: other.last("homeassistant/device/n/config"), "discovery")
            entities = {id_ for id_ in json.loads(found)["cmps"] if "." in id_}
            assert entities == {
                "attic.value", "wave.value", "door.value", "gone.value",
                "board.temperature", "board.load", "board.memory",
            }  # fmt: skip

            daemon.reload(text(tmp_path, broker.port, "  wave: {kind: synthetic, interval_s: 0.1}\n"))
            wait_for(lambda: other.last("edged/n/attic/state") == b"", "what is gone is cleared")
            assert other.last("edged/n/door/availability") == b""
            wait_for(lambda: (other.last("edged/n/wave/state") or b"").startswith(b"{"), "JSON now")
            assert state(other, "wave")["quality"] == "good"
            code, took_s = daemon.stop()
            assert (code, took_s < 5) == (0, True)
        wait_for(lambda: other.last("edged/n/wave/availability") == b"offline", "offline at the end")
        assert not is_alive(pid)


def test_a_worker_that_dies_or_stops_is_replaced(tmp_path: Path) -> None:
    sensors = "  wave: {kind: synthetic, interval_s: 0.1}\n"
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port, sensors)) as daemon,
    ):
        wait_for(lambda: state(other, "wave"), "a reading")
        pid = wait_for(lambda: daemon.health()["processes"].get("sensors"), "its process")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: other.last("edged/n/wave/availability") == b"offline", "offline")
        wait_for(lambda: other.last("edged/n/wave/availability") == b"online", "online again")
        wait_for(
            lambda: daemon.health()["processes"].get("sensors", {"pid": pid})["pid"] != pid, "another process"
        )
        seen = len(other.on("edged/n/wave/state"))
        wait_for(lambda: len(other.on("edged/n/wave/state")) > seen + 3, "readings go on")


class Ear:
    def __init__(self) -> None:
        self.readings: list[Any] = []
        self.states: list[str] = []

    def reading(self, sensor: str, reading: Any) -> None:
        self.readings.append((sensor, reading))

    def sensor(self, status: Any) -> None:
        self.states.append(status.state)


async def heard(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"no json",
        b'{"t":"sensorstate","name":"other","state":"running","last_error":"","reads":0,"faults":0}',
        b'{"t":"measured","sensor":"a","channel":"x","value":1,"unit":"","ts":1,"quality":"good","reason":""}',
    ],
)
def test_a_worker_that_makes_no_sense_is_replaced(nonsense: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    garbled: list[bytes] = []
    decode = sensor_messages.decode
    monkeypatch.setattr(
        sensor_messages.CODEC, "decode", lambda data: decode(garbled.pop() if garbled else data)
    )

    async def life() -> None:
        server = ForkServer()
        server.start()
        ear = Ear()
        sensors = SensorWorker(ear, readings_page.create(), server)
        sensors.apply({"a": Synthetic(interval_s=0.05)}, "optional")
        await heard(lambda: ear.readings)
        pid = sensors.pid
        garbled.append(nonsense)
        await heard(lambda: sensors.pid not in (pid, None))
        ear.readings.clear()
        await heard(lambda: ear.readings)
        assert ear.states == ["running", "waiting", "running"]
        await sensors.stop(2)
        assert sensors.pid is None
        server.stop()

    asyncio.run(life())


def test_a_worker_that_is_silent_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    from edged.supervisor import sensor_worker

    async def life() -> None:
        server = ForkServer()
        server.start()
        ear = Ear()
        sensors = SensorWorker(ear, readings_page.create(), server)
        sensors.apply({"a": Synthetic(interval_s=60)}, "optional")
        await heard(lambda: ear.readings)
        pid = sensors.pid
        assert pid is not None
        monkeypatch.setattr(sensor_worker, "SILENT_S", 2.0)
        os.kill(pid, signal.SIGSTOP)
        await heard(lambda: sensors.pid not in (pid, None))
        await sensors.stop(2)
        server.stop()

    asyncio.run(life())


def test_where_isolation_is_required_and_not_to_be_had_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that the interpreter of the worker reads at its start takes both walls away."""
    (tmp_path / "sitecustomize.py").write_text(
        "from edged.system import sandbox\n"
        "sandbox._leave_network = lambda: False\n"
        "sandbox._filter = lambda _needs: None\n"
    )
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)

    async def life() -> None:
        server = ForkServer()
        server.start()
        ear = Ear()
        sensors = SensorWorker(ear, readings_page.create(), server)
        sensors.apply({"a": Synthetic(interval_s=0.05)}, "required")
        await heard(lambda: ear.states)
        assert "the sensor worker is not isolated" in sensors.status()["a"].last_error
        assert ear.readings == []
        await sensors.stop(2)
        server.stop()

    asyncio.run(life())


def test_sensors_that_publish_nothing_gate_and_trigger_pipelines(tmp_path: Path) -> None:
    root = tmp_path / "sys"
    folder = chip(root, 1, 5000)
    sensors = (
        f"  light: {{kind: hwmon, chip: lm75, root: {root}, interval_s: 0.05, publish: none}}\n"
        "  pir: {kind: synthetic, binary: true, edge_s: 0.7, interval_s: 60}\n"
        "pipelines:\n"
        "  gated:\n    source: {kind: synthetic, size: [64, 48], interval_s: 0.05}\n"
        "    publish: {result: true}\n"
        "    gate: {conditions: [{sensor: light, above: 20, hysteresis: 5}]}\n"
        "    attach: [light, pir]\n"
        "  triggered:\n    source: {kind: synthetic, size: [64, 48], interval_s: 0.05}\n"
        "    publish: {result: true}\n"
        "    trigger: {conditions: [{sensor: pir, equals: true}], frames: 2}\n"
    )
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port, sensors)) as daemon,
    ):
        wait_for(
            lambda: (
                daemon.health()["pipelines"]["gated"]["held_by"] == "the condition on light does not hold"
            ),
            "held",
        )
        health = daemon.health()
        assert health["pipelines"]["gated"]["state"] == "running"
        assert health["status"] == "ok", health["problems"]
        assert other.last("edged/n/gated/availability") == b"online"
        assert other.on("edged/n/gated/result") == []
        (folder / "temp1_input").write_text("30000\n")
        wait_for(lambda: len(other.on("edged/n/gated/result")) > 3, "the gate is open")
        wait_for(lambda: daemon.health()["pipelines"]["gated"]["held_by"] == "", "and says so")
        result = json.loads(other.on("edged/n/gated/result")[-1])
        jsonschema.validate(result, json.loads(EVENT.read_text()))
        light = result["readings"]["light"]
        assert (light["value"], light["unit"], light["quality"]) == (30.0, "°C", "good")
        assert 0 <= light["age_s"] < 5
        assert result["readings"]["pir"]["value"] in (True, False)
        (folder / "temp1_input").write_text("16000\n")
        seen = len(other.on("edged/n/gated/result"))
        wait_for(lambda: len(other.on("edged/n/gated/result")) > seen + 3, "within the hysteresis")
        (folder / "temp1_input").write_text("14000\n")
        wait_for(lambda: daemon.health()["pipelines"]["gated"]["held_by"], "held again")

        wait_for(lambda: len(other.on("edged/n/triggered/result")) >= 8, "what is triggered")
        results = [json.loads(payload) for payload in other.on("edged/n/triggered/result")]
        edges = [
            datetime.fromisoformat(reading["ts"]).timestamp()
            for reading in map(json.loads, other.on("edged/n/pir/state"))
            if reading["value"]
        ]
        taken = [datetime.fromisoformat(result["captured_at"]).timestamp() for result in results]
        waits = [min((at - edge for edge in edges if at >= edge - 0.002), default=9) for at in taken[::2]]
        print(f"from the edge to the picture: {[round(1000 * wait) for wait in waits]} ms")
        assert sorted(waits)[len(waits) // 2] <= 0.1
        assert other.last("edged/n/light/state") is None
        main = Path(f"/proc/{health['processes']['main']['pid']}/maps").read_text()
        assert "edged-readings" not in main, "the process with the network cannot read it"
        worker = Path(f"/proc/{health['processes']['gated']['pid']}/maps").read_text()
        assert "edged-readings" in worker


def test_a_gate_that_closes_ends_what_was_decided(tmp_path: Path) -> None:
    root = tmp_path / "sys"
    folder = chip(root, 1, 30000)
    photo = Path(edged.__file__).parent / "photos" / "01-cat.jpg"
    sensors = (
        f"  light: {{kind: hwmon, chip: lm75, root: {root}, interval_s: 0.05, publish: none}}\n"
        "pipelines:\n"
        f"  porch:\n    source: {{kind: folder, path: {photo}, interval_s: 0.05, loop: true}}\n"
        "    gate: {conditions: [{sensor: light, above: 20}]}\n"
    )
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port, sensors)),
    ):
        decided = wait_for(lambda: other.on("edged/n/porch/event"), "a decision", 30)
        label = json.loads(decided[0])["label"]
        assert label != "unknown"
        (folder / "temp1_input").write_text("10000\n")
        wait_for(lambda: len(other.on("edged/n/porch/event")) > 1, "its end")
        end = json.loads(other.on("edged/n/porch/event")[-1])
        jsonschema.validate(end, json.loads(EVENT.read_text()))
        assert (end["type"], end["label"], end["previous"], end["top"]) == ("end", "unknown", label, [])
        wait_for(lambda: state(other, "porch")["label"] == "unknown", "the state says so")
        assert other.last("edged/n/porch/availability") == b"online"
        (folder / "temp1_input").write_text("30000\n")
        wait_for(lambda: state(other, "porch")["label"] == label, "and begins anew")
        wait_for(
            lambda: json.loads(other.on("edged/n/porch/event")[-1])["type"] == "start",
            "the event, which the disk has first",
        )


def test_without_a_broker_readings_are_lines(tmp_path: Path) -> None:
    sensors = (
        "  wave: {kind: synthetic, axes: [x, y], interval_s: 0.1, channels: {y: {publish: none}}}\n"
        "  secret: {kind: synthetic, interval_s: 0.1, publish: none}\n"
    )
    written = text(tmp_path, 0, sensors)
    written = "\n".join(line for line in written.splitlines() if not line.startswith("mqtt:"))
    with Daemon(tmp_path, written) as daemon:
        out = tmp_path / "stdout"
        wait_for(lambda: len(out.read_text().splitlines()) >= 3, "lines")
        for line in map(json.loads, out.read_text().splitlines()[:3]):
            assert line.keys() == {
                "v", "type", "node", "sensor", "channel", "value", "unit", "ts", "quality",
            }  # fmt: skip
            whose = (line["type"], line["node"], line["sensor"], line["channel"], line["quality"])
            assert whose == ("reading", "n", "wave", "x", "good")
        assert daemon.stop()[0] == 0


def test_a_model_over_time_is_fed_without_main(tmp_path: Path) -> None:
    sensors = (
        "  pump: {kind: synthetic, axes: [x, y], interval_s: 0.01, period: 50, publish: none}\n"
        "pipelines:\n  odd:\n"
        "    source: {kind: sensors, channels: [pump/x, pump/y], step_s: 0.01, window: 25, hop: 25,\n"
        "      max_gap_s: 1}\n"
        "    task: {kind: anomaly}\n    publish: {result: true}\n"
    )
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port, sensors)) as daemon,
    ):
        results = wait_for(lambda: other.on("edged/n/odd/result"), "a result", 30)
        result = json.loads(results[0])
        jsonschema.validate(result, json.loads(EVENT.read_text()))
        assert result["model"] == {"name": "robust-z", "sha256": "00000000"}
        assert result["latency_ms"] < 1000
        health = daemon.health()
        assert health["status"] == "ok", health["problems"]
        assert not {"overrun", "gap"} & set(health["pipelines"]["odd"].get("dropped", {}))
        main = Path(f"/proc/{health['processes']['main']['pid']}/maps").read_text()
        assert "edged-readings" not in main, "the process with the network cannot read it"
        pid = health["processes"]["sensors"]["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: daemon.health()["processes"].get("sensors", {"pid": pid})["pid"] != pid, "another")
        seen = len(other.on("edged/n/odd/result"))
        wait_for(lambda: len(other.on("edged/n/odd/result")) > seen + 2, "it goes on")
        assert other.last("edged/n/pump/x/state") is None


@pytest.mark.slow
def test_a_pump_that_stops_is_an_anomaly_and_its_class_changes(tmp_path: Path) -> None:
    write(tmp_path)
    source = "kind: sensors, channels: [pump/x, pump/y, pump/z], step_s: 0.02, window: 64, hop: 16"
    sensors = (
        "  pump: {kind: synthetic, axes: [x, y, z], interval_s: 0.01, period: 16, low: -0.3, high: 0.3,\n"
        "    publish: none, fault: stuck, fault_after: 1000}\n"
        "pipelines:\n"
        f"  unusual:\n    source: {{{source}}}\n    task: {{kind: anomaly, limit: 20}}\n"
        f"  state:\n    source: {{{source}, std: [0.5, 0.5, 0.5]}}\n"
        "    model: {file: vibration.tflite, labels: vibration.txt}\n"
        f"  wear:\n    source: {{{source}, std: [0.5, 0.5, 0.5]}}\n"
        "    model: {file: vibration-autoencoder.tflite}\n    task: {kind: anomaly, limit: 0.04}\n"
    )
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, text(tmp_path, broker.port, sensors)),
    ):
        wait_for(lambda: state(other, "state").get("label") == "running", "it runs", 30)
        assert state(other, "wear").get("label", "unknown") == "unknown"
        # Every axis stays where it was: one of them far from its middle.
        wait_for(lambda: state(other, "unusual").get("label") == "anomaly", "it stopped", 30)
        wait_for(lambda: state(other, "state").get("label") != "running", "so it runs no more", 30)
        event = json.loads(other.on("edged/n/unusual/event")[-1])
        jsonschema.validate(event, json.loads(EVENT.read_text()))
        assert (event["type"], event["previous"], event["model"]["name"]) == ("start", "unknown", "robust-z")
