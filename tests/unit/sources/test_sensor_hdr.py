from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

import pytest

from edged.sources import sensor_hdr

if TYPE_CHECKING:
    from pathlib import Path

CAMERA = "/base/soc/i2c0mux/i2c@1/imx708@1a"


class Sensors:
    """The switches of sensors, by the name of their nodes."""

    def __init__(self) -> None:
        self.on = {"v4l-subdev0": 0, "v4l-subdev1": 0}
        self.error = 0

    def ioctl(self, fd: int, request: int, argument: bytes) -> bytes:
        """Answer VIDIOC_G_CTRL and VIDIOC_S_CTRL as the kernel does."""
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        node = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))  # noqa: PTH115, PTH119 - of a descriptor
        control, value = struct.unpack("=Ii", argument)
        assert control == 0x009A0915
        if request == 0xC008561C:
            self.on[node] = value
        return struct.pack("=Ii", control, self.on[node])


@pytest.fixture
def sensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sensors:
    """Two sensors, of which the second one is CAMERA."""
    (tmp_path / "dev").mkdir()
    for node, tree in (("v4l-subdev0", "/base/axi/imx219@10"), ("v4l-subdev1", CAMERA)):
        (tmp_path / "dev" / node).touch()
        device = tmp_path / "sys/class/video4linux" / node / "device"
        device.mkdir(parents=True)
        (device / "of_node").symlink_to(f"../../../firmware/devicetree{tree}")
    found = Sensors()
    monkeypatch.setattr(sensor_hdr, "_ioctl", found.ioctl)
    return found


def test_only_the_sensor_of_the_camera_is_switched(sensors: Sensors, tmp_path: Path) -> None:
    assert not sensor_hdr.switch(CAMERA, on=False, root=tmp_path)
    assert sensor_hdr.switch(CAMERA, on=True, root=tmp_path)
    assert sensors.on == {"v4l-subdev0": 0, "v4l-subdev1": 1}
    assert not sensor_hdr.switch(CAMERA, on=True, root=tmp_path)
    assert sensor_hdr.switch(CAMERA, on=False, root=tmp_path)
    assert sensors.on == {"v4l-subdev0": 0, "v4l-subdev1": 0}


def test_a_sensor_without_the_switch_is_an_error(sensors: Sensors, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="imx477"):
        sensor_hdr.switch("/base/imx477@1a", on=True, root=tmp_path)
    sensors.error = errno.EINVAL
    with pytest.raises(OSError, match="Invalid argument"):
        sensor_hdr.switch(CAMERA, on=True, root=tmp_path)


@pytest.mark.parametrize(("model", "has"), [("imx708", True), ("imx708_wide_noir", True), ("imx219", False)])
def test_which_sensors_have_it(model: str, has: bool) -> None:
    assert sensor_hdr.has_switch(model) is has
