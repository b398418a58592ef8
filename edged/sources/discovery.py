"""Looks what this machine has that a configuration could use. Reads sysfs; opens nothing for capture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edged import sources
from edged.system import board

_PI_CAMERA = ("unicam", "rp1-cfe")  # the receivers of the CSI connector on a Pi 4 and a Pi 5


@dataclass(frozen=True)
class Machine:
    """What was found.

    Attributes:
        cameras: device paths of USB cameras with their names.
        pi_camera: whether a camera is at the CSI connector.
        coral: ``usb``, ``pci`` or nothing.
    """

    cameras: tuple[tuple[str, str], ...] = ()
    pi_camera: bool = False
    coral: str = ""


def survey(root: Path = Path("/")) -> Machine:
    """Look at the machine; ``root`` is for tests."""
    cameras = tuple((camera.device, camera.name) for camera in sources.load("v4l2").find(root))
    return Machine(cameras, _has_pi_camera(root), board.coral(root))


def _has_pi_camera(root: Path) -> bool:
    names = (board.text(path) for path in root.glob("sys/class/video4linux/video*/name"))
    return any(name.startswith(_PI_CAMERA) for name in names)
