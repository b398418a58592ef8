"""High dynamic range by the sensor itself: a switch of the kernel's driver, of Camera Module 3 (imx708) only.

libcamera reads the sensor's modes when it lists the cameras, and the switch changes them: afterwards, the
list has to be made anew. The switch stays as it is when a program ends: another one may have left it on.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

# videodev2.h: VIDIOC_G_CTRL and VIDIOC_S_CTRL take struct v4l2_control, an id and a value.
_G_CTRL, _S_CTRL = 0xC008561B, 0xC008561C
_CONTROL = struct.Struct("=Ii")
_WIDE_DYNAMIC_RANGE = 0x009A0915
_SENSOR = "imx708"

_ioctl = fcntl.ioctl  # every call to the kernel goes through this; tests put a double behind it


def has_switch(model: str) -> bool:
    """Return whether the sensor has the switch, by its model: imx708, imx708_wide_noir and so on."""
    return model.startswith(_SENSOR)


def switch(camera: str, *, on: bool, root: Path = Path("/")) -> bool:
    """Switch a sensor; return whether it was switched otherwise before, so that its modes changed.

    Args:
        camera: libcamera's identity of the camera, which is the path of the sensor in the device tree.
        on: the wanted state.
        root: the root of the file system; another one in tests.

    Raises:
        OSError: the sensor has no device, it may not be opened, or it has no such switch.
    """
    fd = os.open(_node(camera, root), os.O_RDWR | os.O_CLOEXEC)
    try:
        _id, now = _CONTROL.unpack(_ioctl(fd, _G_CTRL, _CONTROL.pack(_WIDE_DYNAMIC_RANGE, 0)))
        if bool(now) == on:
            return False
        _ioctl(fd, _S_CTRL, _CONTROL.pack(_WIDE_DYNAMIC_RANGE, int(on)))
    finally:
        os.close(fd)
    return True


def _node(camera: str, root: Path) -> Path:
    for entry in sorted(root.glob("sys/class/video4linux/v4l-subdev*")):
        tree = entry / "device/of_node"
        if tree.is_symlink() and str(tree.readlink()).endswith(camera):
            return root / "dev" / entry.name
    raise FileNotFoundError(f"the sensor {camera} has no v4l-subdev")
