from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged import sensors
from edged.errors import Reason, Unavailable
from edged.sensors import sysfs

if TYPE_CHECKING:
    from collections.abc import Callable

    Plant = Callable[[str], Path]

CHIP = "class/hwmon/hwmon{n}/name:{name}\nclass/hwmon/hwmon{n}/temp1_input:{value}\n"


def opened(kind: str, **keys: Any) -> Any:
    module = sensors.load(kind)
    sensor = module.create(module.Config(**keys))
    sensor.open()
    return sensor


def test_a_chip_that_goes_is_lost_and_found_under_another_number(plant: Plant) -> None:
    root = plant(CHIP.format(n=1, name="lm75", value=20000))
    sensor = opened("hwmon", chip="lm75", root=root)
    assert sensor.read()[0].value == 20.0
    shutil.rmtree(root / "class/hwmon/hwmon1")
    with pytest.raises(Unavailable, match="lm75 is gone") as caught:
        sensor.read()
    assert caught.value.reason is Reason.LOST
    sensor.close()
    with pytest.raises(Unavailable, match="there is no hwmon chip lm75"):
        sensor.open()
    plant(CHIP.format(n=4, name="lm75", value=21000))
    sensor.open()
    assert sensor.read()[0].value == 21.0
    sensor.close()


def test_another_chip_under_the_old_number_is_not_read(plant: Plant) -> None:
    root = plant(CHIP.format(n=1, name="lm75", value=20000))
    sensor = opened("hwmon", chip="lm75", root=root)
    shutil.rmtree(root / "class/hwmon/hwmon1")
    plant(CHIP.format(n=1, name="nvme", value=60000))
    with pytest.raises(Unavailable, match="gone"):
        sensor.read()
    sensor.close()


@pytest.mark.parametrize(
    ("kind", "keys", "tree", "gone"),
    [
        (
            "iio",
            {"device": "bmp280"},
            "bus/iio/devices/iio:device0/name:bmp280\nbus/iio/devices/iio:device0/in_temp_input:2",
            "bus/iio/devices/iio:device0",
        ),
        ("w1", {}, "bus/w1/devices/28-000000000001/w1_slave:x", "bus/w1/devices/28-000000000001"),
        (
            "thermal",
            {},
            "class/thermal/thermal_zone0/type:cpu-thermal\nclass/thermal/thermal_zone0/temp:1",
            "class/thermal/thermal_zone0",
        ),
    ],
)
def test_each_driver_notices_that_its_device_is_gone(
    kind: str, keys: dict[str, str], tree: str, gone: str, plant: Plant
) -> None:
    root = plant(tree)
    sensor = opened(kind, root=root, **keys)
    sensor.read()
    shutil.rmtree(root / gone)
    with pytest.raises(Unavailable) as caught:
        sensor.read()
    assert caught.value.reason is Reason.LOST
    sensor.close()


@pytest.mark.parametrize("code", [errno.EIO, errno.EREMOTEIO, errno.EAGAIN, errno.ENODATA])
def test_a_bus_error_is_a_bad_reading(plant: Plant, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    sensor = opened("hwmon", chip="lm75", root=plant(CHIP.format(n=1, name="lm75", value=20000)))

    def fails(*_: Any) -> bytes:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(sysfs.os, "read", fails)
        (reading,) = sensor.read()
    assert (reading.value, reading.quality) == (None, "bad")
    assert reading.reason == os.strerror(code).lower()
    assert sensor.read()[0].value == 20.0
    sensor.close()


def test_a_chip_that_is_unbound_under_the_read_is_lost(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    sensor = opened("hwmon", chip="lm75", root=plant(CHIP.format(n=1, name="lm75", value=20000)))

    def fails(*_: Any) -> bytes:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(sysfs.os, "read", fails)
    with pytest.raises(Unavailable, match="gone"):
        sensor.read()
    sensor.close()


def test_the_scale_is_read_each_time(plant: Plant) -> None:
    root = plant(
        "bus/iio/devices/iio:device0/name:tsl2591\n"
        "bus/iio/devices/iio:device0/in_illuminance_raw:100\n"
        "bus/iio/devices/iio:device0/in_illuminance_scale:0.5"
    )
    sensor = opened("iio", device="tsl2591", channel="illuminance", root=root)
    assert sensor.read()[0].value == 50.0
    (root / "bus/iio/devices/iio:device0/in_illuminance_scale").write_text("2\n")
    assert sensor.read()[0].value == 200.0
    sensor.close()


def test_no_descriptor_stays_open(plant: Plant) -> None:
    root = plant(CHIP.format(n=1, name="lm75", value=20000) + CHIP.format(n=2, name="nvme", value=1))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        sensor = opened("hwmon", chip="lm75", root=root)
        sensor.read()
        sensor.open()
        sensor.close()
        with pytest.raises(Unavailable):
            opened("hwmon", chip="ds620", root=root)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
