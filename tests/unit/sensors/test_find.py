"""What `edged init` finds without opening a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged import sensors
from edged.config.loader import load
from edged.config.sample import sample
from edged.sensors import Found
from edged.sources.discovery import Machine
from edged.tools.check import check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOARD = """
sys/class/hwmon/hwmon0/name:cpu_thermal
sys/class/hwmon/hwmon0/temp1_input:48312
sys/class/hwmon/hwmon1/name:sht3x
sys/class/hwmon/hwmon1/temp1_input:21500
sys/class/hwmon/hwmon1/humidity1_input:40000
sys/class/hwmon/hwmon1/temp1_max:80000
sys/class/hwmon/hwmon1/device -> ../../../devices/i2c-1/1-0044
sys/bus/iio/devices/iio:device0 -> ../../../devices/i2c-1/1-0076/iio:device0
sys/devices/i2c-1/1-0076/iio:device0/name:bme280
sys/devices/i2c-1/1-0076/iio:device0/in_temp_input:21450
sys/devices/i2c-1/1-0076/iio:device0/in_humidityrelative_input:40000
sys/bus/iio/devices/iio:device1 -> ../../../devices/i2c-1/1-0077/iio:device1
sys/devices/i2c-1/1-0077/iio:device1/name:bme280
sys/devices/i2c-1/1-0077/iio:device1/in_temp_input:7450
sys/bus/iio/devices/iio:device2/name:dht11@4
sys/bus/iio/devices/iio:device2/in_temp_input:7450
sys/bus/iio/devices/iio:device3/name:ads1015
sys/bus/iio/devices/iio:device3/in_voltage0-voltage1_raw:7
sys/bus/iio/devices/iio:device3/in_voltage0_raw:7
sys/bus/iio/devices/iio:device3/in_voltage0_scale:1
sys/bus/w1/devices/28-000000000001/w1_slave:72 01 YES\\n72 01 t=23125
sys/bus/w1/devices/28-0316a2795bff/w1_slave:72 01 YES\\n72 01 t=23125
sys/bus/w1/devices/w1_bus_master1/w1_master_name:w1_bus_master1
""".strip()


def test_sensors_with_a_kernel_driver_are_found_and_named(plant: Callable[[str], Path]) -> None:
    found = {sensor.name: dict(sensor.keys) for sensor in sensors.find(plant(BOARD))}
    assert found == {
        "sht3x-temp1": {"kind": "hwmon", "chip": "sht3x", "channel": "temp1"},
        "sht3x-humidity1": {"kind": "hwmon", "chip": "sht3x", "channel": "humidity1"},
        "bme280-humidityrelative": {
            "kind": "iio",
            "device": "bme280",
            "channel": "humidityrelative",
            "at": "1-0076",
        },
        "bme280-temp": {"kind": "iio", "device": "bme280", "channel": "temp", "at": "1-0076"},
        "bme280-temp-2": {"kind": "iio", "device": "bme280", "channel": "temp", "at": "1-0077"},
        "dht11-4-temp": {"kind": "iio", "device": "dht11@4", "channel": "temp"},
        "ads1015-voltage0": {"kind": "iio", "device": "ads1015", "channel": "voltage0"},
        "ads1015-voltage0-voltage": {"kind": "iio", "device": "ads1015", "channel": "voltage0-voltage1"},
        "thermometer": {"kind": "w1", "id": "28-000000000001"},
        "thermometer-2": {"kind": "w1", "id": "28-0316a2795bff"},
    }


def test_what_was_found_is_written_and_valid(plant: Callable[[str], Path], tmp_path: Path) -> None:
    text = sample(Machine(), found=sensors.find(plant(BOARD)))
    (path := tmp_path / "edged.yaml").write_text(text)
    assert check(path) == []
    assert len(load(path).sensors) == 10
    assert '  dht11-4-temp: {kind: iio, device: "dht11@4", channel: temp}\n' in text


def test_a_machine_without_sensors_has_none(tmp_path: Path) -> None:
    assert sensors.find(tmp_path) == []
    assert "\nsensors:" not in sample(Machine(), found=[])


def test_names_are_unique_and_fit(plant: Callable[[str], Path]) -> None:
    root = plant("\n".join(f"sys/bus/w1/devices/28-{n:012x}/w1_slave:x" for n in range(20)))
    names = [sensor.name for sensor in sensors.find(root)]
    assert len(set(names)) == 20
    assert names[-1] == "thermometer-20"
    assert isinstance(sensors.find(root)[0], Found)
