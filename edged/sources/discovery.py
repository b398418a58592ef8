"""Looks what this machine has that a configuration could use. Reads sysfs; opens nothing for capture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edged import sources

# Vendor and product of an Edge TPU on USB: as it comes up, and after its firmware was loaded.
CORAL_USB = frozenset({("1a6e", "089a"), ("18d1", "9302")})
_BOARDS = ("proc/device-tree/model", "sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name")
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
    return Machine(cameras, _has_pi_camera(root), _coral(root))


def board(root: Path = Path("/")) -> str:
    """Return what the board is called; empty where nothing says so. ``root`` is for tests."""
    return next(filter(None, (_text(root / path) for path in _BOARDS)), "")


def _has_pi_camera(root: Path) -> bool:
    names = (_text(path) for path in root.glob("sys/class/video4linux/video*/name"))
    return any(name.startswith(_PI_CAMERA) for name in names)


def _coral(root: Path) -> str:
    for device in root.glob("sys/bus/usb/devices/*"):
        if (_text(device / "idVendor"), _text(device / "idProduct")) in CORAL_USB:
            return "usb"
    return "pci" if (root / "dev/apex_0").exists() else ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""
