"""Identifies the board and the Coral accelerators that are plugged in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# Vendor and product of an Edge TPU on USB: as it comes up, and after its firmware was loaded.
CORAL_READY = ("18d1", "9302")
CORAL_USB = frozenset({("1a6e", "089a"), CORAL_READY})
CORAL_PCI = ("0x1ac1", "0x089a")
_BOARDS = ("proc/device-tree/model", "sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name")


def board(root: Path = Path("/")) -> str:
    """Return the board's name; empty where the kernel does not know it. ``root`` is for tests."""
    return next(filter(None, (text(root / path) for path in _BOARDS)), "")


def coral(root: Path) -> str:
    """Return the bus of the Coral accelerator: ``usb``, ``pci``, or empty where there is none."""
    for device in root.glob("sys/bus/usb/devices/*"):
        if (text(device / "idVendor"), text(device / "idProduct")) in CORAL_USB:
            return "usb"
    return "pci" if (root / "dev/apex_0").exists() else ""


@dataclass(frozen=True)
class CoralStick:
    """A Coral accelerator on USB.

    Attributes:
        port: the port that it is plugged into, such as ``2-1.4``.
        node: its device node, which is another one once it has its firmware.
        ready: whether it has its firmware.
        place: its folder in sysfs without links, by which libusb and so libedgetpu sort.
    """

    port: str
    node: Path
    ready: bool
    place: str


def coral_sticks(root: Path) -> list[CoralStick]:
    """Return the Coral accelerators on USB, in the order of their ports."""
    found = []
    for port in root.glob("sys/bus/usb/devices/*"):
        ids = (text(port / "idVendor"), text(port / "idProduct"))
        bus, number = text(port / "busnum"), text(port / "devnum")
        if ids in CORAL_USB and bus.isdecimal() and number.isdecimal():
            node = root / f"dev/bus/usb/{int(bus):03}/{int(number):03}"
            found.append(CoralStick(port.name, node, ids == CORAL_READY, str(port.resolve())))
    return sorted(found, key=lambda stick: [int(part) for part in re.findall(r"\d+", stick.port)])


def coral_cards(root: Path) -> list[str]:
    """Return the addresses of the Coral accelerators on PCIe, whether they have a driver or not."""
    found = sorted(root.glob("sys/bus/pci/devices/*"))
    return [card.name for card in found if (text(card / "vendor"), text(card / "device")) == CORAL_PCI]


def text(path: Path) -> str:
    """Return the text of a file of sysfs or the device tree; empty where it cannot be read."""
    try:
        return path.read_text("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""
