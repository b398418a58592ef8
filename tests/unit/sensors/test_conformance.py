"""The contract of a sensor, held over every driver in ``edged/sensors/drivers``."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from edged import sensors
from edged.errors import Reason, Unavailable
from edged.sensors import EdgeSensor, Quality, SensorConfig
from edged.testing.i2c import Chip
from edged.testing.serial_devices import SerialDevice, pms5003_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edged.testing.gpiod import Header
    from edged.testing.i2c import Bus

KINDS = sensors.kinds()
NEEDS: dict[str, dict[str, Any]] = {
    "hwmon": {"chip": "lm75"},
    "iio": {"device": "bmp280"},
    "gpio": {"line": "GPIO17"},
    "i2c": {"address": "0x48", "registers": {"temperature": {"reg": "0", "bytes": 2}}},
    "serial": {"device": "/dev/serial-nowhere", "protocol": "pms5003"},
    "command": {"command": ["echo", "21.5"]},
}
TREES = {
    "hwmon": "class/hwmon/hwmon0/name:lm75\nclass/hwmon/hwmon0/temp1_input:21500",
    "iio": "bus/iio/devices/iio:device0/name:bmp280\nbus/iio/devices/iio:device0/in_temp_input:21500",
    "w1": "bus/w1/devices/28-000000000001/w1_slave:72 01 YES\\n72 01 t=23125",
    "thermal": "class/thermal/thermal_zone0/type:cpu-thermal\nclass/thermal/thermal_zone0/temp:1",
    "system": "sys/class/thermal/thermal_zone0/type:cpu-thermal\nsys/class/thermal/thermal_zone0/temp:1\n"
    "proc/loadavg:1 1 1\nproc/meminfo:MemTotal: 2 kB\\nMemAvailable: 1 kB",
}


@pytest.fixture(params=KINDS)
def working(
    request: pytest.FixtureRequest, plant: Callable[[str], Path], bus: Bus, header: Header
) -> Iterator[tuple[Any, SensorConfig]]:
    """Each driver's sensor, over something that works here."""
    kind: str = request.param
    assert kind in {*TREES, "gpio", "i2c", "serial", "command", "synthetic"}, f"say how {kind} can run here"
    del header
    bus.chips[0x48] = Chip({0: b"\x15\x80"})
    keys = {"root": plant(TREES[kind])} if kind in TREES else {}
    with SerialDevice(lambda: pms5003_frame(1, 2, 3)) as device:
        if kind == "serial":
            keys = {"device": device.path}
        module = sensors.load(kind)
        config = module.Config(**{**NEEDS.get(kind, {}), **keys})
        sensor = module.create(config)
        yield sensor, config
        sensor.close()


def built(kind: str) -> tuple[Any, Any]:
    module = sensors.load(kind)
    return module, module.create(module.Config(**NEEDS.get(kind, {})))


@pytest.mark.parametrize("kind", KINDS)
def test_has_a_help_line_and_described_keys(kind: str) -> None:
    module = sensors.load(kind)
    assert module.__doc__, "the first docstring line is the help line"
    assert len(module.__doc__.splitlines()[0]) > 20
    assert issubclass(module.Config, SensorConfig)
    for name, field in module.Config.model_fields.items():
        assert field.description, f"{kind}.{name} has no description: it is the reference page"
    json.dumps(module.Config.model_json_schema())


@pytest.mark.parametrize("kind", KINDS)
def test_knows_its_own_kind_only(kind: str) -> None:
    module = sensors.load(kind)
    assert module.Config(**NEEDS.get(kind, {})).kind == kind
    with pytest.raises(ValueError, match="kind"):
        module.Config(kind="other", **NEEDS.get(kind, {}))
    with pytest.raises(ValueError, match="nonsense"):
        module.Config(nonsense=1, **NEEDS.get(kind, {}))


@pytest.mark.parametrize("kind", KINDS)
def test_reads_its_keys_from_text(kind: str) -> None:
    """The configuration hands over what stands in the file; the types declared here read it."""
    keys = {"interval_s": "0.5", "min": "-40", "round": "1", "publish": "bare", "stuck_after": "3"}
    config = sensors.load(kind).Config(**keys, **NEEDS.get(kind, {}))
    assert (config.interval_s, config.min, config.round, config.stuck_after) == (0.5, -40, 1, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_quantities_are_known_without_the_device(kind: str) -> None:
    given = sensors.load(kind).Config(**NEEDS.get(kind, {})).gives()
    assert given
    assert ("" in given) == (len(given) == 1 and "" in given), "a channel without a name is alone"


@pytest.mark.parametrize("kind", KINDS)
def test_the_driver_is_one_class_with_the_contract(kind: str) -> None:
    _, sensor = built(kind)
    assert list(inspect.signature(sensor.read).parameters) == []
    assert list(inspect.signature(sensor.open).parameters) == []
    if isinstance(sensor, EdgeSensor):
        assert list(inspect.signature(sensor.wait).parameters) == ["timeout_s"]
    sensor.close()
    sensor.close()


@pytest.mark.parametrize("kind", KINDS)
def test_read_before_open_is_refused(kind: str) -> None:
    _, sensor = built(kind)
    with pytest.raises(Unavailable) as caught:
        sensor.read()
    assert caught.value.reason is Reason.LOST


def test_no_driver_loads_anything_heavy_or_opens_anything_before_open() -> None:
    code = f"""
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
from edged import sensors
for kind in sensors.kinds():
    module = sensors.load(kind)
    config = module.Config(**{NEEDS!r}.get(kind, {{}}))
    config.gives()
    before = len(opened)
    module.create(config).close()
    assert len(opened) == before, (kind, opened[before:])
heavy = {{"numpy", "cv2", "yaml", "paho", "gpiod", "smbus2", "serial"}}
found = heavy & {{name.partition(".")[0] for name in sys.modules}}
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_readings_match_the_declared_quantities(working: tuple[Any, SensorConfig]) -> None:
    sensor, config = working
    sensor.open()
    given = config.gives()
    for _ in range(3):
        readings = sensor.read()
        assert {reading.channel for reading in readings} == set(given)
        for reading in readings:
            assert abs(reading.ts - time.time()) < 60
            assert reading.unit == given[reading.channel].unit
            assert reading.quality is Quality.GOOD, reading
            assert isinstance(reading.value, bool if given[reading.channel].binary else float | int)


def test_can_be_opened_again(working: tuple[Any, SensorConfig]) -> None:
    sensor, _ = working
    sensor.open()
    sensor.read()
    sensor.close()
    sensor.close()
    with pytest.raises(Unavailable):
        sensor.read()
    sensor.open()
    assert sensor.read()


def test_waiting_gives_up_in_time(working: tuple[Any, SensorConfig]) -> None:
    sensor, config = working
    if not isinstance(sensor, EdgeSensor):
        assert config.kind != "gpio"
        return
    sensor.open()
    began = time.monotonic()
    assert list(sensor.wait(0.1)) == []
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("hwmon", {"chip": "nowhere"}),
        ("iio", {"device": "nowhere"}),
        ("w1", {"id": "28-00000000dead"}),
        ("thermal", {"zone": "nowhere"}),
        ("serial", {"device": "/dev/nowhere", "protocol": "mhz19"}),
        ("command", {"command": ["/nowhere/program"]}),
    ],
)
def test_an_absent_device_is_named(kind: str, keys: dict[str, Any]) -> None:
    module = sensors.load(kind)
    sensor = module.create(module.Config(**keys))
    with pytest.raises(Unavailable, match=r"nowhere|dead") as caught:
        sensor.open()
    assert caught.value.reason is Reason.ABSENT
    sensor.close()
