from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from edged.sensors.drivers import system
from edged.sensors.drivers.system import Config, System

if TYPE_CHECKING:
    from pathlib import Path


def values(**keys: Any) -> dict[str, float | bool | None]:
    sensor = System(Config(**keys))
    sensor.open()
    return {reading.channel: reading.value for reading in sensor.read()}


@pytest.mark.parametrize(
    ("flags", "undervoltage", "throttled"),
    [
        (0, False, False),
        (0x50005, True, True),
        (0x50000, False, False),
        (0x1, True, False),
        (0x8, False, True),
    ],
)
def test_queries_the_firmware_of_a_raspberry_pi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, undervoltage: bool, throttled: bool
) -> None:
    def firmware(_fd: int, request: int, message: bytearray) -> int:
        assert request == 0xC0086400
        size, code, tag, room, _, _, end = struct.unpack_from("=7I", message)
        assert (size, code, tag, room, end) == (len(message), 0, 0x00030046, 4, 0)
        struct.pack_into("=I", message, 20, flags)
        return 0

    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/vcio").touch()
    monkeypatch.setattr(system, "_ioctl", firmware)
    found = values(root=tmp_path, what=["undervoltage", "throttled"])
    assert found == {"undervoltage": undervoltage, "throttled": throttled}


def test_this_machine_reports_load_memory_and_disk() -> None:
    found = values(what=["load", "memory", "disk"])
    for name in ("memory", "disk"):
        assert isinstance(found[name], float)
        assert 0 < found[name] < 100
    assert isinstance(found["load"], float)
    assert found["load"] >= 0


def test_a_disk_that_is_not_there_is_a_bad_reading(tmp_path: Path) -> None:
    sensor = System(Config(what=["disk", "load"], path=tmp_path / "none"))
    sensor.open()
    disk, load = sensor.read()
    assert (disk.quality, load.quality) == ("bad", "good")
    assert "No such file" in disk.reason
