"""What the doctor learns of a sensor by reading it once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edged.sensors.drivers.command import Config as Command
from edged.sensors.drivers.iio import Config as Iio
from edged.sensors.drivers.serial import Config as Serial
from edged.sensors.drivers.synthetic import Config as Synthetic
from edged.testing.serial_devices import SerialDevice
from edged.worker import sensor_trial

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensor_trial, "PAUSE_S", 0.02)


def one(config: Any) -> dict[str, Any]:
    return sensor_trial.read_once({"it": config})["it"]


def test_readings_are_as_they_would_be_published(tmp_path: Path) -> None:
    folder = tmp_path / "bus/iio/devices/iio:device0"
    folder.mkdir(parents=True)
    (folder / "name").write_text("bmp280\n")
    (folder / "in_temp_input").write_text("21500\n")
    found = one(Iio(device="bmp280", unit="°F", root=tmp_path))
    (reading,) = found["readings"]
    assert (reading["value"], reading["unit"], reading["quality"]) == (pytest.approx(70.7), "°F", "good")


def test_what_is_absent_is_told_with_its_reason(tmp_path: Path) -> None:
    found = one(Iio(device="bmp280", root=tmp_path))
    assert found["absent"]
    assert "there is no iio device bmp280" in found["problem"]


def test_one_good_reading_of_three_is_enough(tmp_path: Path) -> None:
    count = tmp_path / "count"
    program = f'echo x >> {count}; test "$(wc -l < {count})" -eq 3 && echo 21.5'
    (reading,) = one(Command(command=["/bin/sh", "-c", program]))["readings"]
    assert reading["value"] == 21.5
    (reading,) = one(Command(command=["/bin/sh", "-c", "echo hot"]))["readings"]
    assert (reading["quality"], reading["value"]) == ("bad", None)
    assert "printed 'hot'" in reading["reason"]


def test_sensors_on_one_port_are_read_together() -> None:
    with SerialDevice(lambda: b"T=21.5\nH=40\n") as device:
        configs = {
            name: Serial(device=device.path, pattern=f"{name.upper()}=(?P<{name}>[0-9.]+)", timeout_s=1)
            for name in "th"
        }
        found = sensor_trial.read_once(configs)
    assert {name: [r["value"] for r in told["readings"]] for name, told in found.items()} == {
        "t": [21.5],
        "h": [40.0],
    }


def test_a_sensor_that_hangs_does_not_keep_the_others() -> None:
    hung = Synthetic(fault="hang", fault_after=0, deadline_s=0.1, interval_s=1)
    found = sensor_trial.read_once({"hung": hung, "good": Synthetic(wave="constant", low=7)})
    assert found["hung"] == {
        "problem": "no answer within 0.1 s: its bus or its driver hangs",
        "absent": False,
    }
    assert found["good"]["readings"][0]["value"] == 7


def test_a_silent_device_has_no_readings() -> None:
    with SerialDevice(lambda: None) as device:
        found = one(Serial(device=device.path, protocol="pms5003", timeout_s=0.05))
    assert found == {"readings": []}
