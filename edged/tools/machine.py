"""Describes this machine: board, processor, system; without the names of owner and host."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import edged
from edged.models import runtimes
from edged.sensors.drivers import system
from edged.system import board

_GOVERNOR = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"


def describe(root: Path = Path("/")) -> dict[str, Any]:
    """Return the description; None for what is not known. ``root`` is for tests."""
    return {
        "board": board.board(root) or None,
        "cpu": _entry(root / "proc/cpuinfo", "model name"),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "governor": _text(root / _GOVERNOR) or None,
        "memory_mb": _memory_mb(root),
        "system": _system(root),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "runtimes": runtimes.available(),
        "edged": edged.__version__,
    }


def _system(root: Path) -> str | None:
    for path in (root / "etc/os-release", root / "usr/lib/os-release"):
        if match := re.search(r'^PRETTY_NAME="?([^"\n]*)', _text(path), re.MULTILINE):
            return match[1]
    return None


def _memory_mb(root: Path) -> int | None:
    try:
        return round(system.meminfo(root)["MemTotal"] * 1024 / 1e6)
    except (OSError, KeyError):
        return None


def _entry(path: Path, name: str) -> str | None:
    """Return the first value of this name in lines such as ``name : value``."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip() or None
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip("\0\n ")
    except OSError:
        return ""


def debian(root: Path, names: re.Pattern[str]) -> dict[str, str]:
    """Return the versions of the Debian packages whose names match."""
    found, name = {}, ""
    for line in board.text(root / "var/lib/dpkg/status").splitlines():
        key, _, value = line.partition(": ")
        if key == "Package":
            name = value
        elif key == "Version" and names.match(name):
            found[name] = value
    return found
