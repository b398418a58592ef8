"""The examples with sensors, as they ship, run: only cameras and devices are replaced by what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import build_sound
import pytest
import yaml
from broker import Broker
from build_vibration import write
from daemon import Daemon, wait_for
from node import Subscriber

import edged
from edged.config.loader import load
from edged.testing.arecord import FakeRecorder
from edged.tools.check import check

if TYPE_CHECKING:
    from edged.sensors import SensorConfig

pytestmark = pytest.mark.mosquitto

EXAMPLES = Path(edged.__file__).parents[1] / "config" / "examples"
PHOTOS = Path(edged.__file__).parent / "photos"
DECIDES = {"vibration": "running", "smoke-alarm": "Smoke detector, smoke alarm"}  # with models of their own
COMMON = ("channels", "min", "max", "round", "publish", "device_class", "unit", "aggregate")


def stand_in(config: SensorConfig, keys: dict[str, Any]) -> dict[str, Any]:
    """Return a sensor with the same channels that needs no device."""
    kept = {key: keys[key] for key in COMMON if key in keys}
    if "aggregate" in kept:
        kept["aggregate"] = {**kept["aggregate"], "window_s": 0.3}
    given = config.gives()
    if config.interval_s < 0.1:  # as a pump that runs: 6.25 Hz, 0.3 g
        wave = {"axes": list(given), "interval_s": config.interval_s, "period": 16, "low": -0.3, "high": 0.3}
        return {"kind": "synthetic", "unit": given[next(iter(given))].unit, **wave, **kept}
    if "" in given:
        more = {"binary": True, "edge_s": 0.5} if given[""].binary else {"low": 10, "high": 20, "period": 20}
        return {"kind": "synthetic", "interval_s": 0.1, "unit": given[""].unit, **more, **kept}
    values = {
        name: {"unit": q.unit, "device_class": q.device_class, "binary": q.binary}
        for name, q in given.items()
    }
    printed = json.dumps({name: not q.binary and 600 for name, q in given.items()})
    return {"kind": "command", "interval_s": 0.3, "command": ["echo", printed], "values": values, **kept}


def runnable(path: Path, folder: Path, port: int) -> str:
    config, text = load(path), yaml.safe_load(path.read_text("utf-8"))
    text |= {
        "state_dir": f"{folder}/state",
        "run_dir": f"{folder}/run",
        "mqtt": {"host": "127.0.0.1", "port": port},
    }
    for name, keys in text.get("sensors", {}).items():
        text["sensors"][name] = stand_in(config.sensors[name], keys)
    for section in text.get("pipelines", {}).values():
        if section["source"]["kind"] == "microphone":
            fake = FakeRecorder(folder)
            fake.does("tone 3100 0.3")
            section["source"] |= {"device": "plughw:1", "program": str(fake.path)}
        elif section["source"]["kind"] != "sensors":
            section["source"] = {"kind": "folder", "path": str(PHOTOS), "interval_s": 0.1}
        section["publish"] = {"result": True}
        section.get("gate", {}).pop("hours", None)
    return yaml.safe_dump(text, allow_unicode=True)


def with_models(name: str, folder: Path) -> Path:
    """Return an example with what it has as a comment, and with the models that this asks for."""
    write(folder)
    build_sound.install(folder / "state")
    text = (EXAMPLES / f"{name}.yaml").read_text("utf-8")
    (folder / f"{name}.yaml").write_text(re.sub(r"(?m)^  # ", "  ", text), "utf-8")
    return folder / f"{name}.yaml"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_with_sensors_passes_the_check(path: Path) -> None:
    if load(path).sensors:
        assert check(path) == []


@pytest.mark.parametrize("name", ["bird-feeder", "garage-door", "greenhouse", "smoke-alarm", "vibration"])
def test_an_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    path = with_models(name, tmp_path) if name in DECIDES else EXAMPLES / f"{name}.yaml"
    assert check(path) == []
    config = load(path)
    with (
        Broker(tmp_path) as broker,
        Subscriber(broker.port) as other,
        Daemon(tmp_path, runnable(path, tmp_path, broker.port)) as daemon,
    ):
        for sensor, section in config.sensors.items():
            for channel in section.gives():
                topic = f"edged/{config.node}/{sensor}/{f'{channel}/' if channel else ''}state"
                if section.shaping(channel, "publish") != "none":
                    reading = json.loads(wait_for(lambda topic=topic: other.last(topic), topic))
                    assert reading["quality"] in {"good", "suspect"}, (sensor, reading)
                    assert reading["unit"] == section.quantity(channel).unit
        for pipeline, watched in config.pipelines.items():
            topic = f"edged/{config.node}/{pipeline}/result"
            classifies, window = watched.task.kind == "classify", watched.source.gives == "window"

            def answer(topic: str = topic, usual: bool = window and not classifies) -> dict[str, Any] | None:
                # On a busy machine the samples of one window may be unusual: one that is not has to come.
                found = [json.loads(message) for message in other.on(topic)]
                return next((each for each in found if not usual or each["score"] <= 0.5), None)

            result = wait_for(answer, topic, 30)
            assert set(result.get("readings", {})) == {*watched.attach, *watched.source.measures}
            if window:
                assert result["label"] == (DECIDES[name] if classifies else "anomaly")
                assert (result["score"] > 0.5) is classifies, result
        assert daemon.health()["status"] == "ok", daemon.health()["problems"]
        for sensor, section in config.sensors.items():
            for channel in section.gives():
                if section.shaping(channel, "publish") == "none":
                    suffix = f"{sensor}/{channel}" if channel else sensor
                    assert other.last(f"edged/{config.node}/{suffix}/state") is None
