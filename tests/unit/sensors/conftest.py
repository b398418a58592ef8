"""What the tests of sensors share: trees as the kernel shows them, and the devices that are not here."""

from __future__ import annotations

import os
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from edged.sensors.drivers import gpio, i2c
from edged.testing.gpiod import Header
from edged.testing.i2c import Bus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LINE = re.compile(r"((?:[^:]|:(?=device[0-9]))+):(.*)")  # the folders of iio have a colon in their names


@pytest.fixture
def plant(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes a tree of lines such as ``grep -r . /sys`` prints, and links."""

    def planted(text: str) -> Path:
        for line in text.splitlines():
            link, arrow, target = line.partition(" -> ")
            if arrow:
                (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / link).symlink_to(target)
                continue
            match = _LINE.fullmatch(line)
            assert match, line
            path = tmp_path / match[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(match[2].replace("\\n", "\n") + "\n")
        return tmp_path

    return planted


@pytest.fixture
def header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Header]:
    """A GPIO header behind ``tmp_path/gpiochip0``; every test must give its lines back."""
    dev = tmp_path / "dev"
    dev.mkdir()
    (dev / "gpiochip0").touch()
    monkeypatch.setattr(gpio, "_DEV", dev)
    chip = Header(str(dev / "gpiochip0"))
    with chip.installed():
        yield chip
    assert not chip.holders, "the driver did not give the line back"


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bus:
    """An I²C bus as /dev/i2c-1, reached through the real smbus2."""
    smbus2 = pytest.importorskip("smbus2", reason="smbus2 comes with the extra 'test'")
    double = Bus()
    device = tmp_path / "i2c-1"
    device.touch()
    monkeypatch.setattr(smbus2.smbus2, "ioctl", double.ioctl)
    monkeypatch.setattr(i2c, "_ioctl", double.ioctl)

    def opened(path: str, flags: int) -> int:
        return os.open(device if path == "/dev/i2c-1" else path, flags)

    system = SimpleNamespace(open=opened, close=os.close, O_RDWR=os.O_RDWR)
    monkeypatch.setattr(smbus2.smbus2, "os", system)
    return double
