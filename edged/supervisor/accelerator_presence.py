"""Notices when an Edge TPU is plugged in, from what the kernel lists; opens no device."""

from __future__ import annotations

from pathlib import Path

from edged.system.board import CORAL_USB


class Presence:
    """Which Edge TPUs there are.

    Args:
        root: of the file system; another one for tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._usb = root / "sys/bus/usb/devices"
        self._dev = root / "dev"
        self._there = self.devices()

    def devices(self) -> frozenset[str]:
        """Return the ports and nodes of those that are there, such as ``2-1`` and ``apex_0``."""
        found = {port.name for port in _entries(self._usb, "[0-9]*") if _is_tpu(port)}
        return frozenset(found | {node.name for node in _entries(self._dev, "apex_*")})

    def appeared(self) -> bool:
        """Whether there is one now that was not there at the last look.

        One that comes back on its port as another product only got its firmware.
        """
        before, self._there = self._there, self.devices()
        return bool(self._there - before)


def _entries(folder: Path, pattern: str) -> list[Path]:
    try:
        return list(folder.glob(pattern))
    except OSError:  # no such bus, or not for us
        return []


def _is_tpu(port: Path) -> bool:
    if ":" in port.name:  # an interface of a device
        return False
    try:
        vendor, product = ((port / name).read_text("ascii").strip() for name in ("idVendor", "idProduct"))
    except (OSError, ValueError):  # it has just gone
        return False
    return (vendor, product) in CORAL_USB
