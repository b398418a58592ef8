from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from edged.tools.doctor.checks.sensors import sensors
from edged.tools.doctor.probe import Unanswered, ask
from unit.tools.doctor.doubles import GOOD, subject

if TYPE_CHECKING:
    from pathlib import Path

ONE = "sensors:\n  air: {kind: iio, device: bme280}\n"


def reading(value: Any, unit: str = "", quality: str = "good", **keys: Any) -> dict[str, Any]:
    return {"channel": "", "value": value, "unit": unit, "quality": quality, "reason": "", **keys}


def judged(found: dict[str, Any], text: str = ONE, **daemon: Any) -> Any:
    asked: list[Any] = []

    def answer(question: str, configs: str, *, seconds: float) -> dict[str, Any]:
        assert (question, seconds >= 30) == ("readings", True)
        asked.append(json.loads(configs))
        return found

    verdict = sensors(replace(subject(GOOD + text), daemon=daemon), answer)
    return verdict, asked


def test_no_sensor_and_no_configuration() -> None:
    assert sensors(subject(GOOD)).status == "absent"
    assert sensors(replace(subject(GOOD), config=None, why_not="there is none")).status == "skipped"


def test_each_sensor_is_read_with_its_own_keys() -> None:
    verdict, asked = judged({"air": {"readings": [reading(21.5, "°C")]}})
    assert (verdict.status, verdict.detail) == ("ok", "air: 21.5 °C")
    assert asked == [{"air": {"kind": "iio", "device": "bme280"}}]


@pytest.mark.parametrize(
    ("keys", "fix"),
    [
        (
            "{kind: iio, device: bme280}",
            "add dtoverlay=i2c-sensor,bme280 to /boot/firmware/config.txt, and reboot",
        ),
        ('{kind: iio, device: "dht11@17"}', "add dtoverlay=dht11,gpiopin=17 to"),
        ("{kind: iio, device: ads1115, channel: voltage0}", "add dtoverlay=ads1115,cha_enable to"),
        ("{kind: hwmon, chip: sht3x}", "add dtoverlay=i2c-sensor,sht3x to"),
        ("{kind: w1}", "add dtoverlay=w1-gpio to"),
        ("{kind: i2c, address: 0x44, registers: {t: {reg: 0}}}", "add dtparam=i2c_arm=on to"),
        ("{kind: serial, device: /dev/serial0, protocol: mhz19}", "add enable_uart=1 to"),
        ("{kind: serial, device: /dev/ttyUSB0, protocol: mhz19}", "plug the device in"),
        ("{kind: iio, device: homemade}", ""),
    ],
)
def test_what_is_absent_is_told_with_the_line_that_brings_it(keys: str, fix: str) -> None:
    verdict, _ = judged({"air": {"problem": "there is none", "absent": True}}, f"sensors:\n  air: {keys}\n")
    assert (verdict.status, verdict.detail) == ("error", "air: there is none")
    assert fix in verdict.fix
    assert bool(fix) == bool(verdict.fix)


def test_what_is_not_good_is_a_warning() -> None:
    wrong = reading(None, "%", "bad", channel="humidity", reason="the checksum is wrong")
    verdict, _ = judged({"air": {"readings": [reading(21.5, "°C", channel="temperature"), wrong]}})
    assert (verdict.status, verdict.detail) == ("warning", "air: temperature 21.5 °C, the checksum is wrong")
    verdict, _ = judged({"air": {"readings": []}})
    assert (verdict.status, verdict.detail) == ("warning", "air: it is open, and sent nothing")
    assert "baud" in verdict.fix


def test_what_the_daemon_reads_is_left_to_it() -> None:
    daemon = {"sensors": {"air": {"state": "running", "readings": [reading(True)]}}}
    verdict, asked = judged({}, **daemon)
    assert (verdict.status, verdict.detail, asked) == ("ok", "air: on (the daemon reads it)", [])
    verdict, asked = judged({"air": {"readings": [reading(1)]}}, sensors={"air": {"state": "waiting"}})
    assert (verdict.detail, len(asked)) == ("air: 1", 1)


def test_a_driver_that_crashes_the_process_is_told() -> None:
    def crashed(*_: str, seconds: float) -> dict[str, Any]:
        raise Unanswered(f"readings: was ended by SIGSEGV after {seconds:g} s")

    verdict = sensors(subject(GOOD + ONE), crashed)
    assert verdict.status == "error"
    assert "SIGSEGV" in verdict.detail


def test_a_sensor_is_really_read(tmp_path: Path) -> None:
    folder = tmp_path / "bus/iio/devices/iio:device0"
    folder.mkdir(parents=True)
    (folder / "name").write_text("bmp280\n")
    (folder / "in_temp_input").write_text("21500\n")
    text = f"sensors:\n  air: {{kind: iio, device: bmp280, root: {tmp_path}}}\n  load: {{kind: synthetic}}\n"
    verdict = sensors(subject(GOOD + text), ask)
    assert verdict.status == "ok", verdict
    assert verdict.detail.startswith("air: 21.5 °C; load: ")
