from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edged.tools.doctor.checks.serial_ports import serial_ports
from unit.tools.doctor.doubles import GOOD, subject

if TYPE_CHECKING:
    from pathlib import Path

SENSOR = "sensors:\n  air: {kind: serial, device: /dev/serial0, protocol: pms5003}\n"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A board as Raspberry Pi OS sets it up: serial0 is a link, and console and login are on a screen."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/ttyAMA0").touch()
    (tmp_path / "dev/serial0").symlink_to("ttyAMA0")
    active = tmp_path / "sys/class/tty/console/active"
    active.parent.mkdir(parents=True)
    active.write_text("tty0\n")
    login = tmp_path / "proc/412/cgroup"
    login.parent.mkdir(parents=True)
    login.write_text("0::/system.slice/system-getty.slice/getty@tty1.service\n")
    return tmp_path


def test_a_free_port(board: Path) -> None:
    assert serial_ports(subject(GOOD + SENSOR, board)).status == "ok"


def test_the_console_of_the_kernel(board: Path) -> None:
    (board / "sys/class/tty/console/active").write_text("tty0 ttyAMA0\n")
    found = serial_ports(subject(GOOD + SENSOR, board))
    assert found.status == "error"
    assert found.detail == "/dev/serial0: the kernel writes its messages to it"
    assert "console=ttyAMA0" in found.fix


def test_a_login(board: Path) -> None:
    (board / "proc/412/cgroup").write_text(
        "0::/system.slice/system-serial\\x2dgetty.slice/serial-getty@ttyAMA0.service\n"
    )
    found = serial_ports(subject(GOOD + SENSOR, board))
    assert (found.status, found.detail) == ("error", "/dev/serial0: a login waits there")
    assert found.fix == "sudo systemctl disable --now serial-getty@ttyAMA0"


@pytest.mark.parametrize(
    ("name", "status"), [("ttyACM0", "warning"), ("ttyUSB1", "warning"), ("ttyS0", "ok")]
)
def test_modem_manager_tries_usb_adapters(board: Path, name: str, status: str) -> None:
    (board / "dev/serial0").unlink()
    (board / "dev/serial0").symlink_to(name)
    (board / "proc/412/cgroup").write_text("0::/system.slice/ModemManager.service\n")
    found = serial_ports(subject(GOOD + SENSOR, board))
    assert found.status == status
    assert ("disable --now ModemManager" in found.fix) is (status == "warning")


def test_nothing_to_check(board: Path) -> None:
    assert serial_ports(subject(GOOD, board)).status == "absent"
    assert serial_ports(subject("", board)).status == "skipped"
