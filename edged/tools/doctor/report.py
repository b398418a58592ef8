"""Writes what ``edged doctor`` found as a record that its owner can send to others.

A record is made of what this module names, and of nothing else: versions, kinds of devices, and the results
of the checks. No serial number, address or name of a network is read. The sentences of the checks may name
the user, the host, files, pipelines and addresses; these are replaced. Checks whose sentences are about
nothing but the owner's own set-up give their status only.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import re
from importlib import metadata
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from edged.config import loader
from edged.system import board
from edged.text import printable
from edged.tools.machine import debian, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edged.tools.doctor.verdict import Check

VERSION = 1
_STATUS_ONLY = frozenset({"configuration", "broker", "state-dir", "service"})
_DESCRIBED = frozenset({"edged", "python", "architecture", "board", "system", "kernel", "cores", "memory_mb"})
_DEBIAN = re.compile(r"libedgetpu|(python3-)?libcamera|python3-picamera2|rpicam|gasket|libusb|raspi-firmware")
_PYTHON = (
    *("ai-edge-litert", "tflite-runtime", "numpy", "opencv-python-headless"),
    *("gpiod", "smbus2", "pyserial"),
)
_PUBLIC_PATHS = ("/dev/", "/sys", "/proc", "/run/edged", "/var/lib/edged")
_PUBLIC_NAMES = frozenset({"root", "edged", "edged-workers", "localhost"})
_PATTERNS = (
    (re.compile(r"\b\w+://\S+"), "ADDRESS"),
    (re.compile(r"\S+@\S+\.\w+"), "ADDRESS"),
    (re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", re.IGNORECASE), "ADDRESS"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "ADDRESS"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE), "ADDRESS"),
    (re.compile(r"/(?:home|root|media|mnt|srv)/[^\s,;:]+"), "PATH"),
    (re.compile(r"/dev/[\w/]*by-(?:id|path)/[^\s,;:]+"), "PATH"),
    (re.compile(r"\b[0-9a-f]{2}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,}\b", re.IGNORECASE), "ID"),
)


def append(path: Path, checks: Sequence[Check], *, config_path: Path, root: Path) -> None:
    """Add a record to a file, as one line of JSON.

    Raises:
        OSError: the file cannot be written.
    """
    record = {
        "report": VERSION,
        "uptime_s": _uptime_s(root),
        "machine": machine(root),
        "checks": checked(checks, private_words(config_path, root)),
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


def checked(checks: Iterable[Check], private: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the results without what is about the owner; ``private``: words and what replaces them."""
    return [
        {"name": check.name, "status": str(check.status)}
        if check.name in _STATUS_ONLY
        else {key: clean(value, private) for key, value in check.data().items()}
        for check in checks
    ]


def clean(text: str, private: Mapping[str, str]) -> str:
    """Return a sentence without private words, addresses, identifiers and personal paths."""
    for pattern, substitute in _PATTERNS:
        text = pattern.sub(substitute, text)
    for word in sorted(private, key=len, reverse=True):  # a word may be a part of another one
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", private[word], text)
    return printable(text)


def private_words(config_path: Path, root: Path) -> dict[str, str]:
    """Return the names of users, of the host and of what the owner configured, with what replaces each."""
    words: dict[str, str] = {}
    for entry in pwd.getpwall():
        if entry.pw_uid >= 1000 or entry.pw_uid == os.geteuid():
            words |= {entry.pw_name: "USER", entry.pw_dir: "PATH", entry.pw_gecos.partition(",")[0]: "USER"}
    words |= dict.fromkeys((os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER")), "USER")
    host = platform.node()
    words |= dict.fromkeys((host, host.partition(".")[0], board.text(root / "etc/hostname")), "HOST")
    words |= _configured(config_path)
    return {word: name for word, name in words.items() if len(word) > 1 and word not in _PUBLIC_NAMES}


def machine(root: Path) -> dict[str, Any]:
    """Return the kind of machine: its hardware by product, its software by version."""
    return {
        **{key: value for key, value in describe(root).items() if key in _DESCRIBED},
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "usb": _usb(root),
        "pci": sorted(f"{board.text(d / 'vendor')}:{board.text(d / 'device')}" for d in _pci(root)),
        "nodes": _nodes(root),
        "chips": {
            "hwmon": _names(root, "sys/class/hwmon/*/name"),
            "iio": _names(root, "sys/bus/iio/devices/*/name"),
            "thermal": _names(root, "sys/class/thermal/*/type"),
            "w1": sorted(path.name[:2] for path in root.glob("sys/bus/w1/devices/[0-9a-f][0-9a-f]-*")),
        },
        "cameras": _names(root, "sys/class/video4linux/*/name"),
        "debian": debian(root, _DEBIAN),
        "packages": _packages(),
    }


def _configured(config_path: Path) -> dict[str, str]:
    try:
        loaded, _ = loader.examine(config_path)
    except OSError:
        loaded = None
    if loaded is None:  # no sentence is about what cannot be read
        return {}
    config = loaded.config
    words = {config.node: "NODE", str(config_path): "PATH", str(config.state_dir): "PATH"}
    words |= {name: f"pipeline-{number}" for number, name in enumerate(config.pipelines, 1)}
    words |= {name: f"sensor-{number}" for number, name in enumerate(config.sensors, 1)}
    if config.mqtt is not None:
        words |= {host: "BROKER" for host, _ in config.mqtt.addresses} | {config.mqtt.username or "": "USER"}
    for path in map(Path, _paths(config.model_dump())):
        words |= dict.fromkeys((str(path), path.name, path.stem), "FILE")
    return words


def _paths(value: object) -> Iterator[str]:
    """Yield the paths anywhere in a configuration, except those of the kernel's devices."""
    if isinstance(value, dict):
        for part in value.values():
            yield from _paths(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _paths(part)
    elif isinstance(value, str | PurePath) and str(value).startswith("/"):
        text = str(value)
        if Path(text).name and not text.startswith(_PUBLIC_PATHS):
            yield text


def _uptime_s(root: Path) -> int | None:
    try:
        return round(float((root / "proc/uptime").read_text().split()[0]))
    except (OSError, ValueError, IndexError):
        return None


def _usb(root: Path) -> list[dict[str, str]]:
    """Return vendor, product and speed of each device; its strings, which may have serial numbers, stay."""
    devices = sorted(root.glob("sys/bus/usb/devices/*/idVendor"))
    return [
        {
            "id": f"{board.text(path)}:{board.text(path.with_name('idProduct'))}",
            "mbit_s": board.text(path.with_name("speed")),
        }
        for path in devices
    ]


def _pci(root: Path) -> list[Path]:
    return list(root.glob("sys/bus/pci/devices/*"))


def _nodes(root: Path) -> dict[str, int]:
    """Return how many device nodes of each kind there are."""
    kinds = ("video", "media", "dma_heap/", "apex_", "i2c-", "gpiochip", "ttyUSB", "ttyACM", "ttyAMA", "vcio")
    return {kind.rstrip("/-_"): len(list(root.glob(f"dev/{kind}*"))) for kind in kinds}


def _names(root: Path, pattern: str) -> list[str]:
    return sorted(printable(board.text(path)) for path in root.glob(pattern))


def _packages() -> dict[str, str]:
    found = {}
    for name in _PYTHON:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
