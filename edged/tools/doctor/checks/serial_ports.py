"""Checks the ports of serial sensors: whether the kernel's console, a login or ModemManager has one of them.

A sensor locks its port, but those do not look at locks: they take bytes of the sensor's answers and send text
of their own. ModemManager tries each USB adapter that comes whether it is a modem.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edged.tools.doctor.verdict import Verdict, absent, error, ok, skipped, together, warning

if TYPE_CHECKING:
    from pathlib import Path

    from edged.tools.doctor.subject import Subject

_LOGIN = re.compile(r"(?:serial-)?getty@([\w-]+)\.service")
_MODEMS = re.compile(r"ModemManager\.service")
_TRIED = ("ttyACM", "ttyUSB")  # by ModemManager


def serial_ports(subject: Subject) -> Verdict:
    """Judge the configured ports."""
    if subject.config is None:
        return skipped(subject.why_not)
    sensors = subject.config.sensors.values()
    ports = dict.fromkeys(port for sensor in sensors if sensor.kind == "serial" for port in sensor.shares)
    if not ports:
        return absent("no sensor on a serial port")
    consoles, logins = _consoles(subject.root), _of_services(subject.root, _LOGIN)
    modems = bool(_of_services(subject.root, _MODEMS))
    return together([_of(port, _name(subject.root, port), consoles, logins, modems) for port in ports])


def _of(port: str, name: str, consoles: set[str], logins: set[str], modems: bool) -> Verdict:
    if name in consoles:
        fix = f"remove console={name} (or console=serial0) from /boot/firmware/cmdline.txt, and reboot"
        return error(f"{port}: the kernel writes its messages to it", fix)
    if name in logins:
        return error(f"{port}: a login waits there", f"sudo systemctl disable --now serial-getty@{name}")
    if modems and name.startswith(_TRIED):
        fix = "sudo systemctl disable --now ModemManager (where no modem is used)"
        return warning(f"{port}: ModemManager talks to it for some seconds whenever it is plugged in", fix)
    return ok(f"{port}: neither the kernel's console nor a login has it")


def _name(root: Path, port: str) -> str:
    """Return the name of a port's device, such as ttyAMA0; links are followed."""
    return (root / port.lstrip("/")).resolve().name


def _consoles(root: Path) -> set[str]:
    """Return the names of the devices that the kernel writes its messages to."""
    try:
        return set((root / "sys/class/tty/console/active").read_text("utf-8", "replace").split())
    except OSError:
        return set()


def _of_services(root: Path, pattern: re.Pattern[str]) -> set[str]:
    """Return what a pattern finds in the names of the processes' services, such as a login's device."""
    found = set()
    for path in root.glob("proc/[0-9]*/cgroup"):
        try:
            found |= set(pattern.findall(path.read_text("utf-8", "replace")))
        except OSError:  # the process has ended
            continue
    return found
