"""The entities of sensors, against a written-down schema of what Home Assistant takes, and its templates."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest
from jsonschema import Draft202012Validator

from edged import sensors
from edged.daemon.sensor_publisher import message_of
from edged.homeassistant import payload, units
from edged.homeassistant.announcer import SETTLE_S, Announcer
from edged.sensors import Quality, Reading, SensorConfig
from edged.sensors.drivers.command import Config as Command
from edged.sensors.drivers.gpio import Config as Gpio
from edged.sensors.drivers.hwmon import Config as Hwmon
from edged.sensors.drivers.iio import _CLASSES, _TYPES
from edged.sensors.drivers.iio import Config as Iio
from edged.sensors.drivers.serial import Config as Serial
from edged.sensors.drivers.synthetic import Config as Synthetic
from edged.sensors.drivers.system import Config as System

TEXT = {"type": "string", "minLength": 1}
COMMON = {
    "p": TEXT, "uniq_id": TEXT, "name": TEXT, "qos": {"const": 1}, "stat_t": TEXT, "val_tpl": TEXT,
    "json_attr_t": TEXT, "json_attr_tpl": TEXT, "avty": {"type": "array", "minItems": 2, "maxItems": 2},
    "avty_mode": {"const": "all"}, "ent_cat": {"const": "diagnostic"},
    "exp_aft": {"type": "integer", "minimum": 1},
}  # fmt: skip


def component(p: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,  # Home Assistant drops what it does not know without a word
        "required": ["p", "uniq_id", "name", "qos", "stat_t", "val_tpl", "avty"],
        "properties": COMMON | properties | {"p": {"const": p}},
    }


ACCEPTED = Draft202012Validator(
    {
        "oneOf": [
            component(
                "sensor",
                dev_cla={"enum": sorted(units.UNITS)},
                stat_cla={"enum": ["measurement", "measurement_angle", "total", "total_increasing"]},
                unit_of_meas=TEXT,
                sug_dsp_prc={"type": "integer", "minimum": 0},
            ),
            component("binary_sensor", dev_cla={"enum": sorted(units.STATES)}),
        ]
    }
)
SENSORS: dict[str, SensorConfig] = {
    "attic": Hwmon(chip="lm75", round=1, deadband=0.2, heartbeat_s=600),
    "door": Gpio(line="GPIO17", device_class="door"),
    "air": Serial(device="/dev/serial0", protocol="pms5003"),
    "gas": Serial(device="/dev/serial1", protocol="mhz19", channels={"temperature": {"publish": "none"}}),
    "board": System(what=["undervoltage", "wifi", "load", "disk", "temperature"]),
    "tank": Command(command=["x"], unit="cm", device_class="distance", publish="bare"),
    "meter": Hwmon(chip="ina226", channel="energy1"),
    "odd": Synthetic(device_class="temperature", unit="%"),
    "butt": Command(command=["x"], unit="L", device_class="volume"),
    "vane": Command(command=["x"], unit="°", device_class="wind_direction"),
    "dust": Command(command=["x"], unit="μg/m³", device_class="pm25"),
    "hidden": Synthetic(publish="none"),
}  # fmt: skip


def made(configs: dict[str, SensorConfig] | None = None) -> dict[str, Any]:
    data, _ = payload("porch-pi", ["porch"], sensors=SENSORS if configs is None else configs)
    own: dict[str, Any] = json.loads(json.dumps(data["cmps"]))
    return {id_: one for id_, one in own.items() if "." in id_}


def test_every_entity_is_one_that_home_assistant_takes() -> None:
    entities = made()
    for one in entities.values():
        ACCEPTED.validate(one)
        assert units.wrong(
            one.get("dev_cla", ""), one.get("unit_of_meas", ""), binary=one["p"] == "binary_sensor"
        ) == ("", "")
    assert len({one["uniq_id"] for one in entities.values()}) == len(entities)
    assert set(entities) == {
        "attic.value", "door.value", "air.pm1", "air.pm2_5", "air.pm10", "gas.co2", "board.undervoltage",
        "board.wifi", "board.load", "board.disk", "board.temperature", "tank.value", "meter.value",
        "odd.value", "butt.value", "vane.value", "dust.value",
    }  # fmt: skip


def test_topics_names_classes_and_units() -> None:
    entities = made()
    attic = entities["attic.value"]
    assert attic["stat_t"] == "edged/porch-pi/attic/state"
    assert attic["avty"] == [{"t": "edged/porch-pi/status"}, {"t": "edged/porch-pi/attic/availability"}]
    keys = ("p", "name", "dev_cla", "unit_of_meas", "stat_cla", "sug_dsp_prc")
    assert [attic[key] for key in keys] == ["sensor", "Attic", "temperature", "°C", "measurement", 1]
    pm = entities["air.pm2_5"]
    assert (pm["stat_t"], pm["name"]) == ("edged/porch-pi/air/pm2_5/state", "Air pm2 5")
    assert (pm["dev_cla"], pm["unit_of_meas"]) == ("pm25", "µg/m³")
    assert (entities["door.value"]["p"], entities["door.value"]["dev_cla"]) == ("binary_sensor", "door")
    assert entities["meter.value"]["stat_cla"] == "total_increasing"
    assert entities["butt.value"]["stat_cla"] == "total", "of a measurement it warns"
    assert entities["vane.value"]["stat_cla"] == "measurement_angle"
    assert entities["board.load"]["ent_cat"] == "diagnostic"
    assert "dev_cla" not in entities["odd.value"], "2026.11 would refuse the whole entity"


def test_decimals_are_those_that_were_written_else_what_suits_the_unit() -> None:
    entities = made({
        "rail": Hwmon(chip="a", channel="in0"),
        "mains": Hwmon(chip="a", channel="in1", round=0),
        "board": System(what=["memory", "load"]),
        "count": Synthetic(),
    })  # fmt: skip
    shown = {id_: one.get("sug_dsp_prc") for id_, one in entities.items()}
    assert shown == {
        "rail.value": 2, "mains.value": 0, "board.memory": 1, "board.load": None, "count.value": None
    }  # fmt: skip


def test_both_letters_for_micro_are_one() -> None:
    dust = made()["dust.value"]
    assert dust["dev_cla"] == "pm25"
    assert dust["unit_of_meas"] == "\N{MICRO SIGN}g/m³", "2025.4 knows no other"
    assert units.wrong("voltage", "\N{GREEK SMALL LETTER MU}V", binary=False) == ("", "")


def test_a_value_expires_only_where_silence_means_something() -> None:
    expires = {id_: one.get("exp_aft") for id_, one in made().items()}
    assert expires["attic.value"] == 1805  # three heartbeats
    assert expires["air.pm1"] == 35  # three intervals
    assert expires["door.value"] is None
    only = made({"a": Synthetic(deadband=1), "b": Synthetic(aggregate={"window_s": 60})})
    assert (only["a.value"].get("exp_aft"), only["b.value"]["exp_aft"]) == (None, 185)


def rendered(one: dict[str, Any], key: str, message: bytes) -> str:
    environment = jinja2.Environment(autoescape=False)  # noqa: S701 - as Home Assistant's
    environment.filters["to_json"] = json.dumps
    known = {"value_json": json.loads(message)} if message else {}  # it knows none of what is no JSON
    return environment.from_string(one[key]).render(value=message.decode(), **known)


@pytest.mark.parametrize(
    ("reading", "state"),
    [
        (Reading("", 21.5, "", 0), "21.5"),
        (Reading("", 0.0, "", 0), "0.0"),
        (Reading("", 21.5, "", 0, Quality.STALE, "old"), "21.5"),
        (Reading("", 99.0, "", 0, Quality.SUSPECT, "above 50"), "None"),
        (Reading("", None, "", 0, Quality.BAD, "checksum"), "None"),
    ],
)
def test_a_number_shows_where_it_is_worth_it(reading: Reading, state: str) -> None:
    (one,) = made({"a": Synthetic()}).values()
    message = message_of(Synthetic(), reading)
    assert message is not None
    assert rendered(one, "val_tpl", message) == state


@pytest.mark.parametrize(("value", "state"), [(True, "ON"), (False, "OFF"), (None, "None")])
def test_a_state_is_on_off_or_unknown(value: bool | None, state: str) -> None:
    config = Synthetic(binary=True)
    (one,) = made({"a": config}).values()
    quality = Quality.GOOD if value is not None else Quality.BAD
    message = message_of(config, Reading("", value, "", 0, quality, "" if value is not None else "gone"))
    assert message is not None
    assert rendered(one, "val_tpl", message) == state


def test_what_is_not_ours_is_unknown() -> None:
    (one,) = made({"a": Synthetic()}).values()
    for message in (b"", b"{}", b'{"value": 1}', b'{"quality": "good"}'):
        assert rendered(one, "val_tpl", message) == "None"


def test_no_template_fails_over_a_topic_that_is_emptied() -> None:
    data, _ = payload("n", ["porch"], sensors={"a": Synthetic(), "b": Synthetic(binary=True)})
    seen = 0
    for one in data["cmps"].values():
        if "val_tpl" in one:
            assert rendered(one, "val_tpl", b"") in {"None", "ON"}, "unknown, or a problem"
        if "json_attr_tpl" in one:
            assert isinstance(json.loads(rendered(one, "json_attr_tpl", b"")), dict)
            seen += 1
    assert seen == 5


@pytest.mark.parametrize(
    ("health", "state"),
    [
        (b'{"pipelines": {"porch": {"state": "running"}}}', "OFF"),
        (b'{"pipelines": {"porch": {"state": "waiting"}}}', "ON"),
        (b'{"pipelines": {"shed": {"state": "running"}}}', "None"),
        (b"", "None"),
    ],
)
def test_a_pipeline_that_the_health_does_not_name_is_no_problem(health: bytes, state: str) -> None:
    problem = payload("n", ["porch"])[0]["cmps"]["porch_problem"]
    assert rendered(problem, "val_tpl", health) == state


def test_bare_is_shown_as_it_comes() -> None:
    tank = made()["tank.value"]
    assert rendered(tank, "val_tpl", b"21.5") == "21.5"
    assert "json_attr_t" not in tank


def test_a_sensor_that_is_gone_leaves_a_stub() -> None:
    announcer = Announcer("n", ["a"], sensors=SENSORS)
    announcer.connected(0)
    ((_, first),) = announcer.poll(SETTLE_S)
    assert "air.pm1" in json.loads(first)["cmps"]
    announcer.update(["a"], 10, {"attic": SENSORS["attic"]})
    ((_, second),) = announcer.poll(20)
    cmps = json.loads(second)["cmps"]
    assert cmps["air.pm1"] == {"p": "sensor"}
    assert cmps["door.value"] == {"p": "binary_sensor"}
    assert len(cmps["attic.value"]) > 1


def test_every_class_of_a_driver_goes_with_its_unit() -> None:
    needs: dict[str, dict[str, Any]] = {
        "hwmon": {"chip": "a"},
        "iio": {"device": "a"},
        "gpio": {"line": "a"},
        "i2c": {"address": "0x48", "registers": {"a": {}}},
        "serial": {"device": "a", "protocol": "mhz19"},
        "command": {"command": ["a"]},
    }
    configs = [sensors.load(kind).Config(**needs.get(kind, {})) for kind in sensors.kinds()]
    configs += [
        Hwmon(chip="a", channel=f"{word}1") for word in ("temp", "in", "curr", "power", "energy", "fan")
    ]
    configs += [Iio(device="a", channel=channel) for channel in (*_TYPES, *_CLASSES)]
    configs += [Serial(device="a", protocol="pms5003"), System(what=["undervoltage", "throttled", "wifi"])]
    for config in configs:
        for channel, quantity in config.gives().items():
            found = units.wrong(quantity.device_class, quantity.unit, binary=quantity.binary)
            assert found == ("", ""), (config, channel)
