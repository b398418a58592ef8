"""The unit of every channel that the drivers of sysfs read, against the documents of the kernel's interface.

The tables have what Documentation/hwmon/sysfs-interface.rst and Documentation/ABI/testing/sysfs-bus-iio say:
the unit of an attribute, and how much one of it is in edged's unit. They are kept apart from the drivers' own
tables, which they check in both directions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edged.sensors.drivers import hwmon, iio

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MILLI, MICRO = 1e-3, 1e-6
KWH_PER_JOULE = 1 / 3.6e6

# By the type of a channel: the kernel's unit, what one of it is in edged's unit, edged's unit.
HWMON = {
    "temp": ("millidegree Celsius", MILLI, "°C"),
    "in": ("millivolt", MILLI, "V"),
    "curr": ("milliampere", MILLI, "A"),
    "power": ("microwatt", MICRO, "W"),
    "energy": ("microjoule", MICRO * KWH_PER_JOULE, "kWh"),
    "humidity": ("milli-percent", MILLI, "%"),
    "fan": ("revolution/min", 1, "rpm"),
    "freq": ("hertz", 1, "Hz"),
}
IIO = {
    "temp": ("milli degrees Celsius", MILLI, "°C"),
    "humidityrelative": ("milli percent", MILLI, "%"),
    "pressure": ("kilopascal", 10, "hPa"),
    "illuminance": ("lux", 1, "lx"),
    "intensity": ("no standard unit", 1, ""),
    "uvindex": ("no unit", 1, ""),
    "proximity": ("often no unit", 1, ""),
    "distance": ("metres", 1, "m"),
    "voltage": ("millivolts", MILLI, "V"),
    "current": ("milliamps", MILLI, "A"),
    "power": ("milliwatts", MILLI, "W"),
    "resistance": ("ohms", 1, "Ω"),
    "concentration": ("percents", 1e4, "ppm"),
    "massconcentration": ("micrograms per cubic metre", 1, "µg/m³"),
    "ph": ("negative logarithm", 1, ""),
    "electricalconductivity": ("siemens per metre", 1, "S/m"),
    "accel": ("metres per second squared", 1, "m/s²"),
    "anglvel": ("radians per second", 1, "rad/s"),
    "magn": ("Gauss", 1, "G"),
    "angl": ("radians", 1, "rad"),
    "count": ("no unit", 1, ""),
}


def test_the_tables_name_every_type_that_the_drivers_read() -> None:
    assert set(HWMON) == set(hwmon._TYPES)
    assert set(IIO) == set(iio._TYPES)


@pytest.mark.parametrize("kind", HWMON)
def test_hwmon(kind: str, plant: Callable[[str], Path]) -> None:
    _, one, unit = HWMON[kind]
    root = plant(f"class/hwmon/hwmon0/name:chip\nclass/hwmon/hwmon0/{kind}1_input:1000000")
    config = hwmon.Config(chip="chip", channel=f"{kind}1", root=root)
    sensor = hwmon.create(config)
    sensor.open()
    (reading,) = sensor.read()
    sensor.close()
    assert reading.value == pytest.approx(1e6 * one)
    assert reading.unit == config.gives()[""].unit == unit


@pytest.mark.parametrize("attributes", ["{}_input:20", "{}_raw:8\n{}_scale:2\n{}_offset:2"])
@pytest.mark.parametrize("kind", IIO)
def test_iio(kind: str, attributes: str, plant: Callable[[str], Path]) -> None:
    _, one, unit = IIO[kind]
    folder = "bus/iio/devices/iio:device0"
    lines = [f"{folder}/in_{line.format(kind)}" for line in attributes.splitlines()]
    root = plant("\n".join([f"{folder}/name:chip", *lines]))
    config = iio.Config(device="chip", channel=kind, root=root)
    sensor = iio.create(config)
    sensor.open()
    (reading,) = sensor.read()
    sensor.close()
    assert reading.value == pytest.approx(20 * one)
    assert reading.unit == config.gives()[""].unit == unit
