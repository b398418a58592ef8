from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from edged.errors import Reason
from edged.system import permission

if TYPE_CHECKING:
    from pathlib import Path


def test_the_mode_of_a_device_is_a_matter_of_groups() -> None:
    why = permission.denied(errno.EACCES, "/dev/gpiochip0", "gpio")
    assert why.reason is Reason.DENIED
    assert str(why).endswith("add the user to group gpio: sudo usermod -aG gpio $USER")


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("/dev/gpiochip0", "char-gpiochip"),
        ("/dev/i2c-1", "char-i2c"),
        ("/dev/ttyUSB0", "char-ttyUSB"),
        ("/dev/ttyAMA10", "char-ttyAMA"),
        ("/dev/vcio", "char-vcio"),
        ("/dev/bus/usb/001/004", "char-usb_device"),
        ("/dev/apex_0", "char-apex"),
        ("/dev/snd/pcmC1D0c", "char-alsa"),
    ],
)
def test_what_the_unit_forbids_is_allowed_by_a_line_of_the_unit(device: str, name: str) -> None:
    why = permission.denied(errno.EPERM, device, "dialout")
    assert why.reason is Reason.DENIED
    assert f"the service may not open {device}: write DeviceAllow={name} rw" in str(why)
    assert "usermod" not in str(why)


def test_a_link_to_a_port_is_followed(tmp_path: Path) -> None:
    (tmp_path / "serial0").symlink_to("ttyAMA0")
    assert permission.device_class(str(tmp_path / "serial0")) == "char-ttyAMA"
