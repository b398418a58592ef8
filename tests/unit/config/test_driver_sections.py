from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

from edged import sensors
from edged.config import driver_sections
from edged.config.loader import load, loads
from edged.config.sample import sample
from edged.config.schema import schema, text
from edged.config.sensor import SENSORS
from edged.errors import ConfigError, DriverError
from edged.sensors.drivers.synthetic import Config as Synthetic
from edged.sources.discovery import Machine

if TYPE_CHECKING:
    from collections.abc import Callable

    Said = Callable[[str], list[str]]

ROOT = Path(__file__).resolve().parents[3]


def sensor(keys: str) -> str:
    return f"sensors:\n  attic: {{{keys}}}\n"


def one(lines: list[str]) -> str:
    assert len(lines) == 1, lines
    return lines[0]


def test_sensors_alone_are_a_configuration(tmp_path: Path) -> None:
    config = loads(sensor("kind: hwmon, chip: lm75, deadband: 0.2"), "f", tmp_path)
    assert config.pipelines == {}
    assert (config.sensors["attic"].kind, config.sensors["attic"].deadband) == ("hwmon", 0.2)


def test_a_pipeline_or_a_sensor_is_required(said: Said) -> None:
    line = "is missing (configure at least one pipeline or sensor)"
    assert said("node: a\n") == [f"f:1:1: pipelines {line}"]
    assert said("node: a\nsensors: {}\n") == [f"f:1:1: pipelines {line}"]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("kind: hwmonn, chip: a", "f:2:17: sensors.attic.kind is 'hwmonn', but must be command, "),
        ("kind: hwmonn, chip: a", "(did you mean 'hwmon'?)"),
        ("chip: lm75", "f:2:10: sensors.attic.kind is missing"),
        ("kind: hwmon", "f:2:10: sensors.attic.chip is missing (the chip's name"),
        (
            "kind: hwmon, chip: a, chanel: b",
            "f:2:33: sensors.attic.chanel: there is no key 'chanel' (did you mean",
        ),
        (
            "kind: hwmon, chip: a, interval_s: 0",
            "sensors.attic.interval_s is '0', but must be a number from 0.01",
        ),
        ("kind: hwmon, chip: a, min: 5, max: 1", "f:2:38: sensors.attic.min: min (5) is above max (1)"),
        ("kind: gpio, line: 17", "f:2:29: sensors.attic.line: line 17 is a number: write chip too"),
        ("kind: serial, device: /dev/ttyS0", "write exactly one of protocol, pattern and frame"),
        (
            "kind: serial, device: a, pattern: '('",
            "f:2:45: sensors.attic.pattern: not a regular expression",
        ),
        (
            "kind: serial, device: a, pattern: '(?P<n>([0-9]+)+)'",
            "f:2:45: sensors.attic.pattern: may take for ever to match: a group that is repeated",
        ),
        ("kind: i2c, address: 0x148, registers: {a: {}}", "f:2:31: sensors.attic.address is '0x148'"),
        (
            "kind: i2c, address: 0x48, registers: {A: {}}",
            "the name must be 1 to 32 characters of a-z, 0-9 and _",
        ),
        ("kind: i2c, address: 0x48, registers: {a: {byts: 1}}", "did you mean 'bytes'?"),
        (
            "kind: system, channels: {wifi: {round: 0}}",
            "there is no channel 'wifi'; available: temperature, load",
        ),
        (
            "kind: w1, channels: {a: {round: 0}}",
            "this sensor has only one channel: write its keys beside",
        ),
        ("kind: synthetic, publish: yes", "sensors.attic.publish is 'yes', but must be json, bare or none"),
    ],
)
def test_a_mistake_is_reported_with_its_position(said: Said, keys: str, says: str) -> None:
    assert says in one(said(sensor(keys)))


def test_a_pipeline_and_a_sensor_do_not_share_a_name(said: Said) -> None:
    line = one(said("pipelines: {attic: {source: {kind: synthetic}}}\n" + sensor("kind: thermal")))
    assert line == (
        "f:3:3: sensors.attic: pipelines.attic and sensors.attic have the same topic: rename one of them"
    )


def test_the_reserved_topics_are_refused_as_names(said: Said) -> None:
    assert "'health' is a topic of edged itself" in one(said("sensors: {health: {kind: thermal}}\n"))


def test_paths_are_absolute(tmp_path: Path) -> None:
    config = loads(sensor("kind: hwmon, chip: a, root: tree"), "f", tmp_path)
    assert getattr(config.sensors["attic"], "root", None) == tmp_path / "tree"


def test_a_failing_third_party_driver_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(kind: str) -> None:
        raise RuntimeError(f"no {kind} today")

    drivers = driver_sections.ByKind("sensor", Synthetic, lambda: ["x"], fails)
    with pytest.raises(DriverError, match="the sensor 'x' cannot be loaded: RuntimeError: no x today"):
        drivers.config("x")
    monkeypatch.setattr(sensors.load("w1"), "Config", int)
    with pytest.raises(DriverError, match="its Config is not a SensorConfig"):
        SENSORS.config("w1")


def test_the_shipped_schema_is_current() -> None:
    assert (ROOT / "config" / "edged.schema.json").read_text("utf-8") == text()


def test_the_schema_accepts_the_sample_and_refuses_mistakes() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    data = json.loads(json.dumps(yaml.safe_load((ROOT / "config" / "edged.yaml").read_text("utf-8"))))
    assert [error.message for error in validator.iter_errors({**data, "pipelines": {}})] == []
    for keys in (
        {"kind": "hwmon"},
        {"kind": "none"},
        {"kind": "w1", "chip": "a"},
        {"kind": "w1", "round": -1},
    ):
        assert list(validator.iter_errors({"sensors": {"a": keys}})), keys


@pytest.mark.parametrize(
    ("word", "kind"), [("webcam", "v4l2"), ("usb", "v4l2"), ("RTSP", "video"), ("csi", "picamera2")]
)
def test_the_word_that_others_use_for_a_source_is_understood(word: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        loads(f"pipelines: {{a: {{source: {{kind: {word}}}}}}}\n", "f", tmp_path)
    (problem,) = refused.value.problems
    assert problem.hint == f"write kind: {kind}"


def test_the_sample_with_all_keys_is_read(tmp_path: Path) -> None:
    config = load(ROOT / "config" / "edged.yaml")
    assert {s.kind for s in config.sensors.values()} == {k for k in sensors.kinds() if k != "synthetic"}
    attic = yaml.safe_load((ROOT / "config" / "edged.yaml").read_text("utf-8"))["sensors"]["attic"]
    assert set(attic) | {"channels"} == set(SENSORS.config("iio").model_fields) - {"root"}
    del tmp_path


def test_the_commented_sensors_of_init_are_valid(tmp_path: Path) -> None:
    lines = sample(Machine()).splitlines()
    at = lines.index(next(line for line in lines if line.startswith("# sensors:")))
    block = lines[at : lines.index("", at)]
    uncommented = "\n".join(re.sub(r"^# ", "", line) for line in block if not line.startswith("##"))
    assert loads(uncommented + "\n", "f", tmp_path).sensors["board"].kind == "system"


WATCHING = (
    "sensors:\n  air: {kind: serial, device: a, protocol: mhz19}\n  pir: {kind: gpio, line: GPIO4}\n"
    "pipelines:\n  porch:\n    source: {kind: synthetic}\n"
)


def test_conditions_on_existing_sensors_are_accepted(tmp_path: Path) -> None:
    text = (
        "    gate: {conditions: [{sensor: air/co2, below: 1000}], hours: ['22:00-06:00']}\n"
        "    trigger: {conditions: [{sensor: pir, equals: yes}], at: ['07:30']}\n"
    )
    config = loads(WATCHING + text, "f", tmp_path)
    assert config.looked_at == ("air/co2", "pir")
    gate, trigger = config.pipelines["porch"].gate, config.pipelines["porch"].trigger
    assert gate is not None
    assert trigger is not None
    assert [(part.begin, part.end) for part in gate.parts()] == [(1320, 360)]
    assert trigger.minutes() == (450,)
    assert trigger.conditions[0].rule().equals is True


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "gate: {conditions: [{sensor: air, above: 1}]}",
            "f:7:34: pipelines.porch.gate.conditions[0].sensor: there is no sensor 'air'; available: air/co2",
        ),
        ("trigger: {conditions: [{sensor: lux, above: 1}]}", "there is no sensor 'lux'"),
        (
            "gate: {conditions: [{sensor: pir}]}",
            "f:7:34: pipelines.porch.gate.conditions[0].sensor: write",
        ),
        ("gate: {conditions: [{sensor: pir, abve: 1}]}", "there is no key 'abve' (did you mean 'above'?)"),
        ("gate: {conditions: [{sensor: pir, equals: open}]}", "must be true, false or a number"),
        ("gate: {hours: [22-6]}", "'22-6', but must be two times of the day such as 07:00-22:00"),
        ("gate: {hours: ['24:00-06:00']}", "but must be two times of the day"),
        ("trigger: {at: ['7:30']}", "'7:30', but must be a time of the day such as 07:30"),
        ("trigger: {frames: 0}", "but must be a whole number from 1 to 10000"),
        ("gate: {if_unknown: wait}", "but must be pause or run"),
    ],
)
def test_a_mistake_in_a_condition_is_reported_with_its_position(said: Said, text: str, says: str) -> None:
    assert says in one(said(f"{WATCHING}    {text}\n"))
